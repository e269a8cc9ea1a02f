"""What makes pods, as far as it can hold a reference: decoded from the API server's lists to the few fields that matter.

Decides which texts of an object may hold a name (environment values, our annotations; nothing of what has ended), and what a pod is
called by people: its Deployment, its CronJob. What the names mean is `uses`'.
"""

from collections.abc import Iterator, Mapping

import msgspec

from contract import keys

# Owners before what they own.
PATHS = (
    ("Deployment", "/apis/apps/v1/deployments"),
    ("StatefulSet", "/apis/apps/v1/statefulsets"),
    ("DaemonSet", "/apis/apps/v1/daemonsets"),
    ("CronJob", "/apis/batch/v1/cronjobs"),
    ("Job", "/apis/batch/v1/jobs"),
    ("Pod", "/api/v1/pods"),
)
_ENDED = ("Succeeded", "Failed")


class _Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Metadata(msgspec.Struct, rename={"owners": "ownerReferences"}):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    owners: list[_Owner] | None = None

    def controller(self) -> tuple[str, str] | None:
        return next(((owner.kind, owner.name) for owner in self.owners or () if owner.controller), None)


class _Variable(msgspec.Struct):
    value: str | None = None


class _Container(msgspec.Struct):
    env: list[_Variable] | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class _Template(msgspec.Struct):
    metadata: _Metadata | None = None
    spec: _PodSpec | None = None


class _JobSpec(msgspec.Struct):
    template: _Template | None = None


class _JobTemplate(msgspec.Struct):
    spec: _JobSpec | None = None


class _Spec(_PodSpec, rename="camel"):
    """A pod's own, or that of what makes pods."""

    template: _Template | None = None
    job_template: _JobTemplate | None = None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] | None = None


class Object(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec | None = None
    status: _Status | None = None

    def texts(self, kind: str) -> Iterator[str]:
        """Every text that may hold a reference; nothing of what has ended."""
        pod = self._pod(kind)
        return iter(()) if pod is None else _texts(pod.metadata, pod.spec)

    def templates(self, kind: str) -> str:
        """The annotation that names its config files, or nothing."""
        pod = self._pod(kind)
        return ((pod and pod.metadata and pod.metadata.annotations) or {}).get(keys.TEMPLATES) or ""

    def _pod(self, kind: str) -> _Template | None:
        """It, or what it makes pods of; None: it has ended."""
        spec, status = self.spec or _Spec(), self.status or _Status()
        if kind == "Pod":
            return None if status.phase in _ENDED else _Template(self.metadata, spec)
        if kind == "Job" and any(c.type in ("Complete", "Failed") and c.status == "True" for c in status.conditions or ()):
            return None
        job = spec.job_template.spec if spec.job_template else None
        return spec.template or (job.template if job else None)


class _ListMetadata(msgspec.Struct, rename={"continue_": "continue"}):
    continue_: str = ""


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[Object]


read_list = msgspec.json.Decoder(_List).decode


def _texts(metadata: _Metadata | None, spec: _PodSpec | None) -> Iterator[str]:
    for name, text in ((metadata and metadata.annotations) or {}).items():
        if name.startswith(keys.PREFIX) and text:
            yield text
    for container in [*((spec and spec.containers) or ()), *((spec and spec.init_containers) or ())]:
        for variable in container.env or ():
            if variable.value:
                yield variable.value


def made_by(kind: str, metadata: _Metadata, owners: Mapping[tuple[str, str, str], tuple[str, str]]) -> tuple[str, str]:
    """What a person would call it: a pod's Deployment rather than the pod, a CronJob rather than one of its Jobs."""
    owner = metadata.controller()
    if owner is None:
        return kind, metadata.name
    if owner[0] == "ReplicaSet":
        suffix = f"-{(metadata.labels or {}).get('pod-template-hash') or ''}"
        deployment = owner[1].removesuffix(suffix)
        return owners.get((metadata.namespace, "Deployment", deployment), owner)
    return owners.get((metadata.namespace, *owner), owner)
