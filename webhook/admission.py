"""Answer the API server: `POST /mutate` on a bare aiohttp handler, since a router would cost more than most decisions.

Holds what a decision needs besides the pod and makes one `Cluster` of it for each review. What is not known yet (no catalog, no
version, no CA) refuses pods that need it; those that need nothing pass.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import perf_counter

import msgspec
import structlog
from aiohttp import web

from service.logs import describe
from webhook.configmaps import ConfigMaps
from webhook.errors import BrokenReview
from webhook.metrics import Metrics
from webhook.exec import Images
from webhook.planning import Ask, Cluster, Decision, Inject, Reject, Skip, SkipReason, plan_injection
from webhook.pod import Pod, RawReview, Review
from webhook.problem import Problem, Reason
from webhook.review import MAX_BYTES, allowed, answer, crashed, decode_review

PATH = "/mutate"
ANSWER_WITHIN = 4.7  # seconds: the API server waits 5, and an answer takes its way
_JSON = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()
# What the catalog says; before it is read, that a name is not in it says nothing.
_AS_FAR_AS_KNOWN = frozenset({Reason.UNKNOWN_GROUP, Reason.UNKNOWN_KEY, Reason.DENIED, Reason.STORE_UNUSABLE})
LookUp = Callable[[Pod, str, frozenset[str]], Awaitable[Images]]


class Admission:
    """`cluster()` gives what is known now; `missing()` what is not known yet, as /readyz tells it; `look_up` asks for images.

    `config_maps` looks into ConfigMaps; None off-cluster, where there are none.
    """

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        missing: Callable[[], list[str]],
        metrics: Metrics,
        look_up: LookUp | None = None,
        config_maps: ConfigMaps | None = None,
    ) -> None:
        self._cluster, self._missing, self._metrics, self._look_up = cluster, missing, metrics, look_up
        self._config_maps = config_maps

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request; the body of a refusal of the request itself is `{"message": ...}`."""
        try:
            if request.raw_path.partition("?")[0] != PATH:  # API servers add ?timeout=5s; `path` would parse and decode it all
                raise BrokenReview(404, f"POST {PATH} is all there is")
            if request.method != "POST":
                raise BrokenReview(405, f"POST {PATH}, not {request.method[:16]}")
            if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                raise BrokenReview(415, "Content-Type application/json is needed")
            return web.Response(body=await self.review(await _body(request)), headers=_JSON)
        except BrokenReview as error:
            self._metrics.count_broken()
            log.info("review_broken", status=error.status, reason=str(error))
            response = web.Response(status=error.status, body=_encode({"message": str(error)}), headers=_JSON)
            if request.content.exception() is not None:
                response.force_close()  # nobody knows where the next request would begin
            return response

    async def review(self, body: bytes | bytearray) -> bytes:
        """The answer to a body. Raises BrokenReview."""
        start = perf_counter()
        decoded = decode_review(body)
        review, problem = decoded if isinstance(decoded, tuple) else (decoded, None)
        if allowed(review):
            self._metrics.count_other()
            return _encode(
                {"apiVersion": review.apiVersion, "kind": "AdmissionReview", "response": {"uid": review.request.uid, "allowed": True}}
            )
        decision: Decision = Reject((problem,)) if problem else await self._decide(review, start)
        try:
            encoded = answer(review, decision)
        except Exception as error:  # noqa: BLE001 - what cannot be written as JSON must not end without an answer
            decision = _crash(review, error)
            encoded = answer(review, decision)
        self._count(review, decision, start)
        return encoded

    async def _decide(self, review: Review | RawReview, start: float) -> Decision:
        """Decide a new pod. Whatever goes wrong, it must not start with names, and the API server must learn why."""
        pod = review.request.object if isinstance(review, Review) else None
        if pod is None:
            return Reject((Problem("request.object", Reason.UNREADABLE_POD, "nothing", "a v1 Pod", "send the pod"),))
        try:
            namespace = review.request.namespace or (pod.metadata and pod.metadata.namespace) or "default"
            return self._once_ready(await self._with_config_maps(pod, namespace, await self._plan(pod, namespace), start))
        except Exception as error:  # noqa: BLE001 - as the docstring says
            return _crash(review, error)

    async def _plan(self, pod: Pod, namespace: str) -> Decision:
        cluster = self._cluster()
        decision = plan_injection(pod, namespace, cluster, Images(reachable=self._look_up is not None))
        if not isinstance(decision, Ask):
            return decision
        assert self._look_up is not None  # noqa: S101 - else no image would have been asked for
        known = await self._look_up(pod, namespace, decision.images)
        decision = plan_injection(pod, namespace, cluster, known)
        assert not isinstance(decision, Ask)  # noqa: S101 - all that was asked for is known now, if only as a failure
        return decision

    async def _with_config_maps(self, pod: Pod, namespace: str, decision: Decision, start: float) -> Decision:
        """The decision, or a refusal because of what the pod would take from a ConfigMap."""
        if (
            self._config_maps is None
            or isinstance(decision, Reject)
            or (isinstance(decision, Skip) and decision.reason is SkipReason.OPTED_OUT)
        ):
            return decision
        left = ANSWER_WITHIN - (perf_counter() - start)  # after a look-up of images, which may have taken most of it
        findings = await self._config_maps.look(pod, namespace, self._cluster(), left)
        warnings = (*decision.warnings, *findings.warnings)
        return Reject(tuple(findings.problems), warnings) if findings.problems else replace(decision, warnings=warnings)

    def _once_ready(self, decision: Decision) -> Decision:
        """The decision, but no injection from half of the truth, nor a reproach.

        Before the catalog is read a store's path is not known as a reference: all that tells of it is a warning.
        """
        told = decision.problems if isinstance(decision, Reject) else ()
        certain = tuple(problem for problem in told if problem.reason not in _AS_FAR_AS_KNOWN)
        goes_on = isinstance(decision, Inject) or (not told and bool(decision.warnings))
        missing = self._missing() if goes_on or len(certain) < len(told) else []
        if not missing:
            return decision
        fix = f"try again in a moment ({'; '.join(missing)})"
        return Reject(
            (*certain, Problem("spec", Reason.NOT_READY, "a reference before the webhook is ready", "references once it is", fix))
        )

    def _count(self, review: Review | RawReview, decision: Decision, start: float) -> None:
        self._metrics.count(decision, perf_counter() - start)
        if isinstance(decision, Reject):
            log.info("pod_refused", reasons=[problem.reason.value for problem in decision.problems], **_names(review))
        elif isinstance(decision, Inject):
            log.debug("pod_injected", references=decision.references, **_names(review))


def _crash(review: Review | RawReview, error: Exception) -> Reject:
    log.error("review_crashed", uid=review.request.uid, **describe(error))
    return crashed()


def _names(review: Review | RawReview) -> dict[str, str | None]:
    request = review.request
    if isinstance(review, RawReview):
        return {"uid": request.uid, "namespace": request.namespace}
    pod = review.request.object or Pod()
    name = pod.metadata and (pod.metadata.name or pod.metadata.generateName)
    return {"uid": request.uid, "namespace": request.namespace, "pod": name or None}


async def _body(request: web.BaseRequest) -> bytes | bytearray:
    """The whole body, bounded: BaseRequest.read() has aiohttp's own limit of 1 MiB. A large one is held once, not copied."""
    try:
        return await _read(request)
    except web.RequestPayloadError:
        raise BrokenReview(400, "the body is not what Content-Encoding or Transfer-Encoding says") from None


async def _read(request: web.BaseRequest) -> bytes | bytearray:
    if (request.content_length or 0) > MAX_BYTES:
        raise _too_large()
    first = await request.content.readany()
    if len(first) == request.content_length:
        return first
    body = bytearray(first)
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    return body


def _too_large() -> BrokenReview:
    return BrokenReview(413, f"a review may have {MAX_BYTES} bytes")
