"""Real things for the stores' tests: a server of the Generic contract over loopback, embedded databases on disk."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.stores.addresses import Reach
from broker.stores.embedded import Embedded
from broker.stores.exchange import Patience
from broker.stores.generic import Generic
from contract.resources import SecretStore
from tests.generic_server import GenericServer

HEADER, CREDENTIAL = "X-Store-Key", "canary-credential-7f3a"


@pytest.fixture
async def server() -> AsyncIterator[GenericServer]:
    async with GenericServer({HEADER: CREDENTIAL}) as running:
        yield running


@pytest.fixture
def header_file(tmp_path: Path) -> Path:
    file = tmp_path / "header"
    file.write_text(CREDENTIAL + "\n")
    return file


@pytest.fixture
async def open_generic(header_file: Path) -> AsyncIterator[Callable[..., Generic]]:
    """A client for a base URL; its time-outs and headers can be given."""
    async with AsyncExitStack() as opened:

        def make(url: str, *, allow_loopback: bool = True, files: dict[str, str] | None = None, **patience: float) -> Generic:
            settings = {"baseUrl": url, "headerFiles": {HEADER: str(header_file)} if files is None else files}
            store = SecretStore("test", "acme/generic/test", "generic", settings)
            client = Generic(store, reach=Reach(allow_loopback), patience=Patience(**patience))
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def generic(server: GenericServer, open_generic: Callable[..., Generic]) -> Generic:
    return open_generic(server.url)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secrets.db"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "key"


@pytest.fixture
async def open_embedded(db: Path, key_file: Path) -> AsyncIterator[Callable[..., Embedded]]:
    async with AsyncExitStack() as opened:

        def make(store: str = "acme/embedded/test", **kwargs: object) -> Embedded:
            client = Embedded.open(db, key_file, store, **kwargs)
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def embedded(open_embedded: Callable[..., Embedded]) -> Embedded:
    return open_embedded()
