"""Mode `envfile`: the entry becomes `valueFrom.fileKeyRef`, and the kubelet reads the file that the init container wrote.

No command rewrite, so probes, hooks, `kubectl exec` and `$(VAR)` see the variable too. The app does not mount the volume.
"""

from contract import keys
from contract.plan import EnvDelivery
from webhook.draft import Draft
from webhook.patch import Op, replace
from webhook.reference import EnvReference
from webhook.rollout import Delivery
from webhook.target import Findings, Target


class Envfile:
    """Stateless: one object serves all pods."""

    name = "envfile"

    def check(self, target: Target, findings: Findings) -> None:
        """Probes are the one place where `$(VAR)` does not work: the kubelet expands it there from plain values alone."""
        for place, _, words in target.container.exec_probes():
            for name in {reference.name for reference in target.references}:
                if any(f"$({name})" in word for word in words):
                    findings.tell(
                        f"{target.place}.{place}: the kubelet puts nothing in for $({name}) in a probe; "
                        f'to fix: let a shell read it, e.g. ["sh", "-c", "... $' + name + '"]'
                    )

    def deliver(self, target: Target, draft: Draft) -> list[Op]:
        draft.mode = self.name if target.references else draft.mode
        if target.known is None or draft.env:
            return self._deliver(target, draft)
        if target.known.delivery is None:
            operations = self._deliver(target, draft)
            draft.known = target.known.delivery = Delivery(tuple(draft.env), frozenset(draft.paths), tuple(operations))
            return operations
        draft.env, draft.paths = list(target.known.delivery.env), set(target.known.delivery.paths)
        draft.known = target.known.delivery
        return list(draft.known.operations)

    def _deliver(self, target: Target, draft: Draft) -> list[Op]:
        operations = []
        for reference in target.references:
            path = draft.path_for(reference.name)
            draft.env.append(EnvDelivery(reference.name, path, reference.found.parts))
            operations.append(self._rewrite(reference, draft.volume, path))
        return operations

    def _rewrite(self, reference: EnvReference, volume: str, path: str) -> Op:
        source: dict[str, str | bool] = {"volumeName": volume, "path": path, "key": keys.ENVFILE_KEY}
        if reference.found.may_be_absent:
            source["optional"] = True  # all absent is a file without the key: the variable is then left unset
        return replace(reference.pointer, {"name": reference.name, "valueFrom": {"fileKeyRef": source}})
