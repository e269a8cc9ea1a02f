"""What the init container and the broker say to each other: round trips, and strictness on both ends."""

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import wire
from contract.strict import FormatError
from contract.values import SecretValue
from contract.wire import Resolved, ResolveRequest, Unresolved, decode_request, decode_response, encode_request, encode_response

ASKED = ResolveRequest(("tfy-secret://a:b:c", "s::/p"), ("envfile",))
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(_TEXT, unique=True, max_size=5), st.lists(_TEXT, max_size=2))
def test_request_round_trips(secrets: list[str], modes: list[str]) -> None:
    """Names and modes arrive as they were sent, in order."""
    request = ResolveRequest(tuple(secrets), tuple(modes))
    assert decode_request(encode_request(request)) == request


@given(
    st.dictionaries(
        _TEXT, st.tuples(st.binary(max_size=50), st.none() | _TEXT) | st.tuples(_TEXT, _TEXT).map(lambda p: ("!", *p)), max_size=4
    )
)
def test_response_round_trips(content: dict[str, Any]) -> None:
    """Values of any bytes, versions and errors arrive exactly."""
    answers = [
        Unresolved(fqn, found[1], found[2]) if found[0] == "!" else Resolved(fqn, SecretValue(found[0]), found[1])
        for fqn, found in content.items()
    ]
    decoded = decode_response(encode_response(answers), ResolveRequest(tuple(content)))
    assert list(decoded) == list(content)
    assert all(decoded[answer.fqn] == answer for answer in answers)


def test_all_bytes_pass() -> None:
    """Base64 carries every byte; compared by digest."""
    value = bytes(range(256)) * 3
    body = encode_response([Resolved("s::/p", SecretValue(value))])
    answer = decode_response(body, ResolveRequest(("s::/p",)))["s::/p"]
    assert isinstance(answer, Resolved)
    assert sha256(answer.value.reveal()).digest() == sha256(value).digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"version": 2}, "request: version 2 is not known here; known: 1", id="other-version"),
        pytest.param({"version": True}, "request.version: int is needed, not bool", id="version-of-true"),
        pytest.param({"new": 1}, "request: unknown field 'new'; the two sides are of different versions", id="unknown-field"),
        pytest.param({"modes": None}, "request.modes: list is needed, not NoneType", id="null"),
        pytest.param({"modes": [1]}, "request.modes[0]: str is needed, not int", id="number-among-modes"),
        pytest.param({"secrets": "s::/p"}, "request.secrets: list is needed, not str", id="text-for-a-list"),
        pytest.param({"secrets": [["s::/p"]]}, "request.secrets[0]: str is needed, not list", id="list-among-names"),
        pytest.param({"secrets": ["s::/p", "s::/p"]}, "request.secrets: a name is given twice", id="name-twice"),
        pytest.param(
            {"secrets": [f"s::/{n}" for n in range(1001)]}, "request.secrets: 1001 names; at most 1000 in one request", id="too-many-names"
        ),
    ],
)
def test_request_is_strict(change: dict[str, Any], message: str) -> None:
    """A request that is not of this version, to the field, is refused with the place."""
    document = json.loads(encode_request(ASKED)) | change
    with pytest.raises(FormatError) as caught:
        decode_request(json.dumps(document).encode())
    assert str(caught.value) == message


def test_a_thousand_names_are_taken() -> None:
    """The limit itself is allowed."""
    request = ResolveRequest(tuple(f"s::/{n}" for n in range(wire.MAX_SECRETS)))
    assert decode_request(encode_request(request)) == request


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "the request is not JSON", id="nothing"),
        pytest.param(b"\xff\xfe", "the request is not JSON", id="not-utf-8"),
        pytest.param(b"[" * 100_000, "the request is not JSON", id="deep-nesting"),
        pytest.param(b'{"version":1,"version":1}', "a field is given twice", id="field-twice"),
        pytest.param(b'{"version":1,"modes":[],"secrets":[Infinity]}', "Infinity is not JSON", id="infinity"),
        pytest.param(b"7", "request: an object is needed", id="number"),
        pytest.param(b'{"version":1,"modes":[]}', "request: field 'secrets' is missing", id="field-missing"),
    ],
)
def test_not_a_request(body: bytes, message: str) -> None:
    """Whatever a caller posts, the broker gets a FormatError that shows none of it."""
    with pytest.raises(FormatError) as caught:
        decode_request(body)
    assert str(caught.value) == message


def _answers(*answers: Any) -> bytes:
    return json.dumps({"version": 1, "answers": answers}).encode()


_VALUE = base64.b64encode(b"x").decode()
_FIRST, _SECOND = {"fqn": ASKED.secrets[0], "value": _VALUE}, {"fqn": ASKED.secrets[1], "code": "denied", "message": "no"}
_NOT_ONE_EACH = "answer.answers: not one answer for each name, in the order asked"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(_answers(_FIRST), _NOT_ONE_EACH, id="one-is-missing"),
        pytest.param(_answers(_SECOND, _FIRST), _NOT_ONE_EACH, id="other-order"),
        pytest.param(_answers(_FIRST, _SECOND, _SECOND), _NOT_ONE_EACH, id="one-too-many"),
        pytest.param(_answers(_FIRST | {"value": "!"}, _SECOND), "answer.answers[0].value: not base64", id="not-base64"),
        pytest.param(_answers(_FIRST | {"value": "eA"}, _SECOND), "answer.answers[0].value: not base64", id="base64-without-padding"),
        pytest.param(
            _answers(_FIRST | {"secret_version": 3}, _SECOND),
            "answer.answers[0].secret_version: str is needed, not int",
            id="version-of-a-number",
        ),
        pytest.param(
            _answers(_FIRST | {"code": "denied", "message": ""}, _SECOND),
            "answer.answers[0]: unknown field 'value'; the two sides are of different versions",
            id="value-and-error",
        ),
        pytest.param(_answers({"fqn": ASKED.secrets[0]}, _SECOND), "answer.answers[0]: field 'value' is missing", id="neither"),
        pytest.param(b'{"version":9,"answers":[]}', "answer: version 9 is not known here; known: 1", id="other-version"),
        pytest.param(b"<html>", "the answer is not JSON", id="a-proxys-page"),
    ],
)
def test_response_is_strict(body: bytes, message: str) -> None:
    """One answer for each name, in order, of known fields; nothing of a value is in the message."""
    with pytest.raises(FormatError) as caught:
        decode_response(body, ASKED)
    assert str(caught.value) == message


def test_only_absence_is_forgiven_and_only_passing_trouble_is_retried() -> None:
    """`optional` forgives what is not there; a denial or a broken store is never taken for absence."""
    assert {"not_found", "field_not_found"} == wire.ABSENT
    assert {"throttled", "unavailable"} == wire.RETRYABLE
