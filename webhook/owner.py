"""Which user the init container runs as, and so whose files it writes.

Its own user, unless a file's mode lets only its owner read it: then the user of the containers that get such files, where the
pod says one. Without a capability nobody can give a file away, so this is the only way that a `0400` file reaches its app.
"""

from webhook.pod import PodSpec
from webhook.settings import InitSettings
from webhook.target import Findings, Target

_OTHERS_READ, _GROUP_READS = 0o004, 0o040
_OVERRIDES = {"ALL", "DAC_OVERRIDE", "CAP_DAC_OVERRIDE"}  # what lets root read any file


def init_user(spec: PodSpec, wanted: list[Target], settings: InitSettings, findings: Findings) -> int | None:
    """The user's number, or None to leave the field out; doubts become warnings."""
    users: dict[int | None, str] = {}
    for target in wanted:
        for file in target.mounted:
            if not file.mode & _OTHERS_READ and not (file.mode & _GROUP_READS and _fs_group(spec)):
                users[_user(spec, target)] = f"{file.place}.mode"
    if not users or settings.user is None:
        return settings.user
    wished = {user for user in users if user}  # root reads any file
    if len(wished) == 1 and None not in users:
        return wished.pop()
    if wished or None in users:
        findings.tell(
            f"{next(iter(users.values()))}: the file belongs to user {settings.user}, "
            "and the containers that get such files do not all say one runAsUser; "
            "to fix: set securityContext.runAsUser, or fsGroup and a mode that lets the group read, or a mode that others can read"
        )
    return settings.user


def _user(spec: PodSpec, target: Target) -> int | None:
    own = target.container.securityContext
    pod = spec.securityContext
    user = own.runAsUser if own and own.runAsUser is not None else pod.runAsUser if pod else None
    dropped = own.capabilities.drop if own and own.capabilities else None
    # A root without the override reads what any other user reads; as for one that we do not know, there is a warning.
    return user if user or _OVERRIDES.isdisjoint(dropped or ()) else None


def _fs_group(spec: PodSpec) -> bool:
    return spec.securityContext is not None and spec.securityContext.fsGroup is not None
