"""The catalog: what is put can be found, what is removed cannot, and what cannot be used is remembered with its problem."""

from typing import Any

import pytest

from contract.catalog import GROUP, STORE, Catalog
from contract.keys import API_VERSION
from tests.contract.test_resources import group, store


def _state(catalog: Catalog) -> tuple[list[str], list[str], list[str], list[tuple[str, str]]]:
    return sorted(catalog.stores), sorted(catalog.stores_by_fqn), sorted(catalog.groups), sorted(catalog.problems)


def test_found_by_name_and_by_fqn() -> None:
    """Stores by both, groups by name."""
    catalog = Catalog("acme", [store(), group(keys=["A"])])
    assert _state(catalog) == (["ssm"], ["acme/aws/ssm"], ["payments"], [])
    assert catalog.stores_by_fqn["acme/aws/ssm"] is catalog.stores["ssm"]
    assert catalog.store_fqns == {"acme/aws/ssm"}


def test_replaced() -> None:
    """A newer manifest of the same name takes the place of the older, its FQN included."""
    catalog = Catalog("acme", [store(), group(keys=["A"])])
    catalog.put(store(fqn="acme/aws/other"))
    catalog.put(group(keys=["B"]))
    assert _state(catalog) == (["ssm"], ["acme/aws/other"], ["payments"], [])
    assert catalog.groups["payments"].keys == ("B",)


def test_removed() -> None:
    """Gone with everything that pointed to it; removing what is not there is nothing."""
    catalog = Catalog("acme", [store(), group()])
    for kind, name in ((STORE, "ssm"), (GROUP, "payments"), (STORE, "ssm"), (GROUP, "other")):
        catalog.remove(kind, name)
    assert _state(catalog) == ([], [], [], [])
    assert catalog.store_fqns == frozenset()


def test_a_bad_manifest_takes_the_good_one_away() -> None:
    """The older rules must not stay in force unseen; the FQN stays known, so that its references are refused and not passed on."""
    catalog = Catalog("acme", [store(), group()])
    catalog.put(store(provider={}))
    catalog.put(group(keys=[1]))
    assert _state(catalog) == ([], [], [], [(GROUP, "payments"), (STORE, "ssm")])
    assert catalog.store_fqns == {"acme/aws/ssm"}
    catalog.put(store())
    catalog.put(group())
    assert _state(catalog) == (["ssm"], ["acme/aws/ssm"], ["payments"], [])


def test_two_stores_of_one_fqn() -> None:
    """Neither answers, since either could be the wrong one; once one is gone the other does."""
    catalog = Catalog("acme", [store("a", "acme/aws/x"), store("b", "acme/aws/x"), store("c", "acme/aws/y")])
    sentence = ("spec.fqn: 'acme/aws/x' is given by several SecretStores (a, b); give each its own",)
    assert catalog.problems == {(STORE, "a"): sentence, (STORE, "b"): sentence}
    assert (sorted(catalog.stores_by_fqn), catalog.store_fqns) == (["acme/aws/y"], {"acme/aws/x", "acme/aws/y"})
    catalog.remove(STORE, "a")
    assert (sorted(catalog.stores_by_fqn), catalog.problems) == (["acme/aws/x", "acme/aws/y"], {})


def test_mended_by_another_fqn() -> None:
    """A changed FQN resolves the conflict for both."""
    catalog = Catalog("acme", [store("a", "acme/aws/x"), store("b", "acme/aws/x")])
    catalog.put(store("b", "acme/aws/z"))
    assert (sorted(catalog.stores_by_fqn), catalog.problems) == (["acme/aws/x", "acme/aws/z"], {})


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"kind": "ConfigMap", "metadata": {"name": "x"}}, id="another-kind"),
        pytest.param({"kind": STORE}, id="store-without-anything"),
        pytest.param({"kind": STORE, "metadata": "x", "spec": ["y"]}, id="store-of-other-shapes"),
        pytest.param({"kind": GROUP, "metadata": None, "spec": 3}, id="group-of-other-shapes"),
        pytest.param({"kind": ["x"], "metadata": {}}, id="kind-of-a-list"),
    ],
)
def test_any_manifest_is_taken_or_a_problem(manifest: dict[str, Any]) -> None:
    """No manifest makes the watch stop; none of these becomes usable."""
    catalog = Catalog("acme", [manifest])
    assert (catalog.stores, catalog.groups, catalog.stores_by_fqn) == ({}, {}, {})
    assert bool(catalog.problems) == (manifest.get("kind") in (STORE, GROUP))


def test_an_object_that_is_as_it_was_is_no_change() -> None:
    """Somebody looked at a value, so the group's status is new: what was concluded from the catalog still holds."""
    manifest = {"apiVersion": API_VERSION, "kind": "SecretGroup", "metadata": {"name": "g"}, "spec": {"store": "m", "keys": ["A"]}}
    catalog = Catalog("acme", [manifest])
    before, group = catalog.changes, catalog.groups["g"]
    catalog.put({**manifest, "status": {"activity": []}})
    assert (catalog.changes, catalog.groups["g"] is group) == (before, True)
    catalog.put({**manifest, "spec": {"store": "m", "keys": []}})
    assert (catalog.changes, catalog.groups["g"].keys) == (before + 1, ())
    catalog.put({**manifest, "spec": {}})
    catalog.put(manifest)
    assert (catalog.changes, ("SecretGroup", "g") in catalog.problems) == (before + 3, False)
