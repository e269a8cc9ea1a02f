"""Pods that tell what their process sees, as lengths and digests, and the reading of what they tell.

A container is asked to report on words such as `env:DB`, `file:/etc/key`, `mode:/etc/key`, `mounts`, `kept:/etc/passwd`; each
becomes a line of its log. Values are never printed. Pods end when they have reported, so that they take no room, unless they stay.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

from tests.e2e.kubectl import Object, Timeout, apply, condition, every, find, kubectl, until

SHELL_IMAGE = os.environ.get("TFY_E2E_SHELL_IMAGE", "localhost/busybox:1")
APPS = "tfy-e2e-apps"
INIT = "tfy-secret-init"
LOGS: list[bytes] = []  # of pods that are gone by the end
READY_SECONDS = 90.0  # generous: a pod takes about two seconds, two cores may start twenty at once

REPORT = r"""
digest() { printf '%s %s' "$(wc -c | tr -d ' ')" "$1"; }
of_file() { digest "$(sha256sum <"$1" | cut -d' ' -f1)" <"$1"; }
of_text() { printf %s "$1" | digest "$(printf %s "$1" | sha256sum | cut -d' ' -f1)"; }
of_variable() { if eval "test -n \"\${$1+set}\""; then eval "of_text \"\$$1\""; else printf unset; fi; }
answer() {
  case $word in
    env:*) of_variable "$what" ;;
    arg:*) of_text "${what#*=}" ;;
    file:*) if [ -e "$what" ]; then of_file "$what"; else printf missing; fi ;;
    mode:*) stat -L -c %a "$what" ;;
    kept:*) if [ -s "$what" ]; then echo yes; else echo no; fi ;;
    mounts) grep -c tfy-secret /proc/self/mounts ;;
    tokens) find / -path /proc -prune -o -path /sys -prune -o -name token -type f -print 2>/dev/null | wc -l ;;
    user) id -u ;;
  esac
}
for word; do
  what=${word#*:} label=${word%%=*}
  printf '%s %s\n' "$label" "$(answer)"
done
"""
STAY = "\ntrap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


def container(name: str = "app", env: dict[str, str] | None = None, report: Sequence[str] = (), after: str = "", **more: Any) -> Object:
    """`report`: what to tell; `after`: shell lines that follow."""
    made: Object = {
        "name": name,
        "image": SHELL_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", (REPORT + after).replace("$", "$$"), "report", *report],  # the kubelet makes one of two
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
    }
    return made | more


def pod(name: str, *containers: Object, namespace: str = APPS, files: list[Object] | None = None, **spec: Any) -> Object:
    """`files` becomes our annotation."""
    metadata: Object = {"name": name, "namespace": namespace, "labels": {"e2e": name}}
    if files is not None:
        metadata["annotations"] = {"tfy-secret.dev/files": json.dumps(files)}
    defaults = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**defaults, **spec, "containers": list(containers)}}


def start(pods: dict[str, Object]) -> None:
    """All at once: they start side by side while the tests look at one after the other."""
    apply(*pods.values())


def remove(*things: Object) -> None:
    """Their room is needed; their logs are kept for the search at the end."""
    for namespace in {thing["metadata"]["namespace"] for thing in things}:
        everything = ["-l", "e2e", "--all-containers", "--tail=-1", "--max-log-requests=99", "--ignore-errors"]
        LOGS.append(kubectl("-n", namespace, "logs", *everything, check=False).out)
        names = [f"{thing['kind'].lower()}/{thing['metadata']['name']}" for thing in things if thing["metadata"]["namespace"] == namespace]
        kubectl("-n", namespace, "delete", *names, "--wait=false", "--ignore-not-found")


def status_of(thing: Object, name: str) -> Object:
    """A container's status, of any kind; {} before there is one."""
    status = thing.get("status", {})
    listed = [c for field in ("initContainerStatuses", "containerStatuses") for c in status.get(field) or []]
    return next((c for c in listed if c["name"] == name), {})


def ended(thing: Object, name: str) -> Object | None:
    """How a container ended the last time, if it did."""
    status = status_of(thing, name)
    found: Object | None = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
    return found


def find_pod(thing: Object) -> Object | None:
    return find("pod", thing["metadata"]["name"], thing["metadata"]["namespace"])


def when_done(thing: Object) -> Object:
    """The pod, once it has Succeeded; at once an error if it Failed."""

    def look() -> Object | None:
        found = find_pod(thing)
        phase = (found or {}).get("status", {}).get("phase")
        if phase == "Failed":
            raise Timeout(f"the pod failed\n{picture(thing['metadata']['namespace'], thing['metadata']['name'])}")
        return found if phase == "Succeeded" else None

    return until_pod(thing, "Succeeded", look)


def when_failed(thing: Object) -> Object:
    """The pod, once it has Failed: its init container said no for good."""

    def look() -> Object | None:
        found = find_pod(thing)
        phase = (found or {}).get("status", {}).get("phase")
        if phase == "Succeeded":
            raise Timeout("the pod succeeded, and was to fail")
        return found if phase == "Failed" else None

    return until_pod(thing, "Failed", look)


def when_ready(thing: Object, restarts: int = 0) -> Object:
    def look() -> Object | None:
        found = find_pod(thing)
        if found is None or condition(found, "Ready").get("status") != "True":
            return None
        counts = [c["restartCount"] for c in found["status"]["containerStatuses"]]
        return found if max(counts) >= restarts else None

    return until_pod(thing, f"Ready, with {restarts} restarts", look)


def until_pod(thing: Object, what: str, look: Any) -> Object:
    namespace, name = thing["metadata"]["namespace"], thing["metadata"]["name"]
    return until(f"pod {namespace}/{name} is {what}", look, READY_SECONDS, lambda: picture(namespace, name))


def told(namespace: str, name: str, container_name: str = "app") -> dict[str, str]:
    """What a container reported: word -> answer."""
    log = kubectl("-n", namespace, "logs", name, "-c", container_name).text
    return dict(line.split(" ", 1) for line in log.splitlines() if " " in line)


def report_of(thing: Object, container_name: str = "app") -> dict[str, str]:
    """What a container of a finished pod reported."""
    when_done(thing)
    return told(thing["metadata"]["namespace"], thing["metadata"]["name"], container_name)


def picture(namespace: str, name: str | None = None) -> str:
    """Pods, how their containers stand, and events, for a person who wonders why a test failed. Names and reasons alone."""
    lines = []
    for found in every("pods", namespace):
        if name in (None, found["metadata"]["name"]):
            status = found.get("status", {})
            lines.append(f"pod {namespace}/{found['metadata']['name']}: {status.get('phase')} {status.get('reason', '')}")
            for field in ("initContainerStatuses", "containerStatuses"):
                lines += [f"  {c['name']}: {json.dumps(c.get('state'))}" for c in status.get(field) or []]
        if name == found["metadata"]["name"]:  # the log of our init container: names alone
            log = kubectl("-n", namespace, "logs", name, "-c", INIT, "--tail=5", check=False)
            lines.append(log.out.decode(errors="replace"))
    for event in every("events", namespace):
        if name in (None, event["involvedObject"].get("name")):
            lines.append(f"event {event['involvedObject'].get('name')}: {event.get('reason')}: {event.get('message')}")
    return "\n".join(lines)
