"""What a ConfigMap holds at admission: refused where it cannot work, a warning where it is not known, and nothing of it shown."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhook.pods import CLUSTER, KEY, OWN, Json, template
from webhook.contents import MAX_LOOKED_AT, NONE, ConfigMap, check_templates
from webhook.problem import Problem, Reason
from webhook.target import Findings
from webhook.templates import parse_templates

DENIED = "tfy-secret://acme:search:INDEX_KEY"
PLACE = "t[0] (ConfigMap 'gateway', key 'config.yaml')"


def looked(config_map: ConfigMap | None, *entries: Json) -> Findings:
    findings = Findings()
    wanted = parse_templates("t", json.dumps(list(entries or [template()])), findings.problems)
    truth = CLUSTER.truths.of_workload(CLUSTER.catalog, CLUSTER.admins, "shop", "web")
    check_templates(wanted, lambda _: config_map, "the pod waits for it", truth, findings)
    return findings


def holding(text: str, **more: str) -> ConfigMap:
    return ConfigMap.of({"data": {"config.yaml": text} | more})


def told(findings: Findings) -> tuple[list[str], list[str]]:
    return [str(problem) for problem in findings.problems], findings.warnings


@pytest.mark.parametrize(
    "text", [f"a: ${{{KEY}}}\n", f"a: {KEY}\n# {DENIED}\n", f"a: ${{{OWN}}}\n", "a: b\n", "", "%not YAML: [", f"a: {KEY}#field\n"]
)
def test_fine(text: str) -> None:
    assert told(looked(holding(text))) == ([], [])


@pytest.mark.parametrize(
    ("text", "place", "reason", "found"),
    [
        pytest.param("a: 1\nb: tfy-secret://acme\n", "line 2, column 4", Reason.MALFORMED_REFERENCE, "'tfy-secret://acme'", id="malformed"),
        pytest.param("a: 1\nb:\n- ${tfy-secret://acme:paymnts:X}\n", "line 3, column 3", Reason.UNKNOWN_GROUP, "the unknown group 'paymnts'", id="unknown-group"),
        pytest.param("b: tfy-secret://acme:payments:DB_PASSWRD\n", "line 1, column 4", Reason.UNKNOWN_KEY, "the unknown key 'DB_PASSWRD'", id="unknown-key"),
        pytest.param(f"b: {DENIED}\n", "line 1, column 4", Reason.DENIED, f"'{DENIED}', denied for service account shop/web", id="denied"),
        pytest.param("b: tfy-secret://globex:a:b\n", "line 1, column 4", Reason.OTHER_TENANT, "'tfy-secret://globex:a:b'", id="other-tenant"),
        pytest.param("b: ${acme/aws/nobody::/x}\n", "line 1, column 4", Reason.STORE_UNUSABLE, "'acme/aws/nobody::/x'", id="unknown-store"),
        pytest.param("b: ${acme/aws/ssm-prod::/other}\n", "line 1, column 4", Reason.DENIED, "'acme/aws/ssm-prod::/other'", id="denied-path"),
        pytest.param(f"a: [{KEY}\n", "line 2, column 1", Reason.TEMPLATE_BROKEN, "[ or { that does not end", id="not-yaml"),
        pytest.param(f"{KEY}: a\n", "line 1, column 1", Reason.TEMPLATE_BROKEN, "a reference in a key", id="key"),
    ],
)  # fmt: skip
def test_refused(text: str, place: str, reason: Reason, found: str) -> None:
    """With the ConfigMap, the key, and where in it."""
    findings = looked(holding(text))
    ((problem,), warnings) = findings.problems, findings.warnings
    assert (problem.place, problem.reason, warnings) == (f"{PLACE}, {place}", reason, [])
    assert problem.found.startswith(found)


def test_a_whole_message() -> None:
    (message,), _ = told(looked(holding("a: tfy-secret://acme:paymnts:X\n")))
    assert message == (
        f"{PLACE}, line 1, column 4: found the unknown group 'paymnts' in 'tfy-secret://acme:paymnts:X'; allowed: an existing SecretGroup.\n"
        "To fix: did you mean tfy-secret://acme:payments:X?"
    )


def test_all_problems_of_all_files() -> None:
    both = holding(f"a: {DENIED}\nb: tfy-secret://acme:none:X\n", other=f"{DENIED}\n")
    findings = looked(both, template(), template("/o", key="other", format="raw"))
    places = [problem.place.partition("), ")[2] for problem in findings.problems]
    assert places == ["line 1, column 4", "line 2, column 4", "line 1, column 1"]


def test_one_file_for_two_containers_is_told_once() -> None:
    findings = looked(holding(f"a: {DENIED}\n"), template(), template("/o"))
    assert len(findings.problems) == 1


@pytest.mark.parametrize(
    ("config_map", "entry", "warning"),
    [
        pytest.param(NONE, {}, f"{PLACE}: the ConfigMap was not found; the pod waits for it", id="not-there"),
        pytest.param(NONE, {"optional": True}, None, id="not-there-and-optional"),
        pytest.param(
            ConfigMap.of({"data": {"config.yml": ""}}), {},
            f"{PLACE}: the ConfigMap has no such key (did you mean 'config.yml'?); the pod waits for it", id="another-key",
        ),
        pytest.param(ConfigMap.of({}), {}, f"{PLACE}: the ConfigMap has no such key; the pod waits for it", id="no-data"),
        pytest.param(ConfigMap.of({"data": {"x": ""}}), {"optional": True}, None, id="another-key-and-optional"),
        pytest.param(None, {}, f"{PLACE}: it could not be read; its references are checked when the pod starts", id="cannot-be-read"),
        pytest.param(
            holding("a: acme/aws/ssm-prod::/own/x\n"), {},
            f"{PLACE}, line 1: 'acme/aws/ssm-prod::...' stands outside of ${{...}} and is passed on as text", id="store-outside-of-braces",
        ),
        pytest.param(holding("see http://h/acme/aws/ssm-prod::x"), {}, None, id="part-of-something-else"),
        pytest.param(
            holding("a: tfy-secret://acme:payments:NEW?optional=true\n"), {},
            f"{PLACE}, line 1, column 4: group 'payments' lists no key 'NEW'; the reference is optional, so nothing stands in its place", id="optional-key",
        ),
        pytest.param(
            holding("#" * MAX_LOOKED_AT + f"\na: {DENIED}"), {},
            f"{PLACE}: with it the pod's config files have more than 65536 bytes; references are checked when the pod starts", id="large",
        ),
    ],
)  # fmt: skip
def test_not_known_is_no_refusal(config_map: ConfigMap | None, entry: Json, warning: str | None) -> None:
    """The ConfigMap may come, or change, before the pod starts."""
    assert told(looked(config_map, template(**entry))) == ([], [warning] if warning else [])


def test_binary_data() -> None:
    """The kubelet writes it like text."""
    encoded = base64.b64encode(f"a: {DENIED}\n".encode()).decode()
    assert [p.reason for p in looked(ConfigMap.of({"binaryData": {"config.yaml": encoded}})).problems] == [Reason.DENIED]
    assert [p.reason for p in looked(ConfigMap.of({"binaryData": {"config.yaml": "%"}})).problems] == []
    raw = base64.b64encode(b"\xff\xfe" + KEY.encode()).decode()
    assert told(looked(ConfigMap.of({"binaryData": {"config.yaml": raw}}), template(format="raw"))) == ([], [])
    (problem,) = looked(ConfigMap.of({"binaryData": {"config.yaml": raw}})).problems
    assert problem.found == "bytes that are not UTF-8"


def test_too_many_names() -> None:
    names = "".join(f"- tfy-secret://acme:payments:DB_PASSWORD?version={number}\n" for number in range(1001))
    (problem,) = looked(holding(names)).problems
    assert (problem.place, problem.reason) == ("spec", Reason.PLAN_TOO_LARGE)
    assert problem.found == "1001 different secrets in config files"


@given(
    st.text(max_size=30) | st.text("canary: [{'\"\n #|>tfy-secret://${}\\", max_size=30),
    st.sampled_from(["yaml", "json", "env", "properties", "raw"]),
)
def test_any_content(text: str, format_name: str) -> None:
    """Problems and warnings, never an exception."""
    for problem in looked(holding(text), template(format=format_name)).problems:
        assert isinstance(problem, Problem)
        assert problem.place.startswith(PLACE)


@pytest.mark.parametrize(
    "manifest", [None, [], "x", {"data": [1]}, {"data": {"config.yaml": 5}}, {"data": None, "binaryData": {"config.yaml": None}}]
)
def test_any_manifest(manifest: Any) -> None:
    """Something that is no ConfigMap has no such key."""
    assert told(looked(ConfigMap.of(manifest)))[0] == []
