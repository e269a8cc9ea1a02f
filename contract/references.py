"""Find references in a string: the whole value, `${<fqn>}` inside it, or a bare `tfy-secret://...` inside it.

value                               | result
----------------------------------- | ------------------------------------------------------------
no name in it                       | None: it is not ours and is never touched
`tfy-secret://t:g:k`                | one reference
`<configured store>::<path>`        | one reference, as a whole value or inside `${...}` only
`a ${tfy-secret://t:g:k} b`         | text, reference, text
`Bearer tfy-secret://t:g:k`         | text, reference
`tfy-secret://t:g:k#a/b`            | one reference: what can be read as one name is one name
`tfy-secret://t:g` or anything else | FqnError: what holds the scheme and does not parse is refused
`${<configured store>::` unclosed   | the same

Linear in the length of the value: each pattern reads a character a bounded number of times.
"""

import re
from collections.abc import Container

from contract.fqn import MAX_LENGTH, SCHEME, Fqn, FqnError, ManagedSecret, parse_fqn
from contract.record import record

_PART = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_PLAIN = re.compile(rf"{SCHEME}{_PART}:{_PART}:{_PART}")  # what nearly every reference is: one pattern, a quarter of the parser's time
_CANDIDATE = re.compile(r"\$\{([^{}]*)(\}?)|tfy-secret://")
# A bare name ends where its alphabet ends; what is ambiguous (a fourth part, an unknown parameter, one after the field) is then
# refused by the parser.
_BARE = re.compile(r"tfy-secret://[A-Za-z0-9._:-]*(?:\?[A-Za-z0-9._=&%-]*)?(?:#[A-Za-z0-9._%-]*(?:[?#][A-Za-z0-9._=&%?#-]*)?)?")
_NO_TEXT = ("", "")
_STORE_FQN = re.compile(
    r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*){2}|[A-Za-z0-9][\w.-]*(?::[A-Za-z0-9][\w.-]*){2}:secret-store:[A-Za-z0-9][\w.-]*", re.ASCII
)
STORE_FQN_FORM = "<tenant>/<provider>/<name> or <tenant>:<provider>:<account>:secret-store:<name>"
_BARE_HINT = "; inside longer text write the name as ${tfy-secret://...}"


@record
class Template:
    """A string with references in it, as alternating parts: text, Fqn, text, Fqn, ..., text. Texts may be empty."""

    texts: tuple[str, ...]
    fqns: tuple[Fqn, ...]

    @property
    def whole(self) -> bool:
        """Whether the string is one reference and nothing else."""
        return self.texts == _NO_TEXT

    @property
    def parts(self) -> tuple[str, ...]:
        """Text, FQN, text, ..., text, as a plan has it."""
        if self.texts == _NO_TEXT:
            return ("", str(self.fqns[0]), "")
        parts = [self.texts[0]]
        for fqn, text in zip(self.fqns, self.texts[1:], strict=True):
            parts += (str(fqn), text)
        return tuple(parts)


def find_references(value: str, stores: Container[str]) -> Template | None:
    """Parse a value. None: it holds no reference. Raises FqnError for one that holds the scheme and does not parse."""
    if SCHEME not in value and "::" not in value:
        return None
    plain = _PLAIN.fullmatch(value) if len(value) <= MAX_LENGTH else None
    if plain is not None:
        return Template(_NO_TEXT, (Fqn(ManagedSecret(*plain.groups())),))
    store, separator, _ = value.partition("::")
    if separator and store in stores:
        if SCHEME in value:
            raise FqnError(value, "one reference as the whole value", "write each name as ${...}, with the text around it")
        return Template(_NO_TEXT, (parse_fqn(value),))
    found = locate(value, stores)
    if not found:
        return None
    ends = (0, *(end for _, end, _ in found))
    starts = (*(start for start, _, _ in found), len(value))
    return Template(tuple([value[end:start] for end, start in zip(ends, starts, strict=True)]), tuple([fqn for _, _, fqn in found]))


def _whole_name(value: str) -> Fqn | None:
    """The value as one managed name, where it is one: a field or version may have characters at which a bare name would end."""
    if len(value) > MAX_LENGTH or not value.startswith(SCHEME) or value.count(SCHEME) > 1 or "$(" in value or "${" in value:
        return None
    try:
        return parse_fqn(value)
    except FqnError:
        return None  # text may follow a bare name; if not, the reason is found there


def locate(text: str, stores: Container[str]) -> list[tuple[int, int, Fqn]]:
    """Every reference inside a text, with the indexes where it begins and ends. Raises FqnError, whose `at` says where."""
    whole = _whole_name(text)
    if whole is not None:
        return [(0, len(text), whole)]
    found: list[tuple[int, int, Fqn]] = []
    position = 0
    while (match := _CANDIDATE.search(text, position)) is not None:
        try:
            reference = _reference_at(text, match, stores)
        except FqnError as error:
            error.at = match.start()
            raise
        if reference is None:
            position = match.start() + 2  # `${` of something else; a bare name may still stand inside it
            continue
        fqn, position = reference
        found.append((match.start(), position, fqn))
    return found


class AnyStore:
    """Whatever is spelled as a store's FQN, for a place that does not know which stores are configured: the broker does."""

    def __contains__(self, store: object) -> bool:
        return isinstance(store, str) and is_store_fqn(store)


def is_store_fqn(text: str) -> bool:
    return _STORE_FQN.fullmatch(text) is not None


def _reference_at(value: str, match: "re.Match[str]", stores: Container[str]) -> "tuple[Fqn, int] | None":
    inner = match.group(1)
    if inner is not None:
        if not inner.startswith(SCHEME) and ("::" not in inner or inner.partition("::")[0] not in stores):
            return None
        if not match.group(2):
            raise FqnError(value[match.start() :], "${<fqn>}, closed by '}'", "close the brace; write '{' and '}' in a name as %7B and %7D")
        return parse_fqn(inner), match.end()
    bare = _BARE.match(value, match.start())
    assert bare is not None  # noqa: S101 - the pattern begins with what was just found
    try:
        return parse_fqn(bare.group()), bare.end()
    except FqnError as error:
        if bare.group() == value:
            raise
        raise FqnError(error.found, error.allowed, error.fix + ("" if "${" in error.fix else _BARE_HINT)) from None


def looks_like_store_path(value: str, tenant: str) -> str | None:
    """The left side of a `::` value that has a store FQN's shape under our tenant; for a warning about an unknown store."""
    store, separator, path = value.partition("::")
    if separator and path and re.fullmatch(rf"{re.escape(tenant)}(?:/[\w.-]+){{2}}|{re.escape(tenant)}(?::[\w.-]+){{4}}", store):
        return store
    return None
