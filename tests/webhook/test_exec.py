"""Mode exec: what is rewritten so that the launcher starts the app with its variables, and what is refused."""

import json

import pytest

from contract import keys
from tests.webhook.pods import (
    KEY,
    STRIPE,
    Json,
    applied,
    cluster,
    container,
    decide,
    env,
    file,
    files,
    injected,
    planned,
    pod,
    refused,
    skipped,
)
from webhook.exec import LAUNCH, Images
from webhook.planning import Ask, Inject, Reject, plan_injection
from webhook.pod import POD
from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.pull_secrets import NOT_ALLOWED

EXEC = cluster(mode="exec")
OPTIONAL = KEY + "?optional=true"


def first(patched: Json) -> Json:
    return patched["spec"]["containers"][0]


def started(**fields: object) -> Json:
    """The container of a pod in mode exec, changed."""
    return first(injected(pod(container(**({"command": ["/app"], "env": env(A=KEY)} | fields))), EXEC))


def looked_up(manifest: Json, known: dict[str, Entrypoint | LookupFailed]) -> Inject | Reject:
    decision = plan_injection(POD.decode(json.dumps(manifest).encode()), "shop", EXEC, Images(known, reachable=False))
    assert isinstance(decision, Inject | Reject)
    return decision


def test_the_launcher_stands_in_front() -> None:
    """The command's own words follow verbatim; the container mounts its launcher and file, read-only, and nothing else of the volume."""
    changed = started(command=["/bin/app", "two words", ""], args=["--x", "a'b"])
    assert changed["command"] == [*LAUNCH, "/bin/app", "two words", ""]
    assert changed["args"] == ["--x", "a'b"]
    assert changed["volumeMounts"] == [{"name": "tfy-secrets-app", "mountPath": "/tfy-secret/run", "subPath": "exec", "readOnly": True}]
    assert changed["env"] == [{"name": "A", "value": ""}]


def test_the_plan_has_one_file_for_all_variables() -> None:
    patched = injected(pod(container(command=["/app"], env=env(A=KEY, B=f"x{KEY}"))), EXEC)
    assert [(e.name, e.path) for e in planned(patched).env] == [("A", "exec/env"), ("B", "exec/env")]
    assert planned(patched).mode == "exec"


def test_files_and_launcher_are_added_in_one_go() -> None:
    """A container without volumeMounts gets both: a second `add` of the array would replace the first."""
    changed = first(injected(pod(container(command=["/app"], env=env(A=KEY)), annotations=files(file())), EXEC))
    assert [mount["mountPath"] for mount in changed["volumeMounts"]] == ["/tfy-secret/run", "/etc/app/tls.key"]


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        pytest.param("$(A)", "$$(tfy-secret:A)", id="a-reference"),
        pytest.param("--p=$(A)/$(A)", "--p=$$(tfy-secret:A)/$$(tfy-secret:A)", id="twice"),
        pytest.param("$(PLAIN)", "$(PLAIN)", id="a-plain-one-is-the-kubelets"),
        pytest.param("$$(A)", "$$(A)", id="escaped"),
        pytest.param("$$$(A)", "$$$$(tfy-secret:A)", id="escaped-dollar-before-a-reference"),
        pytest.param("$(NOBODY)", "$(NOBODY)", id="unknown-stays"),
        pytest.param("$(A", "$(A", id="not-closed"),
        pytest.param("a$", "a$", id="a-dollar-at-the-end"),
    ],
)
def test_words_that_name_a_reference(word: str, becomes: str) -> None:
    """The kubelet would put the empty value in; the launcher gets a mark instead, in command, args and probes."""
    probe = {"exec": {"command": ["test", word]}, "periodSeconds": 3}
    changed = started(env=env(PLAIN="p", A=KEY), command=["/app", word], args=[word], readinessProbe=probe)
    assert changed["command"] == [*LAUNCH, "/app", becomes]
    assert changed["args"] == [becomes]
    assert changed["readinessProbe"] == {"exec": {"command": [*LAUNCH, "test", becomes]}, "periodSeconds": 3}


def test_probes_and_hooks() -> None:
    """Exec probes and hooks are wrapped; the kubelet expands nothing in a hook, so its words stay; other handlers are untouched."""
    http = {"httpGet": {"path": "/", "port": 80}}
    changed = started(
        livenessProbe={"exec": {"command": ["check"]}},
        startupProbe=http,
        lifecycle={"preStop": {"exec": {"command": ["bye", "$(A)"]}}, "postStart": http},
    )
    assert changed["livenessProbe"]["exec"]["command"] == [*LAUNCH, "check"]
    assert changed["startupProbe"] == http
    assert changed["lifecycle"] == {"preStop": {"exec": {"command": [*LAUNCH, "bye", "$(A)"]}}, "postStart": http}


def test_plain_variables_that_name_a_reference_are_delivered_too() -> None:
    """`$(VAR)` in a later value, through several steps, by the kubelet's rules; one before the reference, or of a plain one, stays."""
    variables = env(EARLY="$(A)", U="app", A=KEY, URL="pg://$(U):$(A)@db/$$x", AGAIN="$(URL)?", PLAIN="$(U)")
    patched = injected(pod(container(command=["/app"], env=variables)), EXEC)
    assert {e.name: e.parts for e in planned(patched).env} == {
        "A": ("", KEY, ""),
        "URL": ("pg://app:", KEY, "@db/$x"),
        "AGAIN": ("pg://app:", KEY, "@db/$x?"),
    }
    assert [e.get("value") for e in first(patched)["env"]] == ["$(A)", "app", "", "", "", "$(U)"]


def test_a_value_that_cannot_be_known_beside_a_reference() -> None:
    """It comes from valueFrom: the pod is refused, since the app would get an empty value or a name."""
    pod_ip = {"fieldRef": {"fieldPath": "status.podIP"}}
    (message,) = refused(pod(container(command=["/app"], env=env(IP=pod_ip, A=KEY, URL="$(IP):$(A)"))), EXEC)
    assert message.startswith("spec.containers[app].env[URL]: found '$(IP)' beside a reference, and its value is not known at admission")


def test_a_variable_that_is_set_again() -> None:
    manifest = pod(container(command=["/app"], env=[*env(A=KEY), {"name": "A", "value": "plain"}]))
    (message,) = refused(manifest, EXEC)
    assert "found the variable 'A' with a reference, and later with another value" in message


def test_a_path_of_a_mount_that_names_a_reference() -> None:
    """The kubelet expands subPathExpr, when the variable is still empty: the app would find another folder. Escaped or plain ones are fine."""
    variables = env(PLAIN="p", A=KEY, B="x$(A)")
    mounts = [
        {"name": "data", "mountPath": f"/{index}", "subPathExpr": text}
        for index, text in enumerate(("$(A)", "a/$(B)", "$(PLAIN)", "$$(A)"))
    ]
    manifest = pod(container(command=["/app"], env=variables, volumeMounts=mounts), volumes=[{"name": "data", "emptyDir": {}}])
    told = refused(manifest, EXEC)
    assert [message.partition(";")[0] for message in told] == [
        "spec.containers[app].volumeMounts[/0].subPathExpr: found '$(A)', which names a reference",
        "spec.containers[app].volumeMounts[/1].subPathExpr: found 'a/$(B)', which names a reference",
    ]
    assert injected(manifest)  # in mode envfile the kubelet knows the values


def test_init_containers_and_sidecars() -> None:
    manifest = pod(
        container(),
        initContainers=[
            container("side", command=["/s"], restartPolicy="Always", env=env(A=KEY)),
            container("once", command=["/o"], env=env(A=KEY)),
        ],
    )
    found = {c["name"]: c["command"] for c in injected(manifest, EXEC)["spec"]["initContainers"] if "command" in c}
    assert found == {"side": [*LAUNCH, "/s"], "once": [*LAUNCH, "/o"]}


def test_the_commands_annotation() -> None:
    """As if `command` were set: the pod's args follow it, `$(VAR)` in it is expanded."""
    annotations = {keys.COMMAND_OF + "app": '["/app", "$(A)"]'}
    changed = first(injected(pod(container(args=["x"], env=env(A=KEY)), annotations=annotations), EXEC))
    assert (changed["command"][:3], changed["args"]) == ([*LAUNCH, "/app"], ["x"])


@pytest.mark.parametrize("text", ["", "app", "[]", '{"a": 1}', '["a", 1]', '[""]', "[" * 100_000])
def test_a_broken_commands_annotation(text: str) -> None:
    messages = refused(pod(container(env=env(A=KEY)), annotations={keys.COMMAND_OF + "app": text}), EXEC)
    assert "a JSON list of strings, the program first" in messages[0]


def test_a_command_for_a_container_that_is_not_there() -> None:
    (message,) = refused(pod(container(command=["/a"], env=env(A=KEY)), annotations={keys.COMMAND_OF + "api": '["/x"]'}), EXEC)
    assert "found the unknown container 'api'; allowed: app" in message


def test_an_image_is_asked_for_once_everything_else_is_right() -> None:
    manifest = pod(container(env=env(A=KEY)), container("two", env=env(A=KEY)), container("none"))
    read = POD.decode(json.dumps(manifest).encode())
    assert plan_injection(read, "shop", EXEC, Images()) == Ask(frozenset({"shop/web:1"}))
    manifest["spec"]["containers"][0]["env"] = env(A=KEY + "X")
    assert isinstance(plan_injection(POD.decode(json.dumps(manifest).encode()), "shop", EXEC, Images()), Reject)


@pytest.mark.parametrize(
    ("image", "args", "command", "arguments"),
    [
        pytest.param(Entrypoint(("/e", "x"), ("a", "b")), None, ["/e", "x"], ["a", "b"], id="both"),
        pytest.param(Entrypoint(("/e",), ("a",)), ["own"], ["/e"], ["own"], id="the-pods-args-win"),
        pytest.param(Entrypoint((), ("/c", "a")), None, [], ["/c", "a"], id="cmd-alone"),
        pytest.param(Entrypoint(("/e",), ()), None, ["/e"], None, id="entrypoint-alone"),
        pytest.param(Entrypoint(("/e", "$(A)"), ("$$x",)), None, ["/e", "$$(A)"], ["$$$$x"], id="an-images-words-are-not-expanded"),
        pytest.param(Entrypoint(("",), ("/c",)), None, [], ["/c"], id="dockers-empty-entrypoint"),
    ],
)
def test_an_images_command(image: Entrypoint, args: list[str] | None, command: list[str], arguments: list[str] | None) -> None:
    """ENTRYPOINT and CMD combine with the pod's args by Kubernetes' rules."""
    manifest = pod(container(env=env(A=KEY)) | ({} if args is None else {"args": args}))
    changed = first(applied(manifest, looked_up(manifest, {"shop/web:1": image})))
    assert (changed["command"], changed.get("args")) == ([*LAUNCH, *command], arguments)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        pytest.param(Entrypoint((), ()), "which has neither ENTRYPOINT nor CMD", id="nothing-to-start"),
        pytest.param(
            LookupFailed(LookupReason.UNREACHABLE, "registry down"), "the image could not be asked: registry down", id="registry-down"
        ),
    ],
)
def test_an_image_that_says_nothing(known: Entrypoint | LookupFailed, said: str) -> None:
    """The annotation is the way out."""
    decision = looked_up(pod(container(env=env(A=KEY))), {"shop/web:1": known})
    assert isinstance(decision, Reject)
    assert said in str(decision.problems[0])
    assert "tfy-secret.dev/command.app" in str(decision.problems[0])


def test_a_look_up_that_failed_is_told_to_its_end() -> None:
    """Its last words are what was not tried: the overlay that lets the webhook read pull secrets."""
    sentence = f"registry '{'r' * 60}.example:5000' asks for a log-in, and no pull secret is for it; {NOT_ALLOWED}"
    decision = looked_up(pod(container(env=env(A=KEY))), {"shop/web:1": LookupFailed(LookupReason.DENIED, sentence, "name a pull secret")})
    assert isinstance(decision, Reject)
    assert f"{sentence};" in str(decision.problems[0])


def test_off_cluster_nobody_can_be_asked() -> None:
    assert "no registry that could be asked" in refused(pod(container(env=env(A=KEY))), EXEC)[0]


def test_our_mark_is_ours() -> None:
    (message,) = refused(pod(container(command=["/app", "$(tfy-secret:A)"], env=env(A=KEY))), EXEC)
    assert message.startswith("spec.containers[app].command: found '(tfy-secret:...' in a word of the command")


@pytest.mark.parametrize("path", ["/tfy-secret/run", "/tfy-secret/run/x", "//tfy-secret/run/", "/tfy-secret/./run", "/a/../tfy-secret/run"])
def test_our_folder_is_ours(path: str) -> None:
    """However the path is spelled."""
    mounts = [{"name": "v", "mountPath": path}]
    (message,) = refused(pod(container(command=["/a"], env=env(A=KEY), volumeMounts=mounts)), EXEC)
    assert message.startswith(f"spec.containers[app]: found a mount at '{path}'; allowed: nothing at /tfy-secret/run")


@pytest.mark.parametrize(
    ("mount", "volume", "possible"),
    [
        pytest.param({"readOnly": True}, {"emptyDir": {}}, False, id="read-only-mount"),
        pytest.param({}, {"configMap": {"name": "c"}}, False, id="read-only-volume"),
        pytest.param({}, {"emptyDir": {}}, True, id="writable"),
    ],
)
def test_a_mount_around_our_folder(mount: Json, volume: Json, possible: bool) -> None:
    """The runtime makes the mount point in it; where it cannot, its own message would name neither us nor the way out."""
    mounts = [{"name": "v", "mountPath": "/tfy-secret", **mount}, {"name": "v", "mountPath": "/tfy-secret/run2", "readOnly": True}]
    manifest = pod(container(command=["/a"], env=env(A=KEY), volumeMounts=mounts), volumes=[{"name": "v", **volume}])
    if possible:
        assert injected(manifest, EXEC)
    else:
        (message,) = refused(manifest, EXEC)
        assert "found a read-only mount at '/tfy-secret', in which no mount point can be made" in message


def test_again_changes_nothing() -> None:
    """Probes, hooks, args and dependents included."""
    probe = {"exec": {"command": ["test", "$(A)"]}}
    manifest = pod(
        container(
            command=["/app", "$(A)"], args=["$(B)"], env=env(A=KEY, B="$(A)", C=OPTIONAL), livenessProbe=probe, lifecycle={"preStop": probe}
        )
    )
    assert skipped(injected(manifest, EXEC), EXEC) == "already_done"


def test_the_mode_of_an_earlier_call_stays() -> None:
    """A node that joined in between does not mix modes in one container."""
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))))
    first(patched)["env"] += env(B=STRIPE)
    assert planned(injected(patched, EXEC)).mode == "envfile"


def test_containers_without_references_stay() -> None:
    other = container("other", command=["/x"], env=env(P="1"), livenessProbe={"exec": {"command": ["y"]}})
    manifest = pod(container(command=["/app"], env=env(A=KEY)), other)
    assert injected(manifest, EXEC)["spec"]["containers"][1] == other


def test_the_rest_is_still_checked() -> None:
    decision = decide(pod(container(env=env(A="tfy-secret://acme:search:INDEX_KEY"))), EXEC)
    assert isinstance(decision, Reject)
