"""What each operation of the API does with the management service. Decisions, audit and order of changes are the service's.

A manifest names its group; everything else names it by id. An id that nobody has is treated as a name that nobody has, so that its
answer is the same as for a group that is somebody else's.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from broker.api import answers, ids, shapes
from broker.api.intake import values_of
from broker.audit import Origin
from broker.errors import InvalidRequest, NotFound
from broker.groups.model import Collaborator, GroupView, KeyView, NewGroup, Page, Revealed
from broker.groups.service import Groups
from broker.identity import Caller
from contract.access import Action
from contract.fqn import FqnError, ManagedSecret, parse_fqn
from contract.values import SecretValue

AT_ONCE = 8  # values of one answer that are read at the same time
MAX_VALUES_BYTES = 16 * 1024 * 1024  # of one answer; it is held three times while it is made
ANY_VERSION = "0.0.0"  # of the CLI; what it asks is what the SDK asks
NO_NAME = ""  # which no group has


@dataclass(frozen=True, slots=True)
class Call:
    """One request of somebody who is known. `caller` None where nobody needs to be. `host`: as the request was addressed."""

    caller: Caller | None
    origin: Origin
    query: Any
    body: Any = None
    id: str = ""
    if_match: str | None = None
    host: str = ""

    @property
    def person(self) -> Caller:
        assert self.caller is not None  # noqa: S101 - the table of operations says who needs a token
        return self.caller


class Handlers:
    """One method for each operation of the table."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._tenant = groups.tenant

    # --- groups ------------------------------------------------------------------------------------------------------

    async def list_groups(self, call: Call) -> shapes.GroupsAnswer:
        asked: shapes.GroupsQuery = call.query
        limit = min(asked.limit, shapes.MAX_PAGE)
        if asked.fqn is None:
            found = await self._groups.list(call.person, call.origin, asked.search or "", limit, asked.offset)
        else:
            found = await self._by_fqn(call, asked.fqn, limit, asked.offset)
        data = [answers.group(view, self._tenant) for view in found.items]
        return shapes.GroupsAnswer(data=data, pagination=_pagination(found))

    async def create_group(self, call: Call) -> shapes.GroupAnswer:
        body: shapes.CreateGroup = call.body
        given = values_of(body.secrets)
        new = NewGroup(body.name, body.integration_id, (), _needed(given))
        return self._answer(await self._groups.create(call.person, new, call.origin), given)

    async def put_group(self, call: Call) -> shapes.GroupAnswer:
        view, _ = await self._put(call, call.body.manifest, dry_run=bool(call.body.dry_run))
        return self._answer(view)

    async def get_group(self, call: Call) -> shapes.GroupAnswer:
        return self._answer(await self._groups.get(call.person, _group(call.id), call.origin))

    async def update_group(self, call: Call) -> shapes.GroupAnswer:
        given = values_of(call.body.secrets)
        view = await self._groups.update(call.person, _group(call.id), given, call.origin, expected=call.if_match)
        return self._answer(view, given)

    async def delete_group(self, call: Call) -> shapes.Nothing:
        force: bool = call.query.force_delete
        await self._groups.delete_group(call.person, _group(call.id), call.origin, expected=call.if_match, force=force)
        return shapes.Nothing()

    async def activity(self, call: Call) -> shapes.ActivityAnswer:
        found = await self._groups.activity(call.person, _group(call.id), call.origin)
        return shapes.ActivityAnswer(data=[answers.entry(entry) for entry in found])

    async def stores(self, call: Call) -> shapes.StoresAnswer:
        return shapes.StoresAnswer(data=[answers.store(view) for view in await self._groups.stores(call.person, call.origin)])

    # --- secrets -----------------------------------------------------------------------------------------------------

    async def list_secrets(self, call: Call) -> shapes.SecretsAnswer:
        body: shapes.ListSecrets = call.body
        most = shapes.MAX_VALUES_PAGE if body.with_value else shapes.MAX_PAGE
        limit, offset = min(body.limit or 100, most), body.offset or 0
        found = await self._asked_for(call, body)
        page = found[offset : offset + limit]
        values = await self._revealed(call, page) if body.with_value else {}
        data = [answers.secret(group, key, values.get(key.fqn)) for group, key in page]
        return shapes.SecretsAnswer(data=data, pagination=shapes.Pagination(total=len(found), offset=offset, limit=limit))

    async def get_secret(self, call: Call) -> shapes.SecretAnswer:
        group, key = await self._key(call)
        found = await self._groups.versions(call.person, group, key.key, call.origin)
        return shapes.SecretAnswer(data=answers.secret(group, key, versions=found.items if found.listed else None))

    async def delete_secret(self, call: Call) -> int:
        group, key = ids.secret_of(call.id) or (NO_NAME, NO_NAME)
        force: bool = call.query.force_delete
        await self._groups.delete_key(call.person, group, key, call.origin, expected=call.if_match, force=force)
        return 1

    async def versions(self, call: Call) -> shapes.VersionsAnswer:
        group, key = await self._key(call)
        found = await self._groups.versions(call.person, group, key.key, call.origin)
        return shapes.VersionsAnswer(data=[answers.version(group, key, version) for version in found.items])

    async def restore(self, call: Call) -> shapes.SecretAnswer:
        group, key = await self._key(call)
        await self._groups.restore_version(call.person, group, key.key, call.body.version, call.origin)
        return shapes.SecretAnswer(data=answers.secret(group, key))

    # --- as the command line of TrueFoundry asks ---------------------------------------------------------------------

    async def apply(self, call: Call) -> shapes.ApplyAnswer:
        view, before = await self._put(call, call.body.manifest, dry_run=bool(call.body.dry_run))
        data, existing = answers.group(view, self._tenant), None if before is None else answers.manifest(before, self._tenant)
        return shapes.ApplyAnswer(data=data, action="CREATE" if before is None else "UPDATE", existing_manifest=existing)

    async def delete_by_manifest(self, call: Call) -> shapes.Nothing:
        await self._groups.delete_group(call.person, call.body.manifest.name, call.origin)
        return shapes.Nothing()

    async def cli_versions(self, call: Call) -> shapes.CliVersions:  # noqa: ARG002 - as the others
        return shapes.CliVersions(min_version=ANY_VERSION, truefoundry_cli_min_version=ANY_VERSION)

    async def tenant(self, call: Call) -> shapes.Tenant:
        return shapes.Tenant(tenant_name=self._tenant, auth_server_url=f"https://{call.host}")

    async def session(self, call: Call) -> shapes.Session:
        return shapes.Session(user=shapes.User(tenant_name=self._tenant, email=call.person.name))

    # --- parts -------------------------------------------------------------------------------------------------------

    def _answer(self, view: GroupView, given: dict[str, SecretValue | None] | None = None) -> shapes.GroupAnswer:
        notices = {key: self._groups.check_value(key, value) for key, value in (given or {}).items() if value is not None}
        return shapes.GroupAnswer(data=answers.group(view, self._tenant, notices))

    async def _by_fqn(self, call: Call, fqn: str, limit: int, offset: int) -> Page[GroupView]:
        """One or none, as a list; what the caller may not list is not there."""
        tenant, _, name = fqn.partition(":")
        found: tuple[GroupView, ...] = ()
        if tenant == self._tenant and self._groups.may(call.person, Action.LIST, name):
            found = (await self._groups.get(call.person, name, call.origin),)
        return Page(found[offset : offset + limit], len(found), limit, offset)

    async def _put(self, call: Call, manifest: shapes.Manifest, *, dry_run: bool) -> tuple[GroupView, GroupView | None]:
        """The group afterwards, and before (None: it is new)."""
        if manifest.owned_by is not None and manifest.owned_by.account != self._tenant:
            raise InvalidRequest(f"ownedBy.account: allowed: '{self._tenant}', the tenant that is served here")
        rules = None if manifest.collaborators is None else [Collaborator(r.subject, r.role_id) for r in manifest.collaborators]
        if not self._groups.may(call.person, Action.LIST, manifest.name):
            if call.if_match is not None:
                raise NotFound("If-Match: there is no such secret group")
            new = NewGroup(manifest.name, manifest.integration_fqn, tuple(rules or ()))
            return await self._groups.create(call.person, new, call.origin, dry_run=dry_run), None
        before = await self._groups.get(call.person, manifest.name, call.origin)
        if manifest.integration_fqn not in {before.store_fqn, before.store}:
            raise InvalidRequest(
                f"integration_fqn: the group's values are in '{before.store_fqn or before.store}', and a group does not move. "
                "To fix: make another group and copy the values"
            )
        wanted = before.collaborators if rules is None else rules
        after = await self._groups.set_collaborators(
            call.person, manifest.name, wanted, call.origin, expected=call.if_match, keep_admins=True, dry_run=dry_run
        )
        return after, before

    async def _key(self, call: Call) -> tuple[str, KeyView]:
        """The key of an id, for somebody who may list its group."""
        group, name = ids.secret_of(call.id) or (NO_NAME, NO_NAME)
        view = await self._groups.get(call.person, group, call.origin)
        key = next((key for key in view.keys if key.key == name), None)
        if key is None:
            raise NotFound("the group has no such key")
        return group, key

    async def _asked_for(self, call: Call, body: shapes.ListSecrets) -> list[tuple[str, KeyView]]:
        if body.secret_fqns is not None:
            return await self._named(call, body.secret_fqns, body.secret_group_id)
        if body.secret_group_id is not None:
            views: Iterable[GroupView] = [await self._groups.get(call.person, _group(body.secret_group_id), call.origin)]
        else:
            views = (await self._groups.list(call.person, call.origin, limit=1_000_000)).items
        return [(view.name, key) for view in views for key in view.keys]

    async def _named(self, call: Call, names: list[str], group_id: str | None) -> list[tuple[str, KeyView]]:
        """In the order asked. One that the caller may not list is denied, as one that is not there."""
        views: dict[str, GroupView] = {}
        found = []
        for name in dict.fromkeys(names):
            secret = _managed(name)
            group = secret.group if secret.tenant == self._tenant else NO_NAME
            if group not in views:
                views[group] = await self._groups.get(call.person, group, call.origin)
            key = next((key for key in views[group].keys if key.fqn == str(secret)), None)
            if key is None:
                raise NotFound(f"group '{group}' has no such key")
            if group_id is None or group == _group(group_id):
                found.append((group, key))
        return found

    async def _revealed(self, call: Call, page: list[tuple[str, KeyView]]) -> dict[str, Revealed]:
        """Each value audited one by one; nothing is read before all groups are found open. A key without a value has none here."""
        for group in dict.fromkeys(group for group, _ in page):
            if not self._groups.may(call.person, Action.REVEAL, group):
                key = next(key for name, key in page if name == group)
                await self._groups.reveal(call.person, group, key.key, call.origin)  # raises, and writes the denial down
        room = asyncio.Semaphore(AT_ONCE)
        values: dict[str, Revealed] = {}

        async def one(group: str, key: KeyView) -> None:
            async with room:
                try:
                    values[key.fqn] = await self._groups.reveal(call.person, group, key.key, call.origin)
                except NotFound:
                    return
            if sum(len(found.value) for found in values.values()) > MAX_VALUES_BYTES:
                raise InvalidRequest("the values are too large for one answer. To fix: ask for fewer with limit")

        outcomes = await asyncio.gather(*(one(group, key) for group, key in page), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return values


def _needed(given: dict[str, SecretValue | None]) -> dict[str, SecretValue]:
    without = [key for key, value in given.items() if value is None]
    if without:
        raise InvalidRequest(f"secrets: '{without[0]}' has no value")
    return {key: value for key, value in given.items() if value is not None}


def _group(text: str) -> str:
    return ids.group_of(text) or NO_NAME


def _managed(name: str) -> ManagedSecret:
    try:
        secret = parse_fqn(name).secret
    except FqnError as error:
        raise InvalidRequest(f"secretFqns: {error}") from None
    if not isinstance(secret, ManagedSecret) or str(secret) != name:
        raise InvalidRequest("secretFqns: allowed: tfy-secret://<tenant>:<group>:<key>, without ?version= and #field")
    return secret


def _pagination(page: Page[GroupView]) -> shapes.Pagination:
    return shapes.Pagination(total=page.total, offset=page.offset, limit=page.limit)
