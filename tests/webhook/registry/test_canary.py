"""No password, token or identity token in a log, an exception or a repr, however a look-up ends."""

import logging
import traceback

import pytest
import structlog
from aiohttp import web
from yarl import URL

from tests.webhook.registry.faulty import Faulty, answering, secret
from tests.webhook.registry.images import basic
from webhook.registry.credentials import Credentials
from webhook.registry.errors import LookupFailed
from webhook.registry.platforms import Platform
from webhook.registry.transport import Request

PASSWORD, IDENTITY, TOKEN = "k4n4ry-password", "k4n4ry-identity", "k4n4ry-token"
HIDDEN = ("k4n4ry", basic("puller", PASSWORD).removeprefix("Basic ")[:16])


async def cut(request):
    request.transport.abort()


async def give_token(_request):
    return web.json_response({"token": TOKEN})


def echo(status):
    async def act(request):
        """A registry that answers with what it was sent."""
        sent = f"{request.headers.get('Authorization')} {await request.text()}"
        headers = {"X-Sent": sent, "WWW-Authenticate": f'Bearer realm="{sent}"', "Location": f"/{sent}"}
        return web.Response(status=status, reason="k4n4ry-reason", text=sent, headers=headers)

    return act


@pytest.mark.parametrize("entry", [{"username": "puller", "password": PASSWORD}, {"identitytoken": IDENTITY}], ids=["password", "identity"])
@pytest.mark.parametrize("scheme", ["basic", "bearer"])
@pytest.mark.parametrize(
    ("part", "act"),
    [
        *((f"/{part}/", echo(status)) for part in ("manifests", "blobs") for status in (200, 302, 401, 403, 404, 500)),
        *(("/token", echo(status)) for status in (200, 302, 401, 404, 500)),
        ("/blobs/", cut),
        ("/token", cut),
        ("/token", answering(body=b'{"token": "k4n4ry\\n"}')),
        ("/none", cut),
    ],
)
async def test_however_it_ends(registries, caplog, entry, scheme, part, act):
    caplog.set_level(logging.DEBUG)
    async with Faulty() as server:
        realm = f'Bearer realm="{server.url("/token")}"'
        server.accepted = {basic("puller", PASSWORD), f"Bearer {TOKEN}"}
        server.challenge = realm if scheme == "bearer" else 'Basic realm="r"'

        async def authorised_only(request):
            """The fault strikes where a log-in was sent."""
            return await act(request) if request.headers.get("Authorization") or request.method == "POST" else None

        server.fault(part, authorised_only)
        server.fault("/token", give_token)
        if part == "/token":
            server.fault("/token", act)
        credentials = Credentials.of_secrets(secret({"auths": {server.host: entry}}))
        told = [repr(credentials), str(credentials)]
        with structlog.testing.capture_logs() as logs:
            try:
                await registries().entrypoint(server.image(), Platform(), credentials)
            except LookupFailed as error:
                told += [str(error), repr(error), error.sentence, error.fix, *traceback.format_exception(error)]
                assert error.__cause__ is None and error.__context__ is None
        told += map(str, logs)
        told += [f"{record.name} {record.getMessage()}" for record in caplog.records if record.name.startswith("aiohttp.client")]
    assert not [mark for mark in HIDDEN for text in told if mark in text]


def test_requests_do_not_show_their_headers():
    request = Request("GET", URL("https://r.example/"), {"Authorization": "k4n4ry"}, 1, local=False, form={"refresh_token": "k4n4ry"})
    assert "k4n4ry" not in repr(request)


async def test_a_crash_in_the_middle(registries, monkeypatch):
    """A bug of ours, with the reprs of all locals of ours on its way, as a debugger's log would have them."""
    async with Faulty() as server:
        credentials = Credentials.of_secrets(secret({"auths": {server.host: {"username": "puller", "password": PASSWORD}}}))

        async def crash(repository, reference):
            raise ZeroDivisionError

        monkeypatch.setattr("webhook.registry.lookup.Repository.manifest", crash)
        with pytest.raises(ZeroDivisionError) as crashed:
            await registries().entrypoint(server.image(), Platform(), credentials)
        told = "".join(traceback.TracebackException.from_exception(crashed.value, capture_locals=True).format())
    assert "credentials = Credentials(<1 hidden>)" in told and not [mark for mark in HIDDEN if mark in told]
