"""Read the environment once and report every fault together, the plan's faults included.

In a pod the webhook gives the plan alone and the rest are defaults; outside of one (`make demo`, tests) the files and folders
are elsewhere. Unknown TFY_SECRET_ names are passed over: a Service in the pod's namespace whose name begins with `tfy-secret-`
makes the kubelet set some.
"""

from contract import keys
from contract.fqn import shorten
from contract.plan import Plan, PlanError, decode_plan
from contract.record import record
from initcontainer.carry import plan_faults
from initcontainer.endpoint import Endpoint, parse_endpoint
from initcontainer.errors import PlanBroken
from initcontainer.logs import LEVELS

TOKEN_FILE, VOLUMES, TERMINATION_LOG = "TFY_SECRET_TOKEN_FILE", "TFY_SECRET_VOLUMES", "TFY_SECRET_TERMINATION_LOG"
LAUNCHER, SOURCES = "TFY_SECRET_LAUNCHER", "TFY_SECRET_TEMPLATES"
DEADLINE, LOG_LEVEL = "TFY_SECRET_DEADLINE", "TFY_SECRET_LOG_LEVEL"

# Name, default (None: it must be given), what it is: docs/settings.md is made from this.
SETTINGS: "tuple[tuple[str, str | None, str], ...]" = (
    (keys.PLAN_ENV, None, "What to fetch and where to put it, with the broker's address and CA; made by the webhook. Names, never values."),
    (TOKEN_FILE, keys.TOKEN_FILE, "The pod's own token for the broker; read anew for each try."),
    (VOLUMES, keys.VOLUMES_FOLDER, "The folder that holds one tmpfs volume per container."),
    (TERMINATION_LOG, keys.TERMINATION_LOG, "Where the reason of a failure is written for `kubectl describe pod`."),
    (LAUNCHER, keys.LAUNCHER, "The program that mode exec starts apps with; copied into the volumes of their containers."),
    (SOURCES, keys.SOURCES_FOLDER, "The folder that holds the config files with references, one folder for each ConfigMap's key."),
    (DEADLINE, "120", "Seconds after which a broker or store that does not answer fails the pod's start (1 to 3600)."),
    (LOG_LEVEL, "info", f"The least level that is logged: {', '.join(LEVELS)}."),
)
_DEFAULTS = {name: default for name, default, _ in SETTINGS}


@record
class Settings:
    plan: Plan
    endpoint: Endpoint
    token_file: str
    volumes: str
    deadline: float
    launcher: str = keys.LAUNCHER
    sources: str = keys.SOURCES_FOLDER


def log_level(environ: "Mapping[str, str]") -> str:
    """Read on its own, since faults are logged too; an unknown level is one of them, and then the default stands."""
    level = _read(environ, LOG_LEVEL)
    return level if level in LEVELS else str(_DEFAULTS[LOG_LEVEL])


def termination_log(environ: "Mapping[str, str]") -> str:
    """Read on its own, since faults are written there."""
    return _read(environ, TERMINATION_LOG)


def settings_from(environ: "Mapping[str, str]") -> Settings:
    """Raises PlanBroken with every fault."""
    faults: list[str] = []
    if _read(environ, LOG_LEVEL) not in LEVELS:
        faults.append(f"{LOG_LEVEL}: found '{shorten(_read(environ, LOG_LEVEL), 40)}'; allowed: {', '.join(LEVELS)}")
    paths = (TOKEN_FILE, VOLUMES, TERMINATION_LOG, LAUNCHER, SOURCES)
    faults += [f"{name}: found nothing; allowed: a path" for name in paths if not _read(environ, name)]
    deadline = _deadline(_read(environ, DEADLINE), faults)
    plan, endpoint = _plan(environ.get(keys.PLAN_ENV), faults)
    if faults or plan is None or endpoint is None:
        raise PlanBroken(*faults)
    token_file, volumes, launcher, sources = (_read(environ, name) for name in (TOKEN_FILE, VOLUMES, LAUNCHER, SOURCES))
    return Settings(plan, endpoint, token_file, volumes, deadline, launcher, sources)


def _read(environ: "Mapping[str, str]", name: str) -> str:
    return environ.get(name, str(_DEFAULTS[name]))


def _deadline(text: str, faults: list[str]) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        faults.append(f"{DEADLINE}: found '{shorten(text, 40)}'; allowed: seconds, from 1 to 3600")
    return seconds


def _plan(text: str | None, faults: list[str]) -> "tuple[Plan | None, Endpoint | None]":
    if text is None:
        faults.append(f"{keys.PLAN_ENV}: it must be given; the webhook sets it")
        return None, None
    try:
        plan = decode_plan(text)
    except PlanError as error:
        faults.append(f"{keys.PLAN_ENV}: {error}")
        return None, None
    faults += [f"{keys.PLAN_ENV}: {fault}" for fault in plan_faults(plan)]
    try:
        return plan, parse_endpoint(plan.broker)
    except ValueError as error:
        faults.append(f"{keys.PLAN_ENV}: plan.broker: {error}")
        return plan, None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
