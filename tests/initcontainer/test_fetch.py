"""Ask until every name has an answer, one is refused for good, or the deadline is near. Time is the test's own."""

import pytest

from contract import wire
from contract.values import SecretValue
from initcontainer.endpoint import parse_endpoint
from initcontainer.errors import Denied, InitError, NodeTooOld, NotFound, PlanBroken, Refused, Retryable, Unavailable
from initcontainer.fetch import Broker, Clock, read_token
from initcontainer.settings import Settings
from initcontainer.wanted import wanted_by
from tests.initcontainer.broker import BrokerStandIn, answer_body, answers, chunked, cuts, resets, response, sends, status
from tests.initcontainer.plans import HOST, PASSWORD, PATH, container, digest, plan, variable

TOKEN = "canary-token-91be"
VALUES = {PASSWORD: b"canary-value-1", HOST: b"canary-value-2", PATH: b"canary-value-3"}


class Fetching:
    """A fetch with a clock that only sleeping moves, and a chance of one half."""

    def __init__(self, broker: BrokerStandIn, ca: str, tmp_path) -> None:
        self.broker, self.ca = broker, ca
        self.token_file = tmp_path / "token"
        self.token_file.write_text(TOKEN)
        self.time, self.slept, self.events = 0.0, [], []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def log(self, _level: str, event: str, **about: object) -> None:
        self.events.append((event, about))

    def fetch(self, *names: str, deadline: float = 120.0) -> dict[str, SecretValue | None]:
        made = plan(container(*(variable(f"V{i}", name) for i, name in enumerate(names))), broker=self.broker.url, ca=self.ca)
        settings = Settings(made, parse_endpoint(made.broker), str(self.token_file), "", deadline)
        clock = Clock(lambda: self.time, self.sleep, lambda: 0.5)
        return Broker(settings, self.log, clock).fetch(wanted_by(made).wants)


@pytest.fixture
def fetching(broker: BrokerStandIn, ca: str, tmp_path) -> Fetching:
    return Fetching(broker, ca, tmp_path)


def test_all_names_in_one_request(fetching: Fetching) -> None:
    fetching.broker.script = [answers(VALUES)]
    found = fetching.fetch(PASSWORD, HOST + "?optional=true", PASSWORD)
    assert {name: digest(value.reveal()) for name, value in found.items() if value} == {n: digest(VALUES[n]) for n in (PASSWORD, HOST)}
    (seen,) = fetching.broker.requests
    assert wire.decode_request(seen.body) == wire.ResolveRequest((PASSWORD, HOST), ("envfile",))
    assert digest(seen.token.encode()) == digest(TOKEN.encode())


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(status(429), id="429"),
        pytest.param(status(500), id="500"),
        pytest.param(status(503, {"code": "unavailable", "message": "starting"}), id="503"),
        pytest.param(resets, id="reset"),
        pytest.param(cuts(b""), id="cut"),
        pytest.param(cuts(response(200, b"x" * 99)[:-9]), id="half-a-body"),
        pytest.param(answers({PASSWORD: ("throttled", "slow down"), HOST: b"canary-value-2"}), id="one-name-throttled"),
        pytest.param(answers({PASSWORD: ("unavailable", "no"), HOST: ("unavailable", "no")}), id="all-unavailable"),
    ],
)
def test_what_may_pass_is_tried_again(fetching: Fetching, bad) -> None:
    fetching.broker.script = [bad, bad, answers(VALUES)]
    assert set(fetching.fetch(PASSWORD, HOST)) == {PASSWORD, HOST}
    assert len(fetching.broker.requests) == 3
    assert fetching.slept == [0.1, 0.2]


def test_the_backoff_doubles_up_to_its_cap(fetching: Fetching) -> None:
    fetching.broker.script = [status(503)] * 8 + [answers(VALUES)]
    fetching.fetch(PASSWORD)
    assert fetching.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5]


def test_retry_after_is_honoured(fetching: Fetching) -> None:
    fetching.broker.script = [status(429, None, "Retry-After: 7"), answers(VALUES)]
    fetching.fetch(PASSWORD)
    assert fetching.slept == [7.0]


@pytest.mark.parametrize("text", ["Fri, 31 Dec 1999 23:59:59 GMT", "-5", "1e9", "", "²"])
def test_a_retry_after_that_is_no_number_is_passed_over(fetching: Fetching, text: str) -> None:
    fetching.broker.script = [sends(response(503, b"", f"Retry-After: {text}".encode().decode("latin-1"))), answers(VALUES)]
    fetching.fetch(PASSWORD)
    assert fetching.slept == [0.1]


def test_a_long_retry_after_leaves_a_last_try_before_the_deadline(fetching: Fetching) -> None:
    fetching.broker.script = [status(503, None, "Retry-After: 3600"), answers(VALUES)]
    assert set(fetching.fetch(PASSWORD, deadline=30)) == {PASSWORD}
    assert fetching.slept == [29.0]


def test_the_deadline_ends_it_with_the_last_reason(fetching: Fetching) -> None:
    fetching.broker.script = [status(503, {"code": "unavailable", "message": "the API server does not answer"})]
    with pytest.raises(Unavailable) as caught:
        fetching.fetch(PASSWORD, deadline=10)
    assert caught.value.problems == (
        "the broker answers HTTP 503: unavailable: the API server does not answer",
        f"tried {len(fetching.broker.requests)} times until the deadline",
    )
    assert 5 < len(fetching.broker.requests) < 12
    assert fetching.time <= 10


@pytest.mark.parametrize(
    ("bad", "kind", "told"),
    [
        pytest.param(status(401), Denied, "HTTP 401", id="401"),
        pytest.param(status(403, {"code": "denied", "message": "no pod"}), Denied, "HTTP 403: denied: no pod", id="403"),
        pytest.param(status(404), Refused, "HTTP 404", id="404-of-the-address"),
        pytest.param(status(404, {"code": "not_found", "message": "gone"}), NotFound, "not_found: gone", id="404-with-a-code"),
        pytest.param(
            status(409, {"code": "node_too_old", "message": "node n1 runs 1.34"}), NodeTooOld, "HTTP 409: node_too_old: node n1", id="409"
        ),
        pytest.param(status(422, {"code": "bad_request", "message": "unknown"}), Refused, "HTTP 422: bad_request: unknown", id="422"),
        pytest.param(status(400, ["not", "ours"]), Refused, "HTTP 400$", id="400-of-somebody-else"),
        pytest.param(status(413, {"code": 5, "message": None}), Refused, "HTTP 413$", id="413-with-odd-fields"),
        pytest.param(
            sends(response(302, b"", "Location: https://localhost:1/")), Refused, "a redirect, which is never followed", id="redirect"
        ),
        pytest.param(sends(b"garbage\r\n\r\n"), Refused, "does not answer in HTTP", id="garbage"),
        pytest.param(status(200, {"version": 2}), Refused, "version 2 is not known", id="another-version"),
        pytest.param(status(200), Refused, "not JSON", id="empty"),
        pytest.param(status(204), Refused, "HTTP 204", id="no-content"),
        pytest.param(sends(response(200, b"", "Content-Encoding: gzip")), Refused, "compressed", id="compressed"),
        pytest.param(answers({PASSWORD: ("denied", "denied")}), Denied, "denied", id="an-answer-denied"),
        pytest.param(
            answers({}), NotFound, "container app, env V0: tfy-secret://acme:payments:DB_PASSWORD: not_found: the store", id="not-found"
        ),
        pytest.param(answers({PASSWORD: ("field_not_found", "no")}), NotFound, "field_not_found", id="no-such-field"),
        pytest.param(answers({PASSWORD: ("node_too_old", "node n1")}), NodeTooOld, "node_too_old: node n1", id="an-answer-for-an-old-node"),
        pytest.param(answers({PASSWORD: ("invalid", "found 'x'.\nTo fix: y.")}), Refused, "found 'x'. To fix: y.$", id="two-lines"),
        pytest.param(answers({PASSWORD: ("a_later_code", "?")}), Refused, "a_later_code", id="a-code-of-a-later-version"),
    ],
)
def test_what_is_final_fails_at_once(fetching: Fetching, bad, kind: type[InitError], told: str) -> None:
    fetching.broker.script = [bad]
    with pytest.raises(kind, match=told) as caught:
        fetching.fetch(PASSWORD)
    assert not isinstance(caught.value, Retryable)
    assert (fetching.broker.connections, fetching.slept) == (1, [])


def test_every_final_refusal_is_named_and_what_might_pass_is_not_waited_for(fetching: Fetching) -> None:
    fetching.broker.script = [
        answers({PASSWORD: ("denied", "denied: no role"), HOST: ("throttled", "slow"), PATH: ("not_found", "no such path")})
    ]
    with pytest.raises(Denied) as caught:
        fetching.fetch(HOST, PATH, PASSWORD)
    assert caught.value.problems == (
        f"container app, env V1: {PATH}: not_found: no such path",
        f"container app, env V2: {PASSWORD}: denied: no role",
    )


@pytest.mark.parametrize("code", sorted(wire.ABSENT))
def test_what_is_absent_is_forgiven_where_it_is_optional(fetching: Fetching, code: str) -> None:
    fetching.broker.script = [answers({PASSWORD: (code, "no"), HOST: b"h"})]
    assert fetching.fetch(PASSWORD + "?optional=true", HOST)[PASSWORD] is None
    with pytest.raises(NotFound):
        fetching.fetch(PASSWORD + "?optional=true", PASSWORD)


@pytest.mark.parametrize("code", ["denied", "invalid", "store_refused", "internal"])
def test_optional_forgives_nothing_else(fetching: Fetching, code: str) -> None:
    fetching.broker.script = [answers({PASSWORD: (code, "no")})]
    with pytest.raises((Denied, Refused)):
        fetching.fetch(PASSWORD + "?optional=true")


def test_the_token_is_read_anew_for_each_try(fetching: Fetching) -> None:
    """The kubelet renews it in its file."""

    def renews(connection, seen) -> None:
        fetching.token_file.write_text("renewed\n")
        status(503)(connection, seen)

    fetching.broker.script = [renews, answers(VALUES)]
    fetching.fetch(PASSWORD)
    assert [digest(seen.token.encode()) for seen in fetching.broker.requests] == [digest(TOKEN.encode()), digest(b"renewed")]


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\r\nX-Header: b", "é".encode()])
def test_a_token_that_is_none_is_told_without_showing_it(tmp_path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(PlanBroken, match="it holds no token: found") as caught:
        read_token(str(tmp_path / "token"))
    assert not content.strip() or content.decode().strip() not in str(caught.value)


def test_a_missing_token_is_told(tmp_path) -> None:
    with pytest.raises(PlanBroken, match="cannot be read: No such file"):
        read_token(str(tmp_path / "token"))


def test_an_answer_in_chunks_is_an_answer(fetching: Fetching) -> None:
    fetching.broker.script = [sends(chunked(answer_body([PASSWORD], VALUES)))]
    assert digest(fetching.fetch(PASSWORD)[PASSWORD].reveal()) == digest(VALUES[PASSWORD])


def test_a_long_or_odd_message_of_the_broker_stays_on_one_short_line(fetching: Fetching) -> None:
    fetching.broker.script = [status(422, {"code": "bad\nrequest", "message": "a\x1b[31m\n" + "x" * 5000})]
    with pytest.raises(Refused) as caught:
        fetching.fetch(PASSWORD)
    (problem,) = caught.value.problems
    assert len(problem) < 600
    assert problem.isprintable()


def test_retries_are_logged_without_token_or_value(fetching: Fetching) -> None:
    fetching.broker.script = [answers({PASSWORD: ("throttled", "slow"), HOST: b"canary-value-2"}), answers(VALUES)]
    fetching.fetch(PASSWORD, HOST)
    ((event, about),) = fetching.events
    assert (event, about["tries"], about["wait_seconds"]) == ("retry", 1, 0.1)
    assert "canary" not in repr(about)
