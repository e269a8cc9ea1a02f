"""`python -m webhook inject`: every kind that holds a pod, in every form of a manifest, and what it says when it refuses."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.webhook.pods import CLUSTER, KEY, Json, app, container, env, injected, key_ref, pod, template, templates
from tests.webhook.programs import documents, environment, run_inject, write_manifests
from webhook.errors import NotAManifest
from webhook.inject import Injector, inject_files, read_documents

ENV = [key_ref("A")]


def _template(manifest: Json) -> Json:
    return {"metadata": {"labels": {"app": "web"}}, "spec": manifest["spec"]}


def _holder(kind: str, manifest: Json) -> tuple[Json, list[str]]:
    """An object of the kind with the pod in it, and the way to the pod's spec."""
    template = _template(manifest)
    made: Json = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web", "namespace": "shop"}}
    if kind == "Pod":
        return made | {"spec": manifest["spec"]}, ["spec"]
    if kind == "PodTemplate":
        return made | {"template": template}, ["template", "spec"]
    if kind == "CronJob":
        return made | {"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}}}, [
            "spec",
            "jobTemplate",
            "spec",
            "template",
            "spec",
        ]
    return made | {"spec": {"replicas": 2, "template": template}}, ["spec", "template", "spec"]


def _inject(text: str | bytes, tmp_path: Path, namespace: str = "shop") -> tuple[int, list[Any], str]:
    """Exit code, documents and messages, in this process."""
    file = tmp_path / "manifest.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    out, errors = io.StringIO(), io.StringIO()
    code = inject_files([str(file)], Injector(lambda: CLUSTER, namespace), out, errors)
    return code, documents(out.getvalue().encode()), errors.getvalue()


@pytest.mark.parametrize(
    "kind", ["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "PodTemplate"]
)
def test_kinds(kind: str, tmp_path: Path) -> None:
    """The pod inside is changed as the webhook would change it; everything around it stays."""
    document, path = _holder(kind, app(A=KEY))
    code, (found,), errors = _inject(yaml.safe_dump(document), tmp_path)
    assert (code, errors) == (0, "")
    holder, original = found, document
    for part in path[:-1]:
        holder, original = holder[part], original[part]
    assert holder.pop("spec") == injected(app(A=KEY))["spec"]
    original.pop("spec")
    assert found == document


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": KEY, "at": "2026-01-01"}}, id="configmap"),
        pytest.param({"apiVersion": "v1", "kind": "Service", "spec": {"template": {"spec": 1}}}, id="service"),
        pytest.param({"kind": "Deployment", "spec": {"template": None}}, id="deployment-without-a-template"),
        pytest.param({"kind": "Deployment"}, id="deployment-without-anything"),
        pytest.param({"kind": ["Pod"]}, id="kind-of-a-list"),
        pytest.param({"spec": {"containers": []}}, id="no-kind"),
        pytest.param([1, 2], id="list"),
        pytest.param("text", id="text"),
        pytest.param(pod(container(env=env(A="plain"))), id="pod-that-wants-nothing"),
    ],
)
def test_untouched(document: Any, tmp_path: Path) -> None:
    """Other kinds, and what is none, come out as they went in."""
    assert _inject(yaml.safe_dump(document), tmp_path) == (0, [document], "")


def test_list_and_several_documents(tmp_path: Path) -> None:
    """Lists in documents, documents in files, lists in lists: in order, and empty documents are dropped."""
    first, _ = _holder("Pod", app(A=KEY))
    second, _ = _holder("Deployment", app(A=KEY))
    inner = {"apiVersion": "v1", "kind": "PodList", "items": [first, {"kind": "ConfigMap"}]}
    text = "---\n" + yaml.safe_dump({"kind": "List", "items": [inner, second]}) + "---\n---\n# nothing\n---\n" + yaml.safe_dump(first)
    code, found, _ = _inject(text, tmp_path)
    assert (code, [document["kind"] for document in found]) == (0, ["List", "Pod"])
    pods, deployment = found[0]["items"]
    assert pods["items"][0]["spec"]["containers"][0]["env"] == ENV
    assert pods["items"][1] == {"kind": "ConfigMap"}
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == ENV
    assert found[1]["spec"]["containers"][0]["env"] == ENV


@pytest.mark.parametrize("kind", ["Pod", "CronJob"])
def test_list_of_one_kind(kind: str, tmp_path: Path) -> None:
    """The API's own lists leave the kind of their items out: they are changed, and what was left out stays left out."""
    document, path = _holder(kind, app(A=KEY))
    item = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    code, (found,), _ = _inject(yaml.safe_dump({"apiVersion": "v1", "kind": f"{kind}List", "items": [item, None]}), tmp_path)
    assert (code, found["items"][0].keys(), found["items"][1]) == (0, item.keys(), None)
    inner = found["items"][0]
    for part in path:
        inner = inner[part]
    assert inner["containers"][0]["env"] == ENV


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json(indent: int | str | None, tmp_path: Path) -> None:
    """JSON is taken in any layout, with escapes that YAML does not know."""
    document, _ = _holder("Pod", pod(container(env=env(A=KEY, B="\U0001f511 and \u00e9"))))
    code, (found,), _ = _inject(json.dumps(document, indent=indent), tmp_path)
    assert (code, found["spec"]["containers"][0]["env"]) == (0, [*ENV, {"name": "B", "value": "\U0001f511 and \u00e9"}])


TRICKY = [
    "2026-01-01", "2026-01-01T10:00:00Z", "y", "Y", "n", "yes", "no", "on", "off", "true", "False", "null", "~", "", "1e3", "12e4", "-.5", ".5", "+1", "0x1f",
    "0o17", "017", "1_000", "1:30", ".inf", "-.inf", ".nan", "=", "<<", "!x", "&a", "*a", "# no", "a: b", "- a", "{a}", "[a]", "'q'", '"q"', " lead", "trail ",
    "line\nline\n", "tab\t", "\u2028", "%x", "@x", "`x`", "x" * 3000, "1.0", "1.", "0.", "-", "--", "?", "? a", "|", ">", "é", "\U0001f511", "\x7f", "\u0085", "a\u2029b", "a\r\nb", "1\u2028",
]  # fmt: skip


@pytest.mark.parametrize("text", TRICKY, ids=range(len(TRICKY)))
def test_text_stays_text(text: str, tmp_path: Path) -> None:
    """What is text going in is text coming out, for YAML parsers of both versions: kubectl's takes `y` for true and `1e3` for a number."""
    document, _ = _holder("Pod", pod(container(env=[*env(A=KEY), {"name": "T", "value": text}])))
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(document))
    out = io.StringIO()
    assert inject_files([str(file)], Injector(lambda: CLUSTER, "shop"), out, io.StringIO()) == 0
    (found,) = documents(out.getvalue().encode())
    assert found["spec"]["containers"][0]["env"][1] == {"name": "T", "value": text}
    line = next((line for line in out.getvalue().splitlines() if line.strip().startswith("value:")), "")
    written = line.partition("value:")[2].strip()
    ambiguous = text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "") or text[:1] in "0123456789+-."
    assert not ambiguous or written[:1] in ("'", '"')


def test_dates_stay_text(tmp_path: Path) -> None:
    """Unquoted dates too: Kubernetes reads no dates in YAML."""
    text = yaml.safe_dump(_holder("Pod", app(A=KEY))[0]) + "extra: {at: 2026-01-01, when: 2026-01-01T10:00:00Z, mode: 0400, count: 3}\n"
    code, (found,), _ = _inject(text, tmp_path)
    assert (code, found["extra"]) == (0, {"at": "2026-01-01", "when": "2026-01-01T10:00:00Z", "mode": 256, "count": 3})


def test_aliases(tmp_path: Path) -> None:
    """Two containers that share one `env` by a YAML alias get values of their own."""
    text = f"""
kind: Pod
metadata: {{name: web, namespace: shop}}
spec:
  serviceAccountName: web
  initContainers: &none []
  volumes: *none
  containers:
  - {{name: app, env: &env [{{name: A, value: "{KEY}"}}]}}
  - {{name: worker, env: *env}}
"""
    code, (found,), _ = _inject(text, tmp_path)
    assert code == 0
    assert [c["env"] for c in found["spec"]["containers"]] == [[key_ref("A")], [key_ref("A", "worker")]]
    assert [v["name"] for v in found["spec"]["volumes"]] == ["tfy-secret-token", "tfy-secrets-app", "tfy-secrets-worker"]
    assert [c["name"] for c in found["spec"]["initContainers"]] == ["tfy-secret-init"]


@pytest.mark.parametrize(
    ("own", "given", "code"),
    [
        pytest.param("shop", "search", 0, id="its-own"),
        pytest.param(None, "shop", 0, id="the-given-one"),
        pytest.param(None, "search", 1, id="the-given-one-without-a-role"),
        pytest.param("search", "shop", 1, id="its-own-without-a-role"),
    ],
)
def test_namespace(own: str | None, given: str, code: int, tmp_path: Path) -> None:
    """An object's own namespace, else the one that is given."""
    document, _ = _holder("Deployment", app(A=KEY))
    document["metadata"] = {"name": "web"} | ({"namespace": own} if own else {})
    assert _inject(yaml.safe_dump(document), tmp_path, given)[0] == code


def test_refused(tmp_path: Path) -> None:
    """The webhook's words behind the object's name, for every object, and nothing on standard output."""
    bad, _ = _holder("Deployment", app(A="tfy-secret://acme", B="tfy-secret://acme:paymnts:X"))
    good, _ = _holder("Pod", app(A=KEY))
    unnamed = {"kind": "Job", "metadata": {"generateName": "job-"}, "spec": {"template": {"spec": {"containers": "x"}}}}
    code, found, errors = _inject(yaml.safe_dump_all([good, bad, unnamed]), tmp_path)
    assert (code, found) == (1, [])
    assert errors.splitlines() == [
        "Deployment/web: 2 problems.",
        "(1) spec.containers[app].env[A]: found 'tfy-secret://acme'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three parts.",
        "To fix: name the group and the key, e.g. tfy-secret://acme:payments:DB_PASSWORD.",
        "(2) spec.containers[app].env[B]: found the unknown group 'paymnts' in 'tfy-secret://acme:paymnts:X'; allowed: an existing SecretGroup.",
        "To fix: did you mean tfy-secret://acme:payments:X?",
        "Job/job-: pod: found a pod that cannot be read; allowed: a v1 Pod.",
        "To fix: correct it (Expected `array | null`, got `str` - at `$.spec.containers`).",
    ]


def test_warnings(tmp_path: Path) -> None:
    """They go to standard error, with the object's name, and stop nothing."""
    document, _ = _holder("Pod", app(A="tfy-secret://acme:payments:NEW?optional=true"))
    code, found, errors = _inject(yaml.safe_dump(document), tmp_path)
    assert (code, len(found)) == (0, 1)
    assert errors == (
        "warning: Pod/web: spec.containers[app].env[A]: group 'payments' lists no key 'NEW'; "
        "the reference is optional, so the variable is left unset\n"
    )


def _config_map(text: str, **metadata: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gateway", **metadata}, "data": {"config.yaml": text}}


@pytest.mark.parametrize("order", [1, -1], ids=["config-map-last", "config-map-first"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["documents", "list"])
def test_config_maps_of_the_same_files(order: int, wrapped: bool, tmp_path: Path) -> None:
    """They are looked into as at admission, wherever they stand."""
    wants = pod(container(), annotations=templates(template()))
    found = [wants, _config_map("a: tfy-secret://acme:search:INDEX_KEY\n", namespace="shop")][::order]
    text = yaml.safe_dump({"kind": "List", "items": found}) if wrapped else yaml.safe_dump_all(found)
    code, out, errors = _inject(text, tmp_path)
    assert (code, out) == (1, [])
    assert errors.startswith(
        "Pod/web: metadata.annotations[tfy-secret.dev/templates][0] (ConfigMap 'gateway', key 'config.yaml'), line 1, column 4: "
        "found 'tfy-secret://acme:search:INDEX_KEY', denied for service account shop/web"
    )
    good = [wants, _config_map(f"a: {KEY}\n")][::order]
    code, out, errors = _inject(yaml.safe_dump_all(good), tmp_path)
    assert (code, len(out), errors) == (0, 2, "")
    assert out[::order][0] == injected(wants)


@pytest.mark.parametrize("namespace", ["other", None])
def test_a_config_map_that_is_not_in_the_files(namespace: str | None, tmp_path: Path) -> None:
    """It may be in the cluster; one of another namespace is another one."""
    documents = [pod(container(), annotations=templates(template()))]
    documents += [_config_map("a: tfy-secret://acme\n", namespace=namespace)] if namespace else []
    code, out, errors = _inject(yaml.safe_dump_all(documents), tmp_path)
    assert (code, len(out)) == (0, len(documents))
    assert errors == (
        "warning: Pod/web: metadata.annotations[tfy-secret.dev/templates][0] (ConfigMap 'gateway', key 'config.yaml'): "
        "the ConfigMap was not found; its references are checked at admission\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a: [", "{}, line 2: not YAML", id="broken-yaml"),
        pytest.param(b"a: 1\na: &b *c\n", "{}, line 2: not YAML", id="unknown-alias"),
        pytest.param(b"\x00", "{}: not YAML", id="nul"),
        pytest.param(b"\xff\xfe", "{}: not UTF-8", id="not-utf-8"),
        pytest.param(b"[" * 100_000, "{}: nested too deep", id="deep-yaml"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "{}: nested too deep", id="deep-json"),
        pytest.param(b"a: !!python/object:os.system x", "{}, line 1: not YAML", id="python-tags"),
        pytest.param(b"a: !!int x", "{}: not YAML: a number that it does not have", id="number-that-is-none"),
    ],
)
def test_not_a_manifest(content: bytes, message: str, tmp_path: Path) -> None:
    """A file that cannot be read names itself and the line, and none of its content."""
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(NotAManifest) as caught:
        list(read_documents(str(file)))
    assert str(caught.value) == message.format(file)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield write_manifests(tmp_path_factory.mktemp("manifests"))


def test_program(manifests: Path, tmp_path: Path) -> None:
    """Files and standard input in one run, in their order; the output can be read by kubectl."""
    document, _ = _holder("Deployment", app(A=KEY))
    file = tmp_path / "deployment.yaml"
    file.write_text(yaml.safe_dump(document))
    done = run_inject("-f", str(file), "--filename", "-", "-n", "shop", env=environment(manifests), stdin=json.dumps(app(A=KEY)).encode())
    assert (done.returncode, done.stderr) == (0, b"")
    deployment, found = documents(done.stdout)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == found["spec"]["containers"][0]["env"] == ENV


def test_program_refuses(manifests: Path) -> None:
    """Exit code 1, the message on standard error, nothing on standard output."""
    done = run_inject("-f", "-", env=environment(manifests), stdin=yaml.safe_dump(app(A="tfy-secret://acme:payments")).encode())
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "Pod/web: spec.containers[app].env[A]: found 'tfy-secret://acme:payments'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three "
        "parts.\nTo fix: add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD.\n"
    )


@pytest.mark.parametrize(
    ("settings", "stdin", "message"),
    [
        pytest.param({}, b"a: [", "-, line 2: not YAML\n", id="broken-yaml"),
        pytest.param(
            {"MANIFESTS": ""},
            b"",
            "TFY_SECRET_MANIFESTS: found nothing; inject needs the folder with the SecretStores and SecretGroups\n",
            id="no-folder",
        ),
        pytest.param(
            {"MODE": "x", "TENANT": "", "LISTEN": "y"},
            b"",
            "TFY_SECRET_TENANT: found ''; allowed: letters, digits, '.', '_' and '-', with a letter or digit at both ends\n"
            "TFY_SECRET_LISTEN: found 'y'; allowed: host:port, e.g. 0.0.0.0:8443\n"
            "TFY_SECRET_MODE: found 'x'; allowed: auto, envfile, exec\n",
            id="all-faults-of-the-settings",
        ),
    ],
)
def test_program_cannot_work(settings: Json, stdin: bytes, message: str, manifests: Path) -> None:
    """Exit code 2, a sentence, no traceback, nothing on standard output."""
    done = run_inject(
        "-f", "-", env=environment(manifests) | {f"TFY_SECRET_{name}": value for name, value in settings.items()}, stdin=stdin
    )
    messages = [line for line in done.stderr.decode().splitlines(keepends=True) if not line.startswith("{")]
    assert (done.returncode, done.stdout, "".join(messages)) == (2, b"", message)
