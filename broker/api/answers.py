"""From the service's views to the API's answers. Nothing here decides; a value appears only where it was revealed for this answer."""

import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from broker.api import ids
from broker.api.shapes import Entry, Group, Note, Secret, SecretVersion, Store, Subject
from broker.groups.model import Activity, GroupView, KeyView, Notice, Revealed, StoreView, VersionView
from broker.identity import service_account_of

_NOBODY = "unknown"  # a group that was made with kubectl; the SDK demands a subject
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def group(view: GroupView, tenant: str, notices: Mapping[str, Iterable[Notice]] | None = None) -> Group:
    by = view.created_by or _NOBODY
    created = view.created or _BEGINNING
    return Group(
        id=ids.group_id(view.name),
        fqn=view.fqn,
        tenant_name=tenant,
        account_id=tenant,
        created_by_subject=subject(by),
        associated_secrets=[secret(view.name, key) for key in view.keys],
        integration_id=view.store,
        manifest=manifest(view, tenant),
        created_at=created,
        updated_at=view.updated or created,
        created_by=by,
        version=view.version,
        notices=[Note(key=key, code=n.code, message=n.sentence) for key, found in (notices or {}).items() for n in found],
    )


def manifest(view: GroupView, tenant: str) -> dict[str, Any]:
    return {
        "type": "secret-group",
        "name": view.name,
        "integration_fqn": view.store_fqn or view.store,
        "collaborators": [{"subject": c.subject, "role_id": c.role} for c in view.collaborators],
        "ownedBy": {"account": tenant},
    }


def secret(group_name: str, key: KeyView, revealed: Revealed | None = None, versions: Iterable[VersionView] | None = None) -> Secret:
    text, encoded = (None, None) if revealed is None else _shown(revealed)
    found = None if versions is None else [version(group_name, key, v) for v in versions]
    newest, oldest = (found[0], found[-1]) if found else (None, None)
    by = oldest.created_by if oldest else None
    return Secret(
        id=ids.secret_id(group_name, key.key),
        fqn=key.fqn,
        name=key.key,
        secret_group_id=ids.group_id(group_name),
        value=text,
        value_base64=encoded,
        created_by_subject=None if by is None else subject(by),
        created_by=by,
        created_at=oldest.created_at if oldest else None,
        updated_at=newest.created_at if newest else None,
        secret_versions=found,
    )


def version(group_name: str, key: KeyView, found: VersionView) -> SecretVersion:
    return SecretVersion(
        id=ids.version_id(group_name, key.key, found.version),
        fqn=f"{key.fqn}?version={found.version}",
        secret_id=ids.secret_id(group_name, key.key),
        version_name=found.version,
        version=int(found.version) if found.version.isdecimal() and len(found.version) < 16 else None,
        created_at=found.created,
        created_by=found.author,
    )


def entry(found: Activity) -> Entry:
    return Entry(
        time=found.time,
        who=found.who,
        action=found.action,
        key=found.key,
        version=found.version,
        source=found.source,
        detail=found.detail,
    )


def store(view: StoreView) -> Store:
    return Store(id=view.name, fqn=view.fqn, provider=view.provider, healthy=view.healthy, may_create=view.may_create, problem=view.problem)


def subject(name: str) -> Subject:
    kind = _NOBODY if name == _NOBODY else "user" if service_account_of(name) is None else "serviceaccount"
    return Subject(subject_id=name, subject_type=kind, subject_slug=name, subject_display_name=name)


def _shown(revealed: Revealed) -> tuple[str | None, str | None]:
    """Text as it is; other bytes as base64."""
    content = revealed.value.reveal()
    try:
        return content.decode(), None
    except UnicodeDecodeError:
        pass
    return None, binascii.b2a_base64(content, newline=False).decode()
