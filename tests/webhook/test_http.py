"""The HTTP around a review: sizes, content types, paths, and bodies that are no review at all."""

import gzip
import json
from collections.abc import AsyncIterator

import pytest

from tests.webhook.pods import KEY, app
from tests.webhook.reviews import UID, Webhook, review, webhook
from webhook.review import MAX_BYTES

NOT_A_REVIEW = "the body is not an AdmissionReview with apiVersion, kind and request.uid"
OTHER = "the body is not an AdmissionReview of admission.k8s.io/v1 or admission.k8s.io/v1beta1"


@pytest.fixture
async def served() -> AsyncIterator[Webhook]:
    async with webhook() as started:
        yield started


def _sized(size: int) -> bytes:
    """A review of exactly so many bytes."""
    body = json.dumps(review(app(A=KEY, FILLER="")))
    return body.replace('"FILLER", "value": ""', f'"FILLER", "value": "{"x" * (size - len(body))}"').encode()


async def _pieces(body: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_as_large_as_a_review_gets(served: Webhook) -> None:
    """7 MiB is taken; what is one byte larger is refused before it is read."""
    assert len(_sized(MAX_BYTES)) == MAX_BYTES
    status, answer = await served.post(_sized(MAX_BYTES))
    assert (status, answer["response"]["allowed"]) == (200, True)
    status, answer = await served.post(_sized(MAX_BYTES + 1))
    assert (status, answer) == (413, {"message": "a review may have 7340032 bytes"})


async def test_chunked(served: Webhook) -> None:
    """Without a length the body is counted as it comes."""
    status, answer = await served.post(_pieces(_sized(300_000)))
    assert (status, answer["response"]["uid"]) == (200, UID)
    status, answer = await served.post(_pieces(_sized(MAX_BYTES + 1)))
    assert (status, answer["message"]) == (413, "a review may have 7340032 bytes")


async def test_the_next_request_is_served(served: Webhook) -> None:
    """A refused one leaves nothing behind that the next could trip over."""
    for body in (b"{", _sized(MAX_BYTES + 1), b""):
        assert (await served.post(body))[0] >= 400
        assert (await served.post(review(app(A=KEY))))[0] == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"],
)
async def test_content_types(served: Webhook, content_type: str) -> None:
    """As API servers and their proxies write it."""
    assert (await served.post(review(app(A=KEY)), headers={"Content-Type": content_type}))[0] == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/yaml", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_other_content_types(served: Webhook, content_type: str) -> None:
    """What does not say JSON is not guessed at."""
    status, answer = await served.post(review(app(A=KEY)), headers={"Content-Type": content_type})
    assert (status, answer) == (415, {"message": "Content-Type application/json is needed"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods(served: Webhook, method: str) -> None:
    """A review is posted."""
    async with served.session.request(method, served.url + "/mutate") as answer:
        assert (answer.status, await answer.json()) == (405, {"message": f"POST /mutate, not {method}"})
        assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/", "/mutate/", "/mutat", "/metrics", "/livez", "//mutate", "/MUTATE"])
async def test_other_paths(served: Webhook, path: str) -> None:
    """There is one."""
    assert await served.post(review(app(A=KEY)), path) == (404, {"message": "POST /mutate is all there is"})


async def test_the_api_servers_query(served: Webhook) -> None:
    """It adds its time-out to the URL."""
    assert (await served.post(review(app(A=KEY)), "/mutate?timeout=5s"))[0] == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "the body is not JSON", id="empty"),
        pytest.param(b"{", "the body is not JSON", id="half"),
        pytest.param(b"hello", "the body is not JSON", id="text"),
        pytest.param(b"null", NOT_A_REVIEW, id="null"),
        pytest.param(b"[]", NOT_A_REVIEW, id="list"),
        pytest.param(b"{}", NOT_A_REVIEW, id="empty-object"),
        pytest.param(b"[" * 100_000, None, id="nested-a-hundred-thousand-deep"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, NOT_A_REVIEW, id="nested-objects"),
        pytest.param(b"\xff\xfe{}", "the body is not UTF-8", id="not-utf-8"),
        pytest.param(json.dumps(review(None)).encode("utf-16"), "the body is not UTF-8", id="utf-16"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(review(None)).encode(), "the body is not JSON", id="byte-order-mark"),
        pytest.param(json.dumps(review(None)).encode() + b"x", "the body is not JSON", id="text-behind"),
        pytest.param(json.dumps(review(None)).encode() * 2, "the body is not JSON", id="two-reviews"),
        pytest.param(json.dumps(review({"a": float("nan")})).encode(), "the body is not JSON", id="not-a-number"),
        pytest.param(gzip.compress(json.dumps(review(None)).encode()), "the body is not UTF-8", id="compressed-without-saying-so"),
        pytest.param(json.dumps(review(None) | {"request": None}).encode(), NOT_A_REVIEW, id="no-request"),
        pytest.param(json.dumps(review(None, uid=None)).encode(), NOT_A_REVIEW, id="null-uid"),
        pytest.param(json.dumps(review(None, uid="")).encode(), "request.uid is empty", id="empty-uid"),
        pytest.param(json.dumps(review(None, uid=7)).encode(), NOT_A_REVIEW, id="uid-of-a-number"),
        pytest.param(json.dumps(review(None, "v2")).encode(), OTHER, id="version-of-the-future"),
        pytest.param(json.dumps(review(None) | {"kind": "Pod"}).encode(), OTHER, id="another-kind"),
    ],
)
async def test_broken_reviews(served: Webhook, body: bytes, message: str | None) -> None:
    """What cannot be answered gets 400 and a sentence as JSON, and is counted as broken."""
    status, answer = await served.post(body)
    assert status == 400
    assert answer["message"] in (("the body is not JSON", NOT_A_REVIEW) if message is None else (message,))
    assert served.counted("reviews_total", outcome="broken") == 1


async def test_content_encoding(served: Webhook) -> None:
    """A compressed body that says so is read as what it is, within the same limit."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, answer = await served.post(gzip.compress(json.dumps(review(app(A=KEY))).encode()), headers=headers)
    assert (status, answer["response"]["allowed"]) == (200, True)
    status, _ = await served.post(gzip.compress(_sized(MAX_BYTES + 1)), headers=headers)
    assert status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_what_its_encoding_says(served: Webhook, encoding: str) -> None:
    """A broken review like any other: the fault is the caller's, and the program goes on."""
    status, answer = await served.post(review(app(A=KEY)), headers={"Content-Type": "application/json", "Content-Encoding": encoding})
    assert (status, answer["message"]) == (400, "the body is not what Content-Encoding or Transfer-Encoding says")
    assert served.counted("reviews_total", outcome="broken") == 1
    assert (await served.post(review(app(A=KEY))))[0] == 200
