"""A caller is who the API server says, for the audience that we ask about; a pod's token is bound to the pod."""

import asyncio

import pytest

from broker import identity
from broker.errors import Unauthenticated, Unavailable
from broker.identity import MAX_TOKEN, TokenReviews, bearer, subjects_of
from broker.metrics import Metrics
from contract.access import workload_subjects
from tests.broker.api_server import POD_EXTRA, ApiServer

SERVICE_ACCOUNT = "system:serviceaccount:shop:web"
GROUPS = ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
OURS = ("tfy-secret.dev",)


@pytest.fixture
async def api():
    async with ApiServer() as server:
        yield server


@pytest.fixture
def reviews(api):
    return TokenReviews(api.kube, Metrics())


async def test_a_pod(api, reviews):
    api.users["tok"] = (OURS, {"username": SERVICE_ACCOUNT, "groups": GROUPS, "extra": POD_EXTRA})
    caller = await reviews.pod("tok")
    assert caller.subjects == workload_subjects("shop", "web")
    pod = caller.pod
    assert (pod.namespace, pod.service_account, pod.name, pod.uid, pod.node) == ("shop", "web", "web-1", "uid-1", "node-1")
    assert api.reviews == [["tfy-secret.dev"]]


async def test_a_person_is_reviewed_for_the_api_servers_own_audience(api, reviews):
    api.users["tok"] = (("api",), {"username": "ann@acme.example", "groups": ["payments", "system:authenticated"]})
    caller = await reviews.person("tok")
    assert caller.subjects == {"user:ann@acme.example", "team:payments", "team:system:authenticated"}
    assert api.reviews == [None]


@pytest.mark.parametrize(
    ("audiences", "user", "sentence"),
    [
        pytest.param(OURS, {"username": SERVICE_ACCOUNT, "groups": GROUPS}, "bound to a pod", id="not-bound"),
        pytest.param(
            OURS, {"username": SERVICE_ACCOUNT, "extra": {"authentication.kubernetes.io/pod-name": ["x"]}}, "bound to a pod", id="no-uid"
        ),
        pytest.param(
            OURS,
            {"username": SERVICE_ACCOUNT, "extra": {**POD_EXTRA, "authentication.kubernetes.io/pod-uid": [""]}},
            "bound to a pod",
            id="empty-uid",
        ),
        pytest.param(OURS, {"username": "ann", "extra": POD_EXTRA}, "bound to a pod", id="not-a-service-account"),
        pytest.param(
            OURS, {"username": "system:serviceaccount:shop:web:x", "extra": POD_EXTRA}, "bound to a pod", id="not-quite-a-service-account"
        ),
        pytest.param(("api",), {"username": SERVICE_ACCOUNT, "extra": POD_EXTRA}, "not accepted", id="made-for-the-api-server"),
        pytest.param(OURS, {"username": ""}, "not accepted", id="no-name"),
        pytest.param(OURS, {}, "not accepted", id="no-user"),
        pytest.param((), {}, "not accepted", id="unknown"),
    ],
)
async def test_tokens_that_are_no_pods(api, reviews, audiences, user, sentence):
    api.users["CANARY"] = (audiences, user)
    with pytest.raises(Unauthenticated, match=sentence) as caught:
        await reviews.pod("CANARY")
    assert "CANARY" not in str(caught.value)


async def test_a_pods_token_for_us_is_no_persons(api, reviews):
    api.users["tok"] = (OURS, {"username": SERVICE_ACCOUNT, "groups": GROUPS, "extra": POD_EXTRA})
    with pytest.raises(Unauthenticated):
        await reviews.person("tok")


async def test_an_api_server_that_ignores_audiences_is_not_believed(api, reviews):
    """It answers without `audiences`: then the token may have been made for anyone."""
    api.users["tok"] = (OURS, {"username": SERVICE_ACCOUNT, "groups": GROUPS, "extra": POD_EXTRA})
    api.audiences_known = False
    with pytest.raises(Unauthenticated):
        await reviews.pod("tok")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_an_api_server_that_does_not_review_is_worth_a_retry(api, reviews, status):
    api.status = status
    with pytest.raises(Unavailable, match="does not review tokens") as caught:
        await reviews.pod("CANARY")
    assert "CANARY" not in str(caught.value)
    assert caught.value.retry_after == 1


@pytest.mark.parametrize("body", [b"CANARY", b"[]", b"{}", b'{"status": null}', b'{"status": 3}'])
async def test_an_answer_that_is_no_review(api, reviews, body):
    api.body = body
    with pytest.raises(Unavailable):
        await reviews.pod("tok")


async def test_a_slow_api_server(api, reviews, monkeypatch):
    monkeypatch.setattr(identity, "REVIEW_SECONDS", 0.02)
    api.delay = 0.2
    with pytest.raises(Unavailable, match="TimeoutError"):
        await reviews.pod("tok")


async def test_reviews_at_once_are_bounded(api, reviews):
    reviews._room = asyncio.Semaphore(3)
    api.delay = 0.005
    api.users["tok"] = (("api",), {"username": "ann"})
    await asyncio.gather(*(reviews.person("tok") for _ in range(20)))
    assert api.most_at_once == 3


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer  a", "Bearer a\n", "Bearer é", "BEARER x", "Bearer x,Bearer y"],
)
def test_a_header_that_is_no_bearer_token(header):
    with pytest.raises(Unauthenticated):
        bearer(header)


def test_bearer_tokens_are_bounded():
    assert bearer("Bearer " + "x" * 1000) == "x" * 1000
    assert bearer("bearer a.b-c_d~e+f/g==") == "a.b-c_d~e+f/g=="
    with pytest.raises(Unauthenticated, match="at most") as caught:
        bearer("Bearer " + "x" * MAX_TOKEN)
    assert "xxx" not in str(caught.value)


def test_subjects_of_a_service_account_are_those_of_the_contract():
    assert subjects_of(SERVICE_ACCOUNT, []) == workload_subjects("shop", "web")
