"""What can go wrong in the init container, ordered by who must act: the pod's author, the operator, nobody (retry).

Each error holds `problems`: one sentence or more, with place, what was found and what is allowed. What to do about a class of
them stands beside its exit code in `exits`. No problem ever holds a value or a token.
"""


class InitError(Exception):
    """Base of all; ends the run, unless it is Retryable and there is time left."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


# --- the author of the pod -------------------------------------------------------------------------------------------


class Denied(InitError):
    """The broker does not accept the pod's token, or its service account has no role."""


class NotFound(InitError):
    """There is no such secret, version or field."""


class CannotCarry(InitError):
    """A value that the container's delivery mode cannot carry exactly."""


class TemplateBroken(InitError):
    """A config file that is not of its format, or a reference in it that does not parse."""


class NodeTooOld(InitError):
    """The pod's node cannot deliver the plan's mode; the pod has to be admitted again, or to move."""


# --- the operator ----------------------------------------------------------------------------------------------------


class PlanBroken(InitError):
    """The environment that the webhook gave us, or the token's file, is not what this version understands."""


class CannotWrite(InitError):
    """A volume is missing, full, read-only or not in memory."""


class Refused(InitError):
    """The broker or a store says no for another reason, or answers in another protocol."""


class Untrusted(InitError):
    """The broker's certificate does not verify with the plan's CA."""


class Unavailable(InitError):
    """Nothing but Retryable until the deadline."""


# --- nobody: try again -----------------------------------------------------------------------------------------------


class Retryable(InitError):
    """`retry_after`: the seconds that the broker asked us to wait, if it did."""

    def __init__(self, *problems: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(*problems)
