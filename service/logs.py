"""Structured logs: one JSON line an event, on standard error: a constant event name plus keys.

No request, patch, token or value is ever logged. Exceptions are logged by type and place alone, since a library's message may
quote its input.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

Event = MutableMapping[str, Any]


def configure_logs(level: str) -> None:
    """Send our own events and those of libraries (aiohttp, asyncio) through one JSON renderer."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_message,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryFormatter())
    logging.basicConfig(handlers=[handler], level=max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING), force=True)


def describe(error: BaseException) -> dict[str, str]:
    """An exception's type and the places it passed, never its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "at": " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in reversed(frames[-6:]))}


def _exception_without_message(_logger: object, _method: str, event: Event) -> Event:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


class _LibraryFormatter(logging.Formatter):
    """A library's record as one line: its logger and template, not its arguments, which may hold what a caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        event: Event = {"event": "library", "logger": record.name, "template": str(record.msg)[:200]}
        if record.exc_info and record.exc_info[1] is not None:
            event.update(describe(record.exc_info[1]))
        event["level"] = record.levelname.lower()
        return str(structlog.processors.JSONRenderer()(None, "", event))
