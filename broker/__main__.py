"""`python -m broker`."""

import os
import sys

from broker.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))
