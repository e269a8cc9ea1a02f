import pytest

from initcontainer.endpoint import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://broker.tfy-secret.svc:8443", Endpoint("broker.tfy-secret.svc", 8443, "/v1/resolve", "broker.tfy-secret.svc:8443")),
        ("https://broker.example", Endpoint("broker.example", 443, "/v1/resolve", "broker.example")),
        ("https://127.0.0.1:8443/", Endpoint("127.0.0.1", 8443, "/v1/resolve", "127.0.0.1:8443")),
        ("https://[fd00::1]:8443/secrets", Endpoint("fd00::1", 8443, "/secrets/v1/resolve", "[fd00::1]:8443")),
    ],
)
def test_an_address_is_read(url: str, expected: Endpoint) -> None:
    assert parse_endpoint(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://b",
        "https://",
        "https://u:p@b",
        "https://b:0",
        "https://b:65536",
        "https://b?x=1",
        "https://b/a b",
        "https://b\r\nX: y",
        "ftp://b",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: an https URL"):
        parse_endpoint(url)
