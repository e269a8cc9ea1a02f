"""TrueFoundry's SDK, unchanged, over HTTPS: every call of its secret_groups and secrets clients, and what it raises."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from truefoundry_sdk import (
    Collaborator,
    ConflictError,
    FailedDependencyError,
    ForbiddenError,
    NotFoundError,
    SecretGroupManifest,
    SecretInput,
    UnprocessableEntityError,
    UpdateSecretInput,
)
from truefoundry_sdk.core.api_error import ApiError

from broker.api import shapes
from broker.errors import StoreRefused
from tests.broker.api.conftest import CANARY

NO_RETRIES = {"max_retries": 0}


async def items(pager):
    return [item async for item in pager]


async def test_a_group_from_its_first_secret_to_its_end(site):
    sdk = site.sdk("maker")
    made = (
        await sdk.secret_groups.create(
            name="billing", integration_id="main", secrets=[SecretInput(key="A", value="1"), SecretInput(key="B", value="2")]
        )
    ).data
    assert (made.fqn, made.integration_id, made.tenant_name, made.created_by) == ("acme:billing", "main", "acme", "maker")
    assert [s.fqn for s in made.associated_secrets] == ["tfy-secret://acme:billing:A", "tfy-secret://acme:billing:B"]
    assert made.manifest["collaborators"] == [{"subject": "user:maker", "role_id": "secret-group-admin"}]
    assert made.manifest["integration_fqn"] == "acme/embedded/main"
    assert made.created_by_subject.subject_type == "user"

    assert (await sdk.secret_groups.get(id=made.id)).data.id == made.id
    assert (await sdk.secret_groups.get_by_fqn("acme:billing")).data.id == made.id
    assert [g.id for g in await items(await sdk.secret_groups.list(search="BILL"))] == [made.id]
    assert [g.id for g in await items(await sdk.secret_groups.list(fqn="acme:billing", attributes=["id", "name"]))] == [made.id]

    # B keeps its value, A gets a new version, C is new; then B is left out and so deleted.
    await sdk.secret_groups.update(
        id=made.id, secrets=[UpdateSecretInput(key="A", value="1b"), UpdateSecretInput(key="B"), UpdateSecretInput(key="C", value="3")]
    )
    await sdk.secret_groups.update(id=made.id, secrets=[UpdateSecretInput(key="A", value="1b"), UpdateSecretInput(key="C")])
    found = await items(await sdk.secrets.list(secret_group_id=made.id, with_value=True))
    assert [(s.name, s.value) for s in found] == [("A", "1b"), ("C", "3")]
    assert site.world.store.values["/tfy-secret/acme/billing/A"] == [b"1", b"1b"], "an equal value makes no new version"
    assert "/tfy-secret/acme/billing/B" not in site.world.store.values

    one = (await sdk.secrets.get(id=found[0].id)).data
    assert (one.name, one.value, [v.version for v in one.secret_versions]) == ("A", None, [2, 1])
    assert await sdk.secrets.delete(id=found[0].id, force_delete=False) in (1, 1.0)
    assert [s.name for s in await items(await sdk.secrets.list(secret_group_id=made.id))] == ["C"]
    await sdk.secret_groups.delete(id=made.id)
    assert not [path for path in site.world.store.values if "/billing/" in path]
    assert await items(await sdk.secret_groups.list(search="billing")) == []


async def test_by_manifest(site):
    sdk = site.sdk("maker")
    people = [Collaborator(subject="team:payments", role_id="secret-group-viewer")]
    manifest = SecretGroupManifest(name="by-manifest", integration_fqn="acme/embedded/main", collaborators=people)
    assert (await sdk.secret_groups.create_or_update(manifest=manifest, dry_run=True)).data.fqn == "acme:by-manifest"
    assert await items(await sdk.secret_groups.list(search="by-manifest")) == []
    made = (await sdk.secret_groups.create_or_update(manifest=manifest)).data
    again = (await sdk.secret_groups.create_or_update(manifest=manifest)).data
    assert made.manifest == again.manifest, "a manifest that names no admin leaves those who are there"
    assert again.manifest["collaborators"] == [
        {"subject": "user:maker", "role_id": "secret-group-admin"},
        {"subject": "team:payments", "role_id": "secret-group-viewer"},
    ]
    both = await sdk.apply(manifest=manifest.model_copy(update={"collaborators": []}))
    assert (both.action, both.data.manifest["collaborators"]) == ("UPDATE", [{"subject": "user:maker", "role_id": "secret-group-admin"}])
    await sdk.delete(manifest=manifest)
    assert await items(await sdk.secret_groups.list(search="by-manifest")) == []
    assert (await sdk.apply(manifest=manifest)).action == "CREATE"


async def test_the_synchronous_client(site):
    """Its client is httpx's synchronous one, so it runs in a thread."""

    def journey():
        with httpx.Client(verify=site.trust, timeout=10) as client:
            return used(site.sync_sdk("maker", client))

    def used(sdk):
        made = sdk.secret_groups.create(name="sync", integration_id="main", secrets=[SecretInput(key="K", value="v")]).data
        sdk.secret_groups.update(id=made.id, secrets=[UpdateSecretInput(key="K", value="w")])
        values = [s.value for s in sdk.secrets.list(secret_fqns=["tfy-secret://acme:sync:K"], with_value=True)]
        listed = [g.fqn for g in sdk.secret_groups.list(limit=1)]
        sdk.secret_groups.delete(id=made.id)
        return values, listed

    assert await asyncio.to_thread(journey) == (["w"], ["acme:sync"])


async def test_pages_end(site):
    """The SDK asks for one page after the other until one is empty."""
    sdk = site.sdk("root")
    for n in range(5):
        await sdk.secret_groups.create(name=f"page-{n}", integration_id="main", secrets=[])
    found = [g.fqn async for g in await sdk.secret_groups.list(limit=2, search="page-")]
    assert found == [f"acme:page-{n}" for n in range(5)]
    status, body = await site.call("root", "GET", "/secret-groups", params={"offset": 500, "limit": 2})
    assert (status, body["data"], body["pagination"]) == (200, [], {"total": 8, "offset": 500, "limit": 2})


async def test_pages_larger_than_ours_end_too(site, monkeypatch):
    """Whoever asks for more than a page holds gets that much, and the rest next: the SDK counts what came."""
    monkeypatch.setattr(shapes, "MAX_PAGE", 2)
    monkeypatch.setattr(shapes, "MAX_VALUES_PAGE", 3)
    sdk = site.sdk("root")
    assert len(await items(await sdk.secret_groups.list(limit=5000))) == 3
    assert len(await items(await sdk.secrets.list(limit=5000))) == 6
    assert len(await items(await sdk.secrets.list(limit=5000, with_value=True, secret_group_id="cGF5bWVudHM"))) == 4
    _, body = await site.call("root", "GET", "/secret-groups", params={"limit": 5000})
    assert body["pagination"] == {"total": 3, "offset": 0, "limit": 2}


@pytest.mark.parametrize("fqn", ["acme:nope", "payments", "tfy-secret://acme:payments:DB_PASSWORD", "acme:no pe/é?", ":"])
async def test_an_fqn_that_no_group_has(site, fqn):
    with pytest.raises(NotFoundError):
        await site.sdk("root").secret_groups.get_by_fqn(fqn)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("acme:payments", ["acme:payments"]),
        ("ACME:Pay", ["acme:payments"]),
        ("tfy-secret://acme:payments:DB_PASSWORD", ["acme:payments"]),
        ("tfy-secret://acme:payments:NOPE", []),
        ("other:payments", []),
    ],
)
async def test_an_fqn_can_be_searched_for(site, search, found):
    assert [g.fqn for g in await items(await site.sdk("root").secret_groups.list(search=search))] == found


async def test_who_and_when(site):
    """Of a group, also one that is only tried; of a key, as far as its versions tell."""
    before = datetime.now(UTC)
    sdk = site.sdk("maker")
    tried = (await sdk.secret_groups.create_or_update(manifest=manifest("billing"), dry_run=True)).data
    made = (await sdk.secret_groups.create(name="billing", integration_id="main", secrets=[SecretInput(key="A", value="1")])).data
    for group in (tried, made):
        assert (group.created_by, group.created_by_subject.subject_id, group.created_at >= before) == ("maker", "maker", True)
    people = [Collaborator(subject="user:editor", role_id="secret-group-editor")]
    await sdk.secret_groups.create_or_update(manifest=manifest("billing", people))
    await site.sdk("editor").secret_groups.update(id=made.id, secrets=[UpdateSecretInput(key="A", value="2")])
    now = (await sdk.secret_groups.get(id=made.id)).data
    assert (now.created_at, now.created_by, now.updated_at > made.updated_at) == (made.created_at, "maker", True)
    (key,) = now.associated_secrets
    found = (await sdk.secrets.get(id=key.id)).data
    assert (found.created_by, found.created_by_subject.subject_id, found.updated_at > found.created_at) == ("maker", "maker", True)


async def test_a_trial_shows_what_would_be(site):
    people = [Collaborator(subject="team:x", role_id="secret-group-viewer")]
    tried = (await site.sdk("admin").secret_groups.create_or_update(manifest=manifest("payments", people), dry_run=True)).data
    assert tried.manifest["collaborators"] == [
        {"subject": "user:admin", "role_id": "secret-group-admin"},
        {"subject": "team:x", "role_id": "secret-group-viewer"},
    ]
    assert len((await site.sdk("admin").secret_groups.get(id=tried.id)).data.manifest["collaborators"]) > 2


def manifest(name, people=None):
    return SecretGroupManifest(name=name, integration_fqn="acme/embedded/main", collaborators=people)


def seen(group):
    return NO_RETRIES | {"additional_headers": {"If-Match": group.version}}


async def test_two_who_edit_one_value(site):
    """The second learns what the first saved; who edits another key is not disturbed, nor is who looks at a value."""
    first, second, keys = site.sdk("admin"), site.sdk("editor"), ["DB_PASSWORD", "JSON", "NEVER_SET", "STRIPE_KEY"]

    def changed(**values):
        return [UpdateSecretInput(key=key, **({"value": values[key]} if key in values else {})) for key in keys]

    both = (await first.secret_groups.get(id="cGF5bWVudHM")).data
    after = (await first.secret_groups.update(id=both.id, secrets=changed(DB_PASSWORD="1"), request_options=seen(both))).data
    assert after.version != both.version
    with pytest.raises(ApiError) as caught:
        await second.secret_groups.update(id=both.id, secrets=changed(DB_PASSWORD="2"), request_options=seen(both))
    assert caught.value.status_code == 409
    assert caught.value.body["message"].startswith("version 3 of 'DB_PASSWORD' was saved by admin at ")
    assert caught.value.body["details"][-1]["version"] == after.version
    with pytest.raises(ApiError, match="'DB_PASSWORD' was saved by admin"):
        await second.secrets.delete(id="cGF5bWVudHM6REJfUEFTU1dPUkQ", request_options=seen(both))
    assert site.world.store.values["/tfy-secret/acme/payments/DB_PASSWORD"][-1] == b"1"
    await second.secret_groups.update(id=both.id, secrets=changed(JSON="{}"), request_options=seen(both))
    assert len(await items(await second.secrets.list(secret_group_id=both.id, with_value=True))) == 4
    newest = (await first.secret_groups.get(id=both.id)).data
    await first.secret_groups.update(id=both.id, secrets=changed(JSON="[]"), request_options=seen(newest))


async def test_two_who_edit_one_value_in_the_same_moment(site):
    sdk = site.sdk("admin")
    both = (await sdk.secret_groups.get(id="cGF5bWVudHM")).data
    keep = [UpdateSecretInput(key=key) for key in ("JSON", "NEVER_SET", "STRIPE_KEY")]
    calls = [
        sdk.secret_groups.update(id=both.id, secrets=[*keep, UpdateSecretInput(key="DB_PASSWORD", value=value)], request_options=seen(both))
        for value in ("1", "2", "3")
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(getattr(outcome, "status_code", 200) for outcome in outcomes) == [200, 409, 409]


async def test_what_the_sdk_raises(site):
    with pytest.raises(ForbiddenError) as denied:
        await site.sdk("viewer").secret_groups.update(id="cGF5bWVudHM", secrets=[])
    assert denied.value.body.status_code == 403
    assert denied.value.body.code == "denied"
    with pytest.raises(NotFoundError):
        await site.sdk("root").secret_groups.get(id="bm93aGVyZQ")
    with pytest.raises(UnprocessableEntityError) as refused:
        await site.sdk("maker").secret_groups.create(name="Not A Name", integration_id="main", secrets=[])
    assert "$.name" in refused.value.body.message
    with pytest.raises(UnprocessableEntityError, match="no usable SecretStore"):
        await site.sdk("maker").secret_groups.create(name="x", integration_id="nowhere", secrets=[])
    with pytest.raises(ConflictError) as conflict:
        manifest = SecretGroupManifest(name="payments", integration_fqn="acme/embedded/main")
        await site.sdk("admin").secret_groups.create_or_update(
            manifest=manifest, request_options=NO_RETRIES | {"additional_headers": {"If-Match": '"old"'}}
        )
    assert conflict.value.body.details[-1]["version"]
    site.world.store.error = StoreRefused("SecretStore main: the store does not accept our credentials")
    with pytest.raises(FailedDependencyError) as failed:
        await site.sdk("maker").secret_groups.create(name="x", integration_id="main", secrets=[SecretInput(key="K", value="v")])
    assert failed.value.body.code == "store_refused"


async def test_a_wrong_token_is_an_api_error(site):
    with pytest.raises(ApiError) as caught:
        await site.sdk("wrong").secret_groups.get(id="cGF5bWVudHM")
    assert caught.value.status_code == 401
    assert CANARY not in str(caught.value.body)
