"""`python -m broker`. Logs go to standard error from the first one on: standard output belongs to values and the audit log."""

import os
import sys

from broker.cli import run
from service.logs import configure_logs

if __name__ == "__main__":
    configure_logs("warning")  # `serve` sets the level that its settings name
    sys.exit(run(sys.argv[1:], os.environ))
