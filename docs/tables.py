"""The tables in the documentation that are made from code: one function each, from values to Markdown."""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

from prometheus_client import CollectorRegistry

from broker import metrics as broker_metrics
from broker import settings as broker_settings
from broker.http import STATUS
from contract import keys, wire
from contract.access import ROLE_ACTIONS, Action
from contract.envfile import LIMITS
from docs.words import CODES, REASONS, SAMPLES
from initcontainer import errors as init_errors
from initcontainer import settings as init_settings
from initcontainer.carry import MODES
from initcontainer.exits import CRASHED, EXITS, OK
from service.settings import COMMON, Setting
from webhook import metrics as webhook_metrics
from webhook import settings as webhook_settings
from webhook.problem import Reason

_ACTIONS = {
    Action.CREATE: "create secrets",
    Action.EDIT: "edit, delete",
    Action.REVEAL: "see values",
    Action.LIST: "see keys",
    Action.INJECT: "have values injected",
    Action.SHARE: "change collaborators",
}


class Stale(Exception):
    """Code and words do not belong together; the message says what to write where."""


def annotations() -> str:
    return _table(("Annotation of a pod", "Values", "What it does"), [(f"`{name}`", *words) for name, words in keys.ANNOTATIONS.items()])


def labels() -> str:
    return _table(
        ("Label", "On", "What it does"),
        [
            (f"`{keys.INJECT_LABEL}: {keys.INJECT_ENABLED}`", "a namespace", "Opts the namespace in: its pods may hold references."),
            (f"`{keys.INJECT_LABEL}: {keys.INJECT_DISABLED}`", "a pod", "Opts the pod out: the webhook does not look at it."),
        ],
    )


def settings_common() -> str:
    return _settings(COMMON)


def settings_webhook() -> str:
    return _settings(s for s in webhook_settings.SETTINGS if s not in COMMON)


def settings_broker() -> str:
    return _settings(s for s in broker_settings.SETTINGS if s not in COMMON)


def settings_init() -> str:
    return _table(("Variable", "Default", "What it is"), [(f"`{n}`", _default(d), doc) for n, d, doc in init_settings.SETTINGS])


def carried() -> str:
    """Each limit by a sample that breaks it, put to the rules that the init container itself asks."""
    _complete(SAMPLES, LIMITS, "contract.envfile.LIMITS", "SAMPLES")
    rows = [(SAMPLES[code][0], *_carries(SAMPLES[code][1]), limit.sentence) for code, limit in LIMITS.items()]
    return _table(("A value that", "`envfile`", "`exec`", "a file", "Why not"), [("is anything else", "yes", "yes", "yes", ""), *rows])


def exits() -> str:
    rows = [(str(e.code), f"`{e.reason}`", e.meaning, e.fix) for e in (OK, CRASHED, *sorted(EXITS.values(), key=lambda e: e.code))]
    return _table(("Exit code", "Reason", "What it means", "To fix"), rows)


def reasons() -> str:
    _complete(REASONS, Reason, "webhook.problem.Reason", "REASONS")
    return _table(("Reason", "What is wrong", "Who acts"), [(f"`{r.value}`", *REASONS[r]) for r in Reason])


def wire_codes() -> str:
    _complete(CODES, STATUS, "broker.http.STATUS", "CODES")
    return _table(
        ("Code", "HTTP status", "What is wrong", "The init container ends with"),
        [(f"`{code}`", str(STATUS[code]), words, _exit_of(code)) for code, words in CODES.items()],
    )


def metrics_webhook() -> str:
    return _metrics(webhook_metrics.Metrics(lambda: None).registry)


def metrics_broker() -> str:
    return _metrics(broker_metrics.Metrics().registry)


def roles() -> str:
    rows = [(f"`{role}`", *("yes" if action in allowed else "no" for action in _ACTIONS)) for role, allowed in ROLE_ACTIONS.items()]
    return _table(("Role", *_ACTIONS.values()), rows)


TABLES: dict[str, Callable[[], str]] = {
    made.__name__.replace("_", "-"): made
    for made in (
        annotations,
        labels,
        settings_common,
        settings_webhook,
        settings_broker,
        settings_init,
        carried,
        exits,
        reasons,
        wire_codes,
        metrics_webhook,
        metrics_broker,
        roles,
    )
}


def _settings(settings: Iterable[Setting[Any]]) -> str:
    return _table(("Variable", "Default", "What it is"), [(f"`{s.name}`", _default(s.default), s.doc) for s in settings])


def _default(default: str | None) -> str:
    return "must be given" if default is None else f"`{default}`" if default else "empty"


def _metrics(registry: CollectorRegistry) -> str:
    found = sorted(registry.collect(), key=lambda metric: metric.name)
    rows = [(f"`{m.name}{'_total' if m.type == 'counter' else ''}`", m.type, m.documentation.rstrip(".")) for m in found]
    return _table(("Metric", "Type", "What it counts"), rows)


def _carries(value: bytes) -> Iterator[str]:
    for mode in (MODES["envfile"], MODES["exec"], MODES["files"]):
        yield "yes" if mode.limit("NAME", value) is None else "no"


def _exit_of(code: str) -> str:
    if code == wire.CONFLICT:
        return "none: pods never get it"
    if code == wire.NODE_TOO_OLD:
        return str(EXITS[init_errors.NodeTooOld].code)
    if code in wire.RETRYABLE:
        return f"{EXITS[init_errors.Unavailable].code}, after the deadline"
    if code in wire.ABSENT:
        return f"{EXITS[init_errors.NotFound].code}, or the variable is unset where `?optional=true`"
    refused = init_errors.Denied if STATUS[code] in (401, 403) else init_errors.Refused
    return str(EXITS[refused].code)


def _complete(words: dict[Any, Any], codes: Iterable[Any], place: str, table: str) -> None:
    known = set(codes)
    wrong = [f"add words for {_name(code)}" for code in known - set(words)] + [f"remove {_name(code)}" for code in set(words) - known]
    if wrong:
        raise Stale(f"docs/words.py, {table}, does not fit {place}: {'; '.join(sorted(wrong))}")


def _name(code: Any) -> str:
    return code.name if isinstance(code, Enum) else str(code)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)
