"""The command line: `serve`, `check-store`, `secret`, `rotate-key`.

Decides from flags and environment where secrets are looked for: a broker's API, or the embedded store on this machine. Exit
codes: 0 done, 1 not done (the message says why), 2 the command or its settings are wrong. People never see a traceback.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.errors import BrokerError, Misconfigured
from broker.settings import BROKER_CA_FILE_ENV, BROKER_URL_ENV, EMBEDDED_DB, EMBEDDED_KEY_FILE, TOKEN_ENV
from service.settings import MANIFESTS, TENANT, SettingsError, url

NAME_HELP = "tfy-secret://<tenant>:<group>:<key>, or <tenant>:<group>:<key>, or <group>:<key> with TFY_SECRET_TENANT"


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code; argparse leaves by itself with 2."""
    parser = _parser()
    arguments, surplus = parser.parse_known_args(argv)
    if surplus:
        # argparse would repeat them, and what stands there by mistake is a value, in a pipeline's log perhaps.
        parser.error(
            "too many arguments; they are not shown, since one may be a value: `secret put` reads a value from standard input or --file"
        )
    try:
        return int(arguments.run(arguments, environ))
    except SettingsError as error:
        return _say_errors(error.faults, 2)
    except BrokerError as error:
        return _say_errors([error.message], 2 if isinstance(error, Misconfigured) else 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - a message may hold a value; the type and place do not
        from service.logs import describe

        found = describe(error)
        return _say_errors([f"unexpected {found['error']} at {found['at']}; please report this"], 1)


def _say_errors(sentences: Sequence[str], code: int) -> int:
    sys.stderr.write("".join(f"error: {sentence}\n" for sentence in sentences))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m broker", description="The broker of tfy-secret-injector.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve secrets; settings come from the environment")
    serve.set_defaults(run=_serve)
    check = commands.add_parser(
        "check-store", help="check a secret store against its contract, with secrets of its own that are deleted again"
    )
    check.add_argument("name", help="metadata.name of the SecretStore")
    check.set_defaults(run=_check_store)
    rotate = commands.add_parser("rotate-key", help="give the embedded store a new key and encrypt everything under it")
    rotate.set_defaults(run=_rotate_key)
    _add_secret(commands.add_parser("secret", help="put, get, list, delete managed secrets", allow_abbrev=False))
    return parser


def _add_secret(parser: argparse.ArgumentParser) -> None:
    where = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    where.add_argument("--broker", metavar="URL", help=f"the broker's https URL (default: {BROKER_URL_ENV})")
    where.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help=f"the CA that the broker's certificate is verified with, alone (default: {BROKER_CA_FILE_ENV})",
    )
    where.add_argument("--token-file", type=Path, metavar="FILE", help=f"your bearer token (default: the variable {TOKEN_ENV})")
    where.add_argument("--embedded", action="store_true", help=f"use the embedded store in {EMBEDDED_DB.name} directly, without a broker")
    where.add_argument("--store-fqn", metavar="FQN", help="with --embedded: spec.fqn of the SecretStore that is meant")
    parser.set_defaults(run=_secret)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    put = actions.add_parser("put", parents=[where], help="store a new version, from standard input or a file", allow_abbrev=False)
    put.add_argument("fqn", help=NAME_HELP)
    put.add_argument("--file", type=Path, help="read the value from this file, byte for byte")
    put.add_argument("--allow-empty", action="store_true", help="store an empty value, too; without, an empty pipe or file is refused")
    get = actions.add_parser("get", parents=[where], help="write a value to a pipe or a file", allow_abbrev=False)
    get.add_argument("fqn", help=NAME_HELP + "; ?version= and #field may follow")
    get.add_argument("--show", action="store_true", help="also on a terminal")
    listed = actions.add_parser("list", parents=[where], help="names, never values", allow_abbrev=False)
    listed.add_argument("group", nargs="?", help="of this group alone")
    versions = actions.add_parser("versions", parents=[where], help="a secret's versions, oldest first", allow_abbrev=False)
    versions.add_argument("fqn", help=NAME_HELP)
    delete = actions.add_parser("delete", parents=[where], help="delete a secret, or one version of it", allow_abbrev=False)
    delete.add_argument("fqn", help=NAME_HELP)
    delete.add_argument("--version", help="this version alone")


def _serve(_arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from broker import serve
    from service.server import run as run_server

    return run_server(lambda: serve.main(environ))


def _secret(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from broker.commands import run_command

    async def command() -> None:
        async with await _secrets(arguments, environ) as secrets:
            await run_command(secrets, arguments, environ.get(TENANT.name) or None)

    asyncio.run(command())
    return 0


async def _secrets(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    """A broker where one is named, else the embedded store where there is one."""
    broker = arguments.broker or environ.get(BROKER_URL_ENV)
    if arguments.embedded and arguments.broker:
        raise SettingsError(["--embedded and --broker: allowed: one of them"])
    if arguments.embedded or (not broker and environ.get(EMBEDDED_DB.name)):
        return await _embedded(arguments, environ)
    if not broker:
        raise SettingsError(
            [f"no place to look for secrets; give --broker URL (or {BROKER_URL_ENV}), or --embedded with {EMBEDDED_DB.name}"]
        )
    return _api(broker, arguments, environ)


def _api(broker: str, arguments: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    from broker.client import ApiSecrets

    try:
        base = url(broker)
    except ValueError as error:
        raise SettingsError([f"--broker: found '{broker}'; {error}"]) from None
    ca_file = arguments.ca_file or (Path(environ[BROKER_CA_FILE_ENV]) if environ.get(BROKER_CA_FILE_ENV) else None)
    return ApiSecrets(base, ca_file, _token(arguments.token_file, environ))


def _token(file: Path | None, environ: Mapping[str, str]) -> str:
    token = environ.get(TOKEN_ENV, "")
    if file is not None:
        try:
            token = file.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise SettingsError([f"--token-file {file}: cannot be read ({type(error).__name__})"]) from None
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(["the token holds characters that a bearer token cannot have"])
    if not token:
        raise SettingsError([f"no token; give --token-file FILE or {TOKEN_ENV}, e.g. from `kubectl create token`"])
    return token


async def _embedded(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    from broker.direct import EmbeddedSecrets, choose_store
    from broker.lookup import find_catalog
    from broker.stores.embedded import Embedded

    db, key_file = _embedded_files(environ)
    tenant = _needed(TENANT.name, environ)
    catalog = None if arguments.store_fqn and not environ.get(MANIFESTS.name) else await find_catalog(tenant, environ)
    store = choose_store(arguments.store_fqn, catalog)
    return EmbeddedSecrets(Embedded.open(db, key_file, store), tenant, catalog)


def _embedded_files(environ: Mapping[str, str]) -> tuple[Path, Path]:
    return Path(_needed(EMBEDDED_DB.name, environ)), Path(_needed(EMBEDDED_KEY_FILE.name, environ))


def _needed(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        raise SettingsError([f"{name}: found nothing; it must be given"])
    return value


def _rotate_key(_arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from broker.stores.rotation import rotate_key

    rotated = rotate_key(*_embedded_files(environ))
    sys.stdout.write(f"{rotated.versions} versions are now encrypted under the key {rotated.key_name}; back the key file up\n")
    return 0


def _check_store(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from broker.check_store import run_check
    from broker.lookup import find_store, store_settings

    return asyncio.run(run_check(find_store(arguments.name, environ), store_settings(environ), sys.stdout))
