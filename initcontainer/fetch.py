"""Ask the broker until every name has an answer, one is refused for good, or the deadline is near.

answer                                   | what is done
---------------------------------------- | ------------------------------------------------------------------
200, all values                          | they are returned; an absent optional one is None
200, one final refusal or more           | fail at once, with every final refusal named
200, only throttled or unavailable left  | ask again for all: the broker has the others in its memory
429, 5xx, time-out, no connection        | ask again
401, 403, other 3xx and 4xx, not HTTP    | fail at once
certificate not trusted                  | fail at once

Between tries: full jitter over an exponential backoff, or Retry-After if that is longer, within the deadline.
"""

import os
import time

from contract import wire
from contract.fqn import shorten
from contract.record import record
from contract.strict import FormatError, loads
from contract.values import SecretValue
from initcontainer.errors import Denied, InitError, NodeTooOld, NotFound, PlanBroken, Refused, Retryable, Unavailable
from initcontainer.exchange import Patience, post, trust

BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 0.2, 5.0
LAST_TRY_SECONDS = 1.0  # kept back from waiting, so that a long Retry-After still leaves one try before the deadline
CONNECT_SECONDS = 5.0  # a packet that is lost to a starting Service is sent again after 1 and 3 s
READ_SECONDS = 30.0  # the broker asks its stores in that time, with retries of its own
_TOKEN_BYTES = 64 * 1024
_MESSAGE_CHARACTERS = 400
_REFUSALS: "dict[str, type[InitError]]" = {
    wire.NODE_TOO_OLD: NodeTooOld,
    wire.DENIED: Denied,
    wire.UNAUTHENTICATED: Denied,
    wire.NOT_FOUND: NotFound,
    wire.FIELD_NOT_FOUND: NotFound,
}


@record
class Clock:
    """Time and chance, for tests to hold: seconds that only grow, a sleep, a number from 0 up to 1."""

    now: "Callable[[], float]"
    sleep: "Callable[[float], object]"
    chance: "Callable[[], float]"


def _chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32  # `random` costs 4 ms to import


REAL_CLOCK = Clock(time.monotonic, time.sleep, _chance)


class Broker:
    """Where to ask and with what; made once a run."""

    def __init__(self, settings: "Settings", log: "Log", clock: Clock = REAL_CLOCK) -> None:
        self._endpoint = settings.endpoint
        self._context = trust(settings.plan.ca)
        self._token_file = settings.token_file
        self._modes = tuple(dict.fromkeys(container.mode for container in settings.plan.containers))
        self._end = clock.now() + settings.deadline
        self._log, self._clock = log, clock

    def fetch(self, wants: "Mapping[str, Want]") -> "dict[str, SecretValue | None]":
        """Values by canonical name; None for one that is absent and that nobody requires."""
        request = wire.ResolveRequest(tuple(wants), self._modes)
        body = wire.encode_request(request)
        tries = 0
        while True:
            tries += 1
            try:
                return _values(self._ask(request, body), wants)
            except Retryable as error:
                self._wait(tries, error)

    def _ask(self, request: wire.ResolveRequest, body: bytes) -> "dict[str, wire.Answer]":
        patience = Patience(CONNECT_SECONDS, READ_SECONDS, self._left)
        answer = post(self._endpoint, self._context, read_token(self._token_file), body, patience)
        if answer.status != 200:
            raise refusal(answer)
        try:
            return wire.decode_response(answer.body.reveal(), request)
        except FormatError as error:
            raise Refused(f"{self._endpoint}: the broker's answer is not understood: {error}") from None

    def _wait(self, tries: int, error: Retryable) -> None:
        """Raises Unavailable when no time is left for another try."""
        most = self._left() - LAST_TRY_SECONDS
        if most <= 0:
            raise Unavailable(*error.problems, f"tried {tries} times until the deadline") from error
        backoff = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** min(tries - 1, 10)) * self._clock.chance()
        seconds = min(most, max(backoff, error.retry_after or 0.0))
        self._log("warning", "retry", tries=tries, wait_seconds=round(seconds, 3), problems=error.problems[:3])
        self._clock.sleep(seconds)

    def _left(self) -> float:
        return self._end - self._clock.now()


def read_token(path: str) -> str:
    """The pod's token, as the kubelet has it now. Raises PlanBroken."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 3 ms
            token = file.read(_TOKEN_BYTES).strip()
    except OSError as error:
        raise PlanBroken(f"token file {path}: it cannot be read: {error.strerror}") from error
    if not token or not all(0x21 <= byte <= 0x7E for byte in token):
        raise PlanBroken(f"token file {path}: it holds no token: found {len(token)} bytes; allowed: printable ASCII without blanks")
    return token.decode("ascii")


def refusal(answer: "HttpAnswer") -> InitError:
    """The error that an HTTP status other than 200 stands for, with the broker's own code and message if it gave them."""
    code, message = _code_and_message(answer.body)
    problem = f"the broker answers HTTP {answer.status}" + (f": {code}: {_line(message)}" if code else "")
    if answer.status == 429 or answer.status >= 500:
        return Retryable(problem, retry_after=_seconds(answer.headers.get("retry-after", "")))
    if 300 <= answer.status < 400:
        return Refused(f"{problem}, a redirect, which is never followed; TFY_SECRET_BROKER_URL of the webhook must name the broker itself")
    return _REFUSALS.get(code, Denied if answer.status in (401, 403) else Refused)(problem)


def _code_and_message(body: SecretValue) -> tuple[str, str]:
    try:
        document = loads(body.reveal(), "the answer")
    except FormatError:
        return "", ""
    code, message = (document.get("code"), document.get("message")) if isinstance(document, dict) else (None, None)
    return (shorten(code, 40), message) if isinstance(code, str) and isinstance(message, str) else ("", "")


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _values(answers: "Mapping[str, wire.Answer]", wants: "Mapping[str, Want]") -> "dict[str, SecretValue | None]":
    unresolved = [
        a for a in answers.values() if isinstance(a, wire.Unresolved) and not (a.code in wire.ABSENT and not wants[a.fqn].required)
    ]
    final = [answer for answer in unresolved if answer.code not in wire.RETRYABLE]
    if final:
        kinds = {_REFUSALS.get(answer.code, Refused) for answer in final}
        first = next(kind for kind in (NodeTooOld, Denied, NotFound, Refused) if kind in kinds)
        raise first(*(_sentence(answer, wants) for answer in final))
    if unresolved:
        raise Retryable(*(_sentence(answer, wants) for answer in unresolved))
    return {name: answer.value if isinstance(answer, wire.Resolved) else None for name, answer in answers.items()}


def _sentence(answer: wire.Unresolved, wants: "Mapping[str, Want]") -> str:
    code, message = shorten(answer.code, 40), _line(answer.message)
    told = message if message.startswith(f"{code}: ") else f"{code}: {message}"  # "denied" is said by the broker's own sentence
    return f"{wants[answer.fqn].place}: {shorten(answer.fqn)}: {told}"


def _line(message: str) -> str:
    """A message of several lines on one: the end of a line is no character that somebody hid in it."""
    return shorten(" ".join(message.splitlines()), _MESSAGE_CHARACTERS)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from initcontainer.answer import HttpAnswer
    from initcontainer.logs import Log
    from initcontainer.settings import Settings
    from initcontainer.wanted import Want
