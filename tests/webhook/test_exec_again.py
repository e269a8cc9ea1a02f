"""Mode exec when the webhook is asked again about a pod: what another webhook, or a copy of the pod, made of what we wrote."""

from tests.webhook.pods import KEY, STRIPE, Json, cluster, container, env, injected, planned, pod, refused, skipped
from webhook.exec import LAUNCH

EXEC = cluster(mode="exec")


def first(patched: Json) -> Json:
    found: Json = patched["spec"]["containers"][0]
    return found


def test_another_webhook_adds_to_a_wrapped_container() -> None:
    """What it adds is delivered; the launcher stays alone, and `$(VAR)` of what was delivered before is still known."""
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))), EXEC)
    first(patched)["env"] += env(B=STRIPE, C="$(A)-$(B)")
    first(patched)["livenessProbe"] = {"exec": {"command": ["late"]}}
    again = injected(patched, EXEC)
    assert first(again)["command"] == [*LAUNCH, "/app"]
    assert first(again)["livenessProbe"]["exec"]["command"] == [*LAUNCH, "late"]
    assert {e.name: e.parts for e in planned(again).env} == {"A": ("", KEY, ""), "B": ("", STRIPE, ""), "C": ("", KEY, "-", STRIPE, "")}
    assert skipped(again, EXEC) == "already_done"


def test_another_webhook_puts_its_wrapper_in_front() -> None:
    """Ours is found behind it: nothing is wrapped or mounted again."""
    patched = injected(pod(container(command=["/app"], env=env(A=KEY), livenessProbe={"exec": {"command": ["check"]}})), EXEC)
    first(patched)["command"].insert(0, "/other/wrapper")
    first(patched)["livenessProbe"]["exec"]["command"].insert(0, "/other/wrapper")
    assert skipped(patched, EXEC) == "already_done"
    first(patched)["env"] += env(B=STRIPE)
    again = first(injected(patched, EXEC))
    assert again["command"] == ["/other/wrapper", *LAUNCH, "/app"]
    assert again["livenessProbe"]["exec"]["command"] == ["/other/wrapper", *LAUNCH, "check"]
    assert len(again["volumeMounts"]) == 1


def test_a_command_that_lost_its_launcher_gets_it_again() -> None:
    """Another webhook, or a copy for debugging, replaced the command: the process would see empty variables."""
    patched = injected(pod(container(command=["/app"], args=["$(A)"], env=env(A=KEY))), EXEC)
    first(patched)["command"] = ["sh", "-c", "$(A)"]
    again = injected(patched, EXEC)
    assert first(again)["command"] == [*LAUNCH, "sh", "-c", "$$(tfy-secret:A)"]
    assert first(again)["args"] == first(patched)["args"] == ["$$(tfy-secret:A)"]
    assert len(first(again)["volumeMounts"]) == 1
    assert planned(again) == planned(patched)
    assert skipped(again, EXEC) == "already_done"


def test_a_mount_that_was_lost_with_the_command_comes_back() -> None:
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))), EXEC)
    first(patched).update(command=["/other"], volumeMounts=[])
    assert first(injected(patched, EXEC))["volumeMounts"][0]["mountPath"] == "/tfy-secret/run"


def test_a_command_that_is_gone_is_asked_for_again() -> None:
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))), EXEC)
    del first(patched)["command"]
    assert "found no command" in refused(patched, EXEC)[0]


def test_a_probe_or_hook_that_is_added_later_goes_through_the_launcher() -> None:
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))), EXEC)
    first(patched)["readinessProbe"] = {"exec": {"command": ["check", "$(A)"]}}
    first(patched)["lifecycle"] = {"preStop": {"exec": {"command": []}}, "postStart": {"exec": {"command": ["hook"]}}}
    again = injected(patched, EXEC)
    assert first(again)["readinessProbe"]["exec"]["command"] == [*LAUNCH, "check", "$$(tfy-secret:A)"]
    assert first(again)["lifecycle"]["postStart"]["exec"]["command"] == [*LAUNCH, "hook"]
    assert first(again)["command"] == [*LAUNCH, "/app"]
    assert skipped(again, EXEC) == "already_done"


def test_another_webhook_moves_the_command_into_args() -> None:
    """As wrappers do that take what they start from their arguments: the launcher is found there."""
    patched = injected(pod(container(command=["/app", "$(A)"], args=["--x"], env=env(A=KEY))), EXEC)
    moved = first(patched)
    moved["args"], moved["command"] = [*moved["command"], *moved["args"]], ["/other/wrapper"]
    assert skipped(patched, EXEC) == "already_done"
    moved["env"] += env(B=STRIPE)
    again = first(injected(patched, EXEC))
    assert (again["command"], again["args"]) == (["/other/wrapper"], [*LAUNCH, "/app", "$$(tfy-secret:A)", "--x"])
    assert len(again["volumeMounts"]) == 1


def test_a_plain_variable_that_is_added_later_and_names_a_reference() -> None:
    """The kubelet would put in the empty value."""
    patched = injected(pod(container(command=["/app"], env=env(A=KEY))), EXEC)
    first(patched)["env"] += env(C="<$(A)>")
    again = injected(patched, EXEC)
    assert {e.name: e.parts for e in planned(again).env}["C"] == ("<", KEY, ">")
