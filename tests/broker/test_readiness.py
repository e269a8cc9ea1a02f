"""Each error has its word and says who must act; errors that share a code and mean different things have words of their own."""

from pathlib import Path

import pytest

from broker import errors
from broker.readiness import readiness

TABLE = [
    (errors.StoreRefused, "StoreRefused", "whoever gives the broker its rights in the store"),
    (errors.Misconfigured, "Misconfigured", "whoever manages this SecretStore and the files that it names"),
    (errors.Malformed, "Malformed", "whoever manages this SecretStore: is its address that of such a store?"),
    (errors.Sealed, "Sealed", "the store's operators, who unseal it"),
    (errors.Throttled, "Throttled", "nobody if it passes, else whoever sets the store's quotas"),
    (errors.Unavailable, "Unavailable", "nobody if it passes, else whoever runs the store or the network to it"),
    (errors.NotSent, "Unavailable", "nobody if it passes, else whoever runs the store or the network to it"),
    (errors.NotFound, "NotFound", "whoever runs the store: what the broker needs there is not there, or is switched off"),
    (errors.Disabled, "Disabled", "whoever runs the store: what the broker needs there is not there, or is switched off"),
    (errors.SoftDeleted, "SoftDeleted", "whoever runs the store: what the broker needs there is not there, or is switched off"),
    (errors.BrokerError, "Internal", "the operators of the broker; its log tells more"),
]


@pytest.mark.parametrize(("error", "word", "who"), TABLE, ids=[row[0].__name__ for row in TABLE])
def test_a_word_and_who_acts(error, word, who):
    found = readiness(error("SecretStore main: something is wrong."))
    assert (found.ready, found.reason) == (False, word)
    assert found.message == f"SecretStore main: something is wrong. Who acts: {who}"


def test_a_store_that_answers():
    assert readiness(None).ready


def test_the_operators_page_says_the_same():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for _, word, who in TABLE:
        row = next(line for line in rows if f"`{word}`" in line)
        assert who in row.replace("whoever manages the SecretStore", "whoever manages this SecretStore") or word == "Internal", word
