"""A session is a sealed cookie: a new one at each login, over at a set time, with its token, and at logout."""

import os
from base64 import urlsafe_b64encode
from http.cookies import SimpleCookie

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from broker.errors import TooLarge
from broker.page.sealing import SessionKeys
from broker.page.session import CHUNK, MAX_ENDED, NAMES, Session, Sessions, forget

TOKEN = "CANARY-token"


@pytest.fixture
def at():
    return [1_000_000.0]


@pytest.fixture
def sessions(tmp_path, at):
    (tmp_path / "tls.key").write_text("private")
    return Sessions(SessionKeys(tmp_path), 30, lambda: at[0])


def cookies_of(response):
    return {name: morsel for name, morsel in response.cookies.items() if morsel.value}


def written(sessions, session):
    response = web.Response()
    sessions.write(session, response)
    return {name: morsel.value for name, morsel in cookies_of(response).items()}


def request(cookies):
    return make_mocked_request("GET", "/", headers={"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())})


def random_token(length):
    return urlsafe_b64encode(os.urandom(length)).decode()[:length]


def test_a_session_comes_back(sessions):
    session = sessions.begin(TOKEN)
    found = sessions.read(request(written(sessions, session)))
    assert (found.id, found.ends, found.token == TOKEN) == (session.id, 1_000_000 + 1800, True)


def test_the_cookie_is_for_this_host_over_tls_for_no_script_and_no_other_site(sessions):
    """__Host- holds a browser to it: Secure, Path=/ and no Domain. Without a life of its own it goes with the browser."""
    response = web.Response()
    sessions.write(sessions.begin(TOKEN), response)
    morsel = cookies_of(response)["__Host-tfy-session"]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, True, "Strict", "/")
    assert [morsel.get(name) or "" for name in ("domain", "max-age", "expires")] == ["", "", ""]


def test_neither_token_nor_id_can_be_read_from_it(sessions):
    session = sessions.begin(TOKEN)
    text = written(sessions, session)["__Host-tfy-session"]
    assert TOKEN not in text
    assert TOKEN not in repr(session) and "id=" not in repr(session)


def test_every_login_has_an_id_of_its_own(sessions):
    assert len({sessions.begin(TOKEN).id for _ in range(20)}) == 20
    assert len({sessions.begin(TOKEN).form_token for _ in range(20)}) == 20


def test_it_ends_by_itself(sessions, at):
    cookies = written(sessions, sessions.begin(TOKEN))
    at[0] += 1799
    assert sessions.read(request(cookies)) is not None
    at[0] += 1
    assert sessions.read(request(cookies)) is None


@pytest.mark.parametrize(("ends", "left"), [(1_000_060, 60), (2_000_000, 1800)], ids=["the-token-ends-before", "the-token-ends-after"])
def test_it_does_not_outlive_its_token(sessions, ends, left):
    assert sessions.begin(TOKEN, ends).ends == 1_000_000 + left


def test_after_a_logout_the_cookie_is_worth_nothing(sessions):
    session = sessions.begin(TOKEN)
    cookies = written(sessions, session)
    sessions.end(session)
    assert sessions.read(request(cookies)) is None


def test_logouts_are_forgotten_with_their_sessions(sessions, at):
    for _ in range(5):
        sessions.end(sessions.begin(TOKEN))
    at[0] += 1801
    sessions.end(sessions.begin(TOKEN))
    assert len(sessions._ended) == 1
    sessions._ended = {os.urandom(16): 2_000_000 for _ in range(MAX_ENDED)}
    sessions.end(sessions.begin(TOKEN))
    assert len(sessions._ended) == MAX_ENDED


def test_a_long_token_takes_two_cookies(sessions):
    """Each within what a browser keeps, both within what a server reads."""
    cookies = written(sessions, sessions.begin(random_token(6000)))
    assert list(cookies) == list(NAMES)
    assert max(map(len, cookies.values())) <= CHUNK
    assert len("; ".join(f"{k}={v}" for k, v in cookies.items())) < 8190
    assert len(sessions.read(request(cookies)).token) == 6000


def test_a_token_that_is_too_long_is_refused_with_what_to_do(sessions):
    with pytest.raises(TooLarge) as caught:
        written(sessions, sessions.begin(random_token(8000)))
    assert caught.value.message == (
        "the token is too long for a browser's cookies: the page takes about 7,000 characters. To fix: use a token with fewer claims "
        "(groups are what makes one long), or the API, which takes 16 KiB"
    )


def test_a_short_session_after_a_long_one_leaves_nothing_behind(sessions):
    response = web.Response()
    sessions.write(sessions.begin(TOKEN), response)
    assert str(response.cookies[NAMES[1]]["max-age"]) == "0"


@pytest.mark.parametrize(
    "cookies",
    [
        pytest.param({}, id="none"),
        pytest.param({NAMES[0]: ""}, id="empty"),
        pytest.param({NAMES[0]: "x"}, id="no-base64"),
        pytest.param({NAMES[0]: "ä"}, id="no-ascii"),
        pytest.param({NAMES[0]: "A" * 200}, id="not-sealed-by-us"),
        pytest.param({NAMES[0]: "A" * 7700}, id="too-long"),
        pytest.param({NAMES[1]: "AAAA"}, id="the-second-alone"),
    ],
)
def test_what_is_no_session_is_none(sessions, cookies):
    assert sessions.read(request(cookies)) is None


def test_halves_of_two_sessions_make_none(sessions):
    one, two = (written(sessions, sessions.begin(random_token(6000))) for _ in range(2))
    assert sessions.read(request({NAMES[0]: one[NAMES[0]], NAMES[1]: two[NAMES[1]]})) is None


def test_what_unpacks_to_too_much_is_cut(tmp_path, sessions):
    """Only what we sealed is unpacked at all; a mistake of ours stays bounded."""
    huge = written(sessions, Session(b"i" * 16, 2_000_000, "A" * 1_000_000))
    assert len(sessions.read(request(huge)).token) == 64 * 1024


def test_forgetting_takes_both_cookies_as_a_browser_wants_it():
    response = web.Response()
    forget(response)
    sent = SimpleCookie("; ".join(morsel.OutputString() for morsel in response.cookies.values()))
    assert set(sent) == set(NAMES)
    assert all((m["secure"], m["path"], str(m["max-age"])) == (True, "/", "0") for m in response.cookies.values())
