"""Request headers whose values are in files: a store's static credentials. Read again when a file changes, so rotation needs no restart.

Decides what a header may be called; what its file may hold is `credential_file`'s.
"""

import re
from collections.abc import Mapping

from broker.errors import Misconfigured
from broker.stores.credential_file import CredentialFile
from contract.fqn import shorten
from contract.values import SecretValue

# The ones that the client itself sets, or that say how the connection is used.
RESERVED = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_FIX = "put the header's value there, on one line"


class HeaderFiles:
    """Headers by name, each from a file. `current` raises Misconfigured if a file cannot be used now."""

    def __init__(self, place: str, files: Mapping[str, str]) -> None:
        _check_names(place, files)
        self._files = {name: CredentialFile(f"{place}: headerFiles.{name}", file, _FIX) for name, file in files.items()}

    def __bool__(self) -> bool:
        return bool(self._files)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def current(self) -> dict[str, SecretValue]:
        return {name: file.current() for name, file in self._files.items()}


def _check_names(place: str, names: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name):
            raise Misconfigured(f"{place}: headerFiles: found the name '{shorten(name, 40)}'; allowed: a header's name, e.g. X-Api-Key")
        if name.lower() in RESERVED:
            raise Misconfigured(f"{place}: headerFiles.{name}: the client sets this header itself. To fix: remove it")
        if name.lower() in seen:
            raise Misconfigured(f"{place}: headerFiles.{name}: given twice, in different case. To fix: remove one of the two")
        seen.add(name.lower())
