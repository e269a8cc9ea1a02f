"""`secret put|get|list|versions|delete`: what each command reads, asks and prints; not where the secrets are.

A value comes from standard input, a file, or a prompt that does not echo: never from the command line, which other users of
the machine can see. It goes to a pipe or a file; to a terminal only when asked for.
"""

import getpass
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Protocol

from broker.errors import InvalidRequest, TooLarge, Unavailable
from broker.names import read_name
from contract import wire
from contract.fqn import Fqn
from contract.values import SecretValue


class Secrets(Protocol):
    """Managed secrets, wherever they are kept. Raises BrokerErrors."""

    async def put(self, fqn: Fqn, value: SecretValue) -> str: ...
    async def get(self, fqn: Fqn) -> SecretValue: ...
    async def names(self, group: str | None) -> list[str]: ...
    async def versions(self, fqn: Fqn) -> list[tuple[str, str | None]]: ...
    async def delete(self, fqn: Fqn, version: str | None) -> None: ...


async def run_command(secrets: Secrets, arguments: Namespace, tenant: str | None) -> None:
    match arguments.action:
        case "put":
            await _put(secrets, _plain_name(arguments.fqn, tenant), arguments.file, allow_empty=arguments.allow_empty)
        case "get":
            await _get(secrets, read_name(arguments.fqn, tenant)[0], show=arguments.show)
        case "list":
            for name in await secrets.names(arguments.group):
                _say(name)
        case "versions":
            for version, created in await secrets.versions(_plain_name(arguments.fqn, tenant)):
                _say(f"{version}\t{created or '-'}")
        case "delete":
            fqn = _plain_name(arguments.fqn, tenant)
            await secrets.delete(fqn, arguments.version)
            _say(f"deleted {fqn}" + (f" version {arguments.version}" if arguments.version else " with all its versions"))


async def _put(secrets: Secrets, fqn: Fqn, file: Path | None, *, allow_empty: bool) -> None:
    value = _read_value(str(fqn), file)
    if not len(value) and not allow_empty:  # what a command that failed leaves in a pipe
        raise InvalidRequest(
            "the value is empty. To fix: give it on standard input or with --file; if it is to be empty, say so with --allow-empty; "
            "to remove a secret, use delete"
        )
    version = await secrets.put(fqn, value)
    _say(f"{fqn} version {version} ({len(value)} bytes)")


async def _get(secrets: Secrets, fqn: Fqn, *, show: bool) -> None:
    terminal = sys.stdout.isatty()
    if terminal and not show:
        raise InvalidRequest("the value would be shown on this terminal. To fix: send it to a pipe or a file, or give --show")
    value = await secrets.get(fqn)
    _write(value.reveal())
    if terminal:
        _write(b"\n")


def _plain_name(text: str, tenant: str | None) -> Fqn:
    fqn, secret = read_name(text, tenant)
    if fqn.version is not None or fqn.field is not None:
        raise InvalidRequest(f"{fqn}: write the name without ?version= and #field here: {secret}")
    return fqn


def _read_value(name: str, file: Path | None) -> SecretValue:
    """The bytes as they are: no newline is added or taken away."""
    if file is not None:
        try:
            with file.open("rb") as opened:
                return _bounded(opened.read(wire.MAX_VALUE_BYTES + 1))
        except OSError as error:
            raise InvalidRequest(f"--file {file}: cannot be read ({error.strerror})") from None
    if sys.stdin.isatty():
        return _bounded(getpass.getpass(f"Value of {name} (one line, not shown): ").encode("utf-8", "surrogateescape"))
    value = _bounded(sys.stdin.buffer.read(wire.MAX_VALUE_BYTES + 1))
    if value.reveal().endswith(b"\n"):
        sys.stderr.write("note: the value ends with a newline, which is kept; `printf %s` writes none\n")
    return value


def _bounded(content: bytes) -> SecretValue:
    if len(content) > wire.MAX_VALUE_BYTES:
        raise TooLarge(f"the value is larger than {wire.MAX_VALUE_BYTES} bytes")
    return SecretValue(content)


def _say(line: str) -> None:
    _write(f"{line}\n".encode())


def _write(content: bytes) -> None:
    """At once, so that what cannot be written is told here. Raises BrokenPipeError (the reader has enough), Unavailable."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        # As Python's documentation has it: the rest goes nowhere, or the interpreter would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        reason = error.strerror
    else:
        return
    raise Unavailable(f"standard output: {reason}")  # outside the handler, which holds the content
