"""openapi.json (3.1), made from the table of operations and the types that requests are checked with: it cannot say anything else."""

from typing import Any

import msgspec

from broker.api import shapes
from broker.api.ids import ID
from broker.api.operations import OPERATIONS, ROOT, Operation
from broker.api.problems import MEANINGS

REF = "#/components/schemas/{name}"
VERSION_PATTERN = r'^("[A-Za-z0-9-]{1,64}"|[A-Za-z0-9-]{1,64})$'


def document() -> dict[str, Any]:
    types = {t for o in OPERATIONS for t in (o.body, o.answer) if isinstance(t, type) and issubclass(t, msgspec.Struct)}
    ordered = sorted(types | {shapes.Problem}, key=lambda t: t.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.full_path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tfy-secret-injector: secret groups",
            "version": "1",
            "description": f"Groups, keys and values under {ROOT}. TrueFoundry's SDK (truefoundry-sdk) speaks it unchanged.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token that the cluster's TokenReview accepts"}
            },
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_in_path(operation), *_in_query(operation.query), *_in_header(operation)],
        "responses": {"200": _response("done", _schema(operation.answer))},
    }
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(operation.body)}}}
    for status in operation.errors:
        made["responses"][str(status)] = _response(MEANINGS[status], _ref(shapes.Problem))
    if not operation.person:
        made["security"] = []
    return made


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schema(kind: Any) -> dict[str, Any]:
    return {"type": "integer"} if kind is int else _ref(kind)


def _ref(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": REF.format(name=kind.__name__)}


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    if "{id}" not in operation.path:
        return []
    return [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": ID}}]


def _in_query(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    _, schemas = msgspec.json.schema_components([query], ref_template=REF)
    found = schemas[query.__name__]
    return [{"name": name, "in": "query", "schema": _present(schema)} for name, schema in found["properties"].items()]


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is there is not null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return choices[0] if choices else {key: value for key, value in schema.items() if key != "default"} | _default(schema)


def _default(schema: dict[str, Any]) -> dict[str, Any]:
    return {"default": schema["default"]} if schema.get("default") is not None else {}


def _in_header(operation: Operation) -> list[dict[str, Any]]:
    if not operation.if_match:
        return []
    said = "The group's version that the change was made from; another one now is 409."
    return [{"name": "If-Match", "in": "header", "description": said, "schema": {"type": "string", "pattern": VERSION_PATTERN}}]
