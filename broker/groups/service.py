"""The management service: what people do with secret groups, for the API and for the page.

Every method decides for the caller first, and a denial never tells whether the group or key exists: a caller without a role gets
Denied for both. Every change and every reveal is in the audit log before it is done and after. Raises broker.errors alone, and
AuditFailed (broker.audit) when nothing could be written down and so nothing was done.

error                         | when
----------------------------- | -----------------------------------------------------------------------------
Denied                        | no role, or nothing there that the caller may know of
NotFound                      | not there, and the caller may know it (has the role, or is a tenant admin)
InvalidRequest, TooLarge      | what was given cannot be stored; the message says what is allowed
Conflict                      | someone else changed it since; `.changes` are sentences, `.version` is the present version
Throttled                     | too many reveals; `.retry_after` seconds
StoreFailed                   | the store did not do it; `.cause` is its error. What was begun is undone, or finished later
Unavailable, Misconfigured    | the Kubernetes API, or the folder, cannot be written
"""

from collections.abc import Iterable, Mapping

from broker.audit import Origin
from broker.groups.model import (
    Activity,
    Collaborator,
    DeletedKey,
    GroupView,
    NewGroup,
    Notice,
    Page,
    Revealed,
    StoreView,
    Versions,
    Written,
)
from broker.identity import Caller
from contract.access import Action
from contract.values import SecretValue

NEW = ""  # `expected` of put_key: the key must not be there yet


class Groups:
    """Stateless but for caches: two replicas may serve the same groups."""

    # --- look --------------------------------------------------------------------------------------------------------

    def may(self, caller: Caller, action: Action, group: str) -> bool:
        """Whether the caller may do this in the group, as far as this replica knows; False for a group that is not there."""
        raise NotImplementedError

    def may_create(self, caller: Caller) -> bool:
        """Whether the caller may make groups: tenant admins and the subjects of TFY_SECRET_GROUP_CREATORS."""
        raise NotImplementedError

    async def list(self, caller: Caller, origin: Origin, search: str = "", limit: int = 100, offset: int = 0) -> Page[GroupView]:
        """The groups that the caller may LIST, by name. `search`: words that the name, the store or a key must hold, any case."""
        raise NotImplementedError

    async def get(self, caller: Caller, group: str, origin: Origin) -> GroupView:
        """One group as it is now (LIST)."""
        raise NotImplementedError

    async def stores(self, caller: Caller, origin: Origin) -> tuple[StoreView, ...]:
        """For those who may make groups every usable store; for others those of the groups they may LIST. Health is at most 15 s old."""
        raise NotImplementedError

    async def versions(self, caller: Caller, group: str, key: str, origin: Origin) -> Versions:
        """A key's versions (LIST), newest first, with who made them as far as the group's activity reaches back."""
        raise NotImplementedError

    async def activity(self, caller: Caller, group: str, origin: Origin) -> tuple[Activity, ...]:
        """What people did with the group lately (SHARE: its admins), newest first."""
        raise NotImplementedError

    def check_value(self, key: str, value: SecretValue) -> tuple[Notice, ...]:
        """What the value means for pods, before it is saved: nothing, or which delivery mode cannot carry it."""
        raise NotImplementedError

    # --- change ------------------------------------------------------------------------------------------------------

    async def create(self, caller: Caller, new: NewGroup, origin: Origin, *, dry_run: bool = False) -> GroupView:
        """Make a group, with its first secrets. Conflict if the name is taken."""
        raise NotImplementedError

    async def set_collaborators(
        self, caller: Caller, group: str, collaborators: Iterable[Collaborator], origin: Origin, *, expected: str | None = None
    ) -> GroupView:
        """Replace who has which role (SHARE). `expected`: GroupView.version that the change was made from. One admin must stay."""
        raise NotImplementedError

    async def put_key(
        self, caller: Caller, group: str, key: str, value: SecretValue, origin: Origin, *, expected: str | None = None
    ) -> Written:
        """Save a value: a new key (CREATE) or a new version (EDIT).

        `expected`: the newest version that the caller saw, or NEW for a key that must not be there; None: whatever is there.
        """
        raise NotImplementedError

    async def update(
        self, caller: Caller, group: str, secrets: Mapping[str, SecretValue | None], origin: Origin, *, expected: str | None = None
    ) -> GroupView:
        """Make the group hold exactly these keys. None keeps the value; an equal value makes no new version; others are deleted."""
        raise NotImplementedError

    async def restore_version(self, caller: Caller, group: str, key: str, version: str, origin: Origin) -> Written:
        """Save an older version's value as the newest (EDIT), without showing it to the caller."""
        raise NotImplementedError

    async def delete_key(
        self, caller: Caller, group: str, key: str, origin: Origin, *, expected: str | None = None, undo: bool = False, force: bool = False
    ) -> DeletedKey | None:
        """Delete a key and its value (EDIT). `expected` is GroupView.version.

        `undo`: the key is gone at once and its value in ten minutes; until then undo_delete brings both back, in any store.
        `force`: no error when the store fails; the value is deleted when it is back.
        """
        raise NotImplementedError

    async def undo_delete(self, caller: Caller, group: str, key: str, origin: Origin) -> GroupView:
        """Bring back a key that was deleted with `undo` (EDIT). NotFound when its time is over."""
        raise NotImplementedError

    async def delete_group(self, caller: Caller, group: str, origin: Origin, *, expected: str | None = None, force: bool = False) -> None:
        """Delete a group with its values (SHARE: its admins). `force`: also when the store fails; what stays there is in the audit log."""
        raise NotImplementedError

    # --- values ------------------------------------------------------------------------------------------------------

    async def reveal(self, caller: Caller, group: str, key: str, origin: Origin, version: str | None = None) -> Revealed:
        """A value, the newest or the version named (REVEAL), past the cache. Audited, and limited per caller."""
        raise NotImplementedError
