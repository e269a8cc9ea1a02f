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

from broker.groups.group_changes import GroupChanges
from broker.groups.key_changes import NEW, KeyChanges
from broker.groups.looks import Looks

__all__ = ["NEW", "Groups"]


class Groups(Looks, GroupChanges, KeyChanges):
    """All of it. Stateless but for caches: two replicas may serve the same groups."""
