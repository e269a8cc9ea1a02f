"""Groups as SecretGroup objects: every change is a merge patch with the resourceVersion that it was made from.

A merge patch replaces the lists that we mean and leaves everything else, so labels, annotations and fields of whoever else writes the
object stay. What is pending is an annotation, so that it changes in one step with the keys; what people did is in the status. A
change is over when our own watch has seen it, so that the next request here does too.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from broker.errors import BrokerError, InvalidRequest, Misconfigured, Unavailable
from broker.groups.activity import merged
from broker.groups.held import Held, held_from_api, rules_of
from broker.groups.index import Index
from broker.groups.intents import MAX_BYTES, encode
from broker.groups.model import Activity
from broker.groups.resources import Edit, Fresh, Stale
from contract.catalog import GROUP
from contract.keys import API_VERSION, CREATED_BY, PENDING
from contract.resources import ResourceError
from service.catalog import PLURALS
from service.kube import Conflict, Kube, KubeError, NotFound, Refused, Unreachable

COLLECTION = f"/apis/{API_VERSION}/{PLURALS[GROUP]}"
REMEMBER_TRIES = 5


class ClusterResources:
    """`index` follows the same objects by watch."""

    owned = False

    def __init__(self, kube: Kube, index: Index) -> None:
        self._kube, self._index = kube, index

    async def read(self, name: str) -> Held | None:
        try:
            return _held(await self._kube.get(f"{COLLECTION}/{name}"))
        except NotFound:
            return None
        except KubeError as error:
            problem = _meaning(error, "read")
        raise problem

    async def create(self, fresh: Fresh) -> Held:
        notes = {CREATED_BY: fresh.created_by} | _pending_note(encode(fresh.pending))
        spec = {"store": fresh.store, "keys": [], "collaborators": rules_of(fresh.collaborators)}
        body = {"apiVersion": API_VERSION, "kind": GROUP, "metadata": {"name": fresh.name, "annotations": notes}, "spec": spec}
        try:
            made = _held(await self._kube.post(COLLECTION, body))
        except KubeError as error:
            problem = Stale() if isinstance(error, Conflict) else _meaning(error, "create")
        else:
            await self._index.seen(made.name, made.mark)
            return made
        raise problem

    async def change(self, held: Held, edit: Edit) -> Held:
        """The status moves the resourceVersion too: when that alone is different, the change is made from what is there now."""
        mark = held.mark
        for _ in range(REMEMBER_TRIES):
            try:
                made = _held(await self._kube.patch(f"{COLLECTION}/{held.name}", _patch(mark, held, edit)))
            except Conflict:
                now = await self.read(held.name)
                if now is None or now.uid != held.uid or _content(now) != _content(held):
                    raise Stale from None
                mark = now.mark
                continue
            except KubeError as error:
                problem = _changed_meanwhile(error, "change")
                raise problem from None
            await self._index.seen(made.name, made.mark)
            return made
        raise Stale

    async def delete(self, held: Held) -> None:
        try:
            await self._kube.delete(f"{COLLECTION}/{held.name}", {"preconditions": {"uid": held.uid, "resourceVersion": held.mark}})
        except NotFound:
            return
        except KubeError as error:
            problem = _changed_meanwhile(error, "delete")
            raise problem from None
        await self._index.gone(held.name, held.uid)

    async def remember(self, name: str, entries: Sequence[Activity]) -> None:
        for _ in range(REMEMBER_TRIES):
            try:
                found = await self._kube.get(f"{COLLECTION}/{name}")
                before = (found.get("status") or {}).get("activity") or []
                made = {
                    "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                    "status": {"activity": merged(before, entries)},
                }
                done = await self._kube.patch(f"{COLLECTION}/{name}/status", made)
            except Conflict:
                continue
            except NotFound:
                return
            except KubeError as error:
                problem = _meaning(error, "write the status of")
                raise problem from None
            else:
                await self._index.seen(name, str(done["metadata"].get("resourceVersion") or ""))
                return
        raise Unavailable("the group's activity was written by others each time")

    def pending(self) -> Iterable[str]:
        return self._index.pending()

    async def close(self) -> None:
        return


def _held(manifest: dict[str, Any]) -> Held:
    try:
        return held_from_api(manifest)
    except ResourceError as error:
        problems = "; ".join(error.problems)
    raise Misconfigured(f"SecretGroup {manifest['metadata']['name']} cannot be used: {problems}. To fix: correct it with kubectl")


def _content(held: Held) -> tuple[object, ...]:
    return held.version, held.pending, held.foreign


def _patch(mark: str, held: Held, edit: Edit) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": mark}
    if edit.pending is not None:
        metadata["annotations"] = _pending_note(encode(edit.pending, held.foreign)) or {PENDING: None}
    spec: dict[str, Any] = {}
    if edit.keys is not None:
        spec["keys"] = list(edit.keys)
    if edit.collaborators is not None:
        spec["collaborators"] = rules_of(edit.collaborators)
    return {"metadata": metadata} | ({"spec": spec} if spec else {})


def _pending_note(text: str | None) -> dict[str, str]:
    if text is not None and len(text) > MAX_BYTES:
        raise InvalidRequest("the change touches more keys than can be remembered at once. To fix: make it in several parts")
    return {} if text is None else {PENDING: text}


def _changed_meanwhile(error: KubeError, verb: str) -> Exception:
    return Stale() if isinstance(error, Conflict | NotFound) else _meaning(error, verb)


def _meaning(error: KubeError, verb: str) -> BrokerError:
    """What a failure means to people. What the API server says about SecretGroups holds names and rules, never a value."""
    match error:
        case Refused():
            return Misconfigured(
                f"the broker may not {verb} SecretGroups ({error.status} {error.reason}). To fix: apply the installation's RBAC again"
            )
        case Unreachable():
            return Unavailable(f"the Kubernetes API does not answer ({error.reason})", error.retry_after)
        case KubeError(status=400 | 413 | 422):
            return InvalidRequest(f"Kubernetes refuses the SecretGroup: {error.message}")
        case NotFound():
            return Misconfigured("Kubernetes knows no SecretGroups. To fix: apply the installation's CRDs")
        case _:
            return Unavailable(f"the Kubernetes API did not {verb} the SecretGroup ({error.status} {error.reason})")
