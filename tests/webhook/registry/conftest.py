from types import SimpleNamespace

import pytest
import trustme

from tests.webhook.registry import images, servers
from webhook.registry.lookup import Registry
from webhook.registry.settings import RegistrySettings

PASSWORD, IDENTITY = "canary-password-6f1", "canary-identity-9c2"


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    made = trustme.CA()
    made.file = tmp_path_factory.mktemp("ca") / "ca.crt"
    made.cert_pem.write_to_path(str(made.file))
    return made


@pytest.fixture(scope="session", autouse=True)
def system_authorities(tmp_path_factory):
    """One that nobody uses: the machine's own 140 take 50 ms to load, in each test."""
    bundle = tmp_path_factory.mktemp("system") / "ca.crt"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(bundle))
        patch.setenv("SSL_CERT_DIR", str(bundle.parent))
        yield


@pytest.fixture(scope="session")
def built():
    """The images that each real registry holds, by repository and tag."""
    amd64, arm64 = image_of("amd64"), image_of("arm64")
    about, about_entry = images.attestation(amd64)
    return {
        ("team/single", "1"): images.image(["/app"], ["--serve"]),
        ("team/docker", "1"): images.image(["/docker"], None, docker=True),
        ("team/index", "1"): images.index((about, about_entry), (arm64, images.entry(arm64, variant="v8")), (amd64, images.entry(amd64))),
        ("team/list", "1"): images.index((amd64, images.entry(amd64)), (arm64, images.entry(arm64)), docker=True),
        ("team/arm", "1"): images.image(["/arm"], architecture="arm64"),
        ("team/armindex", "1"): images.index((arm64, images.entry(arm64))),
    }


def image_of(architecture):
    return images.image([f"/app-{architecture}"], ["serve"], architecture=architecture)


@pytest.fixture(scope="session")
def plain(tmp_path_factory, built):
    with servers.docker_registry(tmp_path_factory.mktemp("plain")) as host:
        push(images.Pusher(f"http://{host}"), built)
        yield host


@pytest.fixture(scope="session")
def private(tmp_path_factory, built):
    """Behind htpasswd: user `puller`."""
    folder = tmp_path_factory.mktemp("private")
    with servers.docker_registry(folder, auth=servers.htpasswd(folder, "puller", PASSWORD)) as host:
        push(images.Pusher(f"http://{host}", images.basic("puller", PASSWORD)), built)
        yield host


@pytest.fixture(scope="session")
def tokens(tmp_path_factory, authority, built):
    """Behind a token server, over TLS: user `puller`, an identity token, and `team/single` for anyone."""
    folder = tmp_path_factory.mktemp("tokens")
    leaf = authority.issue_cert("127.0.0.1")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    users = {"puller": PASSWORD}
    context = servers.server_context(leaf)
    with servers.TokenServer(certificate.read_bytes(), key.read_bytes(), context, users, {IDENTITY}, {"team/single"}) as server:
        auth = {"token": {"realm": server.realm, "service": "reg", "issuer": "test", "rootcertbundle": str(authority.file)}}
        with servers.docker_registry(folder, auth=auth, tls=(certificate, key)) as host:
            for (repository, tag), image in built.items():
                bearer = f"Bearer {server.token('puller', [f'repository:{repository}:pull,push'])}"
                images.Pusher(f"https://{host}", bearer, images.client_tls(authority.file)).push(repository, tag, image)
            yield SimpleNamespace(host=host, server=server)


def push(pusher, built):
    for (repository, tag), image in built.items():
        pusher.push(repository, tag, image)


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def registries(clock):
    """Makes look-ups that are closed at the end."""
    made = []

    def make(resolver=None, **settings):
        made.append(Registry(RegistrySettings(**settings), clock, resolver))
        return made[-1]

    yield make
    for each in made:
        await each.close()
