"""`#field`: one field of a value that is a JSON object, exactly.

field in the JSON          | result
-------------------------- | ---------------------------------------------
a string                   | its text, UTF-8
a number, true, an object  | its source text, to the byte: 1.50 stays 1.50
null, or not there         | FieldNotFound
the value is no object     | Malformed, which never shows the content
"""

import msgspec

from broker.errors import FieldNotFound, Malformed
from contract.fqn import shorten
from contract.values import SecretValue

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)


def pick(value: SecretValue, field: str) -> SecretValue:
    raw = _source(value, field)
    if raw is None or raw == b"null":
        raise FieldNotFound(f"the value has no field '{shorten(field, 60)}'")
    if not raw.startswith(b'"'):
        return SecretValue(raw)
    try:
        return SecretValue(_STRING.decode(raw).encode())
    except (msgspec.DecodeError, UnicodeError):
        pass  # raised below, outside the handler, so that no traceback carries the content
    raise Malformed(f"the field '{shorten(field, 60)}' holds a string that is not valid Unicode")


def _source(value: SecretValue, field: str) -> bytes | None:
    try:
        found = _OBJECT.decode(value.reveal()).get(field)
        return None if found is None else bytes(found)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    raise Malformed(f"the value is not a JSON object, so it has no field '{shorten(field, 60)}'")
