"""`check-store`: does this live server keep the contract? For operators, and for whoever writes a Generic Secret Store.

Writes, reads and deletes secrets of its own under a random path, and says row by row what holds. A generic store is asked over
raw HTTP (`check_http`), every other one through its client (`check_client`). What was written is deleted at the end, also after
a failure.
"""

import secrets
from typing import Protocol, TextIO

from broker.check_client import ClientCourse
from broker.check_http import HttpCourse
from broker.check_rows import FAIL, PASS, SKIP, WARN, Row, Rows
from broker.errors import BrokerError
from broker.stores.exchange import Exchange
from broker.stores.generic import Generic
from broker.stores.registry import StoreSettings, open_store
from broker.stores.store import StoreClient
from contract import fqn
from contract.resources import SecretStore

ROOT = "/tfy-secret-check"
MANAGED_ROOT = f"/{fqn.ROOT}/tfy-secret-check"  # of a tenant that nobody has: some stores have names for managed paths alone


class Course(Protocol):
    """A run over one store: `rows` fills up, `written` are the paths to delete again."""

    rows: Rows
    written: list[str]

    async def run(self) -> None: ...

    async def remove(self, path: str) -> str | None:
        """Delete; returns why not."""
        ...


async def check_store(client: StoreClient, raw: Exchange | None = None) -> Rows:
    """All rows. With `raw` the HTTP contract is checked, else the client's operations. Raises nothing of broker.errors."""
    place = f"/{secrets.token_hex(8)}"
    course: Course = HttpCourse(raw, ROOT + place) if raw is not None else ClientCourse(client, MANAGED_ROOT + place)
    try:
        await course.run()
    except BrokerError as error:
        course.rows.append(Row("the store answers", FAIL, "an answer to every request", error.message))
    finally:
        await _clean_up(course)
    return course.rows


async def run_check(store: SecretStore, settings: StoreSettings, out: TextIO) -> int:
    """Check the store, print the rows; 0: the contract holds. What `python -m broker check-store NAME` calls."""
    try:
        client = open_store(store, settings)
    except BrokerError as error:
        print(f"{FAIL}  {error.message}", file=out)
        return 1
    root = ROOT if isinstance(client, Generic) else MANAGED_ROOT
    print(f"SecretStore {store.name} ({store.provider}): secrets of its own under {root}/, deleted at the end", file=out)
    try:
        rows = await check_store(client, client.exchange if isinstance(client, Generic) else None)
    finally:
        await client.close()
    print_rows(rows, out)
    return 0 if rows.kept else 1


def print_rows(rows: Rows, out: TextIO) -> None:
    width = max(len(row.name) for row in rows)
    for row in rows:
        detail = row.found if row.verdict == PASS else f"found {row.found}; expected {row.expected}"
        print(f"{row.verdict}  {row.name:<{width}}  {detail}", file=out)
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in (PASS, FAIL, WARN, SKIP)}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    print(f"{'the contract holds' if rows.kept else 'the contract does not hold'}: {summary}", file=out)


async def _clean_up(course: Course) -> None:
    left = []
    for path in course.written:
        try:
            reason = await course.remove(path)
        except BrokerError as error:
            reason = error.message
        if reason is not None:
            left.append(f"{path} ({reason})")
    found = f"left behind: {', '.join(left)}" if left else "nothing left behind"
    if course.written:
        course.rows.judge("clean-up", "nothing left behind", found, holds=not left)
