"""The four ways in, each at a real server; Kubernetes' TokenReview is a server of the test's own."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broker.errors import Malformed, Misconfigured, NotFound, StoreRefused
from broker.stores.vault.client import Vault
from broker.stores.vault.login import open_login
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import POLICY, Bao
from tests.broker.stores.vault.conftest import PATH, Clock, asked
from tests.generic_server import Fault

Open = Callable[..., Vault]
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def signed(**claims: Any) -> str:
    return jwt.encode(
        {"iss": "https://issuer.example", "iat": int(time.time()), "exp": int(time.time()) + 600} | claims, KEY, algorithm="ES256"
    )


async def lets_in(client: Vault) -> bool:
    with pytest.raises(NotFound):
        await client.read(PATH)
    return True


# --- jwt ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def jwt_path(bao: Bao, kv2: str) -> str:
    path = bao.auth("jwt")
    bao.call("POST", f"auth/{path}/config", {"jwt_validation_pubkeys": [PUBLIC], "jwt_supported_algs": ["ES256"]})
    role = {
        "role_type": "jwt",
        "bound_audiences": ["vault"],
        "user_claim": "sub",
        "token_policies": [bao.policy(POLICY[2].format(mount=kv2))],
    }
    bao.call("POST", f"auth/{path}/role/broker", role | {"token_ttl": "1h"})
    return path


async def test_jwt(open_vault: Open, jwt_path: str, tmp_path: Path, kv2: str, clock: Clock) -> None:
    """The file is read again at each login: kubelets write a new token long before the old one ends."""
    (tmp_path / "jwt").write_text(signed(sub="broker", aud="vault"))
    client = open_vault(kv2, auth={"jwt": {"role": "broker", "tokenFile": str(tmp_path / "jwt"), "path": jwt_path}})
    assert await lets_in(client)
    clock.now += 3600
    (tmp_path / "jwt").write_text("canary.not.valid")
    with pytest.raises(StoreRefused) as caught:
        await client.read(PATH)
    assert caught.value.message == (
        f"SecretStore test: vault.auth.jwt: login at auth/{jwt_path}: refused (400). To fix: there must be such an auth method, "
        "and its role 'broker' take the token's service account, audience and issuer"
    )
    (tmp_path / "jwt").write_text(signed(sub="broker", aud="vault", jti="2"))
    assert await lets_in(client)


@pytest.mark.parametrize(
    ("role", "audience"), [pytest.param("other", "vault", id="unknown-role"), pytest.param("broker", "elsewhere", id="wrong-audience")]
)
async def test_a_jwt_that_the_role_does_not_take(
    open_vault: Open, jwt_path: str, tmp_path: Path, kv2: str, role: str, audience: str
) -> None:
    token = signed(sub="broker", aud=audience)
    (tmp_path / "jwt").write_text(token)
    client = open_vault(kv2, auth={"jwt": {"role": role, "tokenFile": str(tmp_path / "jwt"), "path": jwt_path}})
    with pytest.raises(StoreRefused, match=f"refused \\(400\\). To fix: .* and its role '{role}' take the token's") as caught:
        await client.read(PATH)
    assert token not in str(caught.value) + repr(caught.value.__context__)


# --- kubernetes --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def token_reviews(tls: ssl.SSLContext, known: dict[str, str]) -> AsyncIterator[str]:
    """An API server's TokenReview: token -> service account. OpenBao asks with the caller's own token."""

    async def review(request: web.Request) -> web.Response:
        spec = (await request.json())["spec"]
        name = known.get(spec["token"])
        status: dict[str, Any] = {"authenticated": name is not None}
        if name is not None:
            status |= {
                "user": {"username": f"system:serviceaccount:tfy-secret-system:{name}", "uid": "1"},
                "audiences": spec.get("audiences"),
            }
        return web.json_response({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status}, status=201)

    app = web.Application()
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", review)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def pod_token(**claims: Any) -> str:
    account = {"kubernetes.io": {"namespace": "tfy-secret-system", "serviceaccount": {"name": "tfy-secret-broker", "uid": "1"}}}
    return signed(sub="system:serviceaccount:tfy-secret-system:tfy-secret-broker", aud=["vault"], **account, **claims)


def kubernetes_auth(bao: Bao, reviews: str, authority_pem: str, mount: str) -> str:
    path = bao.auth("kubernetes")
    config = {"kubernetes_host": reviews, "kubernetes_ca_cert": authority_pem, "disable_local_ca_jwt": True}
    bao.call("POST", f"auth/{path}/config", config)
    role = {
        "bound_service_account_names": ["tfy-secret-broker"],
        "bound_service_account_namespaces": ["tfy-secret-system"],
        "audience": "vault",
        "token_policies": [bao.policy(POLICY[2].format(mount=mount))],
    }
    bao.call("POST", f"auth/{path}/role/broker", role)
    return path


async def test_kubernetes(bao: Bao, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    """The broker's own token, which the cluster's TokenReview knows; another account is refused."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    bao.authority.issue_cert("localhost").configure_cert(tls)
    mine, others = pod_token(), pod_token(jti="other")
    async with token_reviews(tls, {mine: "tfy-secret-broker", others: "someone-else"}) as reviews:
        path = kubernetes_auth(bao, reviews, bao.authority.cert_pem.bytes().decode(), kv2)
        (tmp_path / "pod").write_text(mine)
        auth = {"kubernetes": {"role": "broker", "path": path, "tokenFile": str(tmp_path / "pod")}}
        client = open_vault(kv2, auth=auth)
        assert await lets_in(client)
        await client.close()
        (tmp_path / "pod").write_text(others)
        with pytest.raises(StoreRefused, match="vault.auth.kubernetes: login at .*: refused \\(403\\). To fix: .* and its role 'broker'"):
            await open_vault(kv2, auth=auth).read(PATH)


def test_the_pods_own_token_is_the_default() -> None:
    with pytest.raises(
        Misconfigured, match="vault.auth.kubernetes.tokenFile: file /var/run/secrets/kubernetes.io/serviceaccount/token cannot be"
    ):
        open_login("SecretStore s", {"kubernetes": {"role": "r"}}).credentials()


# --- tokenFile ---------------------------------------------------------------------------------------------------


async def test_a_token_file_that_changes_is_used_at_once(bao: Bao, proxy: FaultyProxy, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    assert await lets_in(client)
    looks = asked(proxy, "/lookup-self")
    assert await lets_in(client)
    assert asked(proxy, "/lookup-self") == looks
    old = (tmp_path / "token").read_text().strip()
    (tmp_path / "token").write_text(bao.token(POLICY[2].format(mount=kv2)))
    bao.call("POST", "auth/token/revoke", {"token": old})
    assert await lets_in(client)
    assert asked(proxy, "/lookup-self") == looks + 1


async def test_a_token_file_that_is_no_good_is_told(bao: Bao, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    client = open_vault(kv2, kvVersion=2)
    (tmp_path / "token").write_text("canary-token")
    for _ in range(2):
        with pytest.raises(
            StoreRefused, match="vault.auth.tokenFile: the store refuses \\(403\\).* To fix: put a valid one there"
        ) as caught:
            await client.read(PATH)
        assert "canary" not in caught.value.message
    (tmp_path / "token").write_text(bao.token('path "nothing" { capabilities = ["read"] }'))
    with pytest.raises(StoreRefused, match="To fix: give the broker's role a policy"):  # a valid one that lacks a right
        await client.read(PATH)
    (tmp_path / "token").write_text("")
    with pytest.raises(Misconfigured, match=f"vault.auth.tokenFile: file {tmp_path}/token is empty. To fix: put a token there"):
        await client.read(PATH)


async def test_a_renewable_token_of_a_file_is_renewed(
    bao: Bao, proxy: FaultyProxy, open_vault: Open, tmp_path: Path, kv2: str, clock: Clock
) -> None:
    client = open_vault(kv2, address=proxy.url)
    (tmp_path / "token").write_text(bao.token(POLICY[2].format(mount=kv2), period="1h"))
    assert await lets_in(client)
    clock.now += 2500
    assert await lets_in(client)
    await asyncio.gather(*client._session.tokens._flights.values())
    assert asked(proxy, "/renew-self") == 1


# --- what is not there -------------------------------------------------------------------------------------------


async def test_an_auth_method_that_is_not_there(open_vault: Open, proxy: FaultyProxy, tmp_path: Path, kv2: str) -> None:
    """Real servers say 403 to whoever has no token; what stands in front of one may say 404."""
    (tmp_path / "jwt").write_text("a.b.c")
    client = open_vault(kv2, auth={"kubernetes": {"role": "r", "path": "nowhere", "tokenFile": str(tmp_path / "jwt")}}, address=proxy.url)
    proxy.faults = [Fault(status=404)]
    with pytest.raises(Misconfigured, match="login at auth/nowhere: there is no such auth method. To fix: enable it, or name its path"):
        await client.read(PATH)
    with pytest.raises(StoreRefused, match="login at auth/nowhere: refused \\(403\\). To fix: there must be such an auth method"):
        await client.read(PATH)


async def test_a_namespace_that_is_not_there(open_vault: Open, tmp_path: Path, kv2: str) -> None:
    (tmp_path / "jwt").write_text("a.b.c")
    auth = {"jwt": {"role": "r", "tokenFile": str(tmp_path / "jwt")}}
    with pytest.raises(Misconfigured, match="login at auth/jwt: the store has no such namespace. To fix: correct vault.namespace"):
        await open_vault(kv2, auth=auth, namespace="nowhere").read(PATH)


@pytest.mark.parametrize("path", ["a/../b", "/", "a//b"])
async def test_a_path_that_is_none(open_vault: Open, path: str) -> None:
    with pytest.raises(Misconfigured, match=f"SecretStore test: vault.auth.jwt.path: found '{path}'; allowed: where it is mounted"):
        open_vault("kv2-x", auth={"jwt": {"role": "r", "tokenFile": "/t", "path": path}})


async def test_an_answer_without_a_token_is_malformed(open_vault: Open, proxy: FaultyProxy, tmp_path: Path, kv2: str) -> None:
    (tmp_path / "jwt").write_text("a.b.c")
    client = open_vault(kv2, auth={"jwt": {"role": "r", "tokenFile": str(tmp_path / "jwt")}}, address=proxy.url)
    for body in (b"", b"{}", b'{"auth":null}', b'{"auth":{"client_token":"","lease_duration":1,"renewable":true}}') + (
        json.dumps({"auth": {"client_token": "canary\r\nX: y", "lease_duration": 1, "renewable": True}}).encode(),
    ):
        proxy.faults = [Fault(status=200, body=body)]
        with pytest.raises(Malformed, match="the answer holds no token") as caught:
            await client.read(PATH)
        assert "canary" not in repr(caught.value)
