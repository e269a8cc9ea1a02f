import time

import pytest

from webhook.registry.challenge import Challenge, parse_challenges

BEARER = {"realm": "https://auth.example/token", "service": "r.example", "scope": "repository:a/b:pull,push"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (['Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"'], [("bearer", BEARER)]),
        (['bearer Realm = "https://auth.example/token" , service=r.example, scope="repository:a/b:pull,push"'], [("bearer", BEARER)]),
        (['Basic realm="a \\"b\\" c"'], [("basic", {"realm": 'a "b" c'})]),
        (["Negotiate", 'Basic realm="x"'], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (['Negotiate, Basic realm="x", Bearer realm="y"'], [("negotiate", {}), ("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (['Bearer realm="first", realm="second"'], [("bearer", {"realm": "first"})]),
        (['Bearer realm="open'], [("bearer", {"realm": ""})]),
        (['realm="x"'], []),
        ([""], []),
        ([], []),
        (["###"], []),
    ],
)
def test_headers(headers, found):
    assert parse_challenges(headers) == [Challenge(*each) for each in found]


def test_long_headers_take_no_time():
    """aiohttp takes 8 KiB; a registry writes what it likes."""
    started = time.thread_time()
    for text in ('Bearer realm="' + "\\" * 8000, "a" * 8000, "a=" * 4000, ", " * 4000, '="' * 4000):
        parse_challenges([text])
    assert time.thread_time() - started < 5
