"""The design's table over HTTP: every role (and none, and a tenant admin) x every operation x own group, other group, no group.

A denied caller gets the same answer for a group of others as for one that is not there, and nothing has changed.
"""

import pytest

from broker.api.ids import group_id, secret_id
from tests.broker.world import PATH

NAMES = {"own": "payments", "other": "search", "none": "nowhere"}
KEYS = {"own": "DB_PASSWORD", "other": "INDEX", "none": "X"}
VALUE = {"key": "NEW", "value": "CANARY"}


def manifest(name, **more):
    return {"type": "secret-group", "name": name, "integration_fqn": "acme/embedded/main"} | more


def rules(*subjects):
    return [
        {"subject": "user:admin", "role_id": "secret-group-admin"},
        *({"subject": s, "role_id": "secret-group-viewer"} for s in subjects),
    ]


# ruff: noqa: ARG005 - every operation is asked the same way
OPERATIONS = {
    "get": lambda g, k: ("GET", f"/secret-groups/{group_id(g)}", None),
    "keys": lambda g, k: ("POST", "/secrets", {"secretGroupId": group_id(g)}),
    "key": lambda g, k: ("GET", f"/secrets/{secret_id(g, k)}", None),
    "versions": lambda g, k: ("GET", f"/secrets/{secret_id(g, k)}/versions", None),
    "values": lambda g, k: ("POST", "/secrets", {"secretFqns": [f"tfy-secret://acme:{g}:{k}"], "withValue": True}),
    "values of the group": lambda g, k: ("POST", "/secrets", {"secretGroupId": group_id(g), "withValue": True}),
    "edit": lambda g, k: ("PUT", f"/secret-groups/{group_id(g)}", {"secrets": [{"key": k, "value": "CANARY"}, *KEEP[g]]}),
    "delete by leaving out": lambda g, k: ("PUT", f"/secret-groups/{group_id(g)}", {"secrets": []}),
    "create": lambda g, k: ("PUT", f"/secret-groups/{group_id(g)}", {"secrets": [{"key": k}, *KEEP[g], VALUE]}),
    "restore": lambda g, k: ("POST", f"/secrets/{secret_id(g, k)}/restore", {"version": "1"}),
    "delete": lambda g, k: ("DELETE", f"/secrets/{secret_id(g, k)}", None),
    "share": lambda g, k: ("PUT", "/secret-groups", {"manifest": manifest(g, collaborators=rules("user:x"))}),
    "apply": lambda g, k: ("PUT", "/apply", {"manifest": manifest(g, collaborators=rules("user:x"))}),
    "activity": lambda g, k: ("GET", f"/secret-groups/{group_id(g)}/activity", None),
    "delete the group": lambda g, k: ("DELETE", f"/secret-groups/{group_id(g)}", None),
    "tfy delete": lambda g, k: ("POST", "/delete", {"manifest": manifest(g)}),
}
KEEP = {"payments": [{"key": "STRIPE_KEY"}, {"key": "JSON"}, {"key": "NEVER_SET"}], "search": [], "nowhere": []}
LIST, REVEAL = {"get", "keys", "key", "versions"}, {"values", "values of the group"}
EDIT = {"edit", "delete by leaving out", "restore", "delete"}
ADMIN = {"create", "share", "apply", "activity", "delete the group", "tfy delete"}
ALLOWED = {
    "admin": LIST | REVEAL | EDIT | ADMIN,
    "editor": LIST | REVEAL | EDIT,
    "viewer": LIST,
    "consumer": set(),
    "none": set(),
    "web": set(),  # a workload's service account, which is a consumer
    "maker": set(),  # may make groups, and has no role in these
    "root": LIST | REVEAL | EDIT | ADMIN,
}


@pytest.mark.parametrize("where", NAMES)
@pytest.mark.parametrize("role", ALLOWED)
async def test_matrix(open_site, role, where, tmp_path):
    """One site a role; each operation on fresh content."""
    site = await open_site()
    denials = set()
    for operation, request in OPERATIONS.items():
        if where == "own" and operation in ("delete the group", "tfy delete") and operation in ALLOWED[role] and role != "root":
            continue  # below, since it ends the group
        site.world.store.values = {PATH: [b"old", b"secret-value"], "/tfy-secret/acme/search/INDEX": [b"other"]}
        restore(site)
        before = {path: list(values) for path, values in site.world.store.values.items()}
        method, path, body = request(NAMES[where], KEYS[where])
        status, answer = await site.call(role, method, path, body)
        mine = operation in ALLOWED[role] and (where == "own" or role == "root")
        if mine and where != "none":
            assert status == 200, (operation, answer)
            continue
        if role in ("root", "maker") and operation in ("share", "apply"):
            # To put a manifest of a group that is not there is to make it; whoever may, learns which names are taken.
            assert status == (200 if where == "none" else 409), (operation, answer)
            continue
        assert status == (404 if role == "root" else 403), (operation, answer)
        denials.add((answer["message"], answer["code"]))
        assert "secret-value" not in str(answer)
        assert site.world.store.values == before, operation
        assert site.world.lines()[-1]["decision"] == "deny", operation
    assert len(denials) <= 1, denials


def restore(site):
    """The manifests as they were."""
    import yaml

    from tests.broker.world import manifests

    for file in site.world.folder.glob("*.yaml"):
        file.unlink()
    (site.world.folder / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    site.world.live.look()


@pytest.mark.parametrize("role", ["admin", "root"])
async def test_who_may_deletes_the_group(open_site, role):
    for request in (("DELETE", f"/secret-groups/{group_id('payments')}", None), ("POST", "/delete", {"manifest": manifest("payments")})):
        site = await open_site()
        assert (await site.call(role, *request))[0] == 200
        assert PATH not in site.world.store.values


async def test_lists_show_what_one_may_list(site):
    seen = {}
    for role in ALLOWED:
        _, groups = await site.call(role, "GET", "/secret-groups")
        _, secrets = await site.call(role, "POST", "/secrets", {})
        seen[role] = ([g["fqn"] for g in groups["data"]], groups["pagination"]["total"], len(secrets["data"]))
    mine = (["acme:lost", "acme:payments"], 2, 5)
    every = (["acme:lost", "acme:payments", "acme:search"], 3, 6)
    nothing = ([], 0, 0)
    closed = dict.fromkeys(("consumer", "none", "web", "maker"), nothing)
    assert seen == dict.fromkeys(("admin", "editor", "viewer"), mine) | closed | {"root": every}
    for role, expected in (("viewer", []), ("root", ["acme:search"])):
        _, found = await site.call(role, "GET", "/secret-groups", params={"fqn": "acme:search"})
        assert [g["fqn"] for g in found["data"]] == expected


async def test_values_without_the_role_are_none_at_all(site):
    """A list over several groups of which one is closed shows no value of any, and reads none."""
    names = ["tfy-secret://acme:payments:DB_PASSWORD", "tfy-secret://acme:search:INDEX"]
    status, answer = await site.call("admin", "POST", "/secrets", {"secretFqns": names, "withValue": True})
    assert (status, answer["code"]) == (403, "denied")
    own = {"name": "billing", "integrationId": "main", "secrets": [{"key": "A", "value": "CANARY"}]}
    assert (await site.call("maker", "POST", "/secret-groups", own))[0] == 200
    shared = manifest("payments", collaborators=rules("user:maker"))
    assert (await site.call("admin", "PUT", "/secret-groups", {"manifest": shared}))[0] == 200
    assert len((await site.call("maker", "POST", "/secrets", {}))[1]["data"]) == 5
    status, answer = await site.call("maker", "POST", "/secrets", {"withValue": True})
    assert (status, answer["code"]) == (403, "denied")
    assert site.world.store.reads == 0
    assert not [line for line in site.world.lines() if line["action"] == "reveal" and line["decision"] == "allow"]


@pytest.mark.parametrize("role", [r for r in ALLOWED if r not in ("maker", "root")])
async def test_who_may_not_make_groups(site, role):
    status, answer = await site.call(role, "POST", "/secret-groups", {"name": "new", "integrationId": "main", "secrets": []})
    assert (status, answer["code"]) == (403, "denied")
    taken, _ = await site.call(role, "POST", "/secret-groups", {"name": "search", "integrationId": "main", "secrets": []})
    assert taken == 403, "whether a name is taken is nobody's business who may not make groups"
