"""What the client asks of Secret Manager and what it makes of the answers, over a real gRPC connection."""

import asyncio
import logging

import pytest
from google.cloud.secretmanager_v1.types import SecretPayload, service
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc import StatusCode

from broker.check_rows import FAIL, SKIP
from broker.check_store import check_store
from broker.errors import (
    BrokerError,
    Disabled,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from broker.stores.google import client as module
from broker.stores.google.client import GoogleSecretManager
from contract.values import SecretValue
from tests.broker.stores.google.conftest import Open
from tests.broker.stores.google.server import DESTROYED, DISABLED, EPOCH, PROJECT, Fault, SecretManager

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
NAME = "tfy-secret__acme__payments__DB_PASSWORD"
VALUE = SecretValue(b"canary-value-91c2")


# --- values ------------------------------------------------------------------------------------------------------


async def test_the_first_write_makes_the_secret_and_later_ones_do_not(google: GoogleSecretManager, server: SecretManager) -> None:
    assert [await google.write(PATH, VALUE), await google.write(PATH, VALUE)] == ["1", "2"]
    assert server.methods() == ["AddSecretVersion", "CreateSecret", "AddSecretVersion", "AddSecretVersion"]
    (secret,) = server.secrets.values()
    assert (secret.name, secret.replication) == (NAME, "automatic")


async def test_a_secret_that_another_call_makes_meanwhile_is_as_good(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put(NAME)
    server.faults = [Fault(StatusCode.NOT_FOUND)]
    assert await google.write(PATH, VALUE) == "1"
    assert server.methods() == ["AddSecretVersion", "CreateSecret", "AddSecretVersion"]


async def test_a_write_that_is_refused_makes_no_secret(google: GoogleSecretManager, server: SecretManager) -> None:
    server.faults = [Fault(StatusCode.PERMISSION_DENIED)]
    with pytest.raises(StoreRefused, match="grant roles/secretmanager.secretVersionAdder"):
        await google.write(PATH, VALUE)
    server.faults = [Fault(StatusCode.NOT_FOUND), Fault(StatusCode.PERMISSION_DENIED)]
    with pytest.raises(StoreRefused, match="grant roles/secretmanager.admin"):
        await google.write(PATH, VALUE)
    assert server.secrets == {}


async def test_raw_bytes_and_the_largest_value(google: GoogleSecretManager) -> None:
    for data in (bytes(range(256)), b"\0", b"\xff\xfe\r\n", b"x" * 65536):
        await google.write(PATH, SecretValue(data))
        assert (await google.read(PATH)).value == SecretValue(data), f"{len(data)} bytes came back different"


async def test_what_google_does_not_keep_is_refused_before_it_is_sent(google: GoogleSecretManager, server: SecretManager) -> None:
    with pytest.raises(InvalidRequest, match="SecretStore gsm: path '/tfy-secret/.*': the value is empty, which Google does not keep"):
        await google.write(PATH, SecretValue(b""))
    with pytest.raises(TooLarge, match="found a value of 65537 bytes; allowed: at most 65536"):
        await google.write(PATH, SecretValue(b"x" * 65537))
    assert server.seen == []


async def test_checksums_go_both_ways(google: GoogleSecretManager, server: SecretManager) -> None:
    await google.write(PATH, SecretValue(b"123456789"))
    assert server.seen[0].request.payload.data_crc32c == 0xE3069283, "CRC-32C's check value (RFC 3720 B.4)"
    server.wrong = lambda answer: service.AccessSecretVersionResponse(
        name=answer.name, payload=SecretPayload(data=b"canary-damaged", data_crc32c=answer.payload.data_crc32c)
    )
    with pytest.raises(Unavailable, match="does not have the checksum that came with it") as caught:
        await google.read(PATH)
    assert "canary" not in str(caught.value)
    server.wrong = lambda answer: service.AccessSecretVersionResponse(name=answer.name, payload=SecretPayload(data=b"x"))
    assert (await google.read(PATH)).value == SecretValue(b"x"), "an emulator may give no checksum"


async def test_an_answer_about_another_secret_is_no_answer(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put(NAME, b"one", b"two")
    for name in ("", "projects/1/secrets/other/versions/1", f"projects/1/secrets/{NAME}/versions/2"):
        server.wrong = lambda answer, name=name: service.AccessSecretVersionResponse(name=name, payload=answer.payload)
        with pytest.raises(Malformed, match="the answer is about another secret or version"):
            await google.read(PATH, "1")
    server.wrong = lambda answer: service.AccessSecretVersionResponse(name=answer.name, payload=SecretPayload(data=b"x" * 65537))
    with pytest.raises(TooLarge, match="found a value of 65537 bytes"):
        await google.read(PATH)


# --- own paths ---------------------------------------------------------------------------------------------------


async def test_own_secrets_by_id_and_by_resource_name(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put("smtp-key", b"ours")
    server.put("smtp-key", b"first", b"theirs", project="other-project")
    number = server.projects["other-project"]
    for path, version, value, found in (
        ("smtp-key", None, b"ours", "1"),
        ("smtp-key", "latest", b"ours", "1"),
        (f"projects/{PROJECT}/secrets/smtp-key", "1", b"ours", "1"),
        ("projects/other-project/secrets/smtp-key", None, b"theirs", "2"),
        (f"projects/{number}/secrets/smtp-key/versions/1", None, b"first", "1"),
    ):
        stored = await google.read(path, version)
        assert (stored.value == SecretValue(value), stored.version) == (True, found), path


async def test_a_managed_secret_is_not_opened_by_its_own_name(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put(NAME, b"x")
    for call in (google.read(NAME), google.write(f"projects/{PROJECT}/secrets/{NAME}", VALUE), google.delete(NAME), google.versions(NAME)):
        with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://"):
            await call
    assert server.seen == []


async def test_an_alias_names_a_version(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put(NAME, b"one", b"two").aliases = {"live": 1}
    stored = await google.read(PATH, "live")
    assert (stored.value == SecretValue(b"one"), stored.version) == (True, "1")
    with pytest.raises(NotFound, match="version 'next': the project has no such secret or version"):
        await google.read(PATH, "next")


# --- states ------------------------------------------------------------------------------------------------------


async def test_latest_is_the_newest_version_even_when_it_is_disabled(google: GoogleSecretManager, server: SecretManager) -> None:
    """As the service has it: an older version is not a newer one's stand-in."""
    secret = server.put(NAME, b"one", b"two")
    secret.versions[1].state = DISABLED
    for version in (None, "2", "latest"):
        with pytest.raises(Disabled, match=r"the version is disabled. To fix: enable it \(gcloud secrets versions enable\)"):
            await google.read(PATH, version)
    assert (await google.read(PATH, "1")).value == SecretValue(b"one")
    secret.versions[1].state = DESTROYED
    with pytest.raises(NotFound, match="the version was destroyed, which is final. To fix: write the value again") as caught:
        await google.read(PATH)
    assert not isinstance(caught.value, Disabled)


async def test_one_version_is_destroyed_by_its_number_alone(google: GoogleSecretManager, server: SecretManager) -> None:
    secret = server.put(NAME, b"one", b"two")
    secret.aliases = {"live": 1}
    for version in ("live", "latest"):
        with pytest.raises(InvalidRequest, match=f"'{version}' may be another version a moment later"):
            await google.delete(PATH, version)
    await google.delete(PATH, "1")
    assert (secret.versions[0].state, secret.versions[0].data) == (DESTROYED, b"")
    with pytest.raises(NotFound, match="destroyed"):
        await google.delete(PATH, "1")
    assert [version.version for version in await google.versions(PATH)] == ["2"]


async def test_each_call_names_the_smallest_role_that_allows_it(google: GoogleSecretManager, server: SecretManager) -> None:
    server.put(NAME, b"one")
    server.denied = lambda *_: True
    for call, role in (
        (google.read(PATH), "secretAccessor"),
        (google.versions(PATH), "viewer"),
        (google.write(PATH, VALUE), "secretVersionAdder"),
        (google.delete(PATH, "1"), "secretVersionManager"),
        (google.delete(PATH), "admin"),
    ):
        with pytest.raises(StoreRefused, match=f"grant roles/secretmanager.{role} on the secret or the project"):
            await call


async def test_a_version_in_the_path_never_deletes_the_others(google: GoogleSecretManager, server: SecretManager) -> None:
    secret = server.put("smtp-key", b"one", b"two")
    await google.delete(f"projects/{PROJECT}/secrets/smtp-key/versions/1")
    assert [version.state.name for version in secret.versions] == ["DESTROYED", "ENABLED"]
    for call in (
        google.versions(f"projects/{PROJECT}/secrets/smtp-key/versions/1"),
        google.write(f"projects/{PROJECT}/secrets/smtp-key/versions/1", VALUE),
    ):
        with pytest.raises(InvalidRequest, match="names a version; here a secret is needed"):
            await call


async def test_versions_are_those_that_can_be_read_over_all_pages(google: GoogleSecretManager, server: SecretManager) -> None:
    secret = server.put(NAME, *(b"x" for _ in range(12)))
    secret.versions[3].state, secret.versions[4].state = DISABLED, DESTROYED
    server.page = 4
    found = await google.versions(PATH)
    assert [version.version for version in found] == ["1", "2", "3", "6", "7", "8", "9", "10", "11", "12"]
    assert found[0].created == EPOCH
    assert server.methods() == ["ListSecretVersions"] * 3
    assert {seen.request.filter for seen in server.seen} == {"state:ENABLED"}, "or thousands of destroyed ones would come along"
    server.wrong = lambda answer: service.ListSecretVersionsResponse(versions=answer.versions, next_page_token="0")
    with pytest.raises(Malformed, match="the list of versions does not end"):
        await google.versions(PATH)
    with pytest.raises(NotFound):
        await google.versions(PATH + "X")


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (Fault(StatusCode.NOT_FOUND), NotFound, "the project has no such secret or version$"),
        (Fault(StatusCode.FAILED_PRECONDITION), Disabled, r"disabled or destroyed, or the project's policy forbids this \(FAILED_PRECONDITION\)"),
        (Fault(StatusCode.PERMISSION_DENIED), StoreRefused, "grant roles/secretmanager.secretAccessor on the secret or the project"),
        (
            Fault(StatusCode.PERMISSION_DENIED, details=(ErrorInfo(reason="SERVICE_DISABLED", domain="googleapis.com"),)),
            StoreRefused,
            r"the project cannot be used \(SERVICE_DISABLED\). To fix: enable secretmanager.googleapis.com",
        ),
        (
            Fault(StatusCode.PERMISSION_DENIED, details=(ErrorInfo(reason="canary", domain="googleapis.com"),)),
            StoreRefused,
            "grant roles/secretmanager.secretAccessor",
        ),
        (Fault(StatusCode.UNAUTHENTICATED), StoreRefused, r"Google does not accept our login \(UNAUTHENTICATED\). To fix: the service account"),
        (Fault(StatusCode.INVALID_ARGUMENT), InvalidRequest, r"the name, version or value is not acceptable \(INVALID_ARGUMENT\)"),
        (Fault(StatusCode.RESOURCE_EXHAUSTED), Throttled, r"the project's quota is used up \(RESOURCE_EXHAUSTED\)"),
        (Fault(StatusCode.UNIMPLEMENTED), Misconfigured, "what answers there is not Secret Manager .* To fix: is endpoint right?"),
        (Fault(StatusCode.DATA_LOSS), Malformed, r"the data is damaged \(DATA_LOSS\)"),
        (Fault(StatusCode.UNAVAILABLE), Unavailable, r"the service cannot be reached or fails \(UNAVAILABLE\)"),
        (Fault(StatusCode.INTERNAL), Unavailable, r"cannot be reached or fails \(INTERNAL\)"),
        (Fault(StatusCode.ABORTED), Unavailable, r"cannot be reached or fails \(ABORTED\)"),
        (Fault(StatusCode.CANCELLED), Unavailable, r"cannot be reached or fails \(CANCELLED\)"),
        (Fault(StatusCode.UNKNOWN), Unavailable, r"cannot be reached or fails \(UNKNOWN\)"),
        (Fault(StatusCode.DEADLINE_EXCEEDED), Unavailable, r"no answer in time \(DEADLINE_EXCEEDED\)"),
    ],
    ids=lambda value: getattr(getattr(value, "code", None), "name", None),
)  # fmt: skip
async def test_each_code_is_told_once_in_our_words(
    google: GoogleSecretManager, server: SecretManager, fault: Fault, error: type[BrokerError], text: str
) -> None:
    """One call, though the library would repeat some; nothing of the service's text, which says canary."""
    server.faults = [fault]
    with pytest.raises(error, match=f"SecretStore gsm: path '{PATH}'.*{text}") as caught:
        await google.read(PATH)
    assert type(caught.value) is error
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert server.methods() == ["AccessSecretVersion"]


async def test_how_long_to_wait_is_what_the_service_says(google: GoogleSecretManager, server: SecretManager) -> None:
    server.faults = [
        Fault(StatusCode.RESOURCE_EXHAUSTED, details=(RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000)),)),
        Fault(StatusCode.RESOURCE_EXHAUSTED, details=(RetryInfo(retry_delay=Duration(seconds=10**9)),)),
        Fault(StatusCode.RESOURCE_EXHAUSTED),
    ]
    for expected in (7.5, 3600.0, None):
        with pytest.raises(Throttled) as caught:
            await google.read(PATH)
        assert caught.value.retry_after == expected


async def test_garbage_and_what_is_too_large_are_told(google: GoogleSecretManager, server: SecretManager) -> None:
    server.faults = [Fault(answer=b"\xff\xff canary"), Fault(answer=b"canary" * 400_000)]
    with pytest.raises(Malformed, match="the answer is not one of Secret Manager's. To fix: is endpoint right?"):
        await google.read(PATH)
    with pytest.raises(Malformed, match="an answer larger than any that Secret Manager gives"):
        await google.read(PATH)


async def test_a_call_has_a_deadline_and_the_service_knows_it(open_google: Open, server: SecretManager) -> None:
    client = open_google(server.url, call=0.2)
    server.faults = [Fault(wait=5.0)]
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable, match=r"no answer in time \(DEADLINE_EXCEEDED\)"):
            await client.read(PATH)
    assert server.seen[0].seconds is not None
    assert server.seen[0].seconds < 0.3
    await client.healthy()


# --- health ------------------------------------------------------------------------------------------------------


async def test_health_reads_no_secret(google: GoogleSecretManager, server: SecretManager) -> None:
    """It asks for a name among the managed ones, so that a role that is narrowed to those is enough."""
    await google.healthy()
    (seen,) = server.seen
    assert (seen.method, seen.request.name) == ("AccessSecretVersion", f"projects/{PROJECT}/secrets/tfy-secret__health/versions/latest")
    server.denied = lambda method, resource: (
        not (method == "AccessSecretVersion" and resource.startswith(f"projects/{PROJECT}/secrets/tfy-secret__"))
    )
    await google.healthy()


async def test_health_tells_what_a_read_would_meet(google: GoogleSecretManager, server: SecretManager, open_google: Open) -> None:
    server.denied = lambda *_: True
    with pytest.raises(StoreRefused, match="^SecretStore gsm: the broker may not do this.*grant roles/secretmanager.secretAccessor"):
        await google.healthy()
    server.denied = lambda *_: False
    with pytest.raises(StoreRefused):
        await open_google(server.url, project="nobodys-project").healthy()
    server.faults = [Fault(StatusCode.UNAVAILABLE)]
    with pytest.raises(Unavailable):
        await google.healthy()


# --- nothing leaks -----------------------------------------------------------------------------------------------


async def test_logs_show_no_value_at_any_level(
    google: GoogleSecretManager, server: SecretManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Google's client logs every payload at level debug, if one lets it."""
    caplog.set_level("DEBUG")
    logging.getLogger(module.grpc_asyncio.__name__).setLevel("DEBUG")
    await google.write(PATH, VALUE)
    assert (await google.read(PATH)).value == VALUE
    server.faults = [Fault(StatusCode.INTERNAL)]
    with pytest.raises(Unavailable):
        await google.read(PATH)
    assert "canary" not in caplog.text
    assert not any("canary" in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("project", ["", "a/b", "acme prod", "../x", "Acme", "a" * 64])
def test_a_project_that_none_can_be_called_is_told(open_google: Open, project: str) -> None:
    with pytest.raises(Misconfigured, match="SecretStore gsm: project: found .*; allowed: a project's id or number, e.g. acme-prod"):
        open_google(None, project=project, allow_loopback=False)


async def test_a_locations_endpoint_gives_names_with_the_location(
    server: SecretManager, open_google: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """secretmanager.<location>.rep.googleapis.com is a service of its own; a secret there has no replication."""
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo
    monkeypatch.setattr(loop, "getaddrinfo", lambda _, *rest, **named: real("127.0.0.1", *rest, **named))
    client = open_google(f"http://secretmanager.europe-west1.rep.example:{server.port}")
    await client.write(PATH, VALUE)
    (secret,) = server.secrets.values()
    assert secret.parent == f"projects/{server.projects[PROJECT]}/locations/europe-west1"
    assert (await client.read(PATH)).value == VALUE


async def test_check_store_finds_the_contract_kept(google: GoogleSecretManager, server: SecretManager) -> None:
    """A value of 1 MiB is more than Google keeps, which is said and no fault; nothing is left behind."""
    rows = await check_store(google)
    assert {row.name: row.found for row in rows if row.verdict == FAIL} == {}
    assert [row.name for row in rows if row.verdict == SKIP] == ["value kept exactly: 1 MiB"]
    assert rows.kept
    assert server.secrets == {}
