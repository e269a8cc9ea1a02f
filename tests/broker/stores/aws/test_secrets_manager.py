"""Secrets Manager: what only this service has. What all stores do is in the conformance suite."""

import asyncio
import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    NotFound,
    SoftDeleted,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)
from broker.stores.aws.secrets_manager import SecretsManager
from broker.stores.store import Asked, BatchClient, Stored
from contract.resources import AllowRule
from contract.values import SecretValue
from tests.broker.stores.aws.server import ACCOUNT, REGION, IamProxy, answer, refusal
from tests.broker.stores.faults import Half
from tests.generic_server import Fault

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


async def put(manager: SecretsManager, *paths: str) -> None:
    for path in paths:
        await manager.write(path, SecretValue(path.encode()))


def values(found: list[Any]) -> list[Any]:
    """Values as text, errors as their type."""
    return [one.value.reveal().decode() if isinstance(one, Stored) else type(one).__name__ for one in found]


def sent(proxy: IamProxy, number: int = -1) -> dict[str, Any]:
    return json.loads(proxy.requests[number].body)


# --- values ------------------------------------------------------------------------------------------------------


async def test_text_is_a_string_and_bytes_are_binary(manager: SecretsManager, proxy: IamProxy) -> None:
    await manager.write(PATH, SecretValue("p\u00e4ss\r\n".encode()))
    assert sent(proxy)["SecretString"] == "p\u00e4ss\r\n"
    data = bytes(range(256))
    await manager.write(PATH, SecretValue(data))
    assert base64.b64decode(sent(proxy)["SecretBinary"]) == data
    assert "SecretString" not in sent(proxy)
    assert (await manager.read(PATH)).value == SecretValue(data)
    largest = b"\xff" * 65536
    await manager.write(PATH, SecretValue(largest))
    assert (await manager.read(PATH)).value == SecretValue(largest)


async def test_what_secrets_manager_cannot_hold_is_told_before_it_is_sent(manager: SecretsManager, proxy: IamProxy) -> None:
    with pytest.raises(TooLarge, match="found a value of 65537 bytes; allowed: at most 65536 in Secrets Manager"):
        await manager.write(PATH, SecretValue(b"x" * 65537))
    with pytest.raises(InvalidRequest, match="the value is empty, and Secrets Manager keeps no empty value"):
        await manager.write(PATH, SecretValue(b""))
    with pytest.raises(Unsupported, match="cannot delete one version, and drops by itself those that have no stage"):
        await manager.delete(PATH, UUID)
    assert proxy.requests == []


# --- versions ----------------------------------------------------------------------------------------------------


async def test_versions_by_id_and_by_stage(manager: SecretsManager) -> None:
    one, two = await manager.write(PATH, SecretValue(b"one")), await manager.write(PATH, SecretValue(b"two"))
    assert re.fullmatch(r"[0-9a-f-]{36}", one)
    for version, value, name in ((one, b"one", one), ("AWSPREVIOUS", b"one", one), ("AWSCURRENT", b"two", two), (None, b"two", two)):
        found = await manager.read(PATH, version)
        assert (found.value == SecretValue(value), found.version) == (True, name)
    for version in (UUID, "AWSPENDING", "own-stage"):
        with pytest.raises(NotFound, match=f"SecretStore test: path '{PATH}' version '{version}': AWS has no such"):
            await manager.read(PATH, version)


async def test_an_own_stage_may_look_like_an_id_and_an_own_id_like_a_stage(manager: SecretsManager, proxy: IamProxy) -> None:
    stage = "release-2024-02-12-0123456789abcdef0"
    await manager._api.call("p", "create_secret", Name=PATH, SecretString="one", ClientRequestToken="terraform-20240212161600000000000001")
    assert (await manager.read(PATH, "terraform-20240212161600000000000001")).value == SecretValue(b"one")
    await manager._api.call("p", "put_secret_value", SecretId=PATH, SecretString="two", ClientRequestToken=UUID, VersionStages=[stage])
    proxy.requests.clear()
    assert (await manager.read(PATH, stage)).value == SecretValue(b"two")
    assert [sent(proxy, 0).get("VersionId"), sent(proxy, 1).get("VersionStage")] == [stage, stage]


async def test_versions_are_listed_oldest_first_over_pages_with_those_that_have_no_stage(manager: SecretsManager, proxy: IamProxy) -> None:
    ids = [UUID[:-1] + digit for digit in "1234"]
    page = [
        {"VersionId": ids[3], "VersionStages": ["AWSCURRENT"], "CreatedDate": 1700000300.5},
        {"VersionId": ids[0], "CreatedDate": 1700000000.1},
    ]
    rest = [
        {"VersionId": ids[2], "VersionStages": ["AWSPREVIOUS"], "CreatedDate": 1700000300.5},
        {"VersionId": ids[1], "CreatedDate": 1700000200.0},
    ]
    proxy.faults += [answer({"Versions": page, "NextToken": "more"}), answer({"Versions": rest})]
    found = await manager.versions(PATH)
    assert [one.version for one in found] == ids
    assert found[0].created.isoformat() == "2023-11-14T22:13:20.100000+00:00"
    assert sent(proxy, 0) == {"SecretId": PATH, "IncludeDeprecated": True, "MaxResults": 100}
    assert sent(proxy, 1)["NextToken"] == "more"
    proxy.faults += [answer({"Versions": [], "NextToken": "again"})] * 50
    with pytest.raises(Malformed, match="the list of versions has no end"):
        await manager.versions(PATH)
    with pytest.raises(NotFound):
        await manager.versions("/none")


# --- names -------------------------------------------------------------------------------------------------------


async def test_own_paths_by_name_and_by_full_and_partial_arn(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, "mail/smtp-key")
    arn = (await manager._api.call("p", "describe_secret", SecretId="mail/smtp-key"))["ARN"]
    for path in ("mail/smtp-key", arn, ARN + "mail/smtp-key"):
        assert values([await manager.read(path)]) == ["mail/smtp-key"]
    before = len(proxy.requests)
    for call in (manager.write(arn, SecretValue(b"x")), manager.delete(arn)):
        with pytest.raises(InvalidRequest, match="what is named by an ARN is read only"):
            await call
    with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://"):
        await manager.read(f"{ARN}{PATH}")
    assert len(proxy.requests) == before, "nothing was sent"


async def test_an_arn_that_leads_to_a_managed_secret_gives_nothing(manager: SecretsManager, proxy: IamProxy) -> None:
    """Whatever AWS makes of an ARN: the name in its answer decides."""
    proxy.faults.append(answer({"ARN": ARN + "mail/key-AbCdEf", "Name": PATH, "VersionId": UUID, "SecretString": "canary"}))
    with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://") as caught:
        await manager.read(ARN + "mail/key")
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"Name": PATH + "-AbCdEf", "VersionId": UUID, "SecretString": "canary"}, "the answer is of another secret"),
        ({"Name": PATH, "SecretString": "canary"}, "the answer has no VersionId"),
        ({"Name": PATH, "VersionId": UUID}, "the answer has no text in SecretString"),
        ({"Name": PATH, "VersionId": UUID, "SecretString": ["canary"]}, "the answer has no text in SecretString"),
        ({"Name": PATH, "VersionId": UUID, "SecretString": "canary\udfff"}, "the answer has no text in SecretString"),
        ({"Name": PATH, "VersionId": UUID, "SecretBinary": "canary!"}, "the answer cannot be read"),
        ({}, r"the answer names no secret\. To fix: is the endpoint that of the service\?"),
        ("canary", "the answer cannot be read"),
    ],
)
async def test_an_answer_of_something_else_is_malformed(manager: SecretsManager, proxy: IamProxy, entry: Any, found: str) -> None:
    proxy.faults.append(answer(entry))
    with pytest.raises(Malformed, match=found) as caught:
        await manager.read(PATH)
    assert "canary" not in caught.value.message + repr(caught.value.__context__)


# --- writing and deleting ----------------------------------------------------------------------------------------


async def test_a_write_makes_the_secret_and_after_that_a_version(manager: SecretsManager, proxy: IamProxy) -> None:
    await manager.write(PATH, SecretValue(b"one"))
    await manager.write(PATH, SecretValue(b"two"))
    assert proxy.operations() == ["PutSecretValue", "CreateSecret", "PutSecretValue"]


async def test_a_secret_that_another_writer_makes_meanwhile_is_written_to(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, PATH)
    proxy.requests.clear()
    proxy.faults.append(refusal("ResourceNotFoundException"))  # as if it was not there yet
    version = await manager.write(PATH, SecretValue(b"two"))
    assert proxy.operations() == ["PutSecretValue", "CreateSecret", "PutSecretValue"]
    assert await manager.read(PATH) == await manager.read(PATH, version)


async def test_a_deleted_secret_says_so_and_a_write_brings_it_back(manager: SecretsManager, proxy: IamProxy) -> None:
    old = await manager.write(PATH, SecretValue(b"one"))
    await manager.delete(PATH)
    assert sent(proxy) == {"SecretId": PATH, "RecoveryWindowInDays": 30}
    sentence = "the secret is deleted, and AWS keeps it for its recovery window. To fix: write it again, or bring it back"
    for call in (manager.read(PATH), manager.read(PATH, old), manager.read(PATH, "x" * 40), manager.delete(PATH)):
        with pytest.raises(SoftDeleted, match=sentence):
            await call
    proxy.requests.clear()
    await manager.write(PATH, SecretValue(b"two"))
    assert proxy.operations() == ["PutSecretValue", "RestoreSecret", "PutSecretValue"]
    assert (await manager.read(PATH)).value == SecretValue(b"two")
    assert (await manager.read(PATH, old)).value == SecretValue(b"one")


async def test_a_deleted_secret_stays_deleted_if_the_new_value_cannot_be_written(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, PATH)
    await manager.delete(PATH)
    restored = answer({"Name": PATH})
    await manager._api.call("p", "restore_secret", SecretId=PATH)
    marked = refusal("InvalidRequestException", "it was marked for deletion.")
    proxy.requests.clear()
    proxy.faults += [marked, restored, refusal("EncryptionFailure")]
    with pytest.raises(StoreRefused, match="the KMS key cannot be used"):
        await manager.write(PATH, SecretValue(b"two"))
    assert proxy.operations() == ["PutSecretValue", "RestoreSecret", "PutSecretValue", "DeleteSecret"]
    with pytest.raises(SoftDeleted):
        await manager.read(PATH)


async def test_a_caller_whose_time_is_up_does_not_leave_an_old_value_in_force(manager: SecretsManager, proxy: IamProxy) -> None:
    """Cut off between RestoreSecret and PutSecretValue, the rest goes on; the same write again has the same version."""
    await put(manager, PATH)
    await manager.delete(PATH)
    proxy.requests.clear()
    proxy.faults += [refusal("InvalidRequestException", "marked for deletion"), Fault(status=200, body=b"{}", wait=0.2)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.write(PATH, SecretValue(b"two")), 0.1)
    await manager._writer.close()
    assert proxy.operations()[:2] == ["PutSecretValue", "RestoreSecret"]
    assert proxy.operations()[-1] == "DeleteSecret", "the restore was none here, so the put was refused, and it is deleted again"
    version = await manager.write(PATH, SecretValue(b"two"))
    assert (await manager.read(PATH)).version == version
    first = json.loads(proxy.requests[0].body)["ClientRequestToken"]
    assert version == first


async def test_an_emulator_that_takes_the_value_of_a_deleted_secret_is_asked_to_bring_it_back(
    manager: SecretsManager, proxy: IamProxy
) -> None:
    """AWS refuses it; moto by itself takes it, and the secret stays deleted. Once is enough: nothing is asked when it is known to be back."""
    await put(manager, PATH)
    await manager.delete(PATH)
    proxy.requests.clear()
    proxy.faults.append(answer({"Name": PATH, "VersionStages": ["AWSCURRENT"]}))
    await manager.write(PATH, SecretValue(b"two"))
    await manager.write(PATH, SecretValue(b"three"))
    assert proxy.operations() == ["PutSecretValue", "RestoreSecret", "PutSecretValue"]
    assert (await manager.read(PATH)).value == SecretValue(b"three")


async def test_an_emulator_that_fails_on_the_versions_of_a_missing_secret(manager: SecretsManager, proxy: IamProxy) -> None:
    """As moto does by itself. A list that fails although the secret is there is told as that."""
    proxy.faults.append(Fault(status=500))
    with pytest.raises(NotFound, match="AWS has no such secret"):
        await manager.versions(PATH)
    assert proxy.operations() == ["ListSecretVersionIds", "GetSecretValue"]
    await put(manager, PATH)
    proxy.faults.append(Fault(status=500))
    with pytest.raises(Unavailable, match="AWS fails"):
        await manager.versions(PATH)


@pytest.mark.parametrize("there", [True, False], ids=["a-version", "the-first"])
async def test_a_write_whose_answer_was_lost_is_done_once(manager: SecretsManager, proxy: IamProxy, there: bool) -> None:
    """The same write again, as a guard would try it: AWS sees the same token."""
    if there:
        await put(manager, PATH)
    if not there:
        proxy.faults.append(refusal("ResourceNotFoundException"))
    proxy.faults.append(Half())  # done, and the answer is cut
    with pytest.raises(Unavailable, match="the connection was lost"):
        await manager.write(PATH, SecretValue(b"two"))
    assert (await manager.read(PATH)).value == SecretValue(b"two"), "it was done"
    version = await manager.write(PATH, SecretValue(b"two"))
    assert (await manager.read(PATH)).version == version
    assert len(await manager.versions(PATH)) == (2 if there else 1)
    another = await manager.write(PATH, SecretValue(b"two"))
    assert another != version, "a write that was not lost is a new version"


async def test_a_repeated_write_is_the_newest_even_if_another_came_between(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, PATH)
    proxy.faults.append(Half())
    with pytest.raises(Unavailable):
        await manager.write(PATH, SecretValue(b"two"))
    await manager.write(PATH, SecretValue(b"three"))
    await manager.write(PATH, SecretValue(b"two"))
    assert (await manager.read(PATH)).value == SecretValue(b"two")


# --- batches -----------------------------------------------------------------------------------------------------


async def test_twenty_are_one_call_and_each_has_its_own_outcome(manager: SecretsManager, proxy: IamProxy) -> None:
    assert isinstance(manager, BatchClient)
    assert manager.batch == 20
    paths = [f"/tfy-secret/acme/g/K{number}" for number in range(20)]
    await put(manager, *paths[:18])
    await manager.delete(paths[17])
    proxy.requests.clear()
    found = await manager.read_batch([Asked(path) for path in paths])
    assert values(found) == [*paths[:17], "SoftDeleted", "NotFound", "NotFound"]
    assert proxy.operations() == ["BatchGetSecretValue"]
    assert sent(proxy) == {"SecretIdList": paths}
    assert found[18].message == f"SecretStore test: path '{paths[18]}': AWS has no such secret (ResourceNotFoundException)"


async def test_versions_are_read_alone_and_arns_in_the_batch(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, PATH, "mail/a", "mail/b")
    await manager.write(PATH, SecretValue(b"second"))
    arn = (await manager._api.call("p", "describe_secret", SecretId="mail/a"))["ARN"]
    proxy.requests.clear()
    asked = [Asked(PATH), Asked(PATH, "AWSPREVIOUS"), Asked(arn), Asked(ARN + "mail/b"), Asked("mail/ bad")]
    assert values(await manager.read_batch(asked)) == ["second", PATH, "mail/a", "mail/b", "InvalidRequest"]
    assert proxy.operations() == ["BatchGetSecretValue", "GetSecretValue"]


async def test_one_that_is_denied_does_not_hide_the_others(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, "a", "b")
    entry = {"Name": "a", "VersionId": UUID, "SecretString": "a", "ARN": ARN + "a-AbCdEf"}
    errors = [
        {"SecretId": "b", "ErrorCode": "AccessDeniedException", "Message": "canary"},
        {"SecretId": "c", "ErrorCode": "DecryptionFailure", "Message": "canary"},
    ]
    proxy.requests.clear()
    proxy.faults.append(answer({"SecretValues": [entry], "Errors": errors}))
    found = await manager.read_batch([Asked("b"), Asked("a"), Asked("c")])
    assert values(found) == ["NotPermitted", "a", "NotPermitted"]
    messages = [one.message for one in found if isinstance(one, BrokerError)]
    assert messages[0].startswith("SecretStore test: path 'b': AWS does not allow secretsmanager:GetSecretValue (AccessDeniedException)")
    assert "path 'c': the KMS key cannot be used" in messages[1]
    assert "canary" not in "".join(messages)
    assert proxy.operations() == ["BatchGetSecretValue"]


async def test_what_the_batch_leaves_out_is_read_alone(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, "a", "b")
    proxy.requests.clear()
    proxy.faults.append(answer({"SecretValues": [], "Errors": [], "NextToken": "more"}))
    assert values(await manager.read_batch([Asked("a"), Asked("b")])) == ["a", "b"]
    assert proxy.operations() == ["BatchGetSecretValue", "GetSecretValue", "GetSecretValue"]


async def test_without_the_permission_to_batch_single_reads_do_and_it_is_remembered(manager: SecretsManager, proxy: IamProxy) -> None:
    await put(manager, "a", "b")
    proxy.denied.add("BatchGetSecretValue")
    proxy.requests.clear()
    for _ in range(2):
        assert values(await manager.read_batch([Asked("a"), Asked("b")])) == ["a", "b"]
    assert proxy.operations() == ["BatchGetSecretValue"] + ["GetSecretValue"] * 4


async def test_what_concerns_the_call_as_a_whole_is_raised(manager: SecretsManager, proxy: IamProxy) -> None:
    for fault, kind in ((refusal("ThrottlingException"), Throttled), (Fault(status=503), Unavailable)):
        proxy.faults.append(fault)
        with pytest.raises(kind):
            await manager.read_batch([Asked("a"), Asked("b")])


# --- health ------------------------------------------------------------------------------------------------------


async def test_health_asks_for_a_name_that_none_can_have(manager: SecretsManager, proxy: IamProxy, open_aws: Callable[..., Any]) -> None:
    await manager.healthy()
    assert sent(proxy) == {"SecretId": "/tfy-secret/acme/-/-"}
    proxy.denied.add("GetSecretValue")
    with pytest.raises(StoreRefused, match="SecretStore test: probe: AWS does not allow secretsmanager:GetSecretValue"):
        await manager.healthy()
    await open_aws("awsSecretsManager", proxy.url, allow=(AllowRule(frozenset({"namespace:mail"}), ("mail",)),)).healthy()
