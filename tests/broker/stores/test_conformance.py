"""What every store must do, asked of each one that this version has: `subjects` starts them, and says what a store cannot do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.errors import BrokerError, InvalidRequest, NotFound, TooLarge, Unsupported
from broker.stores.store import StoreClient
from contract.values import SecretValue
from tests.broker.stores.subjects import SUBJECTS, Traits

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
TEXTS = [
    "",
    " ",
    "12345",
    "true",
    "null",
    '"q"',
    '{"a": 1}',
    "line\r\nline",
    "end\n",
    "\ttab ",
    "\u2028\ufeffe\u0301\U0001f511",
    "nul\0",
    "\\u0041 %41 +",
]
PATHS = ["relative", "/a b+c", "/%2F%", "/?version=1&path=/other#x", "/\u00e4/\U0001f511", "/a//b/", "/'\"\\{}", "/" + "x" * 2000]


BYTES = bytes(range(256)) * 3 + b"\r\n\x00\xff"
MANAGED = [
    "/tfy-secret/acme/payments/DB_PASSWORD",
    "/tfy-secret/acme/payments/db_password",
    "/tfy-secret/acme/payments/db-password",
    "/tfy-secret/acme/payments/db.password",
    "/tfy-secret/acme/payments/DB-PASSWORD",
    "/tfy-secret/acme/payments/0",
    "/tfy-secret/acme/payments.db/PASSWORD",
    "/tfy-secret/acme/payments-db/PASSWORD",
    "/tfy-secret/acme-payments/db/PASSWORD",
    "/tfy-secret/acme/payments/a--b",
    "/tfy-secret/acme/payments/a__b",
    "/tfy-secret/acme/payments/a-b-123abc",
]


@pytest.fixture(params=SUBJECTS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreClient]:
    async with SUBJECTS[request.param].open(tmp_path) as client:
        yield client


@pytest.fixture
def traits(request: pytest.FixtureRequest) -> Traits:
    return SUBJECTS[request.node.callspec.params["store"]].traits


def needs(able: bool) -> None:
    if not able:
        pytest.skip("the store cannot")


async def test_a_value_written_is_read(store: StoreClient, traits: Traits) -> None:
    version = await store.write(PATH, SecretValue(b"one"))
    assert (await store.read(PATH)).value == SecretValue(b"one")
    if not traits.versions:
        assert version == ""
        assert (await store.read(PATH)).version is None
        return
    found = await store.read(PATH, version)
    assert found.value == SecretValue(b"one")
    assert found.version == version


async def test_each_write_is_a_version_and_the_newest_is_read(store: StoreClient, traits: Traits) -> None:
    if not traits.versions:
        for text in (b"one", b"two"):
            await store.write(PATH, SecretValue(text))
            assert (await store.read(PATH)).value == SecretValue(text)
        return
    versions = [await store.write(PATH, SecretValue(text)) for text in (b"one", b"two", b"three")]
    assert len(set(versions)) == 3
    assert (await store.read(PATH)).value == SecretValue(b"three")
    assert [
        (await store.read(PATH, version)).value == SecretValue(text) for version, text in zip(versions, (b"one", b"two", b"three"))
    ] == [True] * 3


async def test_what_is_not_there_is_not_found(store: StoreClient, traits: Traits) -> None:
    absent = NotFound if traits.versions else Unsupported
    with pytest.raises(NotFound):
        await store.read(PATH)
    with pytest.raises(absent):
        await store.read(PATH, "1")
    await store.write(PATH, SecretValue(b"one"))
    for version in ("2", "99999999999999999999999", *([] if traits.latest else ["latest"]), "-1", "\u0661", ""):
        with pytest.raises(absent):
            await store.read(PATH, version)


async def test_one_version_is_deleted_and_the_others_stay(store: StoreClient, traits: Traits) -> None:
    if not traits.deletes_versions:
        await store.write(PATH, SecretValue(b"one"))
        with pytest.raises(Unsupported):
            await store.delete(PATH, await store.write(PATH, SecretValue(b"two")))
        assert (await store.read(PATH)).value == SecretValue(b"two")
        return
    one, two = await store.write(PATH, SecretValue(b"one")), await store.write(PATH, SecretValue(b"two"))
    await store.delete(PATH, one)
    with pytest.raises(NotFound):
        await store.read(PATH, one)
    assert (await store.read(PATH, two)).value == SecretValue(b"two")
    await store.delete(PATH, two)
    with pytest.raises(NotFound):
        await store.read(PATH)


async def test_all_versions_are_deleted_and_their_names_not_used_again(store: StoreClient, traits: Traits) -> None:
    old = {await store.write(PATH, SecretValue(b"one")), await store.write(PATH, SecretValue(b"two"))}
    await store.delete(PATH)
    with pytest.raises(NotFound):
        await store.read(PATH)
    version = await store.write(PATH, SecretValue(b"three"))
    assert (await store.read(PATH, version if traits.versions else None)).value == SecretValue(b"three")
    assert not traits.versions or version not in old or not traits.new_version_names


async def test_deleting_what_is_not_there_is_told(store: StoreClient) -> None:
    """The Generic contract knows only 400 for that."""
    await store.write(PATH, SecretValue(b"one"))
    for path, version in ((PATH + "X", None), (PATH, "77"), (PATH + "X", "1")):
        with pytest.raises((NotFound, InvalidRequest, Unsupported)):
            await store.delete(path, version)
    assert (await store.read(PATH)).value == SecretValue(b"one")


async def test_text_is_kept_exactly(store: StoreClient, traits: Traits) -> None:
    for text in TEXTS:
        if (text == "" and not traits.empty) or ("\0" in text and not traits.nul):
            with pytest.raises(InvalidRequest):
                await store.write(PATH, SecretValue(text.encode()))
            continue
        await store.write(PATH, SecretValue(text.encode()))
        assert (await store.read(PATH)).value == SecretValue(text.encode()), f"text {TEXTS.index(text)} came back different"


async def test_bytes_that_are_no_text_are_kept_exactly_or_refused(store: StoreClient, traits: Traits) -> None:
    needs(traits.writes)
    if not traits.binary:
        with pytest.raises(InvalidRequest):
            await store.write(PATH, SecretValue(BYTES))
        return
    await store.write(PATH, SecretValue(BYTES))
    assert (await store.read(PATH)).value == SecretValue(BYTES), "bytes came back different"


async def test_managed_names_that_look_alike_are_kept_apart(store: StoreClient) -> None:
    for path in MANAGED:
        await store.write(path, SecretValue(path.encode()))
    assert [(await store.read(path)).value == SecretValue(path.encode()) for path in MANAGED] == [True] * len(MANAGED)


async def test_paths_are_kept_apart_exactly(store: StoreClient, traits: Traits) -> None:
    needs(traits.any_path)
    for path in PATHS:
        await store.write(path, SecretValue(path.encode()))
    assert [(await store.read(path)).value == SecretValue(path.encode()) for path in PATHS] == [True] * len(PATHS)


@pytest.mark.parametrize("unit", [b"m", "\u00e9".encode(), b'"', b"\x01"], ids=["ascii", "two-bytes", "escaped", "control"])
async def test_the_largest_value_is_kept_and_one_more_byte_refused(store: StoreClient, traits: Traits, unit: bytes) -> None:
    needs(traits.writes)
    largest = unit * (traits.max_bytes // len(unit))
    beyond = largest + b"x" * (traits.max_bytes + 1 - len(largest))
    await store.write(PATH, SecretValue(largest))
    assert (await store.read(PATH)).value == SecretValue(largest)
    with pytest.raises(TooLarge, match=f"{traits.max_bytes + 1} bytes; allowed: at most {traits.max_bytes}"):
        await store.write(PATH, SecretValue(beyond))
    assert (await store.read(PATH)).value == SecretValue(largest)


@pytest.mark.parametrize("path", ["", "/a\nb", "/a\0", "/\ud800", "/" + "x" * 5000], ids=["empty", "newline", "nul", "surrogate", "long"])
async def test_a_path_that_no_name_can_have_is_refused(store: StoreClient, path: str) -> None:
    for call in (store.read(path), store.write(path, SecretValue(b"x")), store.delete(path)):
        with pytest.raises(InvalidRequest, match="path"):
            await call


async def test_versions_are_listed_oldest_first_or_unsupported(store: StoreClient, traits: Traits) -> None:
    written = [await store.write(PATH, SecretValue(b"x")) for _ in range(11)]
    try:
        listed = [version.version for version in await store.versions(PATH)]
    except Unsupported as error:
        assert "no list of versions" in error.message
    else:
        assert listed == written[-traits.keeps :]


async def test_many_calls_at_once_do_not_mix(store: StoreClient, traits: Traits) -> None:
    paths = [f"/tfy-secret/acme/many/KEY_{number}" for number in range(40)]
    await asyncio.gather(*(store.write(path, SecretValue(path.encode())) for path in paths))
    found = await asyncio.gather(*(store.read(path) for path in paths))
    assert [stored.value == SecretValue(path.encode()) for stored, path in zip(found, paths)] == [True] * len(paths)
    needs(traits.writes_in_order)
    versions = await asyncio.gather(*(store.write("/tfy-secret/acme/many/SAME", SecretValue(b"x")) for _ in range(20)))
    assert len(set(versions)) == 20


async def test_a_healthy_store_says_so(store: StoreClient) -> None:
    await store.healthy()


async def test_no_error_and_no_repr_shows_a_value(store: StoreClient) -> None:
    canary = "canary-value-91c2"
    await store.write(PATH, SecretValue(canary.encode()))
    shown = [repr(await store.read(PATH)), repr(store), repr(vars(store))]
    for call in (store.read(PATH, "9"), store.write(PATH, SecretValue(canary.encode() * 100_000)), store.delete(PATH, "9")):
        with pytest.raises(BrokerError) as caught:
            await call
        shown.append(repr(caught.value) + caught.value.message)
    assert not any(canary in text for text in shown)
