"""The plan: what goes in comes out, nothing else is accepted, and it passes Kubernetes unharmed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.fqn import parse_fqn
from contract.plan import MAX_BYTES, ContainerPlan, EnvDelivery, FileDelivery, Plan, PlanError, TemplateDelivery, decode_plan, encode_plan
from contract.strict import FormatError, fields
from tests.contract.names import fqns

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["$(HOME)", "$$", "tfy-secret://", "${X}", "\\/"])
_NAMES = st.text("abcxyz-_.0", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def _env(draw: st.DrawFn) -> EnvDelivery:
    parts = [draw(_TEXT)]
    for fqn in draw(st.lists(fqns(), min_size=1, max_size=3)):
        parts += (str(fqn), draw(_TEXT))
    return EnvDelivery(draw(_TEXT), draw(_PATHS), tuple(parts))


_FILES = st.builds(FileDelivery, _TEXT, _PATHS, fqns().map(str), st.integers(0, 0o777))
_TEMPLATES = st.builds(TemplateDelivery, _TEXT, _PATHS, _NAMES, _TEXT, _TEXT, _TEXT, st.integers(0, 0o777), st.booleans())
_CONTAINERS = st.builds(
    ContainerPlan,
    _NAMES,
    _NAMES,
    st.sampled_from(["envfile", "files"]),
    st.lists(_env(), max_size=2).map(tuple),
    st.lists(_FILES, max_size=2).map(tuple),
    st.lists(_TEMPLATES, max_size=2).map(tuple),
)
_PLANS = st.builds(Plan, _TEXT, _TEXT, st.lists(_CONTAINERS, max_size=3).map(tuple))


@settings(max_examples=30)
@given(_PLANS)
def test_round_trip(plan: Plan) -> None:
    """Whatever texts, names, paths and modes a plan holds, the init container reads an equal one."""
    assert decode_plan(encode_plan(plan)) == plan


@settings(max_examples=30)
@given(_PLANS)
def test_passes_kubernetes(plan: Plan) -> None:
    """No `$` that the kubelet could expand, no raw scheme that the backstop policy would refuse, one line of ASCII."""
    text = encode_plan(plan)
    assert not {"$", "\n"} & set(text)
    assert "tfy-secret://" not in text
    assert text.isascii()


def test_survives_the_kubelets_expansion() -> None:
    """The kubelet expands `$(VAR)` in the plan's variable: what it makes of the text decodes to the same plan."""
    plan = _plan(EnvDelivery("A", "env/A", ("$(HOME) $$ $(", "tfy-secret://acme:payments:A", "${x}")))
    variables = {"HOME": "/root"}
    expanded = _kubelet_expand(encode_plan(plan), variables)
    assert _kubelet_expand("$(HOME)$$", variables) == "/root$"
    assert decode_plan(expanded) == plan


def test_env_gives_its_names() -> None:
    """The names of one variable, parsed, in order."""
    delivery = EnvDelivery("A", "env/A", ("", "tfy-secret://a:b:c", "-", "s::/p?version=2", ""))
    assert delivery.fqns == (parse_fqn("tfy-secret://a:b:c"), parse_fqn("s::/p?version=2"))


def test_an_older_init_container_takes_plans_without_templates() -> None:
    """It knows no such field, and there is none."""
    assert "templates" not in json.loads(encode_plan(_plan(EnvDelivery("A", "env/A", ("", "tfy-secret://a:b:c", "")))))["containers"][0]


def test_an_older_init_container_refuses_a_plan_with_templates() -> None:
    """It fails closed, and says why: its own check of the fields that it knows."""
    plan = Plan(
        "https://b", "", (ContainerPlan("app", "v", "files", (), (), (TemplateDelivery("/c", "t/0", "s", "cm", "k", "yaml", 0o444),)),)
    )
    (container,) = json.loads(encode_plan(plan))["containers"]
    with pytest.raises(FormatError) as caught:
        fields(container, "plan.containers[0]", {"name": str, "volume": str, "mode": str, "env": list, "files": list})
    assert str(caught.value) == "plan.containers[0]: unknown field 'templates'; the two sides are of different versions"


def test_a_newer_init_container_takes_an_older_plan() -> None:
    """A pod that was admitted before the upgrade starts after it."""
    assert decode_plan(json.dumps(_good())).containers[0].templates == ()


def _good() -> dict[str, Any]:
    container = {
        "name": "app",
        "volume": "tfy-secrets-app",
        "mode": "envfile",
        "env": [{"name": "A", "path": "env/A", "parts": ["", "tfy-secret://acme:payments:A", ""]}],
        "files": [{"mount_path": "/etc/k", "path": "files/0", "fqn": "tfy-secret://acme:payments:K", "mode": 256}],
    }
    return {"version": 1, "broker": "https://b", "ca": "PEM", "containers": [container]}


def _changed(path: str, value: Any) -> str:
    document = _good()
    holder: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        holder = holder[part]
    if value is _GONE:
        del holder[last]
    else:
        holder[last] = value
    return json.dumps(document)


_GONE = object()
_C = "containers.0"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param("version", 2, "plan version 2 is not known here; known: 1", id="newer-version"),
        pytest.param("version", "1", "plan version 1 is not known here; known: 1", id="version-of-text"),
        pytest.param("version", True, "plan.version: int is needed, not bool", id="version-of-true"),
        pytest.param("version", _GONE, "plan version None is not known here; known: 1", id="no-version"),
        pytest.param("broker", _GONE, "plan: field 'broker' is missing", id="missing-field"),
        pytest.param("extra", 1, "plan: unknown field 'extra'; the two sides are of different versions", id="unknown-field"),
        pytest.param("ca", None, "plan.ca: str is needed, not NoneType", id="null-is-not-missing"),
        pytest.param("containers", {}, "plan.containers: list is needed, not dict", id="object-for-a-list"),
        pytest.param(_C, [], "plan.containers[0]: an object is needed", id="list-for-an-object"),
        pytest.param(f"{_C}.mode", 1, "plan.containers[0].mode: str is needed, not int", id="number-for-text"),
        pytest.param(f"{_C}.name", "", "plan.containers[0]: name and volume must be names", id="no-name"),
        pytest.param(f"{_C}.volume", "a/b", "plan.containers[0]: name and volume must be names", id="volume-with-a-slash"),
        pytest.param(f"{_C}.volume", "..", "plan.containers[0]: name and volume must be names", id="volume-that-climbs"),
        pytest.param(
            f"{_C}.env.0.new",
            0,
            "plan.containers[0].env[0]: unknown field 'new'; the two sides are of different versions",
            id="unknown-field-deep-down",
        ),
        pytest.param(
            f"{_C}.env.0.path", "../x", "plan.containers[0].env[0].path: a relative path inside the volume is needed", id="path-that-climbs"
        ),
        pytest.param(
            f"{_C}.env.0.path", "/etc/x", "plan.containers[0].env[0].path: a relative path inside the volume is needed", id="absolute-path"
        ),
        pytest.param(
            f"{_C}.files.0.path",
            "a//b",
            "plan.containers[0].files[0].path: a relative path inside the volume is needed",
            id="empty-segment",
        ),
        pytest.param(
            f"{_C}.files.0.path",
            "a\0b",
            "plan.containers[0].files[0].path: a relative path inside the volume is needed",
            id="nul-in-a-path",
        ),
        pytest.param(
            f"{_C}.env.0.parts",
            ["a", "tfy-secret://acme:payments:A"],
            "plan.containers[0].env[0].parts: text and FQNs must alternate, beginning and ending with text",
            id="even-parts",
        ),
        pytest.param(
            f"{_C}.env.0.parts",
            ["a"],
            "plan.containers[0].env[0].parts: text and FQNs must alternate, beginning and ending with text",
            id="no-reference",
        ),
        pytest.param(f"{_C}.env.0.parts.1", 7, "plan.containers[0].env[0].parts[1]: str is needed, not int", id="number-among-parts"),
        pytest.param(f"{_C}.files.0.mode", 512, "plan.containers[0].files[0].mode: permission bits are needed", id="mode-with-more-bits"),
        pytest.param(f"{_C}.files.0.mode", "0400", "plan.containers[0].files[0].mode: int is needed, not str", id="mode-of-text"),
        pytest.param(f"{_C}.files.0.mode", 256.0, "plan.containers[0].files[0].mode: int is needed, not float", id="mode-of-a-fraction"),
        pytest.param(
            f"{_C}.files.0.fqn",
            "x",
            "plan.containers[0].files[0]: found 'x'; allowed: tfy-secret://<tenant>:<group>:<key> or <store-fqn>::<path>.\n"
            "To fix: write e.g. tfy-secret://acme:payments:DB_PASSWORD.",
            id="not-a-name",
        ),
    ],
)
def test_strict(path: str, value: Any, message: str) -> None:
    """A field that is unknown, missing or of another type is refused with its place: another version wrote it."""
    assert decode_plan(json.dumps(_good())).containers[0].files[0].mode == 0o400
    with pytest.raises(PlanError) as caught:
        decode_plan(_changed(path, value))
    assert str(caught.value) == message


_TEMPLATE = {
    "mount_path": "/etc/c", "path": "templates/0", "source": "tfy-secret-template-0", "config_map": "c", "key": "k", "format": "yaml",
    "mode": 292, "optional": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("path", "../x", "path: a relative path inside the volume is needed", id="path-that-climbs"),
        pytest.param("source", "../x", "path: a relative path inside the volume is needed", id="source-that-climbs"),
        pytest.param("source", "a/b", "source: a name is needed", id="source-with-a-slash"),
        pytest.param("source", "", "path: a relative path inside the volume is needed", id="no-source"),
        pytest.param("mode", 512, "mode: permission bits are needed", id="mode-with-more-bits"),
        pytest.param("optional", 1, "optional: bool is needed, not int", id="number-for-a-flag"),
        pytest.param("format", None, "format: str is needed, not NoneType", id="null"),
    ],
)
def test_templates_are_strict(field: str, value: Any, message: str) -> None:
    document = _good()
    document["containers"][0]["templates"] = [_TEMPLATE]
    assert decode_plan(json.dumps(document)).containers[0].templates == (TemplateDelivery(*_TEMPLATE.values()),)  # type: ignore[arg-type]
    document["containers"][0]["templates"] = [_TEMPLATE | {field: value}]
    with pytest.raises(PlanError) as caught:
        decode_plan(json.dumps(document))
    assert str(caught.value) == f"plan.containers[0].templates[0].{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "the plan is not JSON", id="nothing"),
        pytest.param("{", "the plan is not JSON", id="half"),
        pytest.param("[" * 100_000, "the plan is not JSON", id="deep-nesting"),
        pytest.param('{"version":1,"version":1}', "a field is given twice", id="duplicate"),
        pytest.param('{"version":1,"ca":NaN}', "NaN is not JSON", id="not-a-number"),
        pytest.param("[]", "plan: an object is needed", id="list"),
        pytest.param('{"version":1} x', "the plan is not JSON", id="text-behind"),
        pytest.param('{"version":' + "1" * 5000 + "}", "the plan is not JSON", id="endless-number"),
    ],
)
def test_not_a_plan(text: str, message: str) -> None:
    """What is no plan at all is refused without showing what it was."""
    with pytest.raises(PlanError) as caught:
        decode_plan(text)
    assert str(caught.value) == message


@given(
    st.text(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda s: (
            st.lists(s, max_size=3) | st.dictionaries(st.sampled_from(["version", "broker", "ca", "containers", "env"]), s, max_size=5)
        ),
        max_leaves=12,
    ).map(json.dumps)
)
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    """The init container never ends with another exception, whatever its variable holds."""
    try:
        decode_plan(text)
    except PlanError:
        pass


def test_limit_is_what_linux_takes() -> None:
    """One string of a process's environment holds 128 KiB with the name, `=` and the NUL at its end."""
    assert len("TFY_SECRET_PLAN=") + MAX_BYTES + 1 <= 128 * 1024


def _plan(*env: EnvDelivery) -> Plan:
    return Plan("https://broker:8443", "PEM", (ContainerPlan("app", "tfy-secrets-app", "envfile", env),))


def _kubelet_expand(text: str, variables: dict[str, str]) -> str:
    """Kubernetes' third_party/forked/golang/expansion, transcribed: `$(X)` of a known X, `$$` to `$`, all else as it stands."""
    result, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            result, at = result + text[at], at + 1
        elif text[at + 1] == "$":
            result, at = result + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            name = text[at + 2 : end]
            result, at = result + variables.get(name, f"$({name})"), end + 1
        else:
            result, at = result + text[at : at + 2], at + 2
    return result
