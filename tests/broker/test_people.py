"""The design's table of roles, operation by operation; a denial that is the same for everything that is not yours."""

import pytest

from broker.errors import BrokerError, Denied, InvalidRequest, Misconfigured, NotFound, StoreFailed, Unavailable, Unsupported
from broker.resolve import DENIED_SENTENCE
from contract.values import SecretValue
from tests.broker.world import FQN, ORIGIN, PATH, person, pod

NEW = "tfy-secret://acme:payments:NEVER_SET"

OPERATIONS = {
    "create": lambda people, who: people.write(who, NEW, SecretValue(b"x"), ORIGIN),
    "edit": lambda people, who: people.write(who, FQN, SecretValue(b"x"), ORIGIN),
    "delete": lambda people, who: people.delete(who, FQN, None, ORIGIN),
    "value": lambda people, who: people.value(who, FQN, ORIGIN),
    "versions": lambda people, who: people.versions(who, FQN, ORIGIN),
    "list": lambda people, who: people.names(who, "payments", ORIGIN),
}
ALLOWED = {
    "admin": {"create", "edit", "delete", "value", "versions", "list"},
    "editor": {"edit", "delete", "value", "versions", "list"},
    "viewer": {"versions", "list"},
    "consumer": set(),
    "stranger": set(),
    "root": {"create", "edit", "delete", "value", "versions", "list"},
}


def who(role):
    return person("root", "platform") if role == "root" else person(role)


async def outcome(call):
    try:
        await call
    except BrokerError as error:
        return type(error)
    return None


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("role", ALLOWED)
async def test_role_by_operation(make, role, operation):
    world = make(admins=frozenset({"team:platform"}))
    before = {path: list(values) for path, values in world.store.values.items()}
    found = await outcome(OPERATIONS[operation](world.people, who(role)))
    assert found is (None if operation in ALLOWED[role] else Denied)
    if found is Denied:
        assert world.store.values == before
        assert [line["decision"] for line in world.lines()] == ["deny"]
    else:
        assert {line["decision"] for line in world.lines()} == {"allow"}


FOREIGN = [
    "tfy-secret://acme:search:INDEX",
    "tfy-secret://acme:unknown:X",
    "tfy-secret://evil:payments:DB_PASSWORD",
    "tfy-secret://acme:search:TYPO",
]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("role", ["admin", "editor", "viewer", "consumer"])
async def test_another_groups_secrets_are_denied_in_one_sentence(world, role, name):
    calls = [
        world.people.value(person(role), name, ORIGIN),
        world.people.versions(person(role), name, ORIGIN),
        world.people.write(person(role), name, SecretValue(b"x"), ORIGIN),
        world.people.delete(person(role), name, None, ORIGIN),
    ]
    for call in calls:
        with pytest.raises(Denied) as caught:
            await call
        assert caught.value.message == DENIED_SENTENCE
    assert world.store.reads == 0


async def test_a_workload_is_no_person_of_the_group(world):
    """A consumer's role is for injection; its service account's token opens nothing here."""
    for operation in OPERATIONS.values():
        assert await outcome(operation(world.people, pod())) is Denied


async def test_without_a_group_the_list_is_of_what_one_may_list(world):
    assert await world.people.names(person("viewer"), None, ORIGIN) == [
        "tfy-secret://acme:lost:KEY",
        "tfy-secret://acme:payments:DB_PASSWORD",
        "tfy-secret://acme:payments:JSON",
        "tfy-secret://acme:payments:NEVER_SET",
        "tfy-secret://acme:payments:STRIPE_KEY",
    ]
    assert await world.people.names(person("stranger"), None, ORIGIN) == []
    assert world.store.reads == 0


async def test_a_list_is_written_down_by_group(world):
    await world.people.names(person("viewer"), "payments", ORIGIN)
    assert [(line["action"], line["fqn"]) for line in world.lines()] == [("list", "tfy-secret://acme:payments:*")]


@pytest.mark.parametrize("name", ["nowhere", "search", "a\nb", ""])
async def test_a_group_that_is_not_yours(world, name):
    with pytest.raises(Denied) as caught:
        await world.people.names(person("viewer"), name, ORIGIN)
    assert caught.value.message == DENIED_SENTENCE


async def test_a_tenant_admin_is_told_that_a_group_is_not_there(make):
    world = make(admins=frozenset({"user:root"}))
    with pytest.raises(NotFound, match="there is no such secret group"):
        await world.people.names(person("root"), "nowhere", ORIGIN)
    assert [(line["action"], line["decision"], line["code"]) for line in world.lines()] == [("list", "deny", "not_found")]


async def test_a_key_that_the_group_does_not_list_yet(world):
    """A write makes it, without an edit of a manifest; reading it says what to do."""
    fresh = "tfy-secret://acme:payments:FRESH"
    with pytest.raises(NotFound) as caught:
        await world.people.value(person("admin"), fresh, ORIGIN)
    assert caught.value.message == (
        "group 'payments' lists no key 'FRESH'. To fix: save a value for it, or add 'FRESH' to spec.keys of SecretGroup payments"
    )
    assert await world.people.write(person("admin"), fresh, SecretValue(b"x"), ORIGIN) == "1"
    assert await world.values(pod(), fresh) == [b"x"]


async def test_a_group_without_its_store(world):
    with pytest.raises(Misconfigured, match="SecretStore 'gone'"):
        await world.people.value(person("admin"), "tfy-secret://acme:lost:KEY", ORIGIN)


@pytest.mark.parametrize("name", ["acme/embedded/main::/mail/smtp", "acme/embedded/main::" + PATH])
async def test_managed_names_alone(world, name):
    with pytest.raises(InvalidRequest, match="only managed secrets"):
        await world.people.value(person("admin"), name, ORIGIN)


async def test_a_write_is_seen_by_the_next_pod(world):
    assert await world.values(pod(), FQN) == [b"pa'ss"]
    version = await world.people.write(person("editor"), FQN, SecretValue(b"new"), ORIGIN)
    assert version == "3"
    assert await world.values(pod(), FQN) == [b"new"]
    await world.people.delete(person("editor"), FQN, None, ORIGIN)
    assert await world.codes(pod(), FQN) == ["not_found"]


async def test_a_write_is_written_down_before_and_after(world):
    await world.people.write(person("admin"), NEW, SecretValue(b"x"), ORIGIN)
    await world.people.write(person("admin"), NEW, SecretValue(b"y"), ORIGIN)
    assert [(line["event"], line["action"], line.get("version")) for line in world.lines()] == [
        ("decision", "create", None),
        ("result", "create", "1"),
        ("decision", "edit", None),
        ("result", "edit", "2"),
    ]


async def test_a_failed_write_is_written_down_with_its_code(world):
    class Broken(Exception):
        pass

    world.store.error = Broken("CANARY")
    with pytest.raises(BrokerError) as caught:
        await world.people.write(person("admin"), FQN, SecretValue(b"x"), ORIGIN)
    assert "CANARY" not in caught.value.message
    assert [line["code"] for line in world.lines()] == ["ok", "internal"]


async def test_a_store_that_cannot_be_asked_is_written_down_too(world, monkeypatch):
    async def versions(_):
        raise Unavailable("down")

    monkeypatch.setattr(world.store, "versions", versions)
    with pytest.raises(StoreFailed, match="SecretStore main: down"):
        await world.people.write(person("admin"), FQN, SecretValue(b"x"), ORIGIN)
    assert [(line["action"], line["code"]) for line in world.lines()] == [("write", "unavailable")]


async def test_a_store_without_a_list_of_versions(world, monkeypatch):
    """Then a read tells whether there is one; an editor still cannot make the first."""

    async def versions(_):
        raise Unsupported("the Generic contract has no list of versions")

    monkeypatch.setattr(world.store, "versions", versions)
    assert await world.people.write(person("editor"), FQN, SecretValue(b"x"), ORIGIN) == "3"
    with pytest.raises(Denied):
        await world.people.write(person("editor"), NEW, SecretValue(b"x"), ORIGIN)
    assert await world.people.write(person("admin"), NEW, SecretValue(b"x"), ORIGIN) == "1"


async def test_a_field_and_a_version_can_be_revealed(world):
    stored = await world.people.value(person("admin"), "tfy-secret://acme:payments:JSON#user", ORIGIN)
    assert stored.value.reveal() == b"ann"
    stored = await world.people.value(person("admin"), FQN + "?version=1", ORIGIN)
    assert (stored.value.reveal(), stored.version) == (b"old", "1")
