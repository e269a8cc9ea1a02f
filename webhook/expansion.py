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
from collections.abc import Callable, Container, Iterable, Iterator

from contract.keys import PLACEHOLDER
from contract.fqn import SCHEME, Fqn
from contract.references import Template

# `B=$(A)$(A)`, `C=$(B)$(B)` and so on would grow without end. The kernel takes variables of 128 KiB, and gives arguments and
# environment together a quarter of the stack's limit, which is 8 MiB by default.
MAX_LENGTH = 128 * 1024  # characters of one variable
MAX_TOTAL = 2 * 1024 * 1024  # characters of one container's variables that hold `$`
FQN_LENGTH = len(SCHEME) + len("t:g:k")  # what a reference counts at least
_TOO_LONG = "what it stands for is longer than the kernel takes (128 KiB a variable, 2 MiB a container)"
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
        self._left = MAX_TOTAL

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
        """Text, FQN, text, ..., text. Pieces are joined, so that what was expanded is no longer than its text and its names."""
        if isinstance(value, str) and "$" not in value:
            return (value,)
        parts: list[str | Fqn] = []
        text: list[str] = []
        length = 0
        for piece in self._pieces(value):
            size = len(piece) if isinstance(piece, str) else FQN_LENGTH
            length += size
            self._left -= size
            if length > MAX_LENGTH or self._left < 0:
                raise UnknownVariable("...", _TOO_LONG)
            if isinstance(piece, str):
                text.append(piece)
            else:
                parts += ("".join(text), piece)
                text = []
        return (*parts, "".join(text))

    def _pieces(self, value: str | Template) -> Iterator[str | Fqn]:
        for part in _parts(value):
            if isinstance(part, str):
                yield from expand(part, self._lookup)
            else:
                yield part

    def _lookup(self, name: str) -> Iterable[str | Fqn]:
        if name in self._known:
            parts = self._known[name]
            if parts is None:
                raise UnknownVariable(name, "its value is not known at admission")
            return parts
        # The kubelet makes those of the Service `kubernetes` whatever enableServiceLinks says.
        if (self._service_links or name.startswith("KUBERNETES_")) and _SERVICE_VARIABLE.fullmatch(name):
            raise UnknownVariable(name, "it may be a variable that the kubelet makes for a Service")
        return (f"$({name})",)


def expand(text: str, lookup: Callable[[str], Iterable[str | Fqn]]) -> Iterator[str | Fqn]:
    """Expand one text as the kubelet does (third_party/forked/golang/expansion)."""
    for piece, name in tokens(text):
        if name is not None:
            yield from lookup(name)
        else:
            yield "$" if piece == "$$" else piece


def marked(text: str, names: Container[str]) -> str:
    """The text with a mark for the launcher in place of `$(NAME)`, for these names; the kubelet turns `$$` into `$`.

    Everything else stays as it is written, for the kubelet to expand; a mark stays a mark.
    """
    return "".join(f"$$({PLACEHOLDER}{name})" if name in names else piece for piece, name in tokens(text))


def names_in(text: str) -> set[str]:
    """The names that `$(NAME)` asks for."""
    return {name for _, name in tokens(text) if name is not None}


def tokens(text: str) -> Iterator[tuple[str, str | None]]:
    """Text as it is written, piece by piece, and the name where a piece is `$(NAME)`. Linear in its length."""
    position, closable = 0, True
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        yield text[position:dollar], None
        following = text[dollar + 1]
        closer = text.find(")", dollar + 2) if following == "(" and closable else -1
        if closer >= 0:
            position = closer + 1
            yield text[dollar:position], text[dollar + 2 : closer]
            continue
        closable = closable and following != "("  # no `)` from here on: do not look again
        position = dollar + 2
        yield text[dollar:position], None
    yield text[position:], None


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
