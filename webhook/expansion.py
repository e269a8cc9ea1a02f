"""The kubelet's `$(VAR)` rules, for a value that holds a reference beside `$(VAR)`.

The kubelet expands `value` and not what it reads from a file. Once a value is delivered by file, the expansion has to be done
before; names that are known at admission are put in, one that is not (it comes from `valueFrom`, or may be a Service's) is a
problem, since the app would otherwise find a name where a value belongs.

in the text               | becomes
------------------------- | -----------------------------------------------------
`$(X)`, X an earlier value | X's value, with X's own references
`$(X)`, X from valueFrom   | UnknownVariable
`$(X)`, X not declared     | `$(X)`, as the kubelet leaves it
`$$`                       | `$`
`$` before anything else   | itself
"""

import re
from collections.abc import Callable, Iterable, Iterator

from contract.fqn import Fqn
from contract.references import Template

MAX_LENGTH = 128 * 1024  # characters; the kernel takes no longer variable, and doubling `$(A)$(A)` would grow without end
_SERVICE_VARIABLE = re.compile(
    r"[A-Z][A-Z0-9_]*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)"
)

Parts = tuple[str | Fqn, ...]


class UnknownVariable(Exception):
    """`$(name)` beside a reference cannot be resolved at admission; `why` says where its value comes from."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(name)


class Environment:
    """The variables of one container that stand before the one in question. None: its value is not known at admission."""

    def __init__(self, service_links: bool) -> None:
        self._known: dict[str, Parts | None] = {}
        self._service_links = service_links

    def declare(self, name: str, value: str | Template | None) -> None:
        """Add the next variable in order. None: it comes from `valueFrom`."""
        if value is None:
            self._known[name] = None
            return
        try:
            self._known[name] = self._expand(value)
        except UnknownVariable:
            self._known[name] = None

    def resolve(self, template: Template) -> Template:
        """The template with all `$(VAR)` put in. Raises UnknownVariable."""
        return _template(self._expand(template))

    def _expand(self, value: str | Template) -> Parts:
        parts: list[str | Fqn] = []
        length = 0
        for part in _parts(value):
            for piece in expand(part, self._lookup) if isinstance(part, str) else (part,):
                parts.append(piece)
                length += len(piece) if isinstance(piece, str) else 1
                if length > MAX_LENGTH:
                    raise UnknownVariable("", "the expanded value is longer than the kernel takes (128 KiB)")
        return tuple(parts)

    def _lookup(self, name: str) -> Iterable[str | Fqn]:
        if name in self._known:
            parts = self._known[name]
            if parts is None:
                raise UnknownVariable(name, "its value is not known at admission")
            return parts
        if self._service_links and _SERVICE_VARIABLE.fullmatch(name):
            raise UnknownVariable(name, "it may be a variable that the kubelet makes for a Service")
        return (f"$({name})",)


def expand(text: str, lookup: Callable[[str], Iterable[str | Fqn]]) -> Iterator[str | Fqn]:
    """Expand one text as the kubelet does (third_party/forked/golang/expansion); linear in its length."""
    position, closable = 0, True
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        yield text[position:dollar]
        following = text[dollar + 1]
        closer = text.find(")", dollar + 2) if following == "(" and closable else -1
        if closer >= 0:
            yield from lookup(text[dollar + 2 : closer])
            position = closer + 1
            continue
        closable = closable and following != "("  # no `)` from here on: do not look again
        yield "$" if following == "$" else "$" + following
        position = dollar + 2
    yield text[position:]


def _parts(value: str | Template) -> Iterator[str | Fqn]:
    if isinstance(value, str):
        yield value
        return
    for text, fqn in zip(value.texts, value.fqns, strict=False):
        yield text
        yield fqn
    yield value.texts[-1]


def _template(parts: Parts) -> Template:
    texts, fqns = [""], []
    for part in parts:
        if isinstance(part, str):
            texts[-1] += part
        else:
            fqns.append(part)
            texts.append("")
    return Template(tuple(texts), tuple(fqns))
