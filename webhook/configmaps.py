"""ConfigMaps that a pod takes from, looked into before it exists.

Its environment: a reference there would reach the app as a name, so the pod is refused with the way out. Config files that are
rendered: their references are checked as those in the pod are (`contents`).

Only pods with such sources cost a call. A ConfigMap that is not there is the kubelet's to tell; one that cannot be read is a
warning, since what it holds is then not known. Nothing of a ConfigMap but the name of a reference is ever shown.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

from contract import keys
from contract.fqn import FqnError, shorten
from contract.references import find_references
from service.kube import Kube, KubeError, NotFound
from webhook.contents import NONE, ConfigMap, check_templates
from webhook.pod import EnvVar, Pod, PodSpec
from webhook.problem import Problem, Reason
from webhook.planning import Cluster
from webhook.scan import targets_of
from webhook.target import Findings
from webhook.templates import WantedTemplate, parse_templates

_NAME = re.compile(r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?")
SECONDS = 2.0  # for all of them: the API server gives a webhook 5


@dataclass(frozen=True, slots=True)
class Source:
    """One place that takes from a ConfigMap: one key for the variable `name`, or all of them, whose variables begin with `name`.

    `said` are the variables that the container's own `env` gives a value, which wins over `envFrom`.
    """

    place: str
    config_map: str
    key: str | None
    name: str = ""
    said: frozenset[str] = frozenset()

    def variable(self, key: str) -> str:
        return f"{self.name}{key}" if self.key is None else self.name


def sources_of(spec: PodSpec) -> Iterator[Source]:
    """Every `envFrom` and `configMapKeyRef` of init containers and containers."""
    for target in targets_of(spec):
        entries = target.container.env or ()
        for index, source in enumerate(target.container.envFrom or ()):
            if source.configMapRef and source.configMapRef.name:
                said = frozenset(entry.name for entry in entries if _always_there(entry))
                yield Source(f"{target.place}.envFrom[{index}]", source.configMapRef.name, None, source.prefix or "", said)
        for entry in entries:
            found = entry.valueFrom.configMapKeyRef if entry.valueFrom else None
            if found and found.name:
                yield Source(f"{target.place}.env[{entry.name}]", found.name, found.key or "", entry.name)


def _always_there(entry: EnvVar) -> bool:
    """Not an optional reference: where its secret is absent, what `envFrom` says would stay."""
    if entry.valueFrom is not None:  # a reference that an earlier call made into this
        return entry.valueFrom.fileKeyRef is not None and not entry.valueFrom.fileKeyRef.optional
    return entry.value is not None and "optional=true" not in entry.value


class ConfigMaps:
    """Looks into them through the API, which needs the right to get ConfigMaps."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def look(self, pod: Pod, namespace: str, cluster: Cluster, within: float = SECONDS) -> Findings:
        """Problems and warnings; none for a pod that takes nothing from ConfigMaps. `within` seconds, at most `SECONDS`."""
        findings = Findings()
        sources, templates = list(sources_of(pod.spec or PodSpec())), templates_of(pod)
        names = sorted({source.config_map for source in sources} | {template.config_map for template in templates})
        if names:
            read = dict(zip(names, await asyncio.gather(*(self._read(namespace, name, within) for name in names)), strict=True))
            for source in sources:
                _check(source, read[source.config_map], cluster.catalog.store_fqns, findings)
            truth = cluster.truths.of_workload(cluster.catalog, cluster.admins, namespace, pod.service_account)
            check_templates(templates, read.get, "the pod waits for it", truth, findings)
        return findings

    async def _read(self, namespace: str, name: str, within: float) -> ConfigMap | None:
        """None where it cannot be read."""
        if not (_NAME.fullmatch(name) and _NAME.fullmatch(namespace)):
            return NONE  # such a ConfigMap cannot be there; and in the path it would lead a made-up review to another resource
        try:
            async with asyncio.timeout(min(within, SECONDS)):
                return ConfigMap.of(await self._kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
        except NotFound:
            return NONE
        except (KubeError, TimeoutError):
            return None


def templates_of(pod: Pod) -> tuple[WantedTemplate, ...]:
    """Those of the annotation; its faults have been told by then."""
    text = pod.annotations.get(keys.TEMPLATES)
    return parse_templates(f"metadata.annotations[{keys.TEMPLATES}]", text, []) if text else ()


def _check(source: Source, found: ConfigMap | None, stores: frozenset[str], findings: Findings) -> None:
    if found is None:
        findings.tell(f"{source.place}: ConfigMap '{source.config_map}' could not be read; a reference in it would reach the app as a name")
        return
    for key in found.data if source.key is None else [source.key]:
        value = found.data.get(key)
        if isinstance(value, str) and source.variable(key) not in source.said and _holds_reference(value, stores):
            instead = "which wins over envFrom" if source.key is None else "instead of valueFrom"
            fix = f"write the reference in env of the container: {{name: {shorten(source.variable(key), 60)}, value: ...}}, {instead}"
            told = f"a reference in key '{shorten(key, 60)}' of ConfigMap '{source.config_map}'"
            findings.tell(Problem(source.place, Reason.NOT_DELIVERABLE, told, "references in env[].value alone", fix))


def _holds_reference(value: str, stores: frozenset[str]) -> bool:
    try:
        return find_references(value, stores) is not None
    except FqnError:
        return True
