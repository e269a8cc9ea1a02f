"""Reviews over TLS with real handshakes: the certificate from files, TLS 1.2 or newer."""

import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme

from service.tls import TlsFiles
from tests.webhook.pods import KEY, app
from tests.webhook.reviews import JSON_TYPE, UID, review, webhook


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def tls(authority: trustme.CA, tmp_path: Path) -> TlsFiles:
    pair = authority.issue_cert("127.0.0.1")
    (tmp_path / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    (tmp_path / "tls.key").write_bytes(pair.private_key_pem.bytes())
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    source = TlsFiles(tmp_path)
    await source.start()
    yield source
    await source.close()


def _client(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_handshake(tls: TlsFiles, authority: trustme.CA, version: ssl.TLSVersion) -> None:
    """A client that trusts the CA gets its answer, and the certificate's end is a metric."""
    client = _client(authority)
    client.minimum_version = client.maximum_version = version
    async with webhook(tls=tls) as served:
        async with served.session.post(served.url + "/mutate", json=review(app(A=KEY)), headers=JSON_TYPE, ssl=client) as answer:
            assert (await answer.json())["response"]["uid"] == UID
        assert tls.expires_at is not None
        assert served.counted("certificate_expiry_timestamp_seconds") == tls.expires_at.timestamp()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_tls(tls: TlsFiles, authority: trustme.CA) -> None:
    """TLS 1.1 is refused."""
    client = _client(authority)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    async with webhook(tls=tls) as served:
        with pytest.raises(aiohttp.ClientConnectorError):
            await served.session.post(served.url + "/mutate", json=review(app(A=KEY)), ssl=client)


async def test_another_ca(tls: TlsFiles) -> None:
    """A client that trusts another CA goes away: the certificate is what is checked."""
    async with webhook(tls=tls) as served:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await served.session.post(served.url + "/mutate", json=review(app(A=KEY)), ssl=_client(trustme.CA()))
