"""Take a request apart, strictly: body, query and If-Match become the types of `shapes`, or a sentence that shows no content."""

import binascii
import re
from typing import TypeVar

import msgspec
from aiohttp import web

from broker.api.shapes import Given
from broker.errors import InvalidRequest
from broker.http import Refusal, read_json
from contract import wire
from contract.strict import FormatError, loads
from contract.values import SecretValue

T = TypeVar("T", bound=msgspec.Struct)
_VERSION = re.compile(r'(?:"([A-Za-z0-9-]{1,64})"|([A-Za-z0-9-]{1,64}))')
NUMBERS, FLAGS = ("limit", "offset"), ("forceDelete",)
_NUMBER = re.compile(r"[0-9]{1,9}")


async def body_of(request: web.Request, kind: type[T], limit: int) -> T:
    """Raises Refusal for what is not JSON, InvalidRequest for what is not allowed."""
    try:
        document = loads(await read_json(request, limit), "the body")
    except FormatError as error:
        raise Refusal(400, wire.BAD_REQUEST, str(error)) from None
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        sentence = _shown(error)
    raise InvalidRequest(sentence)


def query_of(request: web.Request, kind: type[T]) -> T:
    """Raises Refusal."""
    fields = [field.encode_name for field in msgspec.structs.fields(kind)]
    made: dict[str, object] = {}
    for name in set(request.query):
        values = request.query.getall(name)
        many = name == "attributes"
        if name not in fields or (len(values) != 1 and not many):
            raise Refusal(400, wire.BAD_REQUEST, f"query: allowed: {', '.join(fields) or 'no parameters'}, each once")
        made[name] = values if many else _read(name, values[0])
    try:
        return msgspec.convert(made, kind)
    except msgspec.ValidationError as error:
        sentence = _shown(error)
    raise Refusal(400, wire.BAD_REQUEST, f"query: {sentence}")


def if_match(request: web.Request) -> str | None:
    """The version that the change was made from; None: whatever is there. Raises Refusal."""
    given = request.headers.getall("If-Match", [])
    if not given:
        return None
    match = _VERSION.fullmatch(given[0])
    if len(given) > 1 or match is None:
        raise Refusal(400, wire.BAD_REQUEST, 'If-Match: allowed: one version, such as "3-1f2e3d4c", as the group\'s `version` says')
    return match.group(1) or match.group(2)


def values_of(given: list[Given]) -> dict[str, SecretValue | None]:
    """By key; None: none is given. Raises InvalidRequest."""
    made: dict[str, SecretValue | None] = {}
    for one in given:
        if one.key in made:
            raise InvalidRequest(f"secrets: '{one.key}' is given twice")
        made[one.key] = _value(one)
    return made


def _value(one: Given) -> SecretValue | None:
    if one.value is not None and one.value_base64 is not None:
        raise InvalidRequest(f"secrets: '{one.key}' has both value and valueBase64; allowed: one of them")
    try:
        if one.value is not None:
            return SecretValue(one.value.encode())
        return None if one.value_base64 is None else SecretValue(binascii.a2b_base64(one.value_base64, strict_mode=True))
    except ValueError:  # half a surrogate pair, or base64 that ends too soon
        pass
    raise InvalidRequest(f"secrets: the value of '{one.key}' is not text in Unicode, or not base64")


def _read(name: str, text: str) -> object:
    """A parameter's text as what it stands for; a wrong one stays text, which its type refuses."""
    if name in FLAGS:
        return {"true": True, "false": False}.get(text, text)
    return int(text) if name in NUMBERS and _NUMBER.fullmatch(text) else text


def _shown(error: msgspec.ValidationError) -> str:
    """msgspec names places and types. Where it quotes the request (a choice that is none), the quote is left out."""
    said = re.sub(r"value '.*' - at", "value - at", " ".join(str(error).split()))
    return re.sub(r"unknown field `(.{0,40}).*?`", r"unknown field `\1`", said)[:300]
