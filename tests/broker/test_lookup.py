"""What the command line knows of stores and groups, in a cluster and outside of one."""

import pytest

from broker import lookup
from broker.direct import choose_store
from broker.errors import Misconfigured
from tests.broker.api_server import ApiServer

STORE = {"metadata": {"name": "embedded"}, "spec": {"fqn": "acme/embedded/default", "provider": {"embedded": {}}}}
GROUP = {"metadata": {"name": "payments"}, "spec": {"store": "embedded", "keys": ["A"]}}


async def test_outside_of_a_cluster_and_without_a_folder_nothing_is_known():
    assert await lookup.find_catalog("acme", {}) is None


async def test_in_a_pod_of_the_broker_the_only_embedded_store_is_meant(monkeypatch):
    """`kubectl exec deploy/tfy-secret-broker -- python -m broker secret put ...` needs no --store-fqn; list items carry no kind."""

    async with ApiServer() as server:
        server.objects["secretstores"]["embedded"] = STORE
        server.objects["secretgroups"]["payments"] = GROUP
        monkeypatch.setattr(lookup.Kube, "in_cluster", lambda: server.kube)
        catalog = await lookup.find_catalog("acme", {"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
    assert choose_store(None, catalog) == "acme/embedded/default"
    assert catalog.groups["payments"].keys == ("A",)


async def test_a_pod_without_a_token_is_told(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    with pytest.raises(Misconfigured, match="SecretStores and SecretGroups cannot be read: .*automountServiceAccountToken"):
        await lookup.find_catalog("acme", {"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
