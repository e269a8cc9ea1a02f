"""Config files with references: a gateway reads a rendered model list and calls providers with the right keys; each format; refusals.

Values with quotes, line breaks and `: #` are in them. A value leaves a pod as a digest alone.
"""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from contract.rendering import render
from contract.template import read_template
from tests.e2e import pods
from tests.e2e.conftest import group
from tests.e2e.installation import IMAGE, ROOT
from tests.e2e.kubectl import Object, apply, dry_run, get, kubectl, manifest
from tests.e2e.pods import APPS, container, pod
from tests.e2e.shared import canary, only_here
from tests.e2e.values import MARKERS, TENANT, VALUES, digest, digest_of, fqn, inside

EXAMPLE = ROOT / "manifests/examples/ai-gateway"
CLOSED = "e2e-closed"  # a group without a role for anyone
MODELS = {"gpt": "YAML_LIKE", "mistral": "DOUBLE_QUOTES", "house": "BRACES"}  # each key's value, put where the example names another
MASTER = "HASH"
PEM_AND_LINE = digest(VALUES["PEM"] + b"\n")
DENIED, BROKEN = 11, 19  # initcontainer.exits

# Answers with the digest of the key that it was called with.
PROVIDER = """
import hashlib, json
from http.server import BaseHTTPRequestHandler, HTTPServer
class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Authorization"].removeprefix("Bearer ").encode("latin-1")
        body = json.dumps({"path": self.path, "key": f"{len(key)} {hashlib.sha256(key).hexdigest()}"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
HTTPServer(("127.0.0.1", 9000), Provider).serve_forever()
"""
# A caller inside the pod, who reads the master key where the gateway does.
CALLER = """
import json, sys, urllib.request, yaml
config = yaml.safe_load(open("/etc/gateway/config.yaml"))
for model in sys.argv[1:]:
    headers = {"Authorization": "Bearer " + config["general_settings"]["master_key"]}
    body = json.dumps({"model": model, "messages": []}).encode()
    request = urllib.request.Request("http://127.0.0.1:4000/v1/chat/completions", body, headers)
    answer = json.load(urllib.request.urlopen(request))
    print(model, answer["path"], answer["key"])
"""
# What a YAML parser finds in the file, as digests.
READER = """
import hashlib, sys, yaml
def tell(place, found):
    if isinstance(found, dict):
        for key in found: tell(f"{place}.{key}", found[key])
    elif isinstance(found, list):
        for number, each in enumerate(found): tell(f"{place}.{number}", each)
    else:
        text = str(found).encode()
        print(f"{place} {type(found).__name__} {len(text)} {hashlib.sha256(text).hexdigest()}")
tell("", yaml.safe_load(open("/etc/gateway/config.yaml")))
"""


def gateway_config() -> str:
    """The example's own file, with this suite's secrets and a provider inside the pod."""
    text = (EXAMPLE / "config.yaml").read_text()
    for name, key in {
        "OPENAI_KEY": MODELS["gpt"],
        "MISTRAL_KEY": MODELS["mistral"],
        "HOUSE_KEY": MODELS["house"],
        "MASTER_KEY": MASTER,
    }.items():
        text = text.replace(f"tfy-secret://acme:llm:{name}", fqn(key))
    text = re.sub(r"https?://[a-z.:0-9]+(?=/v1)", "http://127.0.0.1:9000", text)
    return (
        text
        + f"extra:\n  pem: |\n    {inside('PEM')}\n  lines: >-\n    a\n    {inside('NEWLINES')}\n  yes: {fqn('BOOLEAN')}\n  number: {inside('NUMBER')}\n"
    )


FORMATS = {
    "app.json": ("json", f'{{\n  "a": "x {inside("JSON")}",\n  "b": ["{fqn("SINGLE_QUOTE")}", 1.50, null]\n}}\n'),
    "app.yaml": ("yaml", f"a: '{inside('LINE_SEPARATOR')}'\nb: [\"{inside('NUL')}\"]\nc: {inside('EMOJI')}\n"),
    "app.env": (
        "env",
        f"# {fqn('PLAIN')}x\nPLAIN={inside('PLAIN')}\nexport QUOTES='{inside('DOUBLE_QUOTES')}'\nHASH=\"{inside('HASH')}\"\n",
    ),
    "app.properties": ("properties", f"a.b = {fqn('OUTER_BLANKS')}\nc: {inside('CRLF')} \\\n   end\n"),
    "app.conf": ("raw", f"a {inside('PEM')}\nb {inside('INVALID_UTF8')}\n"),
}
BINARY = b"\xff\x00 " + inside("ALL_BYTES").encode() + b" \xfe"


def expected(format_name: str, content: bytes) -> bytes:
    return render(read_template(content, format_name), lambda name: VALUES[str(name).rpartition(":")[2]])


def config_map(name: str, **more: Object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": APPS}, **more}


def with_templates(thing: Object, *entries: Object) -> Object:
    thing["metadata"].setdefault("annotations", {})["tfy-secret.dev/templates"] = json.dumps(list(entries))
    return thing


def entry(config_map: str, key: str, format_name: str, **more: object) -> Object:
    return {"config_map": config_map, "key": key, "mount_path": f"/etc/app/{key}", "format": format_name, **more}


def python(name: str, *command: str, **more: object) -> Object:
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["python", *command], **more}


CONFIG_MAPS = [
    config_map("gateway", data={"config.yaml": gateway_config()}, immutable=True),
    config_map("gateway-program", data={"gateway.py": (EXAMPLE / "gateway.py").read_text()}),
    config_map(
        "formats", data={key: text for key, (_, text) in FORMATS.items()}, binaryData={"app.bin": base64.b64encode(BINARY).decode()}
    ),
]
LATE = config_map("late", data={"app.yaml": f"a: {inside('PLAIN')}\nb:\n- tfy-secret://{TENANT}:{CLOSED}:KEY\n"})
SPOILT = config_map("spoilt", data={"app.yaml": f"a: [{inside('PLAIN')}]\n"})

GATEWAY = with_templates(
    pod(
        "gateway",
        python(
            "gateway", "/program/gateway.py", "/etc/gateway/config.yaml", "4000",
            volumeMounts=[{"name": "program", "mountPath": "/program"}], readinessProbe={"httpGet": {"path": "/health", "port": 4000}, "periodSeconds": 1},
        ),
        python("provider", "-c", PROVIDER.replace("$", "$$")),
        securityContext={"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 2000},
        volumes=[{"name": "program", "configMap": {"name": "gateway-program"}}],
    ),
    entry("gateway", "config.yaml", "yaml", mount_path="/etc/gateway/config.yaml", mode="0440", containers=["gateway"]),
)  # fmt: skip
SOURCED = (
    '\nset -a; . /etc/app/app.env\nfor name in PLAIN QUOTES HASH; do printf "shell:$name %s\\n" "$(eval "of_text \\"\\$$name\\"")"; done\n'
)
READING = with_templates(
    pod(
        "formats",
        container(
            report=[*(f"file:/etc/app/{key}" for key in (*FORMATS, "app.bin", "none")), "mode:/etc/app/app.json", "file:/names/app.json", "kept:/etc/passwd"],
            after=SOURCED,
            volumeMounts=[{"name": "names", "mountPath": "/names"}],
        ),
        container("other", report=["file:/etc/app/app.json", "mounts"]),
        volumes=[{"name": "names", "configMap": {"name": "formats"}}],
    ),
    *(entry("formats", key, name, containers=["app"]) for key, (name, _) in FORMATS.items()),
    entry("formats", "app.bin", "raw", containers=["app"], mode="0400"),
    entry("nowhere", "none", "yaml", containers=["app"], optional=True),
)  # fmt: skip
READING["spec"]["securityContext"] = {"runAsUser": 1000, "runAsNonRoot": True}
WAITING = {name: with_templates(pod(name, container()), entry(name, "app.yaml", "yaml")) for name in ("late", "spoilt")}
PODS = {"gateway": GATEWAY, "formats": READING, **WAITING}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    """The ConfigMaps of two pods come after them: what these hold is not known at admission, and decided at the start."""
    apply(group(CLOSED, keys=("KEY",)), *CONFIG_MAPS)
    pods.start(PODS)
    apply(LATE, SPOILT)
    yield
    pods.remove(*PODS.values())
    kubectl("-n", APPS, "delete", "configmap", *(thing["metadata"]["name"] for thing in (*CONFIG_MAPS, LATE, SPOILT)), "--ignore-not-found")
    kubectl("delete", "secretgroup", CLOSED, "--ignore-not-found")


def told_by(program: str, *words: str) -> list[str]:
    pods.when_ready(GATEWAY)
    return kubectl("-n", APPS, "exec", "gateway", "-c", "gateway", "--", "python", "-c", program, *words).text.splitlines()


def test_a_request_through_the_gateway_carries_the_key_of_its_model() -> None:
    """Read from the rendered file by a real process, keys with quotes, `: #` and `${}` in them."""
    assert told_by(CALLER, *MODELS) == [f"{model} /v1/chat/completions {digest_of(key)}" for model, key in MODELS.items()]


def test_the_gateways_parser_finds_what_the_template_says() -> None:
    """No more and no other keys; what looks like a number or a truth value stays text."""
    lines = dict(line.split(" ", 1) for line in told_by(READER))
    assert len(lines) == 3 * 4 + 1 + 4
    assert lines[".general_settings.master_key"] == f"str {digest_of(MASTER)}"
    assert lines[".extra.pem"] == f"str {PEM_AND_LINE}"
    assert lines[".extra.lines"] == f"str {digest(b'a ' + VALUES['NEWLINES'])}"
    assert (lines[".extra.yes"] if ".extra.yes" in lines else lines[".extra.True"]) == f"str {digest_of('BOOLEAN')}"
    assert lines[".extra.number"] == f"str {digest_of('NUMBER')}"


def test_the_rendered_file_is_in_memory_and_read_only() -> None:
    program = "import os; print(open('/proc/self/mountinfo').read()); open('/etc/gateway/config.yaml', 'a')"
    pods.when_ready(GATEWAY)
    done = kubectl("-n", APPS, "exec", "gateway", "-c", "gateway", "--", "python", "-c", program, check=False)
    (line,) = (line for line in done.text.splitlines() if " /etc/gateway/config.yaml " in line)
    assert " - tmpfs " in line
    assert "Read-only file system" in done.err or "Permission denied" in done.err


@pytest.mark.parametrize("key", FORMATS)
def test_each_format(key: str) -> None:
    """To the byte what the renderer makes of the template and the values."""
    name, text = FORMATS[key]
    wanted = digest(expected(name, text.encode()))
    assert pods.report_of(READING)[f"file:/etc/app/{key}"] == wanted


def test_binary_data_with_all_bytes() -> None:
    wanted = digest(expected("raw", BINARY))
    assert pods.report_of(READING)["file:/etc/app/app.bin"] == wanted


@pytest.mark.parametrize(("name", "key"), [("PLAIN", "PLAIN"), ("QUOTES", "DOUBLE_QUOTES"), ("HASH", "HASH")])
def test_a_shell_reads_the_env_file(name: str, key: str) -> None:
    assert pods.report_of(READING)[f"shell:{name}"] == digest_of(key)


def test_what_is_around_stays_and_who_else_sees_it() -> None:
    """An optional ConfigMap that is not there is an empty file; the app's own mount shows names; another container has nothing."""
    report = pods.report_of(READING)
    assert report["file:/etc/app/none"] == digest(b"")
    assert (report["mode:/etc/app/app.json"], report["kept:/etc/passwd"]) == ("444", "yes")
    assert report["file:/names/app.json"] == digest(FORMATS["app.json"][1])
    assert pods.report_of(READING, "other") == {"file:/etc/app/app.json": "missing", "mounts": "0"}


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        pytest.param(
            "late", DENIED,
            f"container app, file /etc/app/app.yaml (ConfigMap late, key app.yaml), line 3, column 3: tfy-secret://{TENANT}:{CLOSED}:KEY: denied", id="denied",
        ),
        pytest.param(
            "spoilt", BROKEN,
            "container app, file /etc/app/app.yaml (ConfigMap spoilt, key app.yaml), line 1, column 5: "
            "found '{' in text without quotes, inside [ ] or { }", id="not-what-its-format-says",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_at_the_start_is_told_with_line_and_column(name: str, code: int, sentence: str) -> None:
    """In the termination message, which `kubectl describe pod` shows. The pod had waited for its ConfigMap."""
    ended = pods.ended(pods.when_failed(WAITING[name]), pods.INIT)
    assert ended is not None
    assert (ended["exitCode"], sentence in ended["message"]) == (code, True), ended["message"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        pytest.param(f"a: tfy-secret://{TENANT}:{CLOSED}:KEY\n", ["line 1, column 4", "denied for service account"], id="denied"),
        pytest.param(
            "a: 1\nb: tfy-secret://x\n", ["line 2, column 4: found 'tfy-secret://x'", "To fix: name the group and the key"], id="malformed"
        ),
        pytest.param(f"a: {fqn('PLAINN')}\n", ["the unknown key 'PLAINN'", "did you mean PLAIN?"], id="unknown"),
        pytest.param(f"- [{inside('PLAIN')}]\n", ["line 1, column 4", "without quotes, inside [ ] or { }"], id="not-yaml"),
    ],
)
def test_what_is_wrong_already_is_told_at_admission(text: str, sentences: list[str]) -> None:
    apply(config_map("wrong", data={"app.yaml": text}))
    done = dry_run(with_templates(pod("refused", container()), entry("wrong", "app.yaml", "yaml")), namespace=APPS)
    assert done.code != 0, "the pod was admitted"
    assert "metadata.annotations[tfy-secret.dev/templates][0] (ConfigMap 'wrong', key 'app.yaml')" in done.err
    assert [sentence for sentence in sentences if sentence not in done.err] == []
    kubectl("-n", APPS, "delete", "configmap", "wrong")


def test_a_config_map_that_is_not_there_is_a_warning() -> None:
    done = dry_run(with_templates(pod("early", container()), entry("nowhere", "app.yaml", "yaml")), namespace=APPS)
    assert done.code == 0
    assert "the ConfigMap was not found; the pod waits for it" in done.err


def test_the_pods_spec_holds_names_alone() -> None:
    """Names of ConfigMaps at that: not even the references in them, and nothing that the backstop would refuse."""
    found = get("pod", "gateway", APPS)
    spec = json.dumps(found["spec"])
    assert fqn(MASTER) not in spec.replace("\\\\/", "/")
    leaked = [number for number, value in enumerate(MARKERS) if value in json.dumps(found)]
    assert leaked == []
    mounted = {mount["mountPath"] for c in found["spec"]["containers"] for mount in c["volumeMounts"]}
    assert not any(path.startswith("/tfy-secret") for path in mounted), "our own mounts are in our container alone"


def test_applying_again_changes_nothing() -> None:
    """A second admission of the same pod, as after another webhook: nothing is added."""
    found = get("pod", "formats", APPS)
    fresh = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "again", "annotations": found["metadata"]["annotations"]},
        "spec": found["spec"],
    }
    del fresh["spec"]["nodeName"]
    done = kubectl("-n", APPS, "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest(fresh), check=False)
    assert done.code == 0, done.err
    again = json.loads(done.text)["spec"]
    assert again["volumes"] == found["spec"]["volumes"]
    assert [c["name"] for c in again["initContainers"]] == [c["name"] for c in found["spec"]["initContainers"]]


@only_here
def test_no_value_went_through_the_api_server() -> None:
    """Etcd, the audit log and every component's log; the whole suite looks once more at its end."""
    code, said = canary(*MARKERS)
    assert code == 0, said
