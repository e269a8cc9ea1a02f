import base64

import pytest

from tests.webhook.registry.faulty import secret
from webhook.registry.credentials import Credentials
from webhook.registry.image import parse_image


def users(credentials, image):
    return [login.username for login in credentials.for_image(parse_image(image))]


def keyed(*keys):
    """A secret for each key, whose user is the key itself."""
    return Credentials.of_secrets(*(secret({"auths": {key: {"username": key, "password": "p"}}}) for key in keys))


def coded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("r.example", "r.example/app", True),
        ("https://r.example", "r.example/app", True),
        ("http://r.example/", "r.example/app", True),
        ("https://r.example/v1/", "r.example/app", True),
        ("https://r.example/v2/team", "r.example/team/app", True),
        ("r.example:5000", "r.example:5000/app", True),
        ("r.example:5000", "r.example/app", False),
        ("r.example", "r.example:5000/app", False),
        ("r.example/team", "r.example/team/app", True),
        ("r.example/team", "r.example/other/app", False),
        ("other.example", "r.example/app", False),
        ("*.example", "r.example/app", True),
        ("*.example", "a.r.example/app", False),
        ("*.*.example", "a.r.example/app", True),
        ("r*.example", "r1.example/app", True),
        ("*.example:5000", "r.example/app", False),
        ("*.example/team", "r.example/team/app", True),
        ("example", "r.example/app", False),
        ("https://index.docker.io/v1/", "busybox", True),
        ("https://index.docker.io/v1/", "docker.io/team/app", True),
        ("index.docker.io", "index.docker.io/team/app", True),
        ("docker.io", "busybox", True),
        ("docker.io/team", "busybox", False),
        ("docker.io/team", "team/app", True),
        ("https://index.docker.io/v1/", "r.example/app", False),
        ("[::1]:5000", "[::1]:5000/app", True),
        ("[::1]", "[::1]:5000/app", False),
    ],
)
def test_which_images_a_key_is_for(key, image, matches):
    """The kubelet's rules (pkg/credentialprovider/keyring.go)."""
    assert users(keyed(key), image) == ([key] if matches else [])


def test_the_order_of_trying():
    """The most specific path first, then names before wildcards; within one key in the order of the secrets."""
    credentials = keyed("*.example", "r.example", "r.example/team/deep", "r.example/team")
    assert users(credentials, "r.example/team/deep/app") == ["r.example/team/deep", "r.example/team", "r.example", "*.example"]
    two = Credentials.of_secrets(
        *(secret({"auths": {"r.example": {"username": user, "password": "p"}}}) for user in ("first", "second", "first"))
    )
    assert users(two, "r.example/app") == ["first", "second"]


def test_docker_hubs_own_key_comes_only_without_another():
    assert users(keyed("https://index.docker.io/v1/", "docker.io"), "busybox") == ["docker.io"]


@pytest.mark.parametrize(
    ("entry", "username", "password", "token"),
    [
        pytest.param({"username": "u", "password": "p"}, "u", "p", "", id="two-fields"),
        pytest.param({"auth": coded("u:p")}, "u", "p", "", id="auth-alone"),
        pytest.param({"auth": coded("u:p:q")}, "u", "p:q", "", id="a-colon-in-the-password"),
        pytest.param({"auth": coded("u:pp").rstrip("=")}, "u", "pp", "", id="without-padding"),
        pytest.param({"auth": coded("u:p") + "\n"}, "u", "p", "", id="a-line-break-behind"),
        pytest.param({"auth": "\r\n".join((coded("u:pq")[:4], coded("u:pq")[4:]))}, "u", "pq", "", id="line-breaks-within"),
        pytest.param({"username": "x", "password": "y", "auth": coded("u:p"), "email": "e"}, "u", "p", "", id="auth-wins"),
        pytest.param({"auth": coded("u:"), "identitytoken": "t"}, "u", "", "t", id="an-identity-token"),
        pytest.param({"auth": coded("u:ü")}, "u", "ü", "", id="not-ascii"),
    ],
)
def test_entries(entry, username, password, token):
    for made in (secret({"auths": {"r.example": entry}}), secret({"r.example": entry}, key=".dockercfg")):
        (login,) = Credentials.of_secrets(made).for_image(parse_image("r.example/app"))
        assert (login.username, login.password, login.identity_token) == (username, password, token)


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "bad"}, "data": {"password": coded("canary")}},
        {"metadata": {"name": "bad"}, "data": {".dockerconfigjson": "***"}},
        {"metadata": {"name": "bad"}, "data": {".dockerconfigjson": coded("canary")}},
        {"metadata": {"name": "bad"}, "data": {".dockerconfigjson": coded('{"auths": ["canary"]}')}},
        {"metadata": {"name": "bad"}, "data": {".dockerconfigjson": coded('{"auths": {"r.example": {"password": 7}}}')}},
        {"metadata": {"name": "bad"}, "data": {".dockercfg": coded('{"r.example": {"auth": "canary"}}')}},
        {"metadata": {"name": "bad"}, "data": {".dockercfg": None}},
        {"metadata": {"name": "bad"}},
        secret({"auths": {"r.example": {"auth": coded("no colon")}}}, "bad"),
        secret({"auths": {"http://[bad": {"auth": coded("u:p")}}}, "bad"),
    ],
)
def test_a_broken_secret_is_a_note_and_no_obstacle(broken):
    """It names the secret and nothing that is in it."""
    credentials = Credentials.of_secrets(broken, secret({"auths": {"r.example": {"auth": coded("u:p")}}}))
    assert users(credentials, "r.example/app") == ["u"]
    (note,) = credentials.notes
    assert note.startswith("pull secret 'bad': found ") and "allowed: " in note and "canary" not in note


def test_nothing_shows():
    credentials = Credentials.of_secrets(
        secret({"auths": {"r.example": {"username": "canary-u", "password": "canary-p", "identitytoken": "canary-t"}}})
    )
    (login,) = credentials.for_image(parse_image("r.example/app"))
    assert "canary" not in repr(credentials) + str(login) + f"{login!r} {credentials}" + repr([login]) + repr(login.fingerprint(b"k"))


def test_fingerprints_tell_log_ins_apart():
    """Also those whose parts only meet at another place; and nothing without the key."""
    made = [secret({"auths": {"r.example": {"username": u, "password": p}}}) for u, p in (("ab", "c"), ("a", "bc"), ("ab", "c"))]
    one, two, again = (Credentials.of_secrets(each).for_image(parse_image("r.example/app"))[0] for each in made)
    assert one.fingerprint(b"k") != two.fingerprint(b"k") and one.fingerprint(b"k") == again.fingerprint(b"k") != one.fingerprint(b"l")
