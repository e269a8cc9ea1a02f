"""The life of a token at a real server: one login for all, renewal, expiry, early death, denial, the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from httpx import HTTPStatusError

from broker.errors import NotFound, StoreRefused, Unavailable
from broker.stores.vault import tokens
from broker.stores.vault.client import Vault
from contract.values import SecretValue
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import POLICY, Bao
from tests.broker.stores.vault.conftest import PATH, Clock, asked
from tests.generic_server import Fault

VALUE = SecretValue(b"canary-value-5b")
Open = Callable[..., Vault]


class AppRole:
    """A role at a real server, with its files, and a client that logs in by it through a proxy."""

    def __init__(self, bao: Bao, proxy: FaultyProxy, open_vault: Open, folder: Path, mount: str) -> None:
        self.bao, self.proxy, self.mount, self._open, self._folder = bao, proxy, mount, open_vault, folder
        self.path = bao.auth("approle")

    def client(self, **role: object) -> Vault:
        policies = [self.bao.policy(POLICY[2].format(mount=self.mount))]
        self.bao.call("POST", f"auth/{self.path}/role/r", {"token_policies": policies, "token_ttl": "1h", "token_max_ttl": "3h"} | role)
        (self._folder / "role_id").write_text(self.bao.call("GET", f"auth/{self.path}/role/r/role-id")["data"]["role_id"])
        self.new_secret_id()
        files = {"roleIdFile": str(self._folder / "role_id"), "secretIdFile": str(self._folder / "secret_id")}
        auth = {"appRole": files | {"path": self.path}}
        return self._open(self.mount, auth=auth, address=self.proxy.url, kvVersion=2)

    def new_secret_id(self) -> None:
        self.write_secret_id(self.bao.call("POST", f"auth/{self.path}/role/r/secret-id")["data"]["secret_id"])

    def write_secret_id(self, text: str) -> None:
        (self._folder / "secret_id").write_text(text + "\n")

    @property
    def logins(self) -> int:
        return asked(self.proxy, "/login")

    @property
    def renewals(self) -> int:
        return asked(self.proxy, "/renew-self")

    @property
    def looks(self) -> int:
        return asked(self.proxy, "/lookup-self")

    async def settled(self, client: Vault) -> None:
        """What runs beside has ended."""
        await asyncio.gather(*client._session.tokens._flights.values(), return_exceptions=True)

    def token(self, client: Vault) -> str:
        token = client._session.tokens._token
        assert token is not None
        return token.value.reveal().decode()


@pytest.fixture
async def role(bao: Bao, proxy: FaultyProxy, open_vault: Open, tmp_path: Path, kv2: str) -> AsyncIterator[AppRole]:
    bao.call("POST", f"{kv2}/data{PATH}", {"data": {"value": VALUE.reveal().decode()}})
    yield AppRole(bao, proxy, open_vault, tmp_path, kv2)


async def test_a_hundred_reads_at_once_log_in_once(role: AppRole) -> None:
    client = role.client()
    found = await asyncio.gather(*(client.read(PATH) for _ in range(100)))
    assert all(stored.value == VALUE for stored in found)
    assert role.logins == 1


async def test_a_caller_that_goes_away_does_not_end_the_login_of_others(role: AppRole) -> None:
    client = role.client()
    role.proxy.faults = []
    first = asyncio.create_task(client.read(PATH))
    second = asyncio.create_task(client.read(PATH))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).value == VALUE
    assert role.logins == 1


async def test_at_two_thirds_a_use_renews_beside(role: AppRole, clock: Clock) -> None:
    client = role.client()
    await client.read(PATH)
    clock.now += 2399
    await client.read(PATH)
    await role.settled(client)
    assert role.renewals == 0
    clock.now += 2
    await asyncio.gather(*(client.read(PATH) for _ in range(20)))
    await role.settled(client)
    assert (role.logins, role.renewals) == (1, 1)
    clock.now += 2399
    await client.read(PATH)
    await role.settled(client)
    assert (role.logins, role.renewals) == (1, 1), "the new lease counts from its renewal"


async def test_what_cannot_be_renewed_is_replaced(role: AppRole, clock: Clock) -> None:
    client = role.client(token_type="batch")
    await client.read(PATH)
    before = role.token(client)
    clock.now += 2401
    await client.read(PATH)
    await role.settled(client)
    assert (role.logins, role.renewals) == (2, 0)
    assert role.token(client) != before


async def test_near_its_longest_life_a_token_is_replaced(role: AppRole, clock: Clock) -> None:
    """The server gives what is left until max_ttl, which is no whole lease."""
    client = role.client(token_ttl="2s", token_max_ttl="2s")
    await client.read(PATH)
    before = role.token(client)
    await asyncio.sleep(1.4)  # real seconds: the server's own clock counts them
    clock.now += 1.4
    await client.read(PATH)
    await role.settled(client)
    assert (role.logins, role.renewals) == (2, 1)
    assert role.token(client) != before


async def test_an_expired_token_is_replaced_before_it_is_used(role: AppRole, clock: Clock) -> None:
    client = role.client()
    await client.read(PATH)
    clock.now += 3600
    await client.read(PATH)
    assert (role.logins, role.looks) == (2, 0)


async def test_a_token_that_expired_unseen_is_replaced_once(role: AppRole) -> None:
    """The lease ends at the server while our clock stands still."""
    client = role.client(token_ttl="2s")
    await client.read(PATH)
    role.bao.call("POST", f"auth/{role.path}/role/r", {"token_ttl": "1h"})
    await asyncio.sleep(2.1)
    found = await asyncio.gather(*(client.read(PATH) for _ in range(20)))
    assert all(stored.value == VALUE for stored in found)
    assert (role.logins, role.looks) == (2, 1)


async def test_a_write_with_a_dead_token_is_done_once(role: AppRole) -> None:
    client = role.client()
    await client.read(PATH)
    role.bao.call("POST", "auth/token/revoke", {"token": role.token(client)})
    assert await client.write(PATH, VALUE) == "2"
    assert role.logins == 2


async def test_a_denial_is_no_login(role: AppRole, clock: Clock) -> None:
    """Asked about once in a while, never answered with a new token."""
    client = role.client(token_policies=["default"])
    for _ in range(5):
        with pytest.raises(StoreRefused) as caught:
            await client.read(PATH)
    assert caught.value.message == (
        f"SecretStore test: path '{PATH}': the store refuses (403). To fix: give the broker's role a policy with capability 'read' on "
        f"'{role.mount}/data{PATH}'"
    )
    assert (role.logins, role.looks) == (1, 1)
    clock.now += 11
    with pytest.raises(StoreRefused):
        await client.read(PATH)
    assert (role.logins, role.looks) == (1, 2)


async def test_a_token_that_may_not_look_at_itself_is_replaced_now_and_then(role: AppRole, clock: Clock) -> None:
    """Dead or denied cannot be told apart then, so a login is worth a try, and no more than one in ten seconds."""
    client = role.client(token_policies=[role.bao.policy('path "nothing" { capabilities = ["read"] }')], token_no_default_policy=True)
    for _ in range(5):
        outcomes = await asyncio.gather(*(client.read(PATH) for _ in range(5)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreRefused}
    assert role.logins == 2
    clock.now += 11
    with pytest.raises(StoreRefused):
        await client.read(PATH)
    assert role.logins == 3


async def test_a_renewal_that_fails_is_nobodys_error_yet(role: AppRole, clock: Clock, logs: list) -> None:
    client = role.client()
    await client.read(PATH)
    clock.now += 2401
    held = client._session.tokens
    await held.current()  # starts it
    role.proxy.faults = [Fault(status=500)] * 2  # the renewal, and the login instead
    await role.settled(client)
    (told,) = [event for event in logs if event["event"] == "vault_token_not_renewed"]
    assert told["code"] == "unavailable" and "the store fails (500)" in told["reason"]
    assert (await client.read(PATH)).value == VALUE
    await role.settled(client)
    assert role.renewals == 1, "not again at once"
    clock.now += 361
    await client.read(PATH)
    await role.settled(client)
    assert role.renewals == 2 and not held._flights


async def test_a_refused_login_is_not_tried_again_until_its_files_change(role: AppRole, clock: Clock) -> None:
    client = role.client()
    role.write_secret_id("canary-wrong")
    said = set()
    for _ in range(3):
        with pytest.raises(StoreRefused) as caught:
            await client.read(PATH)
        said.add(caught.value.message)
    (message,) = said
    assert message == (
        f"SecretStore test: vault.auth.appRole: login at auth/{role.path}: refused (400). "
        "To fix: put a role id and a secret id that are valid into roleIdFile and secretIdFile"
    )
    assert role.logins == 1
    clock.now += 11
    with pytest.raises(StoreRefused):
        await client.read(PATH)
    assert role.logins == 2
    role.new_secret_id()
    assert (await client.read(PATH)).value == VALUE
    assert role.logins == 3


async def test_a_login_that_failed_for_another_reason_is_tried_again(role: AppRole) -> None:
    client = role.client()
    role.proxy.faults = [Fault(status=502)]
    with pytest.raises(Unavailable, match=f"login at auth/{role.path}: the store fails \\(502\\)"):
        await client.read(PATH)
    assert (await client.read(PATH)).value == VALUE


async def test_a_rotated_secret_id_is_what_the_next_login_sends(role: AppRole, clock: Clock) -> None:
    client = role.client()
    await client.read(PATH)
    role.bao.call("POST", f"auth/{role.path}/role/r", {"token_ttl": "2h"})
    for accessor in role.bao.call("LIST", f"auth/{role.path}/role/r/secret-id")["data"]["keys"]:
        role.bao.call("POST", f"auth/{role.path}/role/r/secret-id-accessor/destroy", {"secret_id_accessor": accessor})
    role.new_secret_id()
    await client.read(PATH)
    assert role.logins == 1, "a token that holds is not made anew"
    clock.now += 7200
    assert (await client.read(PATH)).value == VALUE
    assert role.logins == 2


async def test_closing_gives_the_token_back(role: AppRole) -> None:
    client = role.client()
    await client.read(PATH)
    token = role.token(client)
    await client.close()
    with pytest.raises(HTTPStatusError, match="403"):
        role.bao.call("GET", "auth/token/lookup-self", token=token)


@pytest.mark.parametrize("fault", [Fault(reset=True), Fault(wait=30), Fault(status=503)], ids=["reset", "silent", "sealed"])
async def test_closing_does_not_wait_for_a_store_that_is_away(role: AppRole, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    monkeypatch.setattr(tokens, "CLOSE_SECONDS", 0.1)
    client = role.client()
    await client.read(PATH)
    role.proxy.faults = [fault]
    async with asyncio.timeout(20):  # the silent one would take 30
        await client.close()


async def test_closing_ends_a_login_on_its_way(role: AppRole) -> None:
    client = role.client()
    role.proxy.faults = [Fault(wait=5)]
    reading = asyncio.create_task(client.read(PATH))
    while not role.logins:
        await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_token_of_a_file_is_not_taken_from_its_owner(bao: Bao, open_vault: Open, kv2: str, tmp_path: Path) -> None:
    client = open_vault(kv2)
    with pytest.raises(NotFound):
        await client.read(PATH)
    await client.close()
    assert bao.call("GET", "auth/token/lookup-self", token=(tmp_path / "token").read_text().strip())


async def test_no_repr_shows_a_token(role: AppRole, logs: list) -> None:
    client = role.client()
    await client.read(PATH)
    tokens = client._session.tokens
    shown = (
        repr(vars(client)) + repr(vars(client._session)) + repr(vars(tokens)) + repr(tokens._token) + repr(vars(tokens._login)) + repr(logs)
    )
    assert role.token(client) not in shown
    assert "vault_login" in repr(logs)


async def test_a_token_revoked_just_after_a_denial_is_replaced_at_once(role: AppRole) -> None:
    """A denial tells of its own request alone: another one's 403 is looked into, however soon it comes."""
    policy = role.bao.policy(f'path "{role.mount}/data/tfy-secret/acme/payments/DB_PASSWORD" {{ capabilities = ["read"] }}')
    client = role.client(token_policies=["default", policy])
    for _ in range(2):
        with pytest.raises(StoreRefused):
            await client.read("/tfy-secret/acme/payments/OTHER")
    assert (role.logins, role.looks) == (1, 1)
    role.bao.call("POST", "auth/token/revoke", {"token": role.token(client)})
    assert (await client.read(PATH)).value == VALUE
    assert (role.logins, role.looks) == (2, 2)


async def test_what_is_remembered_of_denials_is_bounded(role: AppRole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_DENIED", 3)
    client = role.client(token_policies=["default"])
    for number in range(7):
        with pytest.raises(StoreRefused):
            await client.read(f"/tfy-secret/acme/payments/K{number}")
    assert len(client._session.tokens._denied) <= 3
    assert role.logins == 1
