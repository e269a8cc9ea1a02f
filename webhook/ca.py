"""A certificate authority of our own and the serving certificates that it signs, as values: no Kubernetes, no files, no clock.

Decides how long each lives, when it is renewed, and the order in which a new authority takes over: first it is only in the
bundle that everyone trusts, for as long as a serving certificate lives, and only then it signs. Pods keep the bundle that
they were created with, so the old authority stays in it until it expires.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webhook.errors import DamagedAuthority

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
PUBLISH_FIRST = LEAF_LIFE  # a new authority is trusted this long before it signs; the old one has 3 years left then
CLOCK_SKEW = timedelta(minutes=5)  # certificates are valid from a little before they were made
_SAN = x509.SubjectAlternativeName


@dataclass(frozen=True, slots=True)
class KeyPair:
    """PEM of a certificate and its private key; the key is in no repr."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs now, who will sign next, and the certificates to trust meanwhile."""

    signing: KeyPair
    coming: KeyPair | None
    bundle: bytes


def advance(found: Authority | None, now: datetime, known: bytes = b"") -> Authority:
    """The authority as it should be now. `known` is a bundle already handed out, when the authority itself was lost.

    signing                    | coming                        | then
    -------------------------- | ----------------------------- | ----------------------------------------------
    none                       |                               | made, signs at once
    in its first two thirds    | none                          | nothing changes
    past two thirds            | none                          | the next one is made, and trusted
    any                        | trusted for PUBLISH_FIRST     | it signs
    expired                    | any                           | the next one signs at once: nothing to lose
    not valid yet              | any                           | made anew, signs at once: a clock was ahead when it was made
    """
    signing = found.signing if found and not _early(found.signing.certificate, now) else make_authority(now)
    coming = found.coming if found else None
    if coming is None and due(signing.certificate, now):
        coming = make_authority(now)
    if coming and (now >= _load(coming.certificate).not_valid_before_utc + CLOCK_SKEW + PUBLISH_FIRST or _expired(signing, now)):
        signing, coming = coming, None
    trusted = [signing.certificate, *([coming.certificate] if coming else []), found.bundle if found else known]
    return Authority(signing, coming, bundle_of(trusted, now))


def make_authority(now: datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # Each has a name of its own, so that a verifier never mistakes one for the other.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tfy-secret-ca {now:%Y-%m-%d} {serial:040x}"[:40])])
    builder = _builder(name, name, key.public_key(), serial, now, CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: KeyPair, names: tuple[str, ...], now: datetime) -> KeyPair:
    """A serving certificate for these DNS names, with a key of its own; it never outlives its authority."""
    issuer = _load(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    life = min(LEAF_LIFE, issuer.not_valid_after_utc - now)
    builder = _builder(name, issuer.subject, key.public_key(), x509.random_serial_number(), now, life)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (_SAN([x509.DNSName(name) for name in names]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False),  # type: ignore[arg-type]  # ours is EC
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _pair(builder.sign(_key(authority.key), hashes.SHA256()), key)


def leaf_problem(pair: KeyPair, authority: Authority, names: tuple[str, ...], now: datetime) -> str | None:
    """Why a stored serving certificate must be replaced, or None."""
    try:
        leaf, key = _load(pair.certificate), _key(pair.key)
    except ValueError:
        return "it is not PEM of a certificate and a P-256 key"
    if leaf.public_key() != key.public_key():
        return "the key does not belong to the certificate"
    signers = [each for each in x509.load_pem_x509_certificates(authority.bundle) if each.not_valid_before_utc <= now]
    if not any(_signed_by(leaf, issuer) for issuer in signers):
        return "it is not signed by our CA"
    if _early(pair.certificate, now):
        return "it is not valid yet: a clock was ahead when it was made"
    if _names(leaf) != set(names):
        return "its names are not those of the Service"
    if due(pair.certificate, now):
        return "two thirds of its life are over"
    return None


def check_authority(found: Authority) -> None:
    """Raises DamagedAuthority unless every pair can sign. An expired one passes: `advance` replaces it."""
    for place, pair in (("tls", found.signing), ("next", found.coming)):
        if pair is None:
            continue
        try:
            certificate, key = _load(pair.certificate), _key(pair.key)
            signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (ValueError, x509.ExtensionNotFound):
            raise DamagedAuthority(f"{place}.crt and {place}.key: not PEM of a CA certificate and its P-256 key") from None
        if certificate.public_key() != key.public_key():
            raise DamagedAuthority(f"{place}.key: the key does not belong to {place}.crt")
        if not signs:
            raise DamagedAuthority(f"{place}.crt: not the certificate of a CA")
    try:
        x509.load_pem_x509_certificates(found.bundle)
    except ValueError:
        raise DamagedAuthority("ca.crt: no certificates in PEM") from None


def due(certificate: bytes, now: datetime) -> bool:
    """Whether two thirds of its life are over."""
    found = _load(certificate)
    start, end = found.not_valid_before_utc, found.not_valid_after_utc
    return now >= start + (end - start) * 2 / 3


def bundle_of(pems: Iterable[bytes], now: datetime) -> bytes:
    """Each unexpired certificate once, in the order given."""
    made: dict[bytes, None] = {}
    for pem in pems:
        for certificate in x509.load_pem_x509_certificates(pem) if pem.strip() else ():
            if certificate.not_valid_after_utc > now:
                made[certificate.public_bytes(serialization.Encoding.PEM)] = None
    return b"".join(made)


def _early(certificate: bytes, now: datetime) -> bool:
    return _load(certificate).not_valid_before_utc > now


def _expired(pair: KeyPair, now: datetime) -> bool:
    return _load(pair.certificate).not_valid_after_utc <= now


def _load(certificate: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate)


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:  # it has a password
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key without a password")  # noqa: TRY004 - callers treat it as damage
    return key


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        return set(leaf.extensions.get_extension_for_class(_SAN).value.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        return set()


def _signed_by(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(serial)
    builder = builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + life)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(encoding), private)
