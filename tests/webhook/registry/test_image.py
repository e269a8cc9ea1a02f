import pytest

from webhook.registry.errors import ImageError
from webhook.registry.image import Image, parse_image

DIGEST = "sha256:" + "0a" * 32
LONG = "sha512:" + "0b" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", None),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", None),
        ("library/busybox", "docker.io", "library/busybox", "latest", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/busybox", "docker.io", "library/busybox", "latest", None),
        ("docker.io/library/busybox:1", "docker.io", "library/busybox", "1", None),
        ("index.docker.io/busybox", "docker.io", "library/busybox", "latest", None),
        ("index.docker.io/team/app:v1", "docker.io", "team/app", "v1", None),
        ("registry.example/app", "registry.example", "app", "latest", None),
        ("registry.example:5000/team/app:v1", "registry.example:5000", "team/app", "v1", None),
        ("host:5000/x", "host:5000", "x", "latest", None),
        ("localhost/x", "localhost", "x", "latest", None),
        ("localhost:5000/x", "localhost:5000", "x", "latest", None),
        ("localhost:5000", "docker.io", "library/localhost", "5000", None),
        ("127.0.0.1:5000/a/b/c/d", "127.0.0.1:5000", "a/b/c/d", "latest", None),
        ("[::1]:5000/x:y", "[::1]:5000", "x", "y", None),
        ("Registry/app", "Registry", "app", "latest", None),
        (
            "123.dkr.ecr.eu-west-1.amazonaws.com/a_b/c__d/e-f.g--h",
            "123.dkr.ecr.eu-west-1.amazonaws.com",
            "a_b/c__d/e-f.g--h",
            "latest",
            None,
        ),
        (f"app@{DIGEST}", "docker.io", "library/app", None, DIGEST),
        (f"r.example/app:v1@{DIGEST}", "r.example", "app", "v1", DIGEST),
        (f"r.example:1/app@{LONG}", "r.example:1", "app", None, LONG),
    ],
)
def test_spellings(text, registry, repository, tag, digest):
    """As container runtimes read them."""
    assert parse_image(text) == Image(registry, repository, tag, digest)


def test_a_digest_wins():
    image = parse_image(f"r.example/app:v1@{DIGEST}")
    assert image.reference == DIGEST and str(image) == f"r.example/app:v1@{DIGEST}"
    assert parse_image("r.example/app").reference == "latest" and parse_image("app").host == "registry-1.docker.io"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write an image's name"),
        (" busybox", "without white space"),
        ("https://registry.example/app", "remove the scheme"),
        ("registry.example/App", "write 'app'"),
        ("app:", "correct what follows the ':'"),
        ("app:-x", "1 to 128 letters"),
        ("app:" + "x" * 129, "1 to 128 letters"),
        ("app@sha256:abc", "64 hexadecimal digits"),
        (f"app@{DIGEST.upper()}", "64 hexadecimal digits"),
        ("app@md5:" + "0" * 32, "64 hexadecimal digits"),
        (f"app@{DIGEST}x", "64 hexadecimal digits"),
        ("app@", "64 hexadecimal digits"),
        ("r.example//app", "repository parts"),
        ("r.example/", "repository parts"),
        ("/app", "repository parts"),
        ("-r.example/app", "host or host:port"),
        ("r.example:port/app", "host or host:port"),
        ("r.example/a..b", "repository parts"),
        ("r.example/a/../b", "repository parts"),
        ("r.example/a?b", "repository parts"),
        ("r.example/a b", "repository parts"),
        ("r.example/app\n", "without white space"),
        ("r.example/" + "a" * 250, "at most 255"),
        ("a" * 100_000, "at most 255"),
        ("0" * 64, "image's id"),
        ("user@r.example/app", "hexadecimal"),
    ],
)
def test_what_is_no_image(text, says):
    """The message has what was found, what is allowed and how to fix it."""
    with pytest.raises(ImageError) as error:
        parse_image(text)
    assert says in str(error.value) and "found '" in str(error.value) and "To fix: " in str(error.value) and len(str(error.value)) < 700
