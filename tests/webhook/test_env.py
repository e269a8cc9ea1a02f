"""References in `env[].value`: found where they count, rewritten in place, and nothing else touched."""

import pytest

from tests.webhook.pods import KEY, OWN, STRIPE, TOKEN, Json, app, container, decide, env, injected, key_ref, planned, pod, refused, warned
from webhook.planning import Skip


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        pytest.param(KEY, ("", KEY, ""), id="whole"),
        pytest.param(f"${{{KEY}}}", ("", KEY, ""), id="whole-in-braces"),
        pytest.param(OWN, ("", OWN, ""), id="store-path"),
        pytest.param(f"Bearer {TOKEN}", ("Bearer ", TOKEN, ""), id="bare"),
        pytest.param(f"a:${{{KEY}}}@${{{STRIPE}}}/x", ("a:", KEY, "@", STRIPE, "/x"), id="two-in-one"),
        pytest.param(f"${{{KEY}}}${{{KEY}}}", ("", KEY, "", KEY, ""), id="the-same-twice"),
        pytest.param(f'{{"user": "app", "key": "{KEY}"}}', ('{"user": "app", "key": "', KEY, '"}'), id="json"),
        pytest.param(f'["${{{KEY}}}", null, 1e3]', ('["', KEY, '", null, 1e3]'), id="json-array"),
        pytest.param(f"---\nkey: {KEY}\n", ("---\nkey: ", KEY, "\n"), id="yaml"),
        pytest.param(f"{KEY}?version=3", ("", f"{KEY}?version=3", ""), id="version"),
    ],
)
def test_template_reaches_the_plan(value: str, parts: tuple[str, ...]) -> None:
    """Text and names alternate, to the character; the entry takes its value from the file that is written."""
    patched = injected(app(A=value))
    assert patched["spec"]["containers"][0]["env"] == [key_ref("A")]
    (delivery,) = planned(patched).env
    assert (delivery.name, delivery.path, delivery.parts) == ("A", "env/A", parts)


@pytest.mark.parametrize(
    ("value", "optional"),
    [
        pytest.param(f"{KEY}?optional=true", True, id="whole"),
        pytest.param(f"${{{KEY}?optional=true}}", True, id="whole-in-braces"),
        pytest.param(f"x${{{KEY}?optional=true}}", False, id="beside-text-the-variable-is-always-set"),
        pytest.param(KEY, False, id="not-optional"),
    ],
)
def test_optional(value: str, optional: bool) -> None:
    """Only a value that is one optional reference may leave its variable unset."""
    reference = injected(app(A=value))["spec"]["containers"][0]["env"][0]["valueFrom"]["fileKeyRef"]
    assert reference.get("optional", False) is optional


def test_order_and_positions_are_kept() -> None:
    """`$(VAR)` expansion depends on the order, so each entry stays where it is."""
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    manifest = app(Z="last?", A=KEY, IP=field, B="$(A)", C=STRIPE, A2="x")
    assert injected(manifest)["spec"]["containers"][0]["env"] == [
        {"name": "Z", "value": "last?"},
        key_ref("A"),
        {"name": "IP", "valueFrom": field},
        {"name": "B", "value": "$(A)"},
        key_ref("C"),
        {"name": "A2", "value": "x"},
    ]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}, id="secretKeyRef"),
        pytest.param({"name": "X", "valueFrom": {"configMapKeyRef": {"name": "tfy-secret://a:b:c", "key": "k"}}}, id="configMapKeyRef"),
        pytest.param(
            {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "K"}}}, id="fileKeyRef-of-the-author"
        ),
        pytest.param({"name": "X", "valueFrom": {"somethingNew": {"a": [1, None]}}}, id="a-source-of-the-future"),
        pytest.param({"name": "X", "value": KEY, "valueFrom": {"newRef": {}}}, id="both-which-kubernetes-refuses"),
        pytest.param({"name": "X"}, id="without-a-value"),
        pytest.param({"name": "X", "value": ""}, id="empty-value"),
        pytest.param({"name": "X", "value": None, "valueFrom": None}, id="nulls"),
        pytest.param({"name": "X", "value": "tests/test_x.py::test_a"}, id="double-colon"),
    ],
)
def test_other_entries_stay(entry: Json) -> None:
    """Whatever is no reference comes out as it went in."""
    patched = injected(pod(container(env=[entry, *env(A=KEY), entry])))
    assert patched["spec"]["containers"][0]["env"] == [entry, key_ref("A"), entry]


def test_every_kind_of_container() -> None:
    """Containers, init containers and native sidecars, each with a volume and a plan of its own."""
    manifest = pod(
        container(env=env(A=KEY)),
        container("worker", env=env(A=STRIPE)),
        initContainers=[
            container("migrate", env=env(B=KEY)),
            container("proxy", env=env(C=TOKEN), restartPolicy="Always"),
            container("wait"),
        ],
    )
    patched = injected(manifest)["spec"]
    assert [c["env"] for c in patched["containers"]] == [[key_ref("A")], [key_ref("A", "worker")]]
    assert [c["name"] for c in patched["initContainers"]] == ["tfy-secret-init", "migrate", "proxy", "wait"]
    assert [c.get("env") for c in patched["initContainers"][1:]] == [[key_ref("B", "migrate")], [key_ref("C", "proxy")], None]
    assert patched["initContainers"][2]["restartPolicy"] == "Always"
    names = [volume["name"] for volume in patched["volumes"]]
    assert names == ["tfy-secret-token", "tfy-secrets-migrate", "tfy-secrets-proxy", "tfy-secrets-app", "tfy-secrets-worker"]


def test_no_container_mounts_anothers_values() -> None:
    """Variables need no mount at all; the init container alone mounts every volume, and the token."""
    patched = injected(pod(container(env=env(A=KEY)), container("worker", env=env(A=STRIPE))))["spec"]
    assert not any("volumeMounts" in c for c in patched["containers"])
    assert patched["initContainers"][0]["volumeMounts"] == [
        {"name": "tfy-secret-token", "mountPath": "/tfy-secret/token", "readOnly": True},
        {"name": "tfy-secrets-app", "mountPath": "/tfy-secret/volumes/tfy-secrets-app"},
        {"name": "tfy-secrets-worker", "mountPath": "/tfy-secret/volumes/tfy-secrets-worker"},
    ]


def test_duplicate_names() -> None:
    """Kubernetes takes the last of two of one name; both are delivered, in files of their own, and the order decides as before."""
    patched = injected(pod(container(env=[*env(A=KEY), *env(A="x"), *env(A=STRIPE)])))
    paths = [entry.get("valueFrom", {}).get("fileKeyRef", {}).get("path") for entry in patched["spec"]["containers"][0]["env"]]
    assert paths == ["env/A", None, "env/1"]
    assert [(d.path, d.parts[1]) for d in planned(patched).env] == [("env/A", KEY), ("env/1", STRIPE)]


@pytest.mark.parametrize("name", ["a.b", "9X", "with-dash", "ä", "..", "x" * 300, "a/b", "A B"])
def test_names_that_are_no_file_names(name: str) -> None:
    """Kubernetes allows nearly any name; a file for it is numbered, so no name can leave the volume."""
    (delivery,) = planned(injected(pod(container(env=[{"name": name, "value": KEY}])))).env
    assert (delivery.name, delivery.path) == (name, "env/0")


def test_env_from_is_not_touched() -> None:
    """`envFrom`, its prefixes included, comes out as it went in."""
    sources = [{"prefix": "P_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s", "optional": True}}]
    assert injected(pod(container(env=env(A=KEY), envFrom=sources)))["spec"]["containers"][0]["envFrom"] == sources


@pytest.mark.parametrize("value", ["arn:aws:iam::123456789012:role/x", "[::]:8080", "https://h/a::b", "file:/config/", "$$(X) ${Y}"])
def test_not_a_reference(value: str) -> None:
    """The design's list of what is never touched, without a warning."""
    assert isinstance(decide(app(A=value)), Skip)
    assert warned(app(A=value)) == ()


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        pytest.param(
            "acme/aws/smm-prod::/own/shop/x",
            "spec.containers[app].env[A]: 'acme/aws/smm-prod::...' looks like a store's path, but no SecretStore has that FQN; "
            "did you mean acme/aws/ssm-prod? The value is passed on as it is.",
            id="near-a-store",
        ),
        pytest.param(
            "acme/zzz/qqqqqqqqq::/x",
            "spec.containers[app].env[A]: 'acme/zzz/qqqqqqqqq::...' looks like a store's path, but no SecretStore has that FQN. "
            "The value is passed on as it is.",
            id="near-none",
        ),
    ],
)
def test_a_store_that_nobody_has(value: str, warning: str) -> None:
    """It may be plain text, so it stays; but its author is told."""
    assert warned(app(A=value)) == (warning,)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        pytest.param({"command": ["sh", "-c", f"x {KEY}"]}, "spec.containers[app].command", id="command"),
        pytest.param({"args": [f"--key=${{{KEY}}}"]}, "spec.containers[app].args", id="args"),
    ],
)
def test_a_reference_in_a_command_line(fields: Json, place: str) -> None:
    """It would reach the process as a name, and a value there would be seen by `ps`: refused, with the way that works."""
    (message,) = refused(pod(container(**fields)))
    word = next(iter(fields.values()))[-1]
    assert message == (
        f"{place}: found '{word}'; allowed: no reference in a command line.\nTo fix: put the reference in an env variable and write $(NAME) here."
    )


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_a_probe_that_names_a_reference(probe: str) -> None:
    """In a probe the kubelet expands plain values alone: the author is told, and how a shell does it."""
    manifest = pod(container(env=env(A=KEY, B="x"), **{probe: {"exec": {"command": ["check", "$(A)", "$(B)"]}}}))
    assert warned(manifest) == (
        (
            f"spec.containers[app].{probe}.exec.command: the kubelet puts nothing in for $(A) in a probe; "
            'to fix: let a shell read it, e.g. ["sh", "-c", "... $A"]'
        ),
    )


def test_a_variable_without_a_name() -> None:
    """Kubernetes would refuse it too, later and about something else."""
    (message,) = refused(pod(container(env=[{"value": KEY}])))
    assert message == "spec.containers[app].env[]: found a variable without a name; allowed: a name.\nTo fix: name the variable."
