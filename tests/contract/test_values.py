"""`SecretValue` hides itself in every spelling. Failures must not print it either, so booleans and digests are asserted."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import re
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import structlog

from contract.record import record
from contract.values import HIDDEN, SecretValue

ROOT = Path(__file__).parents[2]
CANARY = "canary-4f6d8a12e"
VALUE = SecretValue(CANARY.encode())


@dataclasses.dataclass
class _Holder:
    value: SecretValue
    name: str = "held"


@record
class _Record:
    value: SecretValue


def _traceback_with_locals() -> str:
    value, inner = VALUE, {"also": [VALUE]}
    try:
        raise ValueError(f"failed with {value}")
    except ValueError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()) + repr((value, inner))


def _standard_log() -> str:
    stream = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001 - one of its own, that no configuration reaches
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("value %s %r %s", VALUE, VALUE, {"v": VALUE})
    return stream.getvalue()


def _structured_log() -> str:
    stream = io.StringIO()
    processors = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    logger = structlog.wrap_logger(structlog.PrintLogger(stream), processors=processors, wrapper_class=structlog.BoundLogger)
    try:
        raise KeyError(VALUE)
    except KeyError:
        logger.error("event", value=VALUE, nested=[VALUE], exc_info=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(lambda: repr(VALUE), id="repr"),
        pytest.param(lambda: str(VALUE), id="str"),
        pytest.param(lambda: f"{VALUE} {VALUE!r} {VALUE!s} {VALUE:>40}", id="f-string"),
        pytest.param(lambda: "%s %r %a" % (VALUE, VALUE, VALUE), id="percent"),  # noqa: UP031 - the form is what is tested
        pytest.param(lambda: "{0} {0!r} {0:x^9}".format(VALUE), id="format"),  # noqa: UP032 - the same
        pytest.param(lambda: format(VALUE, "s"), id="format-with-spec"),
        pytest.param(lambda: bytes(VALUE).decode(), id="bytes"),
        pytest.param(lambda: pprint.pformat({"a": [VALUE]}), id="pprint"),
        pytest.param(lambda: json.dumps({"a": VALUE}, default=str), id="json-default-str"),
        pytest.param(lambda: repr(_Holder(VALUE)), id="dataclass"),
        pytest.param(lambda: str(dataclasses.astuple.__name__) + repr(_Record(VALUE)), id="record"),
        pytest.param(lambda: repr(ValueError(VALUE)) + str(KeyError(VALUE)), id="exception"),
        pytest.param(_traceback_with_locals, id="traceback-with-locals"),
        pytest.param(_standard_log, id="logging"),
        pytest.param(_structured_log, id="structlog"),
        pytest.param(lambda: repr(msgspec.structs.asdict(msgspec.defstruct("S", [("v", SecretValue)])(VALUE))), id="msgspec-struct"),
    ],
)
def test_hidden(show: Callable[[], str]) -> None:
    """However it is shown, `<secret>` stands in its place."""
    shown = show()
    assert (CANARY in shown, CANARY.encode().hex() in shown, HIDDEN in shown) == (False, False, True)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda: json.dumps(VALUE), id="json"),
        pytest.param(lambda: msgspec.json.encode(VALUE), id="msgspec-json"),
        pytest.param(lambda: msgspec.json.encode(_Holder(VALUE)), id="msgspec-of-a-dataclass"),
        pytest.param(lambda: msgspec.to_builtins([VALUE]), id="msgspec-builtins"),
        pytest.param(lambda: pickle.dumps(VALUE), id="pickle"),
        pytest.param(lambda: pickle.dumps(VALUE, protocol=0), id="pickle-0"),
        pytest.param(lambda: pickle.dumps(_Record(VALUE)), id="pickle-of-a-record"),
        pytest.param(lambda: copy.copy(VALUE), id="copy"),
        pytest.param(lambda: copy.deepcopy([VALUE]), id="deepcopy"),
        pytest.param(VALUE.__getstate__, id="state"),
        pytest.param(lambda: dataclasses.asdict(_Holder(VALUE)), id="dataclass-asdict"),
        pytest.param(lambda: hash(VALUE), id="hash"),
        pytest.param(lambda: {VALUE}, id="set"),
        pytest.param(lambda: list(VALUE), id="iteration"),
        pytest.param(lambda: VALUE[0], id="index"),
        pytest.param(lambda: VALUE < VALUE, id="order"),
        pytest.param(lambda: VALUE + b"x", id="addition"),
        pytest.param(lambda: VALUE.__dict__, id="dict"),
        pytest.param(lambda: setattr(VALUE, "note", 1), id="attribute"),
        pytest.param(lambda: memoryview(VALUE), id="memoryview"),
    ],
)
def test_refused(use: Callable[[], object]) -> None:
    """What would serialise it, copy it or take it apart fails, and the failure does not show it."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        use()
    assert CANARY not in str(caught.value)


def test_not_in_vars_or_public_names() -> None:
    """No public attribute holds it."""
    public = [getattr(VALUE, name) for name in dir(VALUE) if not name.startswith("_") and name != "reveal"]
    assert public == []


def test_reveal_opens_it() -> None:
    """Exactly the bytes that went in."""
    assert sha256(VALUE.reveal()).digest() == sha256(CANARY.encode()).digest()
    assert len(VALUE) == len(CANARY)


def test_holds_bytes_alone() -> None:
    """Text would have an encoding that nobody decided on; the message names no content."""
    with pytest.raises(TypeError) as caught:
        SecretValue(CANARY)  # type: ignore[arg-type]
    assert str(caught.value) == "a SecretValue holds bytes"


def test_truth_says_nothing() -> None:
    """An empty secret is one: nothing may be decided on truthiness."""
    assert bool(SecretValue(b"")) is bool(VALUE) is True


def test_equal_by_content() -> None:
    """Two of the same bytes are equal; bytes themselves are not."""
    assert bool(SecretValue(CANARY.encode()) == VALUE)
    assert not bool(SecretValue(b"other") == VALUE)
    assert not bool(CANARY.encode() == VALUE)


# Where a value is opened, file by file: each is one place to look at when asking where it could leak.
REVEALED = {
    "broker/api/answers.py": 1,
    "broker/api/handlers.py": 2,  # calls of the service's `reveal`, which decides and audits
    "broker/client.py": 1,
    "broker/commands.py": 2,
    "broker/fields.py": 1,
    "broker/groups/checks.py": 1,
    "broker/page/views/key.py": 3,  # one of them the service's `reveal`, which decides and audits
    "broker/page/views/key_forms.py": 1,
    "broker/routes.py": 1,
    "broker/stores/aws/container.py": 1,
    "broker/stores/aws/logins.py": 1,
    "broker/stores/aws/parameter_store.py": 1,
    "broker/stores/aws/secret_writer.py": 1,
    "broker/stores/azure/client.py": 1,
    "broker/stores/azure/login.py": 2,  # a token and a client's secret, for the library that sends them
    "broker/stores/embedded.py": 1,
    "broker/stores/exchange.py": 1,
    "broker/stores/generic.py": 1,
    "broker/stores/google/client.py": 2,
    "broker/stores/vault/entry.py": 1,
    "broker/stores/vault/login.py": 2,
    "broker/stores/truefoundry.py": 1,
    "contract/wire.py": 1,
    "initcontainer/carry.py": 4,
    "initcontainer/deliver.py": 1,
    "initcontainer/fetch.py": 2,
    "initcontainer/templates.py": 1,
}


def test_call_sites_are_counted() -> None:
    """`.reveal` is written where this table says and nowhere else; the webhook and the service layer never open a value."""
    found = {}
    for package in ("contract", "service", "webhook", "broker", "initcontainer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            count = len(re.findall(r"\.\s*reveal\b", path.read_text())) if path.name != "values.py" else 0
            if count:
                found[str(path.relative_to(ROOT))] = count
    assert found == REVEALED
