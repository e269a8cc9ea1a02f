"""What people see of the broker's page and API with 5,000 groups and 200 keys in one: the server's time, and the size of the answer.

A real broker process over HTTPS with the embedded store, beside `/ui/login`, which looks at no group. The page says itself how long
the server took; for the API it is the time from the request to the answer.
"""

import re
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import httpx
import trustme

from tests.page.many import COLLABORATORS, PLACES, SCREEN_BYTES, manifests
from tests.page.running import Broker, token_of

RUNS = 40
TARGET_MS = 100
API = [
    "/api/svc/v1/secret-groups?limit=100",
    "/api/svc/v1/secret-groups?limit=100&offset=4900",
    "/api/svc/v1/secret-groups?search=key_4321",
]


def run() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder), trustme.CA(), manifests()) as broker:
        for who in ("tenant", "viewer"):
            with httpx.Client(base_url=broker.url, verify=broker.trust, timeout=30) as http:
                entered = http.post("/ui/login", data={"token": token_of(who)}, headers={"Sec-Fetch-Site": "same-origin"})
                assert entered.status_code == 303, entered.status_code
                floor = statistics.median(_page(http, "/ui/login")[0] for _ in range(RUNS))
                yield f"{who}: /ui/login, the floor", f"median {floor:.1f} ms"
                for place in PLACES:
                    if who == "tenant" or place not in ("/ui/new-group", COLLABORATORS):
                        yield f"{who}: {place}", _row([_page(http, place) for _ in range(RUNS)], floor)
        broker.http.timeout = 30
        for place in API:
            yield f"tenant: {place}", _row([_api(broker.http, place) for _ in range(RUNS)], None)


def _page(http: httpx.Client, place: str) -> tuple[float, int]:
    answer = http.get(place)
    assert answer.status_code in (200, 303), (place, answer.status_code)
    said = re.search(r"dur=([\d.]+)", answer.headers["Server-Timing"])
    assert said is not None
    return float(said[1]), len(answer.content)


def _api(http: httpx.Client, place: str) -> tuple[float, int]:
    began = perf_counter()
    answer = http.get(place)
    assert answer.status_code == 200, (place, answer.status_code)
    return (perf_counter() - began) * 1000, len(answer.content)


def _row(found: list[tuple[float, int]], floor: float | None) -> str:
    times = sorted(milliseconds for milliseconds, _ in found)
    size = found[0][1]
    beside = "" if floor is None else f", {statistics.median(times) / max(floor, 0.1):.0f} x"
    held = "held" if statistics.median(times) < TARGET_MS and size < SCREEN_BYTES else "MISSED"
    median = f"median {statistics.median(times):.1f} ms{beside}, first {found[0][0]:.1f}, worst {times[-1]:.1f}"
    return f"{median}, {size / 1000:.0f} KB (targets {TARGET_MS} ms, {SCREEN_BYTES // 1000} KB: {held})"
