"""`python -m initcontainer`: fetch what the plan names and put it where the pod's containers find it, then end.

The order is the promise: everything is read, fetched and checked before anything is written. The process leaves by
`os._exit`, which spares 4 ms of tearing modules down; nothing is buffered by then.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # before the imports, which make most of what it would look through: 2 ms of a process that lives 50

import os
import signal
import sys

from initcontainer import exits
from initcontainer.carry import carry
from initcontainer.deliver import deliver, read_launcher
from initcontainer.errors import InitError
from initcontainer.fetch import REAL_CLOCK, Broker, Clock
from initcontainer.logs import Log, describe
from initcontainer.settings import log_level, settings_from, termination_log
from initcontainer.wanted import wanted_by


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived; unwinds so that nothing is left aside."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def run(environ: "Mapping[str, str]", log: Log, clock: Clock = REAL_CLOCK) -> None:
    """The whole work. Raises InitError."""
    begun = clock.now()
    settings = settings_from(environ)
    templates = _templates(settings)
    wanted = wanted_by(settings.plan, templates)
    found = Broker(settings, log, clock).fetch(wanted.wants) if wanted.wants else {}
    launcher = read_launcher(settings.launcher) if any(c.mode == "exec" and c.env for c in settings.plan.containers) else b""
    contents = carry(settings.plan, {spelling: found[name] for spelling, name in wanted.spellings.items()}, launcher, templates)
    deliver(settings.volumes, contents)
    counts = {"containers": len(contents), "files": sum(len(volume.files) for volume in contents), "secrets": len(found)}
    log("info", exits.OK.reason, **counts, seconds=round(clock.now() - begun, 3))


def _templates(settings: "Settings") -> "Templates | None":
    """None for most pods, which have none: reading and rendering is imported for those that do."""
    if not any(container.templates for container in settings.plan.containers):
        return None
    from initcontainer.templates import Templates

    return Templates.read(settings.plan, settings.sources)


def main(environ: "Mapping[str, str]") -> int:
    """Run, and turn whatever happens into an exit code, a log line and a termination message."""
    log = Log(log_level(environ))
    try:
        _hear_signals()
        return _attempt(environ, log)
    except Stopped as stopped:
        log("warning", "stopped", signal=stopped.number)
        return exits.TERMINATED + stopped.number


def _attempt(environ: "Mapping[str, str]", log: Log) -> int:
    try:
        run(environ, log)
    except InitError as error:
        return _fail(environ, log, exits.exit_for(error), error.problems)
    except Exception as error:  # noqa: BLE001 - its message may quote what it met, so only type and place are told
        return _fail(environ, log, exits.CRASHED, [describe(error)])
    return exits.OK.code


def _fail(environ: "Mapping[str, str]", log: Log, end: exits.Exit, problems: "Sequence[str]") -> int:
    log("error", "failed", exit_code=end.code, reason=end.reason, problems=problems)
    if not exits.write_termination(termination_log(environ), exits.termination_message(end, problems)):
        log("warning", "termination-message-not-written")
    return end.code


def _hear_signals() -> None:
    """As the first process of a container we would not even hear SIGTERM without a handler."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # a second one must not cut the cleaning short
    raise Stopped(number)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from initcontainer.settings import Settings
    from initcontainer.templates import Templates

if __name__ == "__main__":
    code = main(os.environ)
    sys.stderr.flush()
    os._exit(code)
