"""Parameter Store: what only this service has. What all stores do is in the conformance suite."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import InvalidRequest, Malformed, NotFound, StoreRefused, Throttled, TooLarge, Unavailable, Unsupported
from broker.stores.aws.parameter_store import ParameterStore
from broker.stores.store import Asked, BatchClient, Stored
from contract.resources import AllowRule
from contract.values import SecretValue
from tests.broker.stores.aws.server import ACCOUNT, REGION, IamProxy, answer, refusal

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
ARN = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"


async def put(ssm: ParameterStore, *paths: str) -> None:
    for path in paths:
        await ssm.write(path, SecretValue(path.encode()))


def values(found: list[Any]) -> list[Any]:
    """Values as text, errors as their type."""
    return [one.value.reveal().decode() if isinstance(one, Stored) else type(one).__name__ for one in found]


def sent(proxy: IamProxy, number: int = -1) -> dict[str, Any]:
    return json.loads(proxy.requests[number].body)


async def label(ssm: ParameterStore, path: str, version: int, name: str) -> None:
    await ssm._api.call("p", "label_parameter_version", Name=path, ParameterVersion=version, Labels=[name])


# --- one parameter -----------------------------------------------------------------------------------------------


async def test_a_write_is_a_secure_string_of_the_tier_that_its_size_needs(ssm: ParameterStore, proxy: IamProxy) -> None:
    assert await ssm.write(PATH, SecretValue(b"v")) == "1"
    assert sent(proxy) == {"Name": PATH, "Value": "v", "Type": "SecureString", "Overwrite": True, "Tier": "Intelligent-Tiering"}
    assert (await ssm.read(PATH)).value == SecretValue(b"v")
    assert sent(proxy) == {"Name": PATH, "WithDecryption": True}


async def test_an_old_version_is_read_by_number_and_by_label(ssm: ParameterStore) -> None:
    for text in (b"one", b"two", b"three"):
        await ssm.write(PATH, SecretValue(text))
    await label(ssm, PATH, 2, "live")
    assert (await ssm.read(PATH, "1")).value == SecretValue(b"one")
    found = await ssm.read(PATH, "live")
    assert (found.value == SecretValue(b"two"), found.version) == (True, "2")
    for version in ("9", "nobody"):
        with pytest.raises(NotFound, match=f"SecretStore test: path '{PATH}' version '{version}': AWS has no such"):
            await ssm.read(PATH, version)


async def test_own_paths_by_name_and_by_arn(ssm: ParameterStore, proxy: IamProxy) -> None:
    await put(ssm, "/mail/smtp-key", "plain")
    assert values([await ssm.read("/mail/smtp-key"), await ssm.read(f"{ARN}/mail/smtp-key"), await ssm.read("plain")]) == [
        "/mail/smtp-key",
        "/mail/smtp-key",
        "plain",
    ]
    assert (await ssm.read(f"{ARN}/mail/smtp-key", "1")).version == "1"
    before = len(proxy.requests)
    for call in (ssm.write(f"{ARN}/mail/smtp-key", SecretValue(b"x")), ssm.delete(f"{ARN}/mail/smtp-key")):
        with pytest.raises(InvalidRequest, match="what is named by an ARN is read only. To fix: name it by its path"):
            await call
    with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://"):
        await ssm.read(f"{ARN}{PATH}")
    with pytest.raises(InvalidRequest, match="an ARN of 'us-east-1'"):
        await ssm.read(f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/mail/smtp-key")
    assert len(proxy.requests) == before, "nothing was sent"


async def test_another_accounts_arn_is_aws_to_decide(ssm: ParameterStore, proxy: IamProxy) -> None:
    proxy.faults.append(refusal("AccessDeniedException"))
    other = f"arn:aws:ssm:{REGION}:999999999999:parameter/shared/key"
    with pytest.raises(StoreRefused, match="AWS does not allow ssm:GetParameter"):
        await ssm.read(other)
    assert sent(proxy)["Name"] == other


async def test_what_parameter_store_cannot_hold_is_told_before_it_is_sent(ssm: ParameterStore, proxy: IamProxy) -> None:
    for value, kind, text in (
        (b"\xff", InvalidRequest, "the value is not UTF-8, and Parameter Store holds text. To fix: encode it, e.g. as base64"),
        (b"", InvalidRequest, "the value is empty, and Parameter Store keeps no empty value"),
        (b"x" * 8193, TooLarge, "found a value of 8193 bytes; allowed: at most 8192 in Parameter Store"),
    ):
        with pytest.raises(kind, match=text) as caught:
            await ssm.write(PATH, SecretValue(value))
        assert caught.value.__context__ is None, "the library's exception holds the value"
    with pytest.raises(Unsupported, match="Parameter Store cannot delete one version. To fix: write a new one"):
        await ssm.delete(PATH, "1")
    assert proxy.requests == []


async def test_versions_come_page_by_page_and_no_value_is_decrypted(ssm: ParameterStore, proxy: IamProxy) -> None:
    for _ in range(60):
        await ssm.write(PATH, SecretValue(b"v"))
    proxy.requests.clear()
    found = await ssm.versions(PATH)
    assert [one.version for one in found] == [str(number) for number in range(1, 61)]
    assert all(one.created is not None and one.created.utcoffset().total_seconds() == 0 for one in found)
    assert proxy.operations() == ["GetParameterHistory"] * 2
    assert sent(proxy, 0)["WithDecryption"] is False
    proxy.faults += [answer({"Parameters": [], "NextToken": "again"})] * 20
    with pytest.raises(Malformed, match="the list of versions has no end"):
        await ssm.versions(PATH)
    with pytest.raises(NotFound):
        await ssm.versions("/none")


# --- an answer is of what was asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "found"),
    [
        ({"Name": "/other", "Value": "canary", "Version": 1}, "the answer is of another parameter"),
        ({"Name": PATH, "Value": "canary", "Version": 2}, "the answer is of version 2"),
        ({"Name": PATH, "Value": "canary"}, "the answer has no number in Version"),
        ({"Name": PATH, "Value": "canary", "Version": True}, "the answer has no number in Version"),
        ({"Name": PATH, "Version": 1}, "the answer has no text in Value"),
        ({"Name": PATH, "Version": 1, "Value": 5}, "the answer has no text in Value"),
        ({"Name": PATH, "Version": 1, "Value": "\ud800canary"}, "the answer has no text in Value"),
        (None, "the answer has no Parameter"),
        ("canary", "the answer cannot be read"),
        (["canary"], "the answer cannot be read"),
    ],
)
async def test_an_answer_of_something_else_is_malformed(ssm: ParameterStore, proxy: IamProxy, parameter: Any, found: str) -> None:
    proxy.faults.append(answer({"Parameter": parameter}))
    with pytest.raises(Malformed, match=found) as caught:
        await ssm.read(PATH, "1")
    assert "canary" not in caught.value.message + repr(caught.value.__context__)


# --- batches -----------------------------------------------------------------------------------------------------


async def test_ten_are_one_call_and_each_has_its_own_outcome(ssm: ParameterStore, proxy: IamProxy) -> None:
    assert isinstance(ssm, BatchClient)
    assert ssm.batch == 10
    paths = [f"/tfy-secret/acme/g/K{number}" for number in range(10)]
    await put(ssm, *paths[:8])
    await ssm.write(paths[0], SecretValue(b"second"))
    proxy.requests.clear()
    asked = [Asked(paths[0], "1"), *map(Asked, paths[1:9]), Asked(paths[9], "4")]
    found = await ssm.read_batch(asked)
    assert values(found) == [*paths[:8], "NotFound", "NotFound"]
    assert proxy.operations() == ["GetParameters"]
    assert set(sent(proxy)["Names"]) == {f"{paths[0]}:1", *paths[1:9], f"{paths[9]}:4"}
    assert found[8].message == f"SecretStore test: path '{paths[8]}': AWS has no such secret (InvalidParameters)"


async def test_labels_arns_and_second_versions_are_read_alone(ssm: ParameterStore, proxy: IamProxy) -> None:
    await put(ssm, PATH, "/mail/a", "/mail/b")
    await ssm.write(PATH, SecretValue(b"second"))
    await label(ssm, "/mail/a", 1, "live")
    proxy.requests.clear()
    asked = [Asked(PATH), Asked(PATH, "1"), Asked("/mail/b"), Asked("/mail/a", "live"), Asked(f"{ARN}/mail/b"), Asked("/mail/ bad")]
    assert values(await ssm.read_batch(asked)) == ["second", PATH, "/mail/b", "/mail/a", "/mail/b", "InvalidRequest"]
    assert sorted(proxy.operations()) == ["GetParameter"] * 3 + ["GetParameters"]
    assert set(sent(proxy, 0)["Names"]) == {PATH, "/mail/b"}


async def test_an_answer_with_a_selector_and_in_another_order_is_matched(ssm: ParameterStore, proxy: IamProxy) -> None:
    """As AWS answers, and moto does not."""
    entries = [
        {"Name": "/b", "Value": "b", "Version": 3, "Selector": ":3"},
        {"Name": "/a", "Value": "a", "Version": 7},
    ]
    proxy.faults.append(answer({"Parameters": entries, "InvalidParameters": []}))
    assert values(await ssm.read_batch([Asked("/a"), Asked("/b", "3"), Asked("/c")])) == ["a", "b", "Malformed"]


async def test_a_denied_parameter_does_not_hide_the_others_and_stays_alone(ssm: ParameterStore, proxy: IamProxy) -> None:
    """AWS refuses a GetParameters as a whole for one name."""
    await put(ssm, "/a", "/b", "/c")
    proxy.requests.clear()
    proxy.denied.add("/b")
    asked = [Asked("/b"), Asked("/a"), Asked("/c")]
    for calls in (["GetParameters"] + ["GetParameter"] * 3, ["GetParameters", "GetParameter"]):
        proxy.requests.clear()
        found = await ssm.read_batch(asked)
        assert values(found) == ["NotPermitted", "/a", "/c"]
        assert found[0].message.startswith("SecretStore test: path '/b': AWS does not allow ssm:GetParameter (AccessDeniedException)")
        assert proxy.operations() == calls


async def test_without_the_permission_to_batch_single_reads_do_and_it_is_remembered(ssm: ParameterStore, proxy: IamProxy) -> None:
    await put(ssm, "/a", "/b")
    proxy.requests.clear()
    proxy.denied.add("GetParameters")
    assert values(await ssm.read_batch([Asked("/a"), Asked("/b")])) == ["/a", "/b"]
    assert values(await ssm.read_batch([Asked("/a"), Asked("/b")])) == ["/a", "/b"]
    assert proxy.operations() == ["GetParameters"] + ["GetParameter"] * 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refusal("ThrottlingException"), Throttled),
        (refusal("InternalServerError", status=500), Unavailable),
        (refusal("UnrecognizedClientException"), StoreRefused),
    ],
)
async def test_what_concerns_the_call_as_a_whole_is_raised(ssm: ParameterStore, proxy: IamProxy, fault: Any, kind: type[Exception]) -> None:
    proxy.faults.append(fault)
    with pytest.raises(kind):
        await ssm.read_batch([Asked("/a"), Asked("/b")])
    assert proxy.operations() == ["GetParameters"]


# --- health ------------------------------------------------------------------------------------------------------


async def test_health_asks_for_a_name_that_none_can_have(ssm: ParameterStore, proxy: IamProxy, open_aws: Callable[..., Any]) -> None:
    await ssm.healthy()
    assert sent(proxy) == {"Name": "/tfy-secret/acme/-/-", "WithDecryption": True}
    proxy.faults.append(refusal("AccessDeniedException"))
    with pytest.raises(StoreRefused, match="SecretStore test: probe: AWS does not allow ssm:GetParameter"):
        await ssm.healthy()
    with_own_paths = open_aws("awsParameterStore", proxy.url, allow=(AllowRule(frozenset({"namespace:mail"}), ("/mail",)),))
    proxy.faults.append(refusal("AccessDeniedException"))
    await with_own_paths.healthy()
    proxy.faults.append(refusal("UnrecognizedClientException"))
    with pytest.raises(StoreRefused, match="does not accept the broker's credentials"):
        await with_own_paths.healthy()
