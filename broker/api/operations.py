"""The API as one table: what each operation takes and gives. The routes and openapi.json are both made from it.

`name` is the handler's name in `broker.api.handlers` and the operationId.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from broker.api import shapes

ROOT = "/api/svc/v1"
OPENAPI = f"{ROOT}/openapi.json"
SMALL = 256 * 1024  # bytes of a body without values: 512 collaborators of 256 characters
LARGE = 8 * 1024 * 1024  # a value of 1 MiB may be 6 MiB of JSON
LOOK = (400, 401, 403, 404, 503)
CHANGE = (400, 401, 403, 404, 409, 413, 415, 422, 424, 429, 503)


@dataclass(frozen=True, slots=True)
class Operation:
    """`person`: needs a bearer token. `if_match`: takes the version that the change was made from."""

    method: str
    path: str
    name: str
    summary: str
    answer: Any
    query: type[msgspec.Struct] = shapes.NoQuery
    body: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = LOOK
    person: bool = True
    if_match: bool = False
    limit: int = SMALL

    @property
    def full_path(self) -> str:
        return ROOT + self.path


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/secret-groups", "list_groups", "Groups that you may list", shapes.GroupsAnswer, shapes.GroupsQuery),
    Operation(
        "POST",
        "/secret-groups",
        "create_group",
        "Make a group with its first secrets",
        shapes.GroupAnswer,
        body=shapes.CreateGroup,
        errors=CHANGE,
        limit=LARGE,
    ),
    Operation(
        "PUT",
        "/secret-groups",
        "put_group",
        "Make a group, or change who has which role, by manifest",
        shapes.GroupAnswer,
        body=shapes.PutGroup,
        errors=CHANGE,
        if_match=True,
    ),
    Operation("GET", "/secret-groups/{id}", "get_group", "One group", shapes.GroupAnswer),
    Operation(
        "PUT",
        "/secret-groups/{id}",
        "update_group",
        "Make the group hold exactly these secrets",
        shapes.GroupAnswer,
        body=shapes.UpdateGroup,
        errors=CHANGE,
        if_match=True,
        limit=LARGE,
    ),
    Operation(
        "DELETE",
        "/secret-groups/{id}",
        "delete_group",
        "Delete a group with its values",
        shapes.Nothing,
        shapes.ForceQuery,
        errors=CHANGE,
        if_match=True,
    ),
    Operation("GET", "/secret-groups/{id}/activity", "activity", "What people did with a group", shapes.ActivityAnswer),
    Operation("GET", "/secret-stores", "stores", "Stores that you may use or have groups in", shapes.StoresAnswer),
    Operation(
        "POST",
        "/secrets",
        "list_secrets",
        "Secrets that you may list, on request with values",
        shapes.SecretsAnswer,
        body=shapes.ListSecrets,
        errors=CHANGE,
    ),
    Operation("GET", "/secrets/{id}", "get_secret", "One secret, without its value", shapes.SecretAnswer, errors=(*LOOK, 424)),
    Operation(
        "DELETE",
        "/secrets/{id}",
        "delete_secret",
        "Delete a secret with all its versions",
        int,
        shapes.ForceQuery,
        errors=CHANGE,
        if_match=True,
    ),
    Operation("GET", "/secrets/{id}/versions", "versions", "A secret's versions, newest first", shapes.VersionsAnswer, errors=(*LOOK, 424)),
    Operation(
        "POST",
        "/secrets/{id}/restore",
        "restore",
        "Make an older version the newest, without showing it",
        shapes.SecretAnswer,
        body=shapes.Restore,
        errors=CHANGE,
    ),
    Operation(
        "PUT",
        "/apply",
        "apply",
        "As `tfy apply`: make or change a group by manifest",
        shapes.ApplyAnswer,
        body=shapes.Apply,
        errors=CHANGE,
        if_match=True,
    ),
    Operation("POST", "/delete", "delete_by_manifest", "As `tfy delete`", shapes.Nothing, body=shapes.DeleteByManifest, errors=CHANGE),
    Operation("GET", "/min-cli-version", "cli_versions", "What the CLI asks first", shapes.CliVersions, errors=(400,), person=False),
    Operation(
        "GET", "/tenant-id", "tenant", "The tenant that is served here", shapes.Tenant, shapes.HostQuery, errors=(400,), person=False
    ),
    Operation("GET", "/session", "session", "Who you are", shapes.Session, errors=(400, 401, 503)),
)
