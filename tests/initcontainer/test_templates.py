"""Config files with references, by the whole program: one request, rendered aside and renamed, or the reason why not."""

import json
from pathlib import Path

import pytest
import yaml

from contract.plan import TemplateDelivery
from contract.rendering import MAX_RENDERED
from initcontainer.carry import plan_faults
from tests.initcontainer.broker import answers
from tests.initcontainer.conftest import Pod
from tests.initcontainer.plans import HOST, PASSWORD, PATH, container, file, plan, template, variable

CANARY = "canary-7b1'\"\n: #x"
FOUND = {PASSWORD: CANARY.encode(), HOST: b"db", PATH: bytes(range(256))}
YAML = f"""\
# The gateway: tfy-secret://not:a:name in a comment is text.
models:
- {{name: a, key: "${{{PASSWORD}}}"}}
- name: b
  key: Bearer {PASSWORD}
  url: http://${{{HOST}}}:80
"""
PLACE = "container app, file /etc/app/{} (ConfigMap gateway, key {})"


def test_a_rendered_file_reaches_its_place(pod: Pod) -> None:
    pod.config_map(config__yaml=YAML)
    pod.broker.script = [answers(FOUND)]
    ended = pod.run(container(template("gw.yaml", mode=0o440), mode="files"))
    assert (ended.code, ended.message) == (0, "")
    assert pod.files() == ["tfy-secret-app/templates/gw.yaml"]
    read = yaml.safe_load(pod.content("tfy-secret-app/templates/gw.yaml"))
    assert read == {"models": [{"name": "a", "key": CANARY}, {"name": "b", "key": f"Bearer {CANARY}", "url": "http://db:80"}]}
    assert oct((pod.memory / "tfy-secret-app/templates/gw.yaml").stat().st_mode & 0o777) == "0o440"
    assert not ended.shows("canary")


def test_all_names_travel_in_one_request(pod: Pod) -> None:
    """Those of variables, files and config files, each once."""
    pod.config_map(config__yaml=YAML, raw=f"{PATH}\n".replace(PATH, f"${{{PATH}}}"))
    pod.broker.script = [answers(FOUND)]
    one = container(variable("HOST", HOST), file("key", PATH), template("gw.yaml"), template("raw", "raw", "raw"))
    two = container(template("gw.yaml"), name="side", mode="files")
    assert pod.run(one, two).code == 0
    (request,) = pod.broker.requests
    assert sorted(request.names) == sorted([HOST, PATH, PASSWORD])
    assert pod.content("tfy-secret-app/templates/raw") == bytes(range(256)) + b"\n"
    assert pod.content("tfy-secret-app/templates/gw.yaml") == pod.content("tfy-secret-side/templates/gw.yaml")


@pytest.mark.parametrize(
    ("format_name", "text", "expected"),
    [
        pytest.param("json", f'{{"k": "{PASSWORD}"}}', json.dumps({"k": CANARY}).encode(), id="json"),
        pytest.param("env", f"K=${{{HOST}}}\n", b"K=db\n", id="env"),
        pytest.param("properties", f"k={PASSWORD}\n", b"k=canary-7b1'\"\\n\\: \\#x\n", id="properties"),
        pytest.param("raw", f"k={PASSWORD}\n", f"k={CANARY}\n".encode(), id="raw"),
        pytest.param("yaml", "no: reference\r\n", b"no: reference\r\n", id="nothing-to-do"),
    ],
)
def test_formats(pod: Pod, format_name: str, text: str, expected: bytes) -> None:
    pod.config_map(config=text)
    pod.broker.script = [answers(FOUND)]
    assert pod.run(container(template("c", "config", format_name), mode="files")).code == 0
    assert pod.content("tfy-secret-app/templates/c") == expected


def test_a_file_without_references_needs_no_broker(pod: Pod) -> None:
    pod.config_map(config__yaml="a: b\n")
    assert pod.run(container(template("c"), mode="files")).code == 0
    assert pod.broker.requests == []


def test_an_optional_one_that_is_not_there_is_empty(pod: Pod) -> None:
    """As an optional secret's file is: a mount of a missing file would keep the container from starting."""
    assert pod.run(container(template("c", optional=True), mode="files")).code == 0
    assert pod.content("tfy-secret-app/templates/c") == b""


def test_an_absent_optional_reference_adds_nothing(pod: Pod) -> None:
    pod.config_map(config__yaml="k: a${tfy-secret://acme:payments:MAYBE?optional=true}b\n")
    pod.broker.script = [answers({})]
    assert pod.run(container(template("c"), mode="files")).code == 0
    assert pod.content("tfy-secret-app/templates/c") == b'k: "ab"\n'


def test_running_again_takes_what_the_config_map_holds_then(pod: Pod, tmp_path: Path) -> None:
    """After a node's reboot, say. What was there is replaced, and nothing is left aside."""
    pod.config_map(config__yaml=YAML)
    pod.broker.script = [answers(FOUND)]
    assert pod.run(container(template("c"), mode="files")).code == 0
    (pod.sources / "config.yaml/source").resolve().write_text(f"k: {HOST}\n")
    assert pod.run(container(template("c"), mode="files")).code == 0
    assert pod.content("tfy-secret-app/templates/c") == b'k: "db"\n'
    assert pod.files() == ["tfy-secret-app/templates/c"]


@pytest.mark.parametrize(
    ("answer", "code", "problem"),
    [
        pytest.param(("denied", "no role"), 11, f"{PASSWORD}: denied: no role", id="denied"),
        pytest.param(("not_found", "no such key"), 12, f"{PASSWORD}: not_found: no such key", id="unknown"),
    ],
)
def test_a_name_that_is_refused_is_told_with_file_line_and_column(pod: Pod, answer: tuple[str, str], code: int, problem: str) -> None:
    pod.config_map(config__yaml=YAML)
    pod.broker.script = [answers(FOUND | {PASSWORD: answer})]
    ended = pod.run(container(template("gw.yaml"), mode="files"))
    assert ended.code == code
    assert f"{PLACE.format('gw.yaml', 'config.yaml')}, line 3, column 19: {problem}\n" in ended.message
    assert pod.files() == []


def test_names_are_told_in_the_order_of_the_file(pod: Pod) -> None:
    """Those that stand there twice at their first place."""
    pod.config_map(config__yaml=f"- {HOST}\n- {PASSWORD}\n- {HOST}\n- ${{{PATH}}}\n")
    pod.broker.script = [answers({})]
    lines = pod.run(container(template("c"), mode="files")).message.splitlines()[1:4]
    assert [line.partition("), ")[2].partition(":")[0] for line in lines] == [f"line {n}, column 3" for n in (1, 2, 4)]


@pytest.mark.parametrize(
    ("keys", "delivery", "problem"),
    [
        pytest.param({}, template("c"), "it is not there; allowed: a ConfigMap with that key, or optional: true", id="not-there"),
        pytest.param(
            {"config__yaml": "a: [\n"}, template("c"), None, id="broken-without-references"
        ),
        pytest.param(
            {"config__yaml": f"a: [{PASSWORD}\n"}, template("c"), "line 2, column 1: found [ or { that does not end", id="broken"
        ),
        pytest.param(
            {"config__yaml": "a: tfy-secret://acme:x\n"},
            template("c"),
            "line 1, column 4: found 'tfy-secret://acme:x'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three parts; "
            "to fix: add the key's name, e.g. tfy-secret://acme:x:DB_PASSWORD",
            id="malformed",
        ),
        pytest.param({"config__yaml": b"a: \xff\nb: tfy-secret://a:b:c"}, template("c"), "line 1, column 4: found bytes that are not UTF-8", id="not-text"),
        pytest.param({"config__yaml": "x" * (1024 * 1024 + 1)}, template("c"), "line 1, column 1: found 1048577 bytes; allowed: at most 1048576", id="large"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_fails_before_anything_is_asked(
    pod: Pod, keys: dict[str, str | bytes], delivery: TemplateDelivery, problem: str | None
) -> None:
    pod.config_map(**keys)
    ended = pod.run(container(delivery, mode="files"))
    assert pod.broker.requests == []
    if problem is None:
        assert ended.code == 0
        return
    assert ended.code == 19
    assert ended.message.startswith("A config file with references cannot be read as what its format says.\n")
    place = PLACE.format("c", "config.yaml")
    assert f"\n{place}{': ' if problem.startswith('it is') else ', '}{problem}" in ended.message
    assert json.loads(ended.output.reveal().splitlines()[-1])["reason"] == "template-broken"


@pytest.mark.parametrize(
    ("format_name", "text", "value", "problem"),
    [
        pytest.param("env", f"A=1\nK={PASSWORD}\n", b"canary\n", "line 2, column 3: the value holds a line break", id="env"),
        pytest.param("json", f'["{PASSWORD}"]', b"canary\xff", "line 1, column 3: the value is not UTF-8", id="json"),
        pytest.param("raw", f"{PASSWORD}\n" * 3, b"canary" * 150_000, f"line 3, column 1: with this value the file has more than the {MAX_RENDERED} bytes", id="large"),
    ],
)  # fmt: skip
def test_a_value_that_the_format_cannot_carry(pod: Pod, format_name: str, text: str, value: bytes, problem: str) -> None:
    """Told with its place and never shown; nothing is written, not even what could be."""
    pod.config_map(config=text)
    pod.broker.script = [answers(FOUND | {PASSWORD: value})]
    ended = pod.run(container(variable("HOST", HOST), template("c", "config", format_name)))
    assert ended.code == 13
    assert f"{PLACE.format('c', 'config')}, {problem}" in ended.message
    assert not ended.shows("canary")
    assert pod.files() == []


def test_a_thousand_names_and_no_more(pod: Pod) -> None:
    pod.config_map(config__yaml="".join(f"- tfy-secret://acme:x:K{i}\n" for i in range(1001)))
    ended = pod.run(container(template("c"), mode="files"))
    assert ended.code == 19
    assert "the config files of the pod name 1001 different secrets; allowed: 1000 in one pod" in ended.message


def test_many_places_of_one_name_are_one_place(pod: Pod) -> None:
    """The first; or a large file would take time that grows with its square."""
    pod.config_map(config__yaml=f"- {PASSWORD}\n" * 20_000)
    pod.broker.script = [answers({PASSWORD: ("denied", "no")})]
    ended = pod.run(container(template("c"), mode="files"))
    assert ended.code == 11
    assert f"{PLACE.format('c', 'config.yaml')}, line 1, column 3: {PASSWORD}: denied: no\n" in ended.message


def test_a_format_of_a_newer_webhook_is_a_broken_plan() -> None:
    wrong = plan(container(template("c", format_name="toml"), mode="files"))
    assert plan_faults(wrong) == ["container app: format 'toml' is not known here; known: json, yaml, env, properties, raw"]


def test_two_deliveries_to_one_path_are_a_broken_plan() -> None:
    wrong = plan(container(template("c"), template("c", "other"), mode="files"))
    assert plan_faults(wrong) == ["container app: two deliveries to 'templates/c' of volume tfy-secret-app"]
