"""The fields of an AdmissionReview and a Pod that a plan reads, and no others: msgspec skips the rest without building it.

Spelled as Kubernetes spells them. A field that Kubernetes allows to be missing may be missing or null here.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct


class FileKeyRef(Struct, frozen=True):
    volumeName: str | None = None
    optional: bool | None = None


class ConfigMapKeyRef(Struct, frozen=True):
    name: str | None = None
    key: str | None = None


class ValueFrom(Struct, frozen=True):
    fileKeyRef: FileKeyRef | None = None
    configMapKeyRef: ConfigMapKeyRef | None = None


class ConfigMapRef(Struct):
    name: str | None = None


class EnvFrom(Struct):
    prefix: str | None = None
    configMapRef: ConfigMapRef | None = None


class EnvVar(Struct, frozen=True):
    name: str = ""
    value: str | None = None
    valueFrom: ValueFrom | None = None


class VolumeMount(Struct):
    name: str = ""
    mountPath: str = ""
    subPathExpr: str | None = None
    readOnly: bool | None = None


class Capabilities(Struct):
    drop: list[str] | None = None


class WindowsOptions(Struct):
    hostProcess: bool | None = None


class SecurityContext(Struct):
    runAsUser: int | None = None
    windowsOptions: WindowsOptions | None = None
    capabilities: Capabilities | None = None


class ExecAction(Struct):
    command: list[str] | None = None


class Handler(Struct):
    """A probe, or a hook of a lifecycle; only its command matters."""

    exec: ExecAction | None = None


class Lifecycle(Struct):
    postStart: Handler | None = None
    preStop: Handler | None = None


Words = tuple[str, str, list[str]]  # where they stand, for messages and as a JSON Pointer, and the words


class Container(Struct):
    name: str = ""
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    envFrom: list[EnvFrom] | None = None
    volumeMounts: list[VolumeMount] | None = None
    securityContext: SecurityContext | None = None
    livenessProbe: Handler | None = None
    readinessProbe: Handler | None = None
    startupProbe: Handler | None = None
    lifecycle: Lifecycle | None = None

    def words(self) -> Iterator[Words]:
        """Every list of words that becomes a process."""
        if self.command:
            yield "command", "command", self.command
        if self.args:
            yield "args", "args", self.args
        yield from self.exec_probes()
        yield from self.exec_hooks()

    def exec_probes(self) -> Iterator[Words]:
        for name, probe in (
            ("livenessProbe", self.livenessProbe),
            ("readinessProbe", self.readinessProbe),
            ("startupProbe", self.startupProbe),
        ):
            if probe is not None and probe.exec is not None:
                yield f"{name}.exec.command", f"{name}/exec/command", probe.exec.command or []

    def exec_hooks(self) -> Iterator[Words]:
        if self.lifecycle is None:
            return
        for name, hook in (("postStart", self.lifecycle.postStart), ("preStop", self.lifecycle.preStop)):
            if hook is not None and hook.exec is not None:
                yield f"lifecycle.{name}.exec.command", f"lifecycle/{name}/exec/command", hook.exec.command or []


class Present(Struct):
    """An object of which only its being there matters."""


class Volume(Struct):
    """What a volume is decides whether a file can be mounted inside it."""

    name: str = ""
    emptyDir: Present | None = None
    configMap: Present | None = None
    secret: Present | None = None
    projected: Present | None = None
    downwardAPI: Present | None = None
    image: Present | None = None


class PodSecurityContext(Struct):
    runAsUser: int | None = None
    windowsOptions: WindowsOptions | None = None
    fsGroup: int | None = None


class PodResources(Struct):
    """What the pod says for all its containers together; of the amounts only their being there matters."""

    limits: dict[str, msgspec.Raw] | None = None
    requests: dict[str, msgspec.Raw] | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset({*(self.limits or ()), *(self.requests or ())})


class PodOS(Struct):
    name: str | None = None


class LocalObjectReference(Struct):
    name: str | None = None


class PodSpec(Struct):
    containers: list[Container] | None = None
    initContainers: list[Container] | None = None
    ephemeralContainers: list[Container] | None = None
    volumes: list[Volume] | None = None
    securityContext: PodSecurityContext | None = None
    resources: PodResources | None = None
    serviceAccountName: str | None = None
    serviceAccount: str | None = None
    enableServiceLinks: bool | None = None
    hostNetwork: bool | None = None
    dnsPolicy: str | None = None
    nodeSelector: dict[str, str | None] | None = None
    os: PodOS | None = None
    imagePullSecrets: list[LocalObjectReference] | None = None


class ObjectMeta(Struct):
    name: str | None = None
    generateName: str | None = None
    namespace: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None


class Pod(Struct):
    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None

    @property
    def annotations(self) -> dict[str, str | None]:
        return (self.metadata and self.metadata.annotations) or {}

    @property
    def labels(self) -> dict[str, str | None]:
        return (self.metadata and self.metadata.labels) or {}

    @property
    def service_account(self) -> str:
        """What the pod runs as; the API server's own admission fills it in before ours, `default` is its rule."""
        spec = self.spec or PodSpec()
        return spec.serviceAccountName or spec.serviceAccount or "default"


class GroupVersionResource(Struct):
    group: str = ""
    version: str = ""
    resource: str = ""


class Request(Struct):
    uid: str
    object: Pod | None = None
    resource: GroupVersionResource | None = None
    subResource: str | None = None
    operation: str | None = None
    namespace: str | None = None


class Review(Struct):
    apiVersion: str
    kind: str
    request: Request


class RawRequest(Struct):
    """As much of a request as an answer needs, for a review whose object cannot be read as a pod."""

    uid: str
    resource: GroupVersionResource | None = None
    subResource: str | None = None
    operation: str | None = None
    namespace: str | None = None


class RawReview(Struct):
    apiVersion: str
    kind: str
    request: RawRequest


REVIEW = msgspec.json.Decoder(Review)
RAW_REVIEW = msgspec.json.Decoder(RawReview)
POD = msgspec.json.Decoder(Pod)
