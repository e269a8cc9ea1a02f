import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from aiohttp import web

from service.server import listening
from service.settings import Address
from service.tls import LivePair, TlsError, TlsFiles, try_pair

NOW = datetime.now(UTC)


def issue(ca, key_type=trustme.KeyType.ECDSA, **options):
    made = ca.issue_cert("localhost", key_type=key_type, **options)
    return b"".join(blob.bytes() for blob in made.cert_chain_pems), made.private_key_pem.bytes()


def write(folder, certificate, key, ca=None):
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    if ca is not None:
        (folder / "ca.crt").write_bytes(ca.cert_pem.bytes())


def client(ca, **limits):
    context = ssl.create_default_context()
    ca.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name, value in limits.items():
        setattr(context, name, value)
    return context


async def shake_hands(port, context):
    """The certificate (DER), protocol and ALPN that a new connection gets."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    connection = writer.get_extra_info("ssl_object")
    seen = connection.getpeercert(binary_form=True), connection.version(), connection.selected_alpn_protocol()
    writer.close()
    await writer.wait_closed()
    return seen


async def hello(_request):
    return web.Response(text="hello")


async def test_a_new_pair_serves_the_next_handshake(tmp_path):
    """No restart, and connections that are open stay open."""
    ca = trustme.CA()
    write(tmp_path, *issue(ca), ca)
    tls = TlsFiles(tmp_path)
    await tls.start()
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        first, version, alpn = await shake_hands(port, client(ca))
        assert version == "TLSv1.3" and alpn == "http/1.1"
        write(tmp_path, *issue(ca))
        tls.look()
        second, *_ = await shake_hands(port, client(ca))
        assert first != second and tls.healthy and tls.problem is None
    await tls.close()
    assert tls.ca_bundle == ca.cert_pem.bytes().decode()


async def test_the_files_are_looked_at_again(tmp_path):
    """`watch` is what calls `look`; a ConfigMap-like swap of the folder's link counts as a change."""
    ca = trustme.CA()
    for name in ("one", "two"):
        write(tmp_path / name, *issue(ca))
    link = tmp_path / "live"
    link.symlink_to("one")
    tls = TlsFiles(link, every=0.01)
    await tls.start()
    before = tls._live._newest
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(link)
    async with asyncio.timeout(3):
        while tls._live._newest is before:
            await asyncio.sleep(0.005)
    await tls.close()


async def test_another_type_of_key_leaves_nothing_of_the_old_pair(tmp_path):
    """OpenSSL keeps one certificate a key type: an RSA one must not serve on after an ECDSA one came."""
    ca = trustme.CA()
    write(tmp_path, *issue(ca, trustme.KeyType.RSA))
    tls = TlsFiles(tmp_path)
    tls.look()
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        only_rsa = client(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
        only_rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        assert (await shake_hands(port, only_rsa))[1] == "TLSv1.2"
        write(tmp_path, *issue(ca))
        tls.look()
        assert (await shake_hands(port, client(ca)))[0]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake_hands(port, only_rsa)


@pytest.mark.parametrize("damage", ["mismatched", "for-clients", "no-key", "noise", "expired", "half-written", "with-a-password", "empty"])
async def test_a_bad_pair_never_goes_live_and_a_later_good_one_does(tmp_path, damage, capsys):
    """The old pair serves on, `problem` names the reason without any content, and the next good pair is taken."""
    ca = trustme.CA()
    certificate, key = issue(ca)
    write(tmp_path, certificate, key)
    tls = TlsFiles(tmp_path)
    tls.look()
    other, other_key = issue(ca)
    expired = issue(ca, not_after=NOW - timedelta(days=1))
    bad = {
        "mismatched": (other, key, "does not belong"),
        "for-clients": (*for_clients(), "a client would refuse it"),
        "no-key": (other, b"", "tls.key: no private key"),
        "noise": (b"noise", other_key, "tls.crt: no certificate"),
        "expired": (*expired, "expired at"),
        "half-written": (other[: len(other) // 2], other_key, "tls.crt: no certificate"),
        "with-a-password": (other, with_password(other_key), "has a password"),
        "empty": (b"", b"", "tls.crt: no certificate"),
    }[damage]
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        before, *_ = await shake_hands(port, client(ca))
        write(tmp_path, *bad[:2])
        tls.look()
        tls.look()
        after, *_ = await shake_hands(port, client(ca))
        assert before == after and tls.healthy and bad[2] in tls.problem
        logged = capsys.readouterr().out
        assert logged.count("certificate_refused") == 1 and "PRIVATE KEY" not in logged + tls.problem
        write(tmp_path, other, other_key)
        tls.look()
        latest, *_ = await shake_hands(port, client(ca))
        assert latest != before and tls.problem is None


def for_clients():
    """A certificate whose extended key usage leaves servers out."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(s.Encoding.PEM), key.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()
    )


def with_password(key):
    from cryptography.hazmat.primitives import serialization as s

    loaded = s.load_pem_private_key(key, None)
    return loaded.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"pw"))


@pytest.mark.parametrize(
    "content", [b"", b"noise", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nbm9wZQ==\n-----END CERTIFICATE-----\n", "key"]
)
def test_a_bundle_that_is_none_is_handed_to_nobody(tmp_path, content, capsys):
    """The pair serves; what was good before stays the bundle, and the reason is told."""
    ca = trustme.CA()
    write(tmp_path, *issue(ca), ca)
    good, fresh = TlsFiles(tmp_path), TlsFiles(tmp_path)
    good.look()
    (tmp_path / "ca.crt").write_bytes(ca.private_key_pem.bytes() if content == "key" else content)
    for tls in (good, fresh):
        tls.look()
        assert tls.healthy and "ca.crt: no certificates in PEM could be read" in tls.problem
    assert good.ca_bundle == ca.cert_pem.bytes().decode() and fresh.ca_bundle is None
    assert "PRIVATE KEY" not in capsys.readouterr().out


def test_a_key_in_the_bundles_file_stays_there(tmp_path):
    """A bundle ends in every pod that is to trust it."""
    ca = trustme.CA()
    write(tmp_path, *issue(ca))
    (tmp_path / "ca.crt").write_bytes(b"# ours\n" + ca.cert_pem.bytes() + ca.private_key_pem.bytes())
    tls = TlsFiles(tmp_path)
    tls.look()
    assert tls.ca_bundle == ca.cert_pem.bytes().decode() and tls.problem is None


def test_a_pair_of_tomorrow_waits(tmp_path, capsys):
    """It takes no good one's place before its time, and goes live then without another change; where there is none it may do."""
    ca, now = trustme.CA(), [NOW]
    write(tmp_path, *issue(ca))
    tls = TlsFiles(tmp_path, now=lambda: now[0])
    tls.look()
    before = tls.expires_at
    write(tmp_path, *issue(ca, not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=9)))
    for _ in range(3):
        tls.look()
    assert tls.expires_at == before and tls.healthy and "the one in use stays until then" in tls.problem
    assert capsys.readouterr().out.count("certificate_refused") == 1
    fresh = TlsFiles(tmp_path, now=lambda: now[0])
    fresh.look()
    assert fresh.healthy and fresh.problem is None
    now[0] += timedelta(days=1, hours=1)
    tls.look()
    assert tls.expires_at == fresh.expires_at != before and tls.problem is None


async def test_missing_files_are_not_healthy_until_they_come(tmp_path):
    """The listener is there, handshakes fail, readiness says why."""
    ca = trustme.CA()
    tls = TlsFiles(tmp_path)
    await tls.start()
    assert not tls.healthy and "tls.crt: cannot be read (No such file or directory)" in tls.problem and tls.expires_at is None
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake_hands(port, client(ca))
        write(tmp_path, *issue(ca))
        tls.look()
        assert (await shake_hands(port, client(ca)))[0] and tls.healthy
    await tls.close()


async def test_tls_1_1_is_refused(tmp_path):
    ca = trustme.CA()
    write(tmp_path, *issue(ca))
    tls = TlsFiles(tmp_path)
    tls.look()
    old = client(ca)
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake_hands(port, old)


async def test_a_client_without_a_server_name_is_served(tmp_path):
    """The API server may call a webhook by address."""
    ca = trustme.CA()
    write(tmp_path, *issue(ca))
    tls = TlsFiles(tmp_path)
    tls.look()
    context = client(ca)
    context.check_hostname = False
    async with listening(hello, Address("127.0.0.1", 0), tls) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="")
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()


async def test_a_certificate_that_runs_out_is_unhealthy():
    now = [NOW]
    live = LivePair(lambda: now[0])
    live.renew(*issue(trustme.CA(), not_after=NOW + timedelta(days=1)))
    assert live.healthy
    now[0] += timedelta(days=2)
    assert not live.healthy


def test_keys_are_not_left_on_disk_or_in_descriptors(tmp_path, monkeypatch):
    """Also where the system has no memfd; the file is gone after the call, also after a failed one."""
    import os
    import tempfile

    certificate, key = issue(trustme.CA())
    before = os.listdir("/proc/self/fd")
    for memfd in (True, False):
        if not memfd:
            monkeypatch.delattr(os, "memfd_create")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        try_pair(certificate, key, NOW)
        with pytest.raises(TlsError):
            try_pair(certificate, issue(trustme.CA())[1], NOW)
        assert not list(tmp_path.iterdir()) and len(os.listdir("/proc/self/fd")) == len(before)
