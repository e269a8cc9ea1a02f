"""How a run ends: an exit code per kind of error, and the message that `kubectl describe pod` shows.

The codes are distinct so that alerts and scripts can tell "ask for a role" from "the broker is down" without reading text.
docs are made from `EXITS`. The kubelet takes 4096 bytes of the message.
"""

from contract.fqn import shorten
from contract.record import record
from initcontainer import errors

MESSAGE_BYTES = 4096  # MaxContainerTerminationMessageLength of the kubelet
_PROBLEM_CHARACTERS = 600  # a problem that quotes a long store message still leaves room for five others
_MORE_BYTES = 40  # "... and 1000 more, see the log"


@record
class Exit:
    """`reason` is a stable word for logs, `meaning` and `fix` are sentences for people."""

    code: int
    reason: str
    meaning: str
    fix: str


OK = Exit(0, "delivered", "All values are in their files.", "")
CRASHED = Exit(
    1, "internal-error", "A fault of the init container itself.", "Report the place named here; the kubelet starts this container again."
)
TERMINATED = 128  # plus the signal's number: 143 for SIGTERM

EXITS: "dict[type[errors.InitError], Exit]" = {
    errors.PlanBroken: Exit(
        10,
        "plan-broken",
        "The plan, a setting or the pod's token cannot be used.",
        "Delete the pod, so that it is admitted again; webhook and init container image must be of one version.",
    ),
    errors.Denied: Exit(
        11,
        "denied",
        "The broker does not know the pod, or the pod may not have a secret.",
        "Ask an admin of the secret group to give the pod's service account or namespace the role secret-group-consumer, or, for a path of "
        "a store, the platform team for an allow rule in the SecretStore.",
    ),
    errors.NotFound: Exit(
        12,
        "not-found",
        "A secret, a version or a field does not exist.",
        "Create it, correct the name, or add ?optional=true where the app can do without.",
    ),
    errors.CannotCarry: Exit(
        13,
        "cannot-carry",
        "A value cannot be delivered exactly in the container's mode, or in a config file's format.",
        "Store another value, deliver it as a file, or use the mode or format that is named here.",
    ),
    errors.Unavailable: Exit(
        14,
        "unavailable",
        "The broker or a store did not answer before the deadline.",
        "Look at the broker's pods, log and readiness; the kubelet starts this container again.",
    ),
    errors.CannotWrite: Exit(
        15,
        "cannot-write",
        "A volume is missing, full, read-only or not in memory.",
        "Give the container's volume what is named here, then delete the pod, so that it is admitted again.",
    ),
    errors.Refused: Exit(
        16,
        "refused",
        "The broker or a store refuses for another reason, which is named.",
        "Act on the reason named here; the broker's log says more.",
    ),
    errors.Untrusted: Exit(
        17,
        "untrusted",
        "The broker's certificate does not verify with the CA in the plan.",
        "Delete the pod, so that it is admitted with the present CA; if that fails, compare the broker's certificate with the webhook's "
        "TFY_SECRET_BROKER_CA_FILE.",
    ),
    errors.TemplateBroken: Exit(
        19,
        "template-broken",
        "A config file with references cannot be read as what its format says.",
        "Correct the ConfigMap at the place named here; the kubelet starts this container again, with what it holds a minute later.",
    ),
    errors.NodeTooOld: Exit(
        18,
        "node-too-old",
        "The pod's node has a kubelet older than 1.35, which cannot deliver mode envfile.",
        "Delete the pod, so that it is admitted again: mode auto then takes exec. Or keep it off old nodes.",
    ),
}


def exit_for(error: errors.InitError) -> Exit:
    return EXITS[type(error)]


def termination_message(end: Exit, problems: "Sequence[str]") -> bytes:
    """What happened and what to do, within what the kubelet takes. Problems that do not fit are counted."""
    head, fix = f"{end.meaning}\n".encode(), f"To fix: {end.fix}".encode()
    room = MESSAGE_BYTES - len(head) - len(fix) - _MORE_BYTES
    lines: list[bytes] = []
    for problem in problems:
        line = shorten(" ".join(problem.splitlines()), _PROBLEM_CHARACTERS).encode(errors="replace") + b"\n"
        room -= len(line)
        if room < 0:
            lines.append(f"... and {len(problems) - len(lines)} more, see the log\n".encode())
            break
        lines.append(line)
    return head + b"".join(lines) + fix


def write_termination(path: str, message: bytes) -> bool:
    """Whether it could be written; a run that fails must fail with its own code whatever happens here."""
    try:
        with open(path, "wb") as file:  # noqa: PTH123 - pathlib costs 3 ms
            file.write(message)
    except OSError:
        return False
    return True


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
