"""Imported first by a server whose memory counts: keeps optional packages out that libraries load when they find them.

structlog imports rich for tracebacks in colour. Our logs are JSON without tracebacks; rich, which comes with tools of the tests and
not with the image, would take 4 MiB of a webhook of 45.
"""

import sys

if "structlog" not in sys.modules:
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # what Python itself does for a module that must not be found
