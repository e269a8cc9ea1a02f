"""The audit log: one JSON line for each decision: who, pod, name, version, allow or deny. Never a value or a token.

Lines are ASCII with everything else escaped, so a name cannot forge a line. A line is one write, in a thread of its own: a
reader that is slow holds up answers, not the whole server. What cannot be written down is not done: the caller gets an error.
"""

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from broker.identity import Caller
from broker.metrics import Metrics

log = structlog.get_logger()
ALLOW, DENY = "allow", "deny"


class AuditFailed(Exception):
    """The line is not written, so the request is refused; worth trying again."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it is, from where. `caller` None: nobody that is known."""

    request: str
    source: str | None
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One decision. `fqn` is canonical; None: what was asked for is not a name. `code` is `ok` or a wire code. `stale`: the value was read
    some time before, and its store does not answer now.
    """

    action: str
    fqn: str | None
    decision: str
    code: str
    version: str | None = None
    event: str = "decision"
    stale: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


class Audit:
    """Writes to a file, or to standard output (None)."""

    def __init__(self, path: Path | None, metrics: Metrics, clock: Callable[[], datetime] = _now) -> None:
        self._path, self._metrics, self._clock = path, metrics, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._torn = False
        self._fd = self._open()

    async def write(self, origin: Origin, lines: list[Line]) -> None:
        """Raises AuditFailed."""
        made = [self._encode(origin, line) for line in lines]
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, made)
        except OSError as error:
            self._metrics.audit_failures.inc()
            log.error("audit_failed", errno=error.errno)  # noqa: TRY400 - the number says it all
            raise AuditFailed from None

    def reopen(self) -> None:
        """After the file was moved away; on failure the open file stays in use."""
        self._thread.submit(self._reopen)

    def close(self) -> None:
        self._thread.shutdown()
        if self._path is not None:
            os.close(self._fd)

    def _open(self) -> int:
        if self._path is None:
            return 1
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _reopen(self) -> None:
        if self._path is None:
            return
        try:
            opened = self._open()
        except OSError as error:
            log.error("audit_reopen_failed", errno=error.errno)  # noqa: TRY400 - as above
            return
        self._fd, former = opened, self._fd
        os.close(former)
        self._torn = False

    def _append(self, lines: list[bytes]) -> None:
        for line in lines:
            content = b"\n" + line if self._torn else line  # the rest of a line that a full disk cut off stays a line of its own
            written = os.write(self._fd, content)
            while written < len(content):
                self._torn = True
                written += os.write(self._fd, content[written:])
            self._torn = False

    def _encode(self, origin: Origin, line: Line) -> bytes:
        caller = origin.caller
        pod = caller.pod if caller else None
        document = {
            "time": self._clock().isoformat(timespec="milliseconds"),
            "event": line.event,
            "request": origin.request,
            "source": origin.source,
            "caller": caller.name if caller else None,
            "namespace": pod.namespace if pod else None,
            "service_account": pod.service_account if pod else None,
            "pod": pod.name if pod else None,
            "pod_uid": pod.uid if pod else None,
            "node": pod.node if pod else None,
            "action": line.action,
            "fqn": line.fqn,
            "version": line.version,
            "decision": line.decision,
            "code": line.code,
            "stale": line.stale or None,
        }
        return json.dumps({k: v for k, v in document.items() if v is not None}, separators=(",", ":")).encode() + b"\n"
