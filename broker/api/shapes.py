"""What the API takes and gives, field by field: requests are checked against these types, and openapi.json is made from them.

Requests are strict: an unknown field, a wrong type or a text out of bounds is refused. Answers hold what the SDK demands, plus `version`
for If-Match and what binary values need.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from broker.api.ids import ID
from broker.groups.checks import MAX_COLLABORATORS, MAX_KEYS, MAX_NAME, MAX_SUBJECT
from contract import wire
from contract.resources import ROLES

PART = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
GROUP_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MAX_PAGE = 1000  # who asks for more gets a page of this size; clients ask again until one is empty
MAX_VALUES_PAGE = 100  # values are read one by one, and held in memory together
MAX_TEXT = 512

Id = Annotated[str, Meta(pattern=ID)]
Name = Annotated[str, Meta(pattern=GROUP_NAME, min_length=1, max_length=MAX_NAME)]
Key = Annotated[str, Meta(pattern=PART, min_length=1, max_length=MAX_NAME)]
Value = Annotated[str, Meta(max_length=wire.MAX_VALUE_BYTES)]
Base64 = Annotated[str, Meta(max_length=wire.MAX_VALUE_BYTES // 3 * 4 + 4, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Limit = Annotated[int, Meta(ge=1, le=10_000_000)]
Offset = Annotated[int, Meta(ge=0, le=10_000_000)]
Attribute = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.]{1,64}$")]
Role = Literal[ROLES]  # type: ignore[valid-type]  # the four of contract.resources


class Request(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of what is taken."""


class Answer(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base of what is given."""


# --- requests --------------------------------------------------------------------------------------------------------


class Given(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key and its value: as text, or as base64 for any bytes. Neither keeps the value that is there."""

    key: Key
    value: Value | None = None
    value_base64: Base64 | None = msgspec.field(default=None, name="valueBase64")


class CreateGroup(Request):
    name: Name
    integration_id: Text
    secrets: Annotated[list[Given], Meta(max_length=MAX_KEYS)] = []


class UpdateGroup(Request):
    secrets: Annotated[list[Given], Meta(max_length=MAX_KEYS)]


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A collaborator as a manifest names one."""

    subject: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT)]
    role_id: Role


class Owner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: Text


class Manifest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`collaborators` left out: they stay as they are."""

    type: Literal["secret-group"]
    name: Name
    integration_fqn: Text
    collaborators: Annotated[list[Rule], Meta(max_length=MAX_COLLABORATORS)] | None = None
    owned_by: Owner | None = msgspec.field(default=None, name="ownedBy")


class PutGroup(Request):
    manifest: Manifest
    dry_run: bool | None = False


class Apply(Request):
    manifest: Manifest
    dry_run: bool | None = False
    force: bool | None = False


class DeleteByManifest(Request):
    manifest: Manifest


class ListSecrets(Request):
    limit: Limit | None = 100
    offset: Offset | None = 0
    secret_fqns: Annotated[list[Text], Meta(max_length=MAX_PAGE)] | None = None
    secret_group_id: Id | None = None
    with_value: bool | None = False


class Restore(Request):
    version: Annotated[str, Meta(min_length=1, max_length=256)]


# --- queries ---------------------------------------------------------------------------------------------------------


class GroupsQuery(Request):
    """Together, percent-encoded, within the 8,190 bytes that a request line may have."""

    limit: Limit = 100
    offset: Offset = 0
    fqn: Text | None = None  # one that no group can have finds none
    search: Annotated[str, Meta(max_length=256)] | None = None
    attributes: Annotated[list[Attribute], Meta(max_length=20)] | None = None  # taken, and all of them are given


class ForceQuery(Request):
    force_delete: bool = False


class HostQuery(Request):
    host_name: Text | None = None


class NoQuery(Request):
    """No parameters."""


# --- answers ---------------------------------------------------------------------------------------------------------


class Subject(Answer):
    subject_id: str
    subject_type: str
    subject_slug: str
    subject_display_name: str


class SecretVersion(Answer):
    """`version` is a number where the store counts; `versionName` is what `?version=` takes."""

    id: str
    fqn: str
    secret_id: str
    version_name: str
    version: int | None = None
    created_at: datetime | None = None
    created_by: str | None = None


class Secret(Answer):
    """`value` is there for those who asked and may; `valueBase64` instead, when the value is not text.

    Who and when is told with the versions, as far as they reach back.
    """

    id: str
    fqn: str
    name: str
    secret_group_id: str
    value: str | None = None
    value_base64: str | None = msgspec.field(default=None, name="valueBase64")
    created_by_subject: Subject | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    secret_versions: list[SecretVersion] | None = None


class Note(Answer):
    """What a value means for pods."""

    key: str
    code: str
    message: str


class Group(Answer):
    """`version` goes into If-Match. `notices`: after a write, values that not every delivery mode can carry."""

    id: str
    fqn: str
    tenant_name: str
    account_id: str
    created_by_subject: Subject
    associated_secrets: list[Secret]
    integration_id: str
    manifest: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    created_by: str
    version: str
    notices: list[Note] = []


class Pagination(Answer):
    total: int
    offset: int
    limit: int


class GroupAnswer(Answer):
    data: Group


class GroupsAnswer(Answer):
    data: list[Group]
    pagination: Pagination


class SecretAnswer(Answer):
    data: Secret


class SecretsAnswer(Answer):
    data: list[Secret]
    pagination: Pagination


class ApplyAnswer(Answer):
    data: Group
    action: Literal["CREATE", "UPDATE"]
    existing_manifest: dict[str, Any] | None = None


class VersionsAnswer(Answer):
    data: list[SecretVersion]


class Entry(Answer):
    """What somebody did."""

    time: datetime
    who: str
    action: str
    key: str | None = None
    version: str | None = None
    source: str | None = None
    detail: str | None = None


class ActivityAnswer(Answer):
    data: list[Entry]


class Store(Answer):
    """`id` is what `integrationId` takes, `fqn` what `integration_fqn` takes."""

    id: str
    fqn: str
    provider: str
    healthy: bool | None
    may_create: bool
    problem: str | None = None


class StoresAnswer(Answer):
    data: list[Store]


class Nothing(Answer):
    """An empty object."""


class CliVersions(Answer):
    min_version: str
    truefoundry_cli_min_version: str


class Tenant(msgspec.Struct, kw_only=True):
    tenant_name: str = msgspec.field(name="tenantName")
    auth_server_url: str


class User(Answer):
    tenant_name: str
    email: str


class Session(Answer):
    user: User


class Problem(Answer):
    """Every error. `details` of a conflict: what changed, and the present version."""

    status_code: int
    message: str
    code: str
    details: list[dict[str, Any]] = []
