"""People's commands: values by standard input or file, out to a pipe or on request, names as people type them, clear errors."""

import asyncio
import io
import os
import subprocess
import sys

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.cli import run
from broker.errors import InvalidRequest
from broker.names import read_name
from broker.tokens import StaticTokens
from tests.broker.programs import TOKENS
from tests.broker.world import FQN, manifests, store

VALUE = b"CANARY \x00\xff'\r\n"


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    return {
        "TFY_SECRET_TENANT": "acme",
        "TFY_SECRET_MANIFESTS": str(tmp_path / "manifests"),
        "TFY_SECRET_EMBEDDED_DB": str(tmp_path / "secrets.db"),
        "TFY_SECRET_EMBEDDED_KEY_FILE": str(tmp_path / "key"),
    }


class Terminal(io.TextIOWrapper):
    """Standard input or output, as bytes; a terminal or not."""

    def __init__(self, content=b"", terminal=False):
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @property
    def content(self):
        return self.buffer.getvalue()


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command: exit code, output bytes, errors."""

    def one(environ, *arguments, stdin=b"", terminal=False):
        out = Terminal(terminal=terminal)
        monkeypatch.setattr(sys, "stdin", Terminal(stdin, terminal))
        monkeypatch.setattr(sys, "stdout", out)
        code = run(arguments, environ)
        return code, out.content, capsys.readouterr().err

    return one


def test_a_value_comes_back_to_the_byte(environ, call):
    code, out, err = call(environ, "secret", "put", FQN, stdin=VALUE)
    assert (code, out) == (0, f"{FQN} version 1 ({len(VALUE)} bytes)\n".encode())
    assert err == "note: the value ends with a newline, which is kept; `printf %s` writes none\n"
    code, out, _ = call(environ, "secret", "get", FQN)
    assert (code, out == VALUE) == (0, True)


def test_a_value_from_a_file(environ, call, tmp_path):
    (tmp_path / "value").write_bytes(VALUE)
    assert call(environ, "secret", "put", FQN, "--file", str(tmp_path / "value"))[0] == 0
    assert call(environ, "secret", "get", "payments:DB_PASSWORD")[1] == VALUE


def test_a_value_is_not_shown_on_a_terminal_unless_asked_for(environ, call):
    call(environ, "secret", "put", FQN, stdin=b"CANARY")
    code, out, err = call(environ, "secret", "get", FQN, terminal=True)
    assert (code, out) == (1, b"")
    assert err == "error: the value would be shown on this terminal. To fix: send it to a pipe or a file, or give --show\n"
    assert call(environ, "secret", "get", FQN, "--show", terminal=True)[:2] == (0, b"CANARY\n")


@pytest.mark.parametrize(
    ("redirect", "said"),
    [("| head -c 0", ""), ("> /dev/full", "error: standard output: No space left on device\n")],
    ids=["a-reader-that-has-enough", "a-full-disk"],
)
@pytest.mark.parametrize("command", ["get", "versions"])
def test_output_that_cannot_be_written_is_told_in_one_line(environ, call, command, redirect, said):
    call(environ, "secret", "put", FQN, stdin=b"CANARY" * 100_000)
    for _ in range(20 if command == "versions" else 0):
        call(environ, "secret", "put", FQN, stdin=b"CANARY")
    shell = f"set -o pipefail; {sys.executable} -m broker secret {command} {FQN} {redirect}"
    done = subprocess.run(["bash", "-c", shell], env=environ | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.stderr == said
    assert done.returncode in ((0, 1) if "head" in redirect else (1,))


def test_a_terminal_is_asked_without_echo(environ, call, monkeypatch):
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "typed")
    assert call(environ, "secret", "put", FQN, terminal=True)[0] == 0
    assert asked == [f"Value of {FQN} (one line, not shown): "]
    assert call(environ, "secret", "get", FQN)[1] == b"typed"


@pytest.mark.parametrize("surplus", [("CANARY",), ("--value", "CANARY"), ("--value=CANARY",)], ids=["bare", "option", "joined"])
def test_a_value_is_never_an_argument(environ, call, capsys, surplus):
    """Nor is it repeated: a pipeline keeps what a command says."""
    with pytest.raises(SystemExit) as caught:
        call(environ, "secret", "put", FQN, *surplus)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert (
        "too many arguments; they are not shown, since one may be a value: `secret put` reads a value from standard input or --file" in said
    )
    assert "CANARY" not in said


def test_listing_versions_and_deleting(environ, call):
    for value in (b"one", b"two", b"three"):
        call(environ, "secret", "put", FQN, stdin=value)
    call(environ, "secret", "put", "search:INDEX", stdin=b"x")
    assert call(environ, "secret", "list")[1].decode().split() == [FQN, "tfy-secret://acme:search:INDEX"]
    assert call(environ, "secret", "list", "search")[1].decode().split() == ["tfy-secret://acme:search:INDEX"]
    assert [line.split(b"\t")[0] for line in call(environ, "secret", "versions", FQN)[1].splitlines()] == [b"1", b"2", b"3"]
    assert call(environ, "secret", "get", FQN + "?version=2")[1] == b"two"
    assert call(environ, "secret", "delete", FQN, "--version", "3")[1] == f"deleted {FQN} version 3\n".encode()
    assert call(environ, "secret", "get", FQN)[1] == b"two"
    assert call(environ, "secret", "delete", FQN)[0] == 0
    code, out, err = call(environ, "secret", "get", FQN)
    assert (code, out) == (1, b"")
    assert err.startswith("error: ")


def test_an_empty_value_is_stored_when_that_is_said(environ, call, tmp_path):
    """Else it is more likely what a command that failed left in the pipe."""
    empty = tmp_path / "empty"
    empty.touch()
    for arguments in ((), ("--file", str(empty))):
        code, out, err = call(environ, "secret", "put", FQN, *arguments)
        assert (code, out) == (1, b"")
        assert "if it is to be empty, say so with --allow-empty" in err
    assert call(environ, "secret", "put", FQN, "--allow-empty")[:2] == (0, f"{FQN} version 1 (0 bytes)\n".encode())
    assert call(environ, "secret", "get", FQN) == (0, b"", "")
    assert call(environ, "secret", "put", FQN, "--allow-empty", "--file", str(empty))[0] == 0


def test_a_field(environ, call):
    call(environ, "secret", "put", "payments:JSON", stdin=b'{"user": "ann"}')
    assert call(environ, "secret", "get", "payments:JSON#user")[1] == b"ann"
    code, _, err = call(environ, "secret", "get", "payments:JSON#absent")
    assert (code, err) == (1, "error: the value has no field 'absent'\n")


def test_a_key_that_no_manifest_lists_is_told(environ, call):
    code, _, err = call(environ, "secret", "put", "payments:FRESH", stdin=b"x")
    assert (code, err) == (0, "warning: SecretGroup 'payments' does not list 'FRESH'; add it to spec.keys, or nobody gets this value\n")
    assert "no SecretGroup 'fresh'" in call(environ, "secret", "put", "fresh:KEY", stdin=b"x")[2]


def test_rotation_keeps_the_values(environ, call, tmp_path):
    call(environ, "secret", "put", FQN, stdin=VALUE)
    before = (tmp_path / "key").read_bytes()
    code, out, _ = call(environ, "rotate-key")
    assert (code, out.startswith(b"1 versions are now encrypted under the key ")) == (0, True)
    assert (tmp_path / "key").read_bytes() != before
    assert call(environ, "secret", "get", FQN)[1] == VALUE


WRONG = [
    pytest.param(("secret", "get", "DB_PASSWORD"), 1, "exactly three parts", id="one-part"),
    pytest.param(("secret", "get", "other:payments:DB_PASSWORD"), 1, "of the tenant 'acme'", id="another-tenant"),
    pytest.param(("secret", "get", "acme/embedded/main::/x"), 1, "only managed secrets", id="a-store-path"),
    pytest.param(("secret", "put", FQN + "?version=3"), 1, "without ?version= and #field", id="a-version-to-put"),
    pytest.param(("secret", "put", FQN), 1, "the value is empty", id="an-empty-value"),
    pytest.param(("secret", "put", FQN, "--file", "/nowhere"), 1, "cannot be read (No such file", id="no-such-file"),
    pytest.param(("secret", "list", "--embedded", "--broker", "https://x"), 2, "allowed: one of them", id="both-places"),
    pytest.param(("secret", "list", "--broker", "http://x", "--token-file", "/t"), 2, "allowed: an https URL", id="plain-http"),
    pytest.param(("secret", "list", "--broker", "https://x"), 2, "no token", id="no-token"),
    pytest.param(("check-store", "man"), 2, "there: main; did you mean main?", id="an-unknown-store"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), WRONG)
def test_what_is_wrong_is_said(environ, call, arguments, code, sentence):
    found, out, err = call(environ, *arguments)
    assert (found, out) == (code, b"")
    assert sentence in err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_no_place_at_all(call):
    code, _, err = call({}, "secret", "list")
    assert (code, err.startswith("error: no place to look for secrets; give --broker URL")) == (2, True)


def test_without_manifests_the_store_is_named(environ, call):
    del environ["TFY_SECRET_MANIFESTS"]
    assert "--store-fqn acme/embedded/default" in call(environ, "secret", "list")[2]
    assert call(environ, "secret", "put", FQN, "--store-fqn", "acme/embedded/main", stdin=b"x")[0] == 0
    assert call(environ, "secret", "list", "--store-fqn", "acme/embedded/other")[:2] == (0, b"")
    assert call(environ, "secret", "list", "--store-fqn", "acme/embedded/main")[:2] == (0, f"{FQN}\n".encode())


def test_two_embedded_stores_are_not_guessed_between(environ, call, tmp_path):
    (tmp_path / "manifests" / "second.yaml").write_text(yaml.safe_dump(store("second", "acme/embedded/second")))
    code, _, err = call(environ, "secret", "list")
    assert (code, "acme/embedded/main, acme/embedded/second" in err) == (2, True)


def test_a_crash_shows_no_message_and_no_traceback(environ, call, monkeypatch):
    async def crash(*_):
        raise RuntimeError("CANARY")

    monkeypatch.setattr("broker.commands.run_command", crash)
    code, _, err = call(environ, "secret", "list")
    assert code == 1
    assert "RuntimeError" in err
    assert "CANARY" not in err


def test_check_store_on_a_live_embedded_store(environ, call):
    code, out, err = call(environ, "check-store", "main")
    assert (code, err) == (0, "")
    assert b"main (embedded)" in out


async def in_thread(call, *arguments, **options):
    return await asyncio.to_thread(call, *arguments, **options)


@pytest.fixture
async def served(world, tmp_path, server_tls, authority):
    """The environment of a person who uses a broker."""
    (tmp_path / "tokens.csv").write_text(TOKENS)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    server = TestServer(world.app(StaticTokens(tmp_path / "tokens.csv")), scheme="https")
    await server.start_server(ssl=server_tls)
    yield {
        "TFY_SECRET_TENANT": "acme",
        "TFY_SECRET_BROKER_URL": str(server.make_url("")).rstrip("/"),
        "TFY_SECRET_BROKER_CA_FILE": str(tmp_path / "ca.crt"),
        "TFY_SECRET_TOKEN": "CANARY-token-admin",
    }
    await server.close()


async def test_everything_through_a_broker(served, call):
    name = "payments:NEVER_SET"
    assert (await in_thread(call, served, "secret", "put", name, stdin=VALUE))[0] == 0
    assert (await in_thread(call, served, "secret", "get", name))[1] == VALUE
    assert (await in_thread(call, served, "secret", "versions", name))[1] == b"1\t-\n"
    assert len((await in_thread(call, served, "secret", "list", "payments"))[1].split()) == 4
    assert (await in_thread(call, served, "secret", "delete", name))[0] == 0
    code, _, err = await in_thread(call, served, "secret", "get", name)
    assert (code, err.partition(". To fix")[0]) == (1, "error: group 'payments' lists no key 'NEVER_SET'")


async def test_a_broker_that_refuses(served, call):
    code, _, err = await in_thread(call, served | {"TFY_SECRET_TOKEN": "CANARY-token-eve"}, "secret", "get", FQN)
    assert (code, err.startswith("error: denied: ")) == (1, True)
    code, _, err = await in_thread(call, served | {"TFY_SECRET_TOKEN": "CANARY-wrong"}, "secret", "get", FQN)
    assert (code, err.startswith("error: the token is not accepted")) == (1, True)
    assert "CANARY" not in err


async def test_a_certificate_of_another_ca_is_not_accepted(served, call, tmp_path):
    import trustme

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.crt"))
    code, _, err = await in_thread(call, served, "secret", "list", "--ca-file", str(tmp_path / "other.crt"))
    assert code == 1
    assert "its certificate is not accepted" in err
    assert "--ca-file" in err


async def test_the_system_trust_is_not_added_to_the_given_ca(served, call):
    environ = {k: v for k, v in served.items() if k != "TFY_SECRET_BROKER_CA_FILE"}
    assert "its certificate is not accepted" in (await in_thread(call, environ, "secret", "list"))[2]
    code, _, err = await in_thread(call, served, "secret", "list", "--ca-file", "/nowhere")
    assert (code, err.startswith("error: --ca-file /nowhere: no CA certificate in PEM can be read")) == (2, True)


async def test_no_broker_there(served, call):
    code, _, err = await in_thread(call, served, "secret", "list", "--broker", "https://127.0.0.1:1")
    assert (code, err.startswith("error: the broker at https://127.0.0.1:1 cannot be reached: ")) == (1, True)


async def test_something_that_is_no_broker(served, call, server_tls, tmp_path):
    async def page(_):
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_get("/v1/secrets", page)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=server_tls)
    code, _, err = await in_thread(call, served, "secret", "list", "--broker", str(server.make_url("")).rstrip("/"))
    await server.close()
    assert (code, "is it a broker?" in err) == (1, True)


async def test_a_token_from_a_file(served, call, tmp_path):
    (tmp_path / "token").write_text("CANARY-token-admin\n")
    os.environ.pop("TFY_SECRET_TOKEN", None)
    environ = {k: v for k, v in served.items() if k != "TFY_SECRET_TOKEN"}
    assert (await in_thread(call, environ, "secret", "list", "--token-file", str(tmp_path / "token")))[0] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FQN, FQN),
        ("acme:payments:DB_PASSWORD", FQN),
        ("payments:DB_PASSWORD", FQN),
        ("payments:DB_PASSWORD?version=a%3Ab#x:y", FQN + "?version=a:b#x:y"),
    ],
)
def test_names_as_people_type_them(text, expected):
    assert str(read_name(text, "acme")[0]) == expected


def test_a_short_name_without_a_tenant():
    with pytest.raises(InvalidRequest, match="set TFY_SECRET_TENANT"):
        read_name("payments:DB_PASSWORD", None)
