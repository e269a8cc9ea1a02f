"""An answer for each name, in order; access for every caller; a denial tells nothing; failures stay apart."""

import pytest

from broker import resolve
from broker.audit import AuditFailed
from broker.errors import Malformed, StoreRefused, Throttled, Unavailable
from contract.wire import Unresolved
from tests.broker.world import FQN, ORIGIN, group, person, pod, store

JSON_FQN = "tfy-secret://acme:payments:JSON"
OWN = "acme/embedded/main::/mail/smtp"


async def test_answers_stand_in_the_order_asked(world):
    names = (f"{FQN}?version=1", JSON_FQN + "#user", FQN, JSON_FQN + "#port")
    assert await world.values(pod(), *names) == [b"old", b"ann", b"pa'ss", b"5.50"]
    assert [line["fqn"] for line in world.lines()] == list(names)
    assert [line["version"] for line in world.lines()] == ["1", "1", "2", "1"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("tfy-secret://acme:payments:NEVER_SET", "not_found", id="listed-without-a-value"),
        pytest.param(f"{FQN}?version=9", "not_found", id="no-such-version"),
        pytest.param("tfy-secret://acme:payments:TYPO", "not_found", id="role-but-no-such-key"),
        pytest.param("tfy-secret://acme:lost:KEY", "misconfigured", id="role-but-no-store"),
        pytest.param(JSON_FQN + "#absent", "field_not_found", id="no-such-field"),
        pytest.param(JSON_FQN + "#none", "field_not_found", id="a-null-field"),
        pytest.param(FQN + "#user", "malformed", id="a-field-of-no-json"),
        pytest.param("tfy-secret://acme:payments", "invalid", id="not-an-fqn"),
        pytest.param("", "invalid", id="empty"),
        pytest.param("acme/embedded/main::/mail/../tfy-secret/acme/payments/DB_PASSWORD", "invalid", id="dots-in-a-path"),
        pytest.param("acme/embedded/main::/tfy-secret/acme/payments/DB_PASSWORD", "ok", id="the-same-secret-by-its-path"),
        pytest.param("acme/embedded/main::/tfy-secret/acme/payments/TYPO", "not_found", id="role-but-no-such-key-by-path"),
    ],
)
async def test_each_outcome_has_its_code(world, name, code):
    assert await world.codes(pod(), name) == [code]


DENIED = [
    pytest.param(pod("other", "web"), FQN, id="no-role"),
    pytest.param(pod("other", "web"), "tfy-secret://acme:payments:TYPO", id="no-role-no-key"),
    pytest.param(pod(), "tfy-secret://acme:unknown:KEY", id="unknown-group"),
    pytest.param(pod(), "tfy-secret://acme:search:INDEX", id="another-group"),
    pytest.param(pod(), "tfy-secret://evil:payments:DB_PASSWORD", id="another-tenant"),
    pytest.param(pod(), "acme/embedded/nowhere::/x", id="unknown-store"),
    pytest.param(pod(), OWN, id="a-path-without-a-rule"),
    pytest.param(pod("mail", "app"), "acme/embedded/main::/mailer", id="a-path-that-only-begins-alike"),
    pytest.param(pod("mail", "app"), "acme/embedded/main::/tfy-secret/acme/payments/DB_PASSWORD", id="a-managed-path-by-the-store"),
    pytest.param(pod("mail", "app"), "acme/embedded/main:://tfy-secret//acme/payments/DB_PASSWORD", id="a-managed-path-in-disguise"),
    pytest.param(pod("other", "web"), "tfy-secret://acme:lost:KEY", id="no-role-and-no-store"),
]


@pytest.mark.parametrize(("caller", "name"), DENIED)
async def test_a_denial_is_one_sentence_and_asks_no_store(world, caller, name):
    (answer,) = await world.resolver.resolve(caller, (name,), ORIGIN)
    assert answer == Unresolved(name, "denied", resolve.DENIED_SENTENCE)
    assert world.store.reads == 0
    (line,) = world.lines()
    assert (line["decision"], line["code"]) == ("deny", "denied")


async def test_own_paths_open_by_rule(world):
    assert await world.values(pod("mail", "app"), OWN) == [b"smtp-key"]


async def test_only_workload_roles_inject_and_admins_of_the_tenant_do(make):
    world = make(admins=frozenset({"team:platform"}))
    callers = [person("admin"), person("editor"), person("viewer"), person("consumer"), person("eve"), person("root", "platform")]
    assert [(await world.codes(caller, FQN))[0] for caller in callers] == ["ok", "ok", "denied", "ok", "denied", "ok"]


async def test_access_changes_act_at_once_although_the_value_is_cached(world):
    assert await world.codes(pod(), FQN) == ["ok"]
    world.catalog.put(group("payments", ["DB_PASSWORD"]))
    assert await world.codes(pod(), FQN) == ["denied"]
    world.catalog.put(group("payments", ["DB_PASSWORD"], [("consumer", "namespace:shop")]))
    assert await world.codes(pod(), FQN) == ["ok"]
    world.catalog.remove("SecretStore", "main")
    assert await world.codes(pod(), FQN) == ["misconfigured"]
    assert world.store.reads == 1


async def test_a_store_that_moved_is_read_anew(world):
    await world.codes(pod(), FQN)
    world.catalog.put(store(provider={"generic": {"baseUrl": "https://new.example"}}))
    await world.codes(pod(), FQN)
    assert world.store.reads == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreRefused("the store refuses the broker's token"), "store_refused"),
        (Throttled("fewer calls", 3), "throttled"),
        (Unavailable("down"), "unavailable"),
        (Malformed("damaged"), "malformed"),
        (RuntimeError("CANARY"), "internal"),
        (TimeoutError("CANARY"), "unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_store_error_keeps_its_code_and_loses_what_is_not_ours(world, error, code):
    world.store.error = error
    (answer,) = await world.resolver.resolve(pod(), (FQN,), ORIGIN)
    assert answer.code == code
    assert "CANARY" not in answer.message
    assert world.lines()[-1]["code"] == code
    assert world.lines()[-1]["decision"] == "allow"


async def test_one_failure_does_not_hide_the_others(world, monkeypatch):
    def crash(secret, *_):
        raise RuntimeError("CANARY")

    monkeypatch.setattr(resolve, "with_field", crash)
    answers = await world.resolver.resolve(
        pod(), (FQN, "no", "tfy-secret://acme:search:INDEX", "tfy-secret://acme:payments:NEVER_SET"), ORIGIN
    )
    assert [a.code for a in answers] == ["internal", "invalid", "denied", "not_found"]
    assert not any("CANARY" in a.message for a in answers)


async def test_a_thousand_names(world):
    keys = [f"KEY{n}" for n in range(1000)]
    world.catalog.put(group("many", keys, [("consumer", "namespace:shop")]))
    world.store.values |= {f"/tfy-secret/acme/many/{key}": [key.encode()] for key in keys}
    found = await world.values(pod(), *(f"tfy-secret://acme:many:{key}" for key in keys))
    assert found == [key.encode() for key in keys]
    assert world.store.most_at_once <= 32
    assert len(world.lines()) == 1000


async def test_values_past_what_one_response_holds_are_refused(world, monkeypatch):
    monkeypatch.setattr(resolve, "MAX_VALUES_BYTES", 12)
    assert await world.codes(pod(), FQN, f"{FQN}?version=1", JSON_FQN, "tfy-secret://acme:payments:NEVER_SET") == [
        "ok",
        "ok",
        "too_large",
        "not_found",
    ]
    assert [line["code"] for line in world.lines()] == ["ok", "ok", "too_large", "not_found"]


async def test_without_an_audit_line_there_is_no_answer(world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.audit, "_append", full)
    with pytest.raises(AuditFailed):
        await world.resolver.resolve(pod(), (FQN,), ORIGIN)
    assert world.count("tfy_secret_broker_audit_failures_total") == 1
