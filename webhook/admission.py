"""Answer the API server: `POST /mutate` on a bare aiohttp handler, since a router would cost more than most decisions.

Holds what a decision needs besides the pod and makes one `Cluster` of it for each review. What is not known yet (no catalog, no
version, no CA) refuses pods that need it; those that need nothing pass.
"""

from collections.abc import Callable
from time import perf_counter

import msgspec
import structlog
from aiohttp import web

from service.logs import describe
from webhook.errors import BrokenReview
from webhook.metrics import Metrics
from webhook.planning import Cluster, Decision, Inject, Reject, plan_injection
from webhook.pod import Pod, Review
from webhook.problem import Problem, Reason
from webhook.review import MAX_BYTES, allowed, answer, crashed, decode_review

PATH = "/mutate"
_JSON = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()


class Admission:
    """`cluster()` gives what is known now; `missing()` what is not known yet, as /readyz tells it."""

    def __init__(self, cluster: Callable[[], Cluster], missing: Callable[[], list[str]], metrics: Metrics) -> None:
        self._cluster, self._missing, self._metrics = cluster, missing, metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request; the body of a refusal of the request itself is `{"message": ...}`."""
        try:
            if request.path != PATH:
                raise BrokenReview(404, f"POST {PATH} is all there is")
            if request.method != "POST":
                raise BrokenReview(405, f"POST {PATH}, not {request.method[:16]}")
            if request.content_type != "application/json":
                raise BrokenReview(415, "Content-Type application/json is needed")
            return web.Response(body=self.review(await _body(request)), headers=_JSON)
        except BrokenReview as error:
            self._metrics.count_broken()
            log.info("review_broken", status=error.status, reason=str(error))
            return web.Response(status=error.status, body=_encode({"message": str(error)}), headers=_JSON)

    def review(self, body: bytes) -> bytes:
        """The answer to a body. Raises BrokenReview."""
        start = perf_counter()
        review = decode_review(body)
        if isinstance(review, tuple):
            head, problem = review
            decision: Decision = Reject((problem,))
            self._count(None, decision, start)
            return answer(head, decision)
        if allowed(review):
            self._metrics.count_other()
            return _encode(
                {"apiVersion": review.apiVersion, "kind": "AdmissionReview", "response": {"uid": review.request.uid, "allowed": True}}
            )
        decision = self._decide(review)
        encoded = answer(review, decision)
        self._count(review, decision, start)
        return encoded

    def _decide(self, review: Review) -> Decision:
        pod = review.request.object
        if pod is None:
            return Reject((Problem("request.object", Reason.UNREADABLE_POD, "nothing", "a v1 Pod", "send the pod"),))
        try:
            namespace = review.request.namespace or (pod.metadata and pod.metadata.namespace) or "default"
            decision = plan_injection(pod, namespace, self._cluster())
        except Exception as error:  # noqa: BLE001 - whatever it is, the pod must not start and the API server must learn why
            log.error("review_crashed", uid=review.request.uid, **describe(error))  # noqa: TRY400 - a message could quote the pod
            return crashed()
        if not isinstance(decision, Reject | Inject):
            return decision
        missing = self._missing()
        if missing:
            fix = f"try again in a moment ({'; '.join(missing)})"
            return Reject((Problem("spec", Reason.NOT_READY, "a reference before the webhook is ready", "references once it is", fix),))
        return decision

    def _count(self, review: Review | None, decision: Decision, start: float) -> None:
        seconds = perf_counter() - start
        self._metrics.count(decision, seconds)
        if isinstance(decision, Reject):
            reasons = [problem.reason.value for problem in decision.problems]
            log.info("pod_refused", reasons=reasons, **(_names(review) if review else {}))
        elif isinstance(decision, Inject) and review is not None:
            log.debug("pod_injected", references=decision.references, **_names(review))


def _names(review: Review) -> dict[str, str | None]:
    pod = review.request.object or Pod()
    name = pod.metadata and (pod.metadata.name or pod.metadata.generateName)
    return {"uid": review.request.uid, "namespace": review.request.namespace, "pod": name or None}


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body, bounded: BaseRequest.read() has aiohttp's own limit of 1 MiB."""
    if (request.content_length or 0) > MAX_BYTES:
        raise _too_large()
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> BrokenReview:
    return BrokenReview(413, f"a review may have {MAX_BYTES} bytes")
