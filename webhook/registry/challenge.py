"""The WWW-Authenticate header: which schemes a registry takes, with their parameters (RFC 9110, section 11)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PART = re.compile(r'[\s,]*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w-]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` in lower case; the names of parameters too."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """In the order of the headers; what cannot be read ends the header that it is in."""
    found: list[Challenge] = []
    for header in headers:
        position = 0
        while part := _PART.match(header, position):
            name, quoted, plain, scheme = part.groups()
            if scheme is not None:
                found.append(Challenge(scheme.lower(), {}))
            elif found:
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found[-1].parameters.setdefault(name.lower(), value)
            position = part.end()
    return found
