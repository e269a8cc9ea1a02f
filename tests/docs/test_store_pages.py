"""The pages of stores: each manifest in them is one that the programs take, and none of a provider goes without a page for long."""

import re
import textwrap

import pytest
import yaml

from broker.stores.registry import PROVIDERS
from contract.resources import parse_store
from docs.generate import ROOT

PAGES = {page.name: page for page in sorted((ROOT / "docs/stores").glob("*.md"))}


def manifests(name: str) -> list[dict]:
    """What stands in indented or fenced blocks and is a SecretStore."""
    text = PAGES[name].read_text()
    blocks = [block for block in re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE) if "kind: SecretStore" in block]
    blocks += [block for block in re.findall(r"```(?:yaml)?\n(.*?)```", text, re.DOTALL) if "kind: SecretStore" in block]
    return [found for block in blocks for found in yaml.safe_load_all(textwrap.dedent(block)) if found and found["kind"] == "SecretStore"]


@pytest.mark.parametrize("name", PAGES)
def test_its_manifests_are_stores(name: str):
    found = manifests(name)
    assert found, "a page shows a whole SecretStore"
    for manifest in found:
        store = parse_store(manifest)
        assert store.provider in PROVIDERS


def test_azures_names_are_those_of_the_code():
    """The page's table of names says what the encoding does."""
    from broker.stores.azure.names import encode

    text = PAGES["azure-key-vault.md"].read_text()
    assert f"`{encode('/tfy-secret/acme/payments/DB_PASSWORD')}`" in text
    examples = re.findall(r"`([A-Za-z0-9._-]+)` is `(--[a-z0-9-]+)`", text)
    assert len(examples) == 7
    assert [(part, encode(f"/tfy-secret/a/b/{part}").removeprefix("tfy-secret--a--b")) for part, _ in examples] == examples


def test_googles_names_are_those_of_the_code():
    """The page's table of names says what the encoding does."""
    from broker.stores.google.names import encode

    text = PAGES["google-secret-manager.md"].read_text()
    assert f"`{encode('acme', 'payments', 'DB_PASSWORD')}`" in text
    table = text.partition("## What a managed key")[2].partition("## ")[0]
    examples = re.findall(r"`([A-Za-z0-9._-]+)` is `([A-Za-z0-9_-]+)`", table)
    assert len(examples) == 4
    assert [(part, encode("a", "b", part).removeprefix("tfy-secret__a__b__")) for part, _ in examples] == examples
