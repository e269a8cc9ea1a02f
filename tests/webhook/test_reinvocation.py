"""A second call for the same pod, after another webhook changed it: what is new is added, and ours gets back to its place."""

from copy import deepcopy

from contract import keys
from tests.webhook.pods import (
    CLUSTER, KEY, STRIPE, TOKEN, Json, app, applied, cluster, container, decide, env, file, files, injected, key_ref, ours, plan_of, planned, pod,
    refused, skipped, template, templates,
)  # fmt: skip
from webhook.planning import Inject

SOURCE = "tfy-secret-template-27f8abdce027"  # of ConfigMap gateway, key config.yaml


def _volumes(patched: Json) -> list[str]:
    return [volume["name"] for volume in patched["spec"]["volumes"]]


def _order(patched: Json) -> list[str]:
    return [found["name"] for found in patched["spec"]["initContainers"]]


def test_another_webhook_added_a_container() -> None:
    """Its references are added to the plan that is there; what was given before keeps its paths."""
    once = injected(app(A=KEY))
    changed = deepcopy(once)
    changed["spec"]["containers"].append(container("sidecar", env=env(B=TOKEN)))
    twice = injected(changed)
    assert [c.name for c in plan_of(twice).containers] == ["app", "sidecar"]
    assert planned(twice) == planned(once)
    assert twice["spec"]["containers"] == [once["spec"]["containers"][0], container("sidecar", env=[key_ref("B", "sidecar")])]
    assert _volumes(twice) == ["tfy-secret-token", "tfy-secrets-app", "tfy-secrets-sidecar"]
    assert [m["name"] for m in ours(twice)["volumeMounts"]] == _volumes(twice)
    assert skipped(twice) == "already_done"


def test_another_webhook_added_a_container_without_references() -> None:
    """Nothing is new for us."""
    once = injected(app(A=KEY))
    once["spec"]["containers"].append(container("proxy", env=env(X="y")))
    assert skipped(once) == "already_done"


def test_another_webhook_put_its_init_container_first() -> None:
    """Ours moves back to the front, since the other one might use secrets too; nothing else changes."""
    once = injected(pod(container(env=env(A=KEY)), initContainers=[container("migrate")]))
    once["spec"]["initContainers"].insert(0, container("istio-init"))
    twice = injected(once)
    assert _order(twice) == ["tfy-secret-init", "istio-init", "migrate"]
    decision = decide(once)
    assert isinstance(decision, Inject)
    assert decision.patch == ({"op": "move", "from": "/spec/initContainers/1", "path": "/spec/initContainers/0"},)


def test_another_webhook_appended_its_init_container() -> None:
    """Ours is still in its place."""
    once = injected(app(A=KEY))
    once["spec"]["initContainers"].append(container("other"))
    assert skipped(once) == "already_done"


def test_a_wished_place_is_kept() -> None:
    """`last` and `after:` are looked at again as well."""
    annotations = {keys.INIT_POSITION: "after:wait"}
    once = injected(pod(container(env=env(A=KEY)), annotations=annotations, initContainers=[container("wait"), container("x")]))
    assert _order(once) == ["wait", "tfy-secret-init", "x"]
    once["spec"]["initContainers"].insert(0, container("istio-init"))
    assert skipped(once) == "already_done"
    last = injected(pod(container(env=env(A=KEY)), annotations={keys.INIT_POSITION: "last"}, initContainers=[container("wait")]))
    last["spec"]["initContainers"].append(container("istio-init"))
    assert _order(injected(last)) == ["wait", "istio-init", "tfy-secret-init"]


def test_another_webhook_appended_variables() -> None:
    """New entries of a container that is in the plan get files beside those that it has."""
    once = injected(app(A=KEY))
    once["spec"]["containers"][0]["env"] += env(B=STRIPE, A=TOKEN, C="x")
    twice = injected(once)
    assert [(d.name, d.path, d.parts[1]) for d in planned(twice).env] == [
        ("A", "env/A", KEY),
        ("B", "env/B", STRIPE),
        ("A", "env/2", TOKEN),
    ]
    assert [m["name"] for m in ours(twice)["volumeMounts"]] == ["tfy-secret-token", "tfy-secrets-app"]
    assert skipped(twice) == "already_done"


def test_another_webhook_replaced_the_env() -> None:
    """References that come back are delivered again; the plan keeps what it had, which harms nobody."""
    once = injected(app(A=KEY))
    once["spec"]["containers"][0]["env"] = env(A=KEY)
    twice = injected(once)
    assert [d.path for d in planned(twice).env] == ["env/A", "env/1"]
    assert twice["spec"]["containers"][0]["env"][0]["valueFrom"]["fileKeyRef"]["path"] == "env/1"


def test_files_are_not_mounted_again() -> None:
    """The annotation is still there, and so are the mounts."""
    once = injected(pod(container(), annotations=files(file())))
    assert skipped(once) == "already_done"
    once["spec"]["containers"].append(container("sidecar"))
    twice = injected(once)
    assert [c.name for c in plan_of(twice).containers] == ["app", "sidecar"]
    assert len(twice["spec"]["containers"][0]["volumeMounts"]) == 1
    assert twice["spec"]["containers"][1]["volumeMounts"] == [
        {"name": "tfy-secrets-sidecar", "mountPath": "/etc/app/tls.key", "subPath": "files/0", "readOnly": True}
    ]


def test_config_files_are_not_mounted_again() -> None:
    """One volume for a ConfigMap's key, whoever gets it, and whenever."""
    once = injected(pod(container(), annotations=templates(template())))
    assert skipped(once) == "already_done"
    once["spec"]["containers"].append(container("sidecar"))
    twice = injected(once)
    assert [len(c.templates) for c in plan_of(twice).containers] == [1, 1]
    names = [volume["name"] for volume in twice["spec"]["volumes"]]
    assert names == ["tfy-secret-token", "tfy-secrets-app", SOURCE, "tfy-secrets-sidecar"]
    assert [mount["name"] for mount in ours(twice)["volumeMounts"]] == names
    assert skipped(twice) == "already_done"


def test_a_config_file_that_another_webhook_adds() -> None:
    """Its source is mounted in our container, and the volume that is there grows."""
    once = injected(app(A=KEY))
    once["metadata"]["annotations"] = templates(template())
    twice = injected(once)
    assert [volume for volume in twice["spec"]["volumes"] if volume["name"] == "tfy-secrets-app"] == [
        {"name": "tfy-secrets-app", "emptyDir": {"medium": "Memory", "sizeLimit": "20Mi"}}
    ]
    assert ours(twice)["volumeMounts"][-1] == {"name": SOURCE, "mountPath": f"/tfy-secret/templates/{SOURCE}", "readOnly": True}
    assert (len(planned(twice).env), len(planned(twice).templates)) == (1, 1)
    assert skipped(twice) == "already_done"


def test_variables_of_a_container_that_had_only_files() -> None:
    """Its plan gets a mode with its first variable."""
    once = injected(pod(container(), annotations=files(file())))
    assert planned(once).mode == "files"
    once["spec"]["containers"][0]["env"] = env(A=KEY)
    assert (planned(injected(once)).mode, len(planned(injected(once)).files)) == ("envfile", 1)


def test_new_references_are_checked_like_the_first() -> None:
    """What another webhook brings in must be allowed too, and the older injection does not help it."""
    once = injected(app(A=KEY))
    once["spec"]["containers"].append(container("sidecar", env=env(B="tfy-secret://acme:search:INDEX_KEY")))
    (message,) = refused(once)
    assert message.startswith("spec.containers[sidecar].env[B]: found 'tfy-secret://acme:search:INDEX_KEY', denied")


def test_a_volume_of_the_older_injection_is_ours() -> None:
    """Names that the plan knows are no collision; one that it does not know is."""
    once = injected(app(A=KEY))
    once["spec"]["volumes"].append({"name": "tfy-secrets-sidecar", "emptyDir": {}})
    once["spec"]["containers"].append(container("sidecar", env=env(B=TOKEN)))
    (message,) = refused(once)
    assert message.startswith("spec.volumes[tfy-secrets-sidecar]: found a volume named 'tfy-secrets-sidecar' that is not ours")


def test_an_init_container_that_somebody_stripped() -> None:
    """Its mounts may be gone; the patch must still apply."""
    once = injected(app(A=KEY))
    del ours(once)["volumeMounts"]
    once["spec"]["containers"].append(container("sidecar", env=env(B=TOKEN)))
    assert [m["name"] for m in ours(injected(once))["volumeMounts"]] == ["tfy-secrets-sidecar"]


def test_another_broker_or_ca() -> None:
    """An older plan is brought up to date, so that the pod asks where this installation's broker is."""
    once = injected(app(A=KEY))
    newer = cluster()
    moved = type(newer)(newer.catalog, newer.versions, type(newer.around)("https://elsewhere:1", "NEW", newer.around.init))
    plan = plan_of(applied(once, decide(once, moved)))
    assert (plan.broker, plan.ca, plan.containers) == ("https://elsewhere:1", "NEW", plan_of(once).containers)


def test_a_reference_to_an_older_variable() -> None:
    """Its value is in a file now; the plan still says what it is, so `$(A)` beside a new reference is put in."""
    once = injected(app(A=KEY))
    once["spec"]["containers"][0]["env"] += env(B=f"$(A) ${{{STRIPE}}}")
    assert {e.name: e.parts for e in planned(injected(once, CLUSTER)).env}["B"] == ("", KEY, " ", STRIPE, "")
