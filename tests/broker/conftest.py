"""Fixtures of the broker's tests."""

import ssl

import pytest
import structlog
import trustme

from tests.broker.world import make_world


@pytest.fixture(autouse=True)
def logs():
    """What is logged, as events; and nothing of it on standard output."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
async def make(tmp_path):
    """Make worlds with settings of their own; all are closed, and nothing may be left running."""
    made = []

    def one(**settings):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(make_world(folder, **settings))
        return made[-1]

    yield one
    for world in made:
        await world.close()


@pytest.fixture
def world(make):
    return make()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
