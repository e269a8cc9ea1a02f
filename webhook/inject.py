"""`python -m webhook inject`: print manifests as the webhook would change them, for review and CI.

The patch is applied by the `jsonpatch` library, as an API server would. Nothing is printed when any pod is refused.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TextIO

import jsonpatch
import msgspec
import yaml

from service.manifests import BrokenFile, check_depth
from webhook.annotations import opted_out
from webhook.configmaps import templates_of
from webhook.contents import NONE, ConfigMap, check_templates
from webhook.errors import NotAManifest
from webhook.planning import Ask, Cluster, Inject, Reject, plan_injection
from webhook.pod import POD, Pod
from webhook.problem import Problem, Reason, told
from webhook.target import Findings

_CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")
_TEMPLATES: dict[str, tuple[str, ...]] = dict.fromkeys(_CONTROLLERS, ("spec", "template"))
_TEMPLATES |= {"Pod": (), "PodTemplate": ("template",), "CronJob": ("spec", "jobTemplate", "spec", "template")}


@dataclass(slots=True)
class Injector:
    """Goes through documents; `refused` and `warnings` are messages with the object's name in front.

    `config_maps` are those of the same documents, by namespace and name.
    """

    cluster: Callable[[], Cluster]
    namespace: str
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    config_maps: dict[tuple[str, str], ConfigMap] = field(default_factory=dict)

    def learn(self, document: Any) -> None:
        """Remember the ConfigMaps, which pods before and after them may have templates from."""
        if not isinstance(document, dict):
            return
        items, metadata = document.get("items"), document.get("metadata")
        if document.get("kind") == "ConfigMap" and isinstance(metadata, dict):
            self.config_maps[str(metadata.get("namespace") or self.namespace), str(metadata.get("name"))] = ConfigMap.of(document)
        for item in items if isinstance(items, list) else ():
            self.learn(item)

    def inject(self, document: Any) -> Any:
        """The document with every pod in it changed; other kinds come back as they are."""
        if not isinstance(document, dict):
            return document
        kind = document.get("kind")
        if not isinstance(kind, str):
            return document
        if kind.endswith("List") and isinstance(document.get("items"), list):
            return document | {"items": [self._item(item, kind.removesuffix("List")) for item in document["items"]]}
        if kind not in _TEMPLATES:
            return document
        return self._at(document, _TEMPLATES[kind], document)

    def _item(self, item: Any, kind: str) -> Any:
        """Items of a PodList, as the API has them, do not say that they are Pods; those of a List say what they are."""
        if not isinstance(item, dict) or item.get("kind") or not kind:
            return self.inject(item)
        changed = self.inject(item | {"kind": kind})
        return {key: value for key, value in changed.items() if key != "kind" or key in item}

    def _at(self, holder: Any, path: tuple[str, ...], whole: dict[str, Any]) -> Any:
        if not path:
            return self._pod(holder, whole)
        inner = holder.get(path[0])
        return holder | {path[0]: self._at(inner, path[1:], whole)} if isinstance(inner, dict) else holder

    def _pod(self, pod: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
        metadata = whole.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        name = f"{whole['kind']}/{metadata.get('name') or metadata.get('generateName') or '?'}"
        try:
            read = POD.decode(msgspec.json.encode(pod))
        except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError) as error:
            problem = Problem("pod", Reason.UNREADABLE_POD, "a pod that cannot be read", "a v1 Pod", f"correct it ({error})")
            self.refused.append(f"{name}: {problem}")
            return pod
        namespace = str(metadata.get("namespace") or self.namespace)
        decision = plan_injection(read, namespace, self.cluster())
        assert not isinstance(decision, Ask)  # noqa: S101 - off-cluster nobody can be asked
        found = Findings() if isinstance(decision, Reject) or opted_out(read) else self._look(read, namespace)
        self.warnings += [f"{name}: {warning}" for warning in (*decision.warnings, *found.warnings)]
        if found.problems:
            self.refused.append(f"{name}: {told(found.problems)}")
            return pod
        if isinstance(decision, Reject):
            self.refused.append(f"{name}: {told(list(decision.problems))}")
        if not isinstance(decision, Inject):
            return pod
        changed: dict[str, Any] = jsonpatch.apply_patch(_unshared(pod), list(decision.patch), in_place=True)
        return changed

    def _look(self, pod: Pod, namespace: str) -> Findings:
        """Into the config files that the pod has rendered; their ConfigMaps may be in these documents, or in the cluster alone."""
        findings, cluster = Findings(), self.cluster()
        truth = cluster.truths.of_workload(cluster.catalog, cluster.admins, namespace, pod.service_account)
        absent = "its references are checked at admission"
        check_templates(templates_of(pod), lambda name: self.config_maps.get((namespace, name), NONE), absent, truth, findings)
        return findings


def _unshared(value: Any) -> Any:
    """A copy in which what YAML aliases share (one `env` for two containers) is there twice, so that each can be changed alone."""
    if isinstance(value, dict):
        return {key: _unshared(part) for key, part in value.items()}
    return [_unshared(part) for part in value] if isinstance(value, list) else value


def inject_files(files: list[str], injector: Injector, out: TextIO, errors: TextIO) -> int:
    """Exit code 0, or 1 and nothing on `out` when a pod is refused."""
    read = [document for file in files for document in read_documents(file)]
    for document in read:
        injector.learn(document)
    documents = [injector.inject(document) for document in read]
    errors.write("".join(f"warning: {warning}\n" for warning in injector.warnings))
    if injector.refused:
        errors.write("".join(f"{message}\n" for message in injector.refused))
        return 1
    yaml.dump_all(documents, out, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000, explicit_start=len(documents) > 1)
    return 0


def read_documents(file: str) -> Iterator[Any]:
    """The documents of a YAML or JSON file, `-` for standard input. Raises NotAManifest."""
    try:
        text = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
        yield from (document for document in _parse(text) if document is not None)
    except OSError as error:
        raise NotAManifest(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise NotAManifest(f"{file}: not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotAManifest(f"{file}{f', line {mark.line + 1}' if mark else ''}: not YAML") from None
    except (BrokenFile, RecursionError):
        raise NotAManifest(f"{file}: nested too deep") from None
    except ValueError:
        raise NotAManifest(f"{file}: not YAML: a number that it does not have") from None


def _parse(text: str) -> Iterator[Any]:
    """JSON first: a YAML parser refuses JSON's surrogate pairs (`"\\ud83d\\ude00"`)."""
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            yield json.loads(text)
            return
    check_depth(text)
    yield from yaml.load_all(text, Loader=_Loader)


_YAML_BREAKS = "\x85\u2028\u2029"  # characters that end a line in YAML 1.1 and become blanks when they are folded


class _Loader(yaml.CSafeLoader):
    """Reads `2026-01-01` as text, as Kubernetes does."""

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]  # the stub calls it an instance variable
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.SafeDumper):
    """Writes lists as kubectl does, and no anchors: two equal parts are two parts."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Quoted where a parser would read something else: kubectl's takes `y` for true, and `1e3` or `-.5` for numbers."""
    style = None
    if any(line_break in text for line_break in _YAML_BREAKS):
        style = '"'  # where they are escaped
    elif text.isprintable() and (text.lower() in ("y", "n") or text[:1] in "0123456789+-."):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
