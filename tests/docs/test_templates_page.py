"""docs/templates.md: its first example is one, and the message that it shows is what the webhook says."""

import re

import yaml

from contract.catalog import Catalog
from contract.template import FORMATS
from docs.generate import ROOT
from tests.webhook.pods import cluster, group, store
from webhook.contents import ConfigMap, check_templates
from webhook.target import Findings
from webhook.templates import FIELDS, parse_templates

TEXT = (ROOT / "docs/templates.md").read_text()
BLOCKS = re.findall(r"(?:^    .*\n|^\n(?=    ))+", TEXT, re.MULTILINE)
KEY = "tfy-secret.dev/templates"
PLACE = f"metadata.annotations[{KEY}]"


def looked(content: str) -> Findings:
    findings, manifests = (
        Findings(),
        [store("main", "acme/embedded/main", {"embedded": {}}), group("llm", "main", ["OPENAI_KEY"], "namespace:shop")],
    )
    wanted = parse_templates(PLACE, yaml.safe_load(BLOCKS[1])["metadata"]["annotations"][KEY], findings.problems)
    assert wanted
    where = cluster(Catalog("acme", manifests))
    truth = where.truths.of_workload(where.catalog, where.admins, "shop", "web")
    check_templates(wanted, lambda _: ConfigMap.of({"data": {"config.yaml": content}}), "", truth, findings)
    return findings


def test_the_first_example_works():
    content = yaml.safe_load(BLOCKS[0])["data"]["config.yaml"]
    assert (looked(content).problems, looked(content).warnings) == ([], [])


def test_the_message_is_the_webhooks():
    (problem,) = looked(yaml.safe_load(BLOCKS[0])["data"]["config.yaml"].replace("OPENAI_KEY", "OPENAI_KY")).problems
    assert " ".join(str(problem).split()) in " ".join(TEXT.split())


def test_every_field_and_format_is_told():
    assert [name for name in (*FIELDS, *FORMATS) if f"`{name}`" not in TEXT] == []
