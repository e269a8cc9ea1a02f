"""The course of the suite: install, make namespaces, groups and secrets, run the topics in order, remove everything.

The order is told here once: what breaks the system for a while comes late, the search for values after all that could leak
them, the removal last.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e import early, installation, people
from tests.e2e.kubectl import Object, apply, find, kubectl, until
from tests.e2e.pods import APPS
from tests.e2e.values import GROUP, TENANT, UNSTORED, VALUES

ORDER = (
    "installation variables containers security files templates byte_classes running workloads refusals backstop groups management dry_run"
    " exec_variables exec_values exec_containers exec_running exec_process exec_images exec_mixed reinvocation"
    " certificates outages generic_store stores exec_joining canary removal cert_manager"
).split()

STRICT, QUOTA, STRANGER = "tfy-e2e-strict", "tfy-e2e-quota", "tfy-e2e-stranger"
LABELLED = (APPS, STRICT, QUOTA, STRANGER)
_pictures: list[str] = []  # at most one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        see(f"{report.nodeid}, {report.when}")


def see(where: str) -> None:
    """Keep a picture of the first failure; the cluster itself may be what failed."""
    if _pictures:
        return
    try:
        _pictures.append(f"{where}\n{installation.diagnosis()}")
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        _pictures.append(f"{where}\nthe cluster does not tell: {error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for picture in _pictures:
        terminalreporter.section("how the system stood at the first failure")
        terminalreporter.write_line(picture)


def namespace(name: str, **labels: str) -> Object:
    # The logs of namespaces with `canary: logs` are searched for values at the end.
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"canary": "logs"} | labels}}


def namespaces() -> list[Object]:
    inject = {"tfy-secret.dev/inject": "enabled"}
    restricted = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn")}
    return [
        namespace(people.ADMIN),
        namespace(APPS, **inject),
        namespace(STRICT, **inject, **restricted),
        namespace(QUOTA, **inject),
        namespace(STRANGER, **inject),
    ]


def store(name: str = "e2e", **spec: object) -> Object:
    whole = {"fqn": f"{TENANT}/embedded/{name}", "provider": {"embedded": {}}, **spec}
    return {"apiVersion": "tfy-secret.dev/v1alpha1", "kind": "SecretStore", "metadata": {"name": name}, "spec": whole}


def group(name: str = GROUP, *, keys: tuple[str, ...] = (), consumers: tuple[str, ...] = (), store_name: str = "e2e") -> Object:
    collaborators = [{"role": "secret-group-admin", "subject": f"serviceaccount:{people.ADMIN}/keeper"}]
    collaborators += [{"role": "secret-group-consumer", "subject": subject} for subject in consumers]
    whole = {"store": store_name, "keys": list(keys), "collaborators": collaborators}
    return {"apiVersion": "tfy-secret.dev/v1alpha1", "kind": "SecretGroup", "metadata": {"name": name}, "spec": whole}


@pytest.fixture(scope="session", autouse=True)
def installed() -> Iterator[None]:
    """Everything that the tests build on; taken away again whatever happens."""
    if installation.is_installed() and not os.environ.get("TFY_E2E_TAKE_OVER"):
        pytest.exit(f"namespace {installation.SYSTEM} is there already, and this suite deletes it; set TFY_E2E_TAKE_OVER=1 if it may", 2)
    try:
        try:
            _make_world()
        except Exception:
            see("installing")
            raise
        yield
    finally:
        remove_world()


def _make_world() -> None:
    installation.apply_system()
    kubectl("label", "namespace", installation.SYSTEM, "canary=logs", "--overwrite")
    apply(*namespaces())
    for name in (*LABELLED, people.ADMIN):
        until(f"{name} has its service account", lambda name=name: find("serviceaccount", "default", name))
    installation.when_it_stands()
    keys = (*VALUES, *UNSTORED)
    consumers = tuple(f"namespace:{name}" for name in (APPS, STRICT, QUOTA))
    apply(store(), group(keys=keys, consumers=consumers))
    people.hire()
    people.put_all(VALUES)
    early.begin()


def remove_world() -> None:
    """Safe to call twice."""
    names = [thing["metadata"]["name"] for thing in namespaces()]
    kubectl("delete", "namespace", *names, "--ignore-not-found", timeout=180.0)
    installation.delete_system()
