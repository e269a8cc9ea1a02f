import asyncio
import base64
import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from service.kube import Kube
from service.server import listening
from service.settings import Address
from tests.service.apiserver import ApiServer
from webhook import ca
from webhook import issuer as issuer_module
from webhook.certificates import CONFIGURATION, Certificates, bundle_patch, service_names
from webhook.issuer import Issuer
from webhook.issuing import answer

SECRETS = "/api/v1/namespaces/tfy-secret/secrets"
CONFIGURATIONS, NAME = CONFIGURATION.rsplit("/", 1)
DAY = timedelta(days=1)
HOST = "tfy-secret-webhook.tfy-secret.svc"


class Cluster:
    """A fake API server, a clock, and replicas of the webhook."""

    def __init__(self, api):
        self.api, self.now, self.kubes = api, datetime.now(UTC).replace(microsecond=0), []
        api.put(
            CONFIGURATIONS,
            {"metadata": {"name": NAME, "labels": {"theirs": "kept"}}, "webhooks": [webhook("one"), webhook("two", caBundle="Cg==")]},
        )
        api.objects[SECRETS] = {}
        api.requests.clear()

    def replica(self):
        kube = Kube(self.api.url, namespace="tfy-secret")
        self.kubes.append(kube)
        return Certificates(kube, now=lambda: self.now)

    def content(self, name):
        return {key: base64.b64decode(value) for key, value in self.api.objects[SECRETS][name]["data"].items()}

    def change(self, name, **content):
        secret = self.api.objects[SECRETS][name]
        for key, value in content.items():
            secret["data"][key.replace("_", ".")] = base64.b64encode(value).decode()
        self.api.put(SECRETS, secret)

    def secrets(self):
        return {name: secret["data"] for name, secret in self.api.objects[SECRETS].items()}

    @property
    def bundles(self):
        return [base64.b64decode(w["clientConfig"].get("caBundle", "")) for w in self.api.objects[CONFIGURATIONS][NAME]["webhooks"]]


def webhook(name, **config):
    return {"name": f"{name}.tfy-secret.dev", "clientConfig": {"service": {"name": "tfy-secret-webhook"}, **config}}


@pytest.fixture
def child():
    """For tests that are about the process that makes certificates; the others ask its functions directly."""


@pytest.fixture(autouse=True)
def questions(request, monkeypatch):
    """What was asked."""
    asked = []

    async def ask(_issuer, question):
        asked.append(question)
        return json.loads(json.dumps(answer(json.loads(json.dumps(question)))))

    if "child" not in request.fixturenames:
        monkeypatch.setattr(Issuer, "_ask", ask)
    return asked


@pytest.fixture
async def cluster():
    async with ApiServer() as api:
        made = Cluster(api)
        yield made
        for kube in made.kubes:
            await kube.close()


def certificates_in(pem):
    return x509.load_pem_x509_certificates(pem)


async def served(certificates, bundle, host=HOST):
    """A real handshake that trusts the bundle: the leaf that comes, or an ssl error."""
    context = ssl.create_default_context(cadata=bundle.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT

    async def nothing(_request): ...

    async with listening(nothing, Address("127.0.0.1", 0), certificates) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der)


async def test_everything_is_made_when_there_is_nothing(cluster):
    """A CA, a certificate each for webhook and broker with keys of their own, the bundle in the configuration; it serves."""
    replica = cluster.replica()
    await replica.look()
    assert replica.healthy and replica.problem is None
    bundle = cluster.content("tfy-secret-ca")["ca.crt"]
    assert cluster.bundles == [bundle, bundle] and replica.ca_bundle == bundle.decode()
    assert (await served(replica, bundle)).serial_number == certificates_in(cluster.content("tfy-secret-webhook-tls")["tls.crt"])[
        0
    ].serial_number
    keys = {name: cluster.content(name)["tls.key"] for name in ("tfy-secret-ca", "tfy-secret-webhook-tls", "tfy-secret-broker-tls")}
    assert len(set(keys.values())) == 3
    for service in ("tfy-secret-webhook", "tfy-secret-broker"):
        secret = cluster.api.objects[SECRETS][f"{service}-tls"]
        assert secret["type"] == "kubernetes.io/tls" and set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
        assert keys["tfy-secret-ca"] not in cluster.content(f"{service}-tls").values()
        (leaf,) = certificates_in(cluster.content(f"{service}-tls")["tls.crt"])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        assert names == [service, f"{service}.tfy-secret", f"{service}.tfy-secret.svc", f"{service}.tfy-secret.svc.cluster.local"]
        assert leaf.not_valid_after_utc == cluster.now + 90 * DAY
    (authority,) = certificates_in(bundle)
    assert authority.not_valid_after_utc == cluster.now + 3650 * DAY


@pytest.mark.parametrize("name", service_names("tfy-secret-webhook", "tfy-secret"))
async def test_each_name_of_the_service_is_accepted(cluster, name):
    replica = cluster.replica()
    await replica.look()
    assert await served(replica, cluster.bundles[0], name)


async def test_nothing_is_written_when_all_is_well(cluster):
    replica = cluster.replica()
    await replica.look()
    cluster.api.requests.clear()
    await replica.look()
    await cluster.replica().look()
    assert {method for method, *_ in cluster.api.requests} == {"GET"}


async def test_replicas_that_start_at_once_agree_on_one(cluster):
    """Each takes what the first wrote: one CA, one certificate, trusted by one bundle."""
    replicas = [cluster.replica() for _ in range(3)]
    await asyncio.gather(*(replica.look() for replica in replicas))
    assert len(cluster.api.calls("POST", "/secrets")) > 3  # they did race
    bundle = cluster.content("tfy-secret-ca")["ca.crt"]
    assert len(certificates_in(bundle)) == 1 and cluster.bundles == [bundle, bundle]
    serials = {(await served(replica, bundle)).serial_number for replica in replicas}
    assert len(serials) == 1 and all(replica.healthy and replica.problem is None for replica in replicas)


async def test_replicas_that_renew_at_once_agree_on_one(cluster):
    """An update with an old resourceVersion is refused; the loser reads again."""
    replicas = [cluster.replica() for _ in range(3)]
    cluster.now -= 61 * DAY  # so that the renewed one is valid by the clock of the handshake
    for replica in replicas:
        await replica.look()
    before = cluster.content("tfy-secret-webhook-tls")["tls.crt"]
    cluster.now += 61 * DAY
    await asyncio.gather(*(replica.look() for replica in replicas))
    assert len(cluster.api.calls("PUT", "webhook-tls")) > 1  # they did race
    assert cluster.content("tfy-secret-webhook-tls")["tls.crt"] != before
    assert len({(await served(replica, cluster.bundles[0])).serial_number for replica in replicas}) == 1


async def test_serving_certificates_are_renewed_at_two_thirds_of_their_life(cluster):
    """Not before; by the same CA; with a new key."""
    replica = cluster.replica()
    await replica.look()
    first = cluster.secrets()
    cluster.now += 59 * DAY
    await replica.look()
    assert cluster.secrets() == first
    cluster.now += 2 * DAY
    await replica.look()
    for name in ("tfy-secret-webhook-tls", "tfy-secret-broker-tls"):
        assert cluster.secrets()[name]["tls.key"] != first[name]["tls.key"] and cluster.secrets()[name]["ca.crt"] == first[name]["ca.crt"]
    assert cluster.secrets()["tfy-secret-ca"] == first["tfy-secret-ca"]
    assert replica.expires_at == cluster.now + 90 * DAY


async def test_a_new_ca_is_trusted_long_before_it_signs(cluster):
    """Published everywhere first; signs a serving certificate's life later; the old one stays in the bundle until it expires."""
    replica = cluster.replica()
    await replica.look()
    start, (old,) = cluster.now, certificates_in(cluster.bundles[0])
    cluster.now = start + 2440 * DAY
    await replica.look()
    bundle = cluster.bundles[0]
    assert len(certificates_in(bundle)) == 2 and old in certificates_in(bundle)
    (new,) = [certificate for certificate in certificates_in(bundle) if certificate != old]
    for name in ("tfy-secret-ca", "tfy-secret-webhook-tls", "tfy-secret-broker-tls"):
        assert cluster.content(name)["ca.crt"] == bundle
    assert issuer(cluster) == old.subject
    cluster.now += 89 * DAY
    await replica.look()
    assert issuer(cluster) == old.subject and cluster.content("tfy-secret-ca")["tls.crt"] == pem(old)
    cluster.now += 2 * DAY
    await replica.look()
    assert cluster.content("tfy-secret-ca")["tls.crt"] == pem(new) and "next.crt" not in cluster.content("tfy-secret-ca")
    cluster.now += 60 * DAY
    await replica.look()
    assert issuer(cluster) == new.subject and set(certificates_in(cluster.bundles[0])) == {old, new}
    cluster.now = start + 3651 * DAY
    await replica.look()
    assert certificates_in(cluster.bundles[0]) == [new]


def issuer(cluster):
    return certificates_in(cluster.content("tfy-secret-webhook-tls")["tls.crt"])[0].issuer


def pem(certificate):
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


async def test_a_new_bundle_is_published_before_anything_goes_live(cluster):
    """While the configuration cannot be written, the old certificate serves on."""
    replica = cluster.replica()
    await replica.look()
    before = replica.expires_at
    cluster.now += 61 * DAY
    cluster.api.refuse("GET", "mutatingwebhookconfigurations", 503)
    await replica.look()
    assert replica.expires_at == before and "503" in replica.problem and replica.healthy
    await replica.look()
    assert replica.expires_at > before and replica.problem is None


async def test_what_expires_unpublished_is_replaced_all_the_same(cluster):
    """While the configuration can be neither read nor written, a new certificate is better than one that expired."""
    replica = cluster.replica()
    await replica.look()
    cluster.now += 91 * DAY
    cluster.api.refuse("GET", "mutatingwebhookconfigurations", 403)
    await replica.look()
    assert replica.healthy and "403" in replica.problem


@pytest.mark.parametrize("ahead", [100 * DAY, 2500 * DAY, 4000 * DAY], ids=["of-a-certificate", "of-a-ca-that-is-due", "of-an-expired-ca"])
async def test_a_clock_that_was_ahead(cluster, ahead):
    """What was made by it is not valid yet, and would be refused for as long: it is made anew, and trusted at once."""
    start, replica = cluster.now, cluster.replica()
    await replica.look()
    cluster.now = start + ahead
    await replica.look()
    cluster.now = start
    assert replica.problem is None
    for each in (replica, cluster.replica()):
        await each.look()
        leaf = await served(each, cluster.bundles[0])
        assert leaf.not_valid_before_utc <= start
    assert certificates_in(cluster.content("tfy-secret-ca")["tls.crt"])[0].not_valid_before_utc <= start


async def test_a_ca_made_by_a_clock_that_was_ahead(cluster):
    """At the first start of all, before the node knew the time."""
    start, replica = cluster.now, cluster.replica()
    cluster.now = start + 30 * DAY
    await replica.look()
    cluster.now = start
    await replica.look()
    assert replica.problem is None and await served(replica, cluster.bundles[0])


async def test_after_years_off_everything_is_new_at_once(cluster):
    """All expired: there is nothing left to protect by waiting."""
    replica = cluster.replica()
    await replica.look()
    cluster.now += 4000 * DAY
    assert not replica.healthy
    await replica.look()
    assert replica.healthy and len(certificates_in(cluster.bundles[0])) == 1


@pytest.mark.parametrize("damage", ["foreign-key", "foreign-ca", "other-names", "noise", "no-data", "expired", "rsa", "old-bundle"])
@pytest.mark.parametrize("service", ["tfy-secret-webhook", "tfy-secret-broker"])
async def test_a_bad_serving_certificate_is_replaced(cluster, service, damage):
    replica = cluster.replica()
    await replica.look()
    name, good = f"{service}-tls", cluster.content("tfy-secret-ca")
    authority = ca.KeyPair(good["tls.crt"], good["tls.key"])
    names = service_names(service, "tfy-secret")
    foreign = ca.issue(ca.make_authority(cluster.now), names, cluster.now)
    other = ca.issue(authority, ("elsewhere",), cluster.now)
    old = ca.issue(authority, names, cluster.now - 100 * DAY)
    match damage:
        case "foreign-key":
            cluster.change(name, tls_key=foreign.key)
        case "foreign-ca":
            cluster.change(name, tls_crt=foreign.certificate, tls_key=foreign.key)
        case "other-names":
            cluster.change(name, tls_crt=other.certificate, tls_key=other.key)
        case "noise":
            cluster.change(name, tls_crt=b"noise", tls_key=b"\xff")
        case "no-data":
            cluster.api.objects[SECRETS][name].pop("data")
        case "expired":
            cluster.change(name, tls_crt=old.certificate, tls_key=old.key)
        case "rsa":
            cluster.change(name, tls_key=rsa_key())
        case "old-bundle":
            cluster.change(name, ca_crt=foreign.certificate)
    await replica.look()
    held = cluster.content(name)
    assert replica.problem is None and held["ca.crt"] == good["ca.crt"]
    assert (
        ca.leaf_problem(ca.KeyPair(held["tls.crt"], held["tls.key"]), ca.Authority(authority, None, good["ca.crt"]), names, cluster.now)
        is None
    )
    if service == "tfy-secret-webhook":
        assert (await served(replica, good["ca.crt"])).serial_number == certificates_in(held["tls.crt"])[0].serial_number


def rsa_key():
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048).private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param({"tls_key": b"noise"}, "not PEM of a CA certificate and its P-256 key", id="noise"),
        pytest.param({"tls_key": b""}, "not PEM of a CA certificate", id="no-key"),
        pytest.param({"tls_key": "other"}, "the key does not belong to tls.crt", id="another-key"),
        pytest.param({"tls_crt": "leaf", "tls_key": "leaf"}, "not the certificate of a CA", id="not-a-ca"),
        pytest.param({"ca_crt": b"noise"}, "ca.crt: no certificates in PEM", id="no-bundle"),
        pytest.param({"next_crt": b"noise", "next_key": b"noise"}, "next.crt and next.key", id="the-coming-one"),
        pytest.param({"next_key": b"noise"}, "next.crt and next.key", id="half-of-the-coming-one"),
    ],
)
async def test_a_damaged_ca_is_reported_and_never_replaced(cluster, damage, said, capsys):
    """A new replica is not ready and says why; one that serves already serves on; nothing is written."""
    running, fresh = cluster.replica(), cluster.replica()
    await running.look()
    content, other = cluster.content("tfy-secret-ca"), ca.make_authority(cluster.now)
    leaf = ca.issue(ca.KeyPair(content["tls.crt"], content["tls.key"]), ("x",), cluster.now)
    known = {"other": {"tls_key": other.key}, "leaf": {"tls_crt": leaf.certificate, "tls_key": leaf.key}}
    cluster.change("tfy-secret-ca", **{key: known[value][key] if isinstance(value, str) else value for key, value in damage.items()})
    before = cluster.secrets()
    for replica in (running, fresh):
        await replica.look()
        assert said in replica.problem and "Secret tfy-secret/tfy-secret-ca" in replica.problem and "To fix: restore it" in replica.problem
    assert running.healthy and not fresh.healthy and cluster.secrets() == before
    assert "PRIVATE KEY" not in running.problem + capsys.readouterr().out
    cluster.change("tfy-secret-ca", **{key.replace(".", "_"): value for key, value in content.items()})
    for key in ("next.crt", "next.key"):
        cluster.api.objects[SECRETS]["tfy-secret-ca"]["data"].pop(key, None)
    await fresh.look()
    assert fresh.healthy and fresh.problem is None


async def test_a_deleted_ca_is_made_anew_and_the_old_one_stays_trusted(cluster):
    """A running replica remembers the bundle, so certificates still in use by the others and the broker are accepted."""
    replica = cluster.replica()
    await replica.look()
    (old,) = certificates_in(cluster.bundles[0])
    cluster.api.remove(SECRETS, "tfy-secret-ca")
    await replica.look()
    found = certificates_in(cluster.bundles[0])
    assert len(found) == 2 and found[1] == old and replica.healthy
    assert await served(replica, cluster.bundles[0])


async def test_the_bundle_is_set_again_and_nothing_else_is_touched(cluster):
    """Whoever applies the manifest again removes it."""
    replica = cluster.replica()
    await replica.look()
    good = cluster.bundles
    configuration = cluster.api.objects[CONFIGURATIONS][NAME]
    del configuration["webhooks"][1]["clientConfig"]["caBundle"]
    configuration["webhooks"][0]["timeoutSeconds"] = 7
    cluster.api.put(CONFIGURATIONS, configuration)
    await replica.look(secrets=False)
    after = cluster.api.objects[CONFIGURATIONS][NAME]
    assert cluster.bundles == good and after["webhooks"][0]["timeoutSeconds"] == 7 and after["metadata"]["labels"] == {"theirs": "kept"}
    cluster.api.requests.clear()
    await replica.look(secrets=False)
    assert [path for _, path, _ in cluster.api.requests] == [CONFIGURATION]  # all is well: one look


async def test_a_replica_that_looks_late_does_not_bring_an_old_bundle_back(cluster):
    """It finds another bundle than its own and reads the Secrets again: the other replica may know of a newer CA."""
    quick, late = cluster.replica(), cluster.replica()
    await quick.look()
    await late.look()
    cluster.api.remove(SECRETS, "tfy-secret-ca")
    await quick.look()
    newest = cluster.bundles
    cluster.api.requests.clear()
    await late.look(secrets=False)
    assert cluster.bundles == newest and cluster.api.calls("PATCH", NAME) == []
    assert await served(late, newest[0])


async def test_webhooks_of_others_in_our_configuration_stay(cluster):
    """Whoever added one trusts a CA of their own; ours are found in any order, without a caBundle too."""
    ours = webhook("ours", caBundle="Cg==") | {"clientConfig": {"service": {"name": "tfy-secret-webhook", "namespace": "tfy-secret"}}}
    theirs = [
        {"name": "a.example", "clientConfig": {"url": "https://a.example/mutate", "caBundle": "Cg=="}},
        {"name": "b.example", "clientConfig": {"service": {"name": "policy", "namespace": "tfy-secret"}, "caBundle": "Cg=="}},
        {"name": "c.example", "clientConfig": {"service": {"name": "tfy-secret-webhook", "namespace": "elsewhere"}}},
    ]
    cluster.api.put(CONFIGURATIONS, {"metadata": {"name": NAME}, "webhooks": [*theirs[:2], ours, theirs[2], webhook("last")]})
    replica = cluster.replica()
    await replica.look()
    found = cluster.api.objects[CONFIGURATIONS][NAME]["webhooks"]
    assert [*found[:2], found[3]] == theirs
    assert cluster.bundles[2] == cluster.bundles[4] == replica.ca_bundle.encode() and replica.problem is None


def test_the_patch_touches_only_what_differs():
    webhooks = [webhook("same", caBundle="Yg=="), webhook("other", caBundle="eA=="), webhook("none")]
    assert bundle_patch(webhooks, "Yg==", "tfy-secret") == [
        {"op": "test", "path": "/webhooks/1/name", "value": "other.tfy-secret.dev"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "Yg=="},
        {"op": "test", "path": "/webhooks/2/name", "value": "none.tfy-secret.dev"},
        {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": "Yg=="},
    ]
    assert bundle_patch([], "Yg==", "tfy-secret") == []


@pytest.mark.parametrize(
    ("method", "part", "code"),
    [
        pytest.param("GET", "/secrets", 403, id="may-not-read-secrets"),
        pytest.param("POST", "/secrets", 403, id="may-not-create-secrets"),
        pytest.param("POST", "/secrets", 503, id="not-reachable"),
    ],
)
async def test_what_the_api_server_refuses_is_told_and_tried_again(cluster, method, part, code, capsys):
    cluster.api.refuse(method, part, code, "canary-message")
    replica = cluster.replica()
    await replica.look()
    assert not replica.healthy and str(code) in replica.problem and "/secrets" in replica.problem
    assert "canary" not in replica.problem + capsys.readouterr().out
    await replica.look()
    assert replica.healthy and replica.problem is None


async def test_without_a_configuration_it_serves_and_tells(cluster):
    """It may be applied after us; there is nothing better to serve meanwhile."""
    configuration = cluster.api.objects[CONFIGURATIONS].pop(NAME)
    replica = cluster.replica()
    await replica.look()
    assert replica.healthy and "mutatingwebhookconfigurations/tfy-secret-webhook" in replica.problem
    cluster.api.put(CONFIGURATIONS, configuration)
    await replica.look()
    assert replica.problem is None and cluster.bundles[0]


async def test_it_looks_by_itself(cluster):
    """`start` leaves a live certificate; what is removed later comes back."""
    replica = cluster.replica()
    replica._every = 0.01
    await replica.start()
    assert replica.healthy
    cluster.api.remove(SECRETS, "tfy-secret-broker-tls")
    configuration = cluster.api.objects[CONFIGURATIONS][NAME]
    del configuration["webhooks"][0]["clientConfig"]["caBundle"]
    async with asyncio.timeout(3):
        while not (cluster.bundles[0] and "tfy-secret-broker-tls" in cluster.api.objects[SECRETS]):
            await asyncio.sleep(0.005)
    await replica.close()


def test_a_key_is_in_no_repr():
    made = ca.make_authority(datetime.now(UTC))
    assert "PRIVATE" not in repr(made) + repr(ca.Authority(made, made, b""))


def test_a_leaf_never_outlives_its_ca():
    now = datetime.now(UTC).replace(microsecond=0)
    authority = ca.make_authority(now)
    late = now + 3640 * DAY
    leaf = x509.load_pem_x509_certificate(ca.issue(authority, ("x",), late).certificate)
    assert leaf.not_valid_after_utc == now + 3650 * DAY


async def test_a_process_of_its_own_makes_them_and_ends(cluster, child):
    replica = cluster.replica()
    await replica.look()
    assert replica.healthy and replica.problem is None
    assert await served(replica, cluster.bundles[0])
    before = cluster.secrets()
    cluster.now += 61 * DAY
    await replica.look()
    assert replica.problem is None and cluster.secrets() != before


async def test_a_damaged_ca_is_told_through_the_process_too(cluster, child):
    replica = cluster.replica()
    await replica.look()
    cluster.change("tfy-secret-ca", tls_key=b"no key")
    await replica.look()
    assert "Secret tfy-secret/tfy-secret-ca: tls.crt and tls.key: not PEM" in replica.problem and replica.healthy


@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat", "/nowhere"], ids=["ends", "garbage", "missing"])
async def test_a_process_that_does_not_answer_is_a_problem_and_tried_again(cluster, child, monkeypatch, program):
    """`cat` gives the question back, which is no answer. What was live stays so."""
    replica = cluster.replica()
    await replica.look()
    cluster.now += 61 * DAY
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", program)
        await replica.look()
    assert "certificates cannot be made" in replica.problem and replica.healthy
    await replica.look()
    assert replica.problem is None and replica.healthy


async def test_a_slow_process_is_given_up(cluster, child, monkeypatch):
    monkeypatch.setattr(issuer_module, "SECONDS", 0.01)
    replica = cluster.replica()
    await replica.look()
    assert "TimeoutError" in replica.problem and not replica.healthy


async def test_what_is_right_is_not_asked_again_for_an_hour(cluster, questions):
    replica = cluster.replica()
    await replica.look()
    await replica.look()
    number = len(questions)
    for _ in range(3):
        cluster.now += timedelta(minutes=15)
        await replica.look()
    assert len(questions) == number
    cluster.now += timedelta(minutes=30)
    await replica.look()
    assert len(questions) == number + 3
    cluster.change("tfy-secret-broker-tls", tls_crt=b"damaged")
    await replica.look()
    assert len(questions) == number + 4 and replica.problem is None


def test_the_webhook_itself_loads_no_cryptography():
    code = "import webhook.__main__, webhook.app, webhook.certificates, sys; print(sorted({'cryptography', 'rich'} & {m for m in sys.modules if sys.modules[m]}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
