"""The grammar of a secret's fully qualified name (FQN): the one parser that all parts use.

    tfy-secret://<tenant>:<group>:<key>      a managed secret: a key of a secret group
    <store-fqn>::<path>                      a path of the team's own secret manager, split at the first `::`

Both take, in this order, `?version=V`, `?optional=true` (joined with `&`) and `#field`. A literal `?`, `#` or `%` in a path
is percent-encoded. What is *inside longer text* is decided by `references`; who may read it, by `access`.

The init container imports this at every pod start, so there are no patterns to compile here and no `urllib` to load: 3 ms.
"""

from contract.record import record

SCHEME = "tfy-secret://"
ROOT = "tfy-secret"  # the fixed first folder of managed keys in every store
MAX_LENGTH = 4096  # characters; the longest names of any supported store (an SSM ARN) stay below 2,200

MANAGED_FORM = f"{SCHEME}<tenant>:<group>:<key>"
STORE_FORM = "<store-fqn>::<path>"
QUALIFIERS_FORM = "?version=V, ?optional=true (joined with &), then #field"
PART_RULE = "letters, digits, '.', '_' and '-', with a letter or digit at both ends"

_PUNCTUATION = str.maketrans("", "", "._-")
_HEX = frozenset("0123456789abcdefABCDEF")


class FqnError(ValueError):
    """Text that should be an FQN and is not. `found`, `allowed` and `fix` are the three parts of its message."""

    at = 0  # where in a longer text it stands, if `references.locate` found it there

    def __init__(self, found: str, allowed: str, fix: str) -> None:
        self.found, self.allowed, self.fix = shorten(found), allowed, fix
        super().__init__(f"found '{self.found}'; allowed: {allowed}.\nTo fix: {fix}.")


@record
class ManagedSecret:
    """A key of a secret group. It lives in its group's store at `path`."""

    tenant: str
    group: str
    key: str

    @property
    def path(self) -> str:
        return f"/{ROOT}/{self.tenant}/{self.group}/{self.key}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.tenant}:{self.group}:{self.key}"


@record
class StoreSecret:
    """A path of a store that the platform team runs; `path` is decoded and verbatim."""

    store: str
    path: str

    def __str__(self) -> str:
        return f"{self.store}::{_encode(self.path)}"


@record
class Fqn:
    """A parsed name: which secret, which version of it (None: the newest), which field, and whether it may be missing."""

    secret: ManagedSecret | StoreSecret
    version: str | None = None
    optional: bool = False
    field: str | None = None

    def __str__(self) -> str:
        """The canonical spelling: parsing it gives an equal Fqn."""
        if self.version is None and self.field is None and not self.optional:
            return str(self.secret)
        parameters = [] if self.version is None else [f"version={_encode(self.version, also='& ')}"]
        if self.optional:
            parameters.append("optional=true")
        query = f"?{'&'.join(parameters)}" if parameters else ""
        field = "" if self.field is None else f"#{_encode(self.field, also=' ')}"
        return f"{self.secret}{query}{field}"

    @property
    def required(self) -> "Fqn":
        """The same name without `optional`: what the broker is asked for."""
        return Fqn(self.secret, self.version, False, self.field) if self.optional else self


def parse_fqn(text: str, stores: "frozenset[str] | set[str] | dict[str, object] | None" = None) -> Fqn:
    """Parse one whole FQN.

    `stores` are the FQNs of the configured stores; None takes any left side of `::`, which is right for a name that has been
    checked before (the init container, a broker's request). Raises FqnError. Linear in the length of the text.
    """
    # A literal brace takes two characters more in the canonical spelling, which must be a name itself.
    if len(text) + 2 * (text.count("{") + text.count("}")) > MAX_LENGTH:
        raise FqnError(text, f"at most {MAX_LENGTH} characters", "shorten the name")
    if not _is_utf8(text):
        raise FqnError(text, "text in UTF-8", "remove the lone halves of surrogate pairs")
    if text.startswith(SCHEME):
        return _parse_managed(text)
    store, separator, rest = text.partition("::")
    if not separator or not store:
        raise FqnError(text, f"{MANAGED_FORM} or {STORE_FORM}", f"write e.g. {SCHEME}acme:payments:DB_PASSWORD")
    if stores is not None and store not in stores:
        raise FqnError(text, "a configured store's FQN before '::'", "use the FQN of a SecretStore (kubectl get secretstores)")
    path, version, optional, field = _qualifiers(text, rest)
    return Fqn(StoreSecret(store, _checked_path(text, _decode(text, path, "path"))), version, optional, field)


def is_part(text: str) -> bool:
    """Whether the text can be a tenant, a group's name or a key."""
    return text.isascii() and text[:1].isalnum() and text[-1:].isalnum() and text.translate(_PUNCTUATION).isalnum()


def shorten(text: str, limit: int = 120) -> str:
    """The text as a message may show it: on one line, not endless."""
    line = "".join("\N{REPLACEMENT CHARACTER}" if _unprintable(character) else character for character in text[: limit + 1])
    return line if len(text) <= limit else f"{line[:limit]}..."


def _parse_managed(text: str) -> Fqn:
    name, version, optional, field = _qualifiers(text, text[len(SCHEME) :])
    parts = name.split(":")
    if len(parts) != 3:
        raise FqnError(text, f"{MANAGED_FORM}, exactly three parts", _count_fix(text, len(parts)))
    for part, what in zip(parts, ("tenant", "group", "key"), strict=True):
        if not is_part(part):
            fix = f"name the {what}" if not part else f"correct the {what} '{shorten(part, 60)}'"
            raise FqnError(text, f"{MANAGED_FORM}, each part of {PART_RULE}", fix)
    return Fqn(ManagedSecret(*parts), version, optional, field)


def _count_fix(text: str, count: int) -> str:
    if count == 2:
        return f"add the key's name, e.g. {shorten(text.partition('?')[0].partition('#')[0], 80)}:DB_PASSWORD"
    if count == 1:
        return f"name the group and the key, e.g. {shorten(text.partition('?')[0].partition('#')[0], 80)}:payments:DB_PASSWORD"
    return f"remove {count - 3} of the {count} parts, or, if text follows the name, write the name as ${{{SCHEME}...}}"


def _qualifiers(text: str, rest: str) -> "tuple[str, str | None, bool, str | None]":
    """Split `name?version=V&optional=true#field`; the name is returned as it stands."""
    rest, hash_sign, field = rest.partition("#")
    name, question_mark, query = rest.partition("?")
    version, optional = _parameters(text, query) if question_mark else (None, False)
    if hash_sign and not field:
        raise FqnError(text, "a field's name after '#'", "name the field, or remove the '#'")
    if "?" in field:
        raise FqnError(text, QUALIFIERS_FORM, "write the parameters before '#', or a literal '?' in the field's name as %3F")
    if "#" in field or _blank_or_control(field):
        raise FqnError(text, "one field, its blanks and '#' percent-encoded", "write a blank as %20 and '#' as %23")
    return name, version, optional, _decode(text, field, "field") if field else None


def _parameters(text: str, query: str) -> "tuple[str | None, bool]":
    version, optional = None, False
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name == "version" and version is None and not optional and value and not _blank_or_control(value) and "?" not in value:
            version = _decode(text, value, "version")
        elif parameter == "optional=true" and not optional:
            optional = True
        else:
            raise FqnError(text, QUALIFIERS_FORM, _parameter_fix(name, value, optional))
    return version, optional


def _parameter_fix(name: str, value: str, after_optional: bool) -> str:
    if name == "version" and not value:
        return "give the version, e.g. ?version=3"
    if name == "version":
        return "write version once, before optional, without blanks" if after_optional else "write version once, without blanks or '?'"
    if name == "optional":
        return "write optional=true once, or leave it out"
    if not name:
        return "give a parameter after '?', or percent-encode a literal '?' as %3F"
    return f"remove the unknown parameter '{shorten(name, 40)}', or percent-encode a literal '?' as %3F"


def _decode(text: str, part: str, what: str) -> str:
    if "%" not in part:
        decoded = part
    elif not all(_HEX.issuperset(digits[:2]) and len(digits) > 1 for digits in part.split("%")[1:]):
        raise FqnError(text, f"'%' and two hexadecimal digits in the {what}", "write a literal '%' as %25")
    else:
        from urllib.parse import unquote_to_bytes

        try:
            decoded = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            raise FqnError(text, f"UTF-8 in the percent-encoded {what}", f"encode the {what} as UTF-8") from None
    if _control(decoded):
        raise FqnError(text, f"no control characters in the {what}", "remove them")
    return decoded


def _checked_path(text: str, path: str) -> str:
    if not path.strip("/"):
        raise FqnError(text, STORE_FORM, "name the secret's path after '::'")
    # A store that resolves `..` would read a path that the access rules have not looked at.
    if any(segment in (".", "..") for segment in path.split("/")):
        raise FqnError(text, "a path without '.' and '..' segments", "write the path that is meant")
    return path


def _encode(text: str, also: str = "") -> str:
    # `{` and `}` too, so that a canonical name can stand inside ${...}.
    for character in "%?#{}" + also:
        if character in text:
            text = text.replace(character, f"%{ord(character):02X}")
    return text


def _is_utf8(text: str) -> bool:
    """JSON can hold halves of surrogate pairs, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unprintable(character: str) -> bool:
    return _control(character) or not _is_utf8(character)


def _control(text: str) -> bool:
    return bool(text) and (min(text) < " " or "\x7f" in text)


def _blank_or_control(text: str) -> bool:
    return bool(text) and (min(text) <= " " or "\x7f" in text)
