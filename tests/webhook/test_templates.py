"""Config files by annotation: every entry strictly read; names in the pod's spec and nothing of any content."""

import json
from typing import Any

import pytest
import yaml

from contract import keys
from tests.webhook.pods import (
    KEY, Json, app, cluster, container, env, file, files, injected, ours, plan_of, planned, pod, refused, skipped, template, templates, warned,
)  # fmt: skip
from webhook.templates import parse_templates

PLACE = f"metadata.annotations[{keys.TEMPLATES}]"


def source(key: str = "config.yaml", *, optional: bool = False) -> str:
    (found,) = parse_templates("", json.dumps([template(key=key, optional=optional)]), [])
    return found.source


def _text(annotation: str) -> Json:
    return pod(container(), annotations={keys.TEMPLATES: annotation})


def test_what_is_added() -> None:
    """The key as a volume of our init container alone; the rendered file as a mount of the app."""
    patched = injected(pod(container(), annotations=templates(template(mode="0440"))))
    assert patched["spec"]["volumes"] == [
        {"name": "tfy-secret-token", "projected": patched["spec"]["volumes"][0]["projected"]},
        {"name": "tfy-secrets-app", "emptyDir": {"medium": "Memory", "sizeLimit": "20Mi"}},
        {"name": source(), "configMap": {"name": "gateway", "items": [{"key": "config.yaml", "path": "source"}]}},
    ]
    assert ours(patched)["volumeMounts"][1:] == [
        {"name": "tfy-secrets-app", "mountPath": "/tfy-secret/volumes/tfy-secrets-app"},
        {"name": source(), "mountPath": f"/tfy-secret/templates/{source()}", "readOnly": True},
    ]
    assert patched["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "tfy-secrets-app", "mountPath": "/etc/app/config.yaml", "subPath": "templates/0", "readOnly": True}
    ]
    (found,) = planned(patched).templates
    assert (found.mount_path, found.path, found.source) == ("/etc/app/config.yaml", "templates/0", source())
    assert (found.config_map, found.key, found.format, found.mode, found.optional) == ("gateway", "config.yaml", "yaml", 0o440, False)


def test_optional() -> None:
    """The kubelet then starts the pod without it."""
    patched = injected(pod(container(), annotations=templates(template(optional=True))))
    assert patched["spec"]["volumes"][-1]["configMap"]["optional"] is True
    assert planned(patched).templates[0].optional is True
    assert patched["spec"]["volumes"][-1]["name"] == source(optional=True) != source()


def test_beside_variables_and_files() -> None:
    """One volume in memory for all; one source for both containers; each in its own numbers."""
    annotations = templates(template(), template("/etc/app/b.yaml", key="b.yaml", containers=["app"])) | files(file())
    patched = injected(pod(container(env=env(A=KEY)), container("side"), annotations=annotations))
    app_plan, side = planned(patched), planned(patched, "side")
    assert [len(app_plan.env), len(app_plan.files), len(app_plan.templates), len(side.templates)] == [1, 1, 2, 1]
    assert [mount["subPath"] for mount in patched["spec"]["containers"][0]["volumeMounts"]] == ["files/0", "templates/0", "templates/1"]
    assert [volume["name"] for volume in patched["spec"]["volumes"][3:]] == [source(), source("b.yaml")]
    sizes = [volume["emptyDir"]["sizeLimit"] for volume in patched["spec"]["volumes"][1:3]]
    assert sizes == ["24Mi", "20Mi"]


@pytest.mark.parametrize(
    ("setting", "size"),
    [("16Mi", "20Mi"), ("1Gi", "1028Mi"), ("100Ki", "4196Ki"), ("16M", "16M"), ("", None)],
)
def test_room_in_the_volume(setting: str, size: str | None) -> None:
    """A rendered file has at most 2 MiB, and is there twice while it is replaced; a unit that we do not count in is the operator's."""
    patched = injected(pod(container(), annotations=templates(template())), cluster(volume_size=setting))
    assert patched["spec"]["volumes"][1]["emptyDir"].get("sizeLimit") == size


def test_pods_without_templates_are_as_before() -> None:
    """Their plan has no new field, so an older init container takes it."""
    patched = injected(app(A=KEY))
    assert "templates" not in ours(patched)["env"][0]["value"]
    assert patched["spec"]["volumes"][1]["emptyDir"]["sizeLimit"] == "16Mi"


@pytest.mark.parametrize(
    ("containers", "getting"),
    [
        pytest.param(None, ["app", "worker"], id="all-app-containers-by-default"),
        pytest.param(["worker"], ["worker"], id="one"),
        pytest.param(["init", "worker"], ["init", "worker"], id="init-container-by-name"),
    ],
)
def test_containers(containers: list[str] | None, getting: list[str]) -> None:
    entry = template() if containers is None else template(containers=containers)
    patched = injected(pod(container(), container("worker"), annotations=templates(entry), initContainers=[container("init")]))
    assert [plan.name for plan in plan_of(patched).containers] == getting


def test_mode_for_the_owner_alone() -> None:
    """As for files: our container runs as the user who is to read it."""
    patched = injected(pod(container(securityContext={"runAsUser": 1000}), annotations=templates(template(mode="0400"))))
    assert ours(patched)["securityContext"]["runAsUser"] == 1000
    (warning,) = warned(pod(container(), annotations=templates(template(mode="0400"))))
    assert warning.startswith(f"{PLACE}[0].mode: the file belongs to user 65532")


_FORM = "{config_map, key, mount_path, format, mode?, containers?, optional?}"
_FIELDS = "config_map, key, mount_path, format, mode, containers, optional"
_CONFIG_MAP = "the name of a ConfigMap in the pod's namespace.\nTo fix: e.g. config_map: gateway."
_KEY = "a key of the ConfigMap: letters, digits, '-', '_' and '.'.\nTo fix: e.g. key: config.yaml."


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param("x", f"[0]: found no object; allowed: {_FORM}.\nTo fix: write the fields by name.", id="text"),
        pytest.param(
            template(configMap="x"), f"[0]: found the unknown field 'configMap'; allowed: {_FIELDS}.\nTo fix: did you mean config_map?", id="near-field"
        ),
        pytest.param(
            template(zzz=1), f"[0]: found the unknown field 'zzz'; allowed: {_FIELDS}.\nTo fix: correct its name, or remove it.", id="unknown-field"
        ),
        pytest.param(template(config_map="Gateway"), f"[0].config_map: found 'Gateway'; allowed: {_CONFIG_MAP}", id="upper-case"),
        pytest.param(template(config_map="../secrets/x"), f"[0].config_map: found '../secrets/x'; allowed: {_CONFIG_MAP}", id="climbing-name"),
        pytest.param(template(config_map=""), f"[0].config_map: found ''; allowed: {_CONFIG_MAP}", id="empty-name"),
        pytest.param(template(config_map=["a"]), f"[0].config_map: found something else; allowed: {_CONFIG_MAP}", id="list-for-a-name"),
        pytest.param(template(key="a/b"), f"[0].key: found 'a/b'; allowed: {_KEY}", id="slash-in-a-key"),
        pytest.param(template(key=".."), f"[0].key: found '..'; allowed: {_KEY}", id="climbing-key"),
        pytest.param(template(key="..a"), f"[0].key: found '..a'; allowed: {_KEY}", id="key-that-begins-with-dots"),
        pytest.param(
            template(format="yml"), "[0].format: found 'yml'; allowed: json, yaml, env, properties, raw.\nTo fix: did you mean yaml?", id="near-format"
        ),
        pytest.param(
            template(format="toml"),
            "[0].format: found 'toml'; allowed: json, yaml, env, properties, raw.\nTo fix: say how the app reads the file; raw puts values in as they are.",
            id="unknown-format",
        ),
        pytest.param(
            template(optional="yes"), "[0].optional: found 'yes'; allowed: true or false.\nTo fix: write e.g. optional: true.", id="yes-for-true"
        ),
        pytest.param(
            template(mode="444"), "[0].mode: found '444'; allowed: permission bits in octal, from '0000' to '0777'.\nTo fix: write e.g. mode: '0400'.", id="mode"
        ),
        pytest.param(
            template(containers=["ap"]), "[0].containers: found the unknown container 'ap'; allowed: app.\nTo fix: did you mean app?", id="near-container"
        ),
    ],
)  # fmt: skip
def test_bad_entry(entry: Any, message: str) -> None:
    assert refused(_text(yaml.safe_dump([entry]))) == [f"{PLACE}{message}"]


def test_all_faults_of_all_entries() -> None:
    entries = [{"mount_path": "x", "mode": "9", "optional": 1}, {"nope": 1}, template()]
    assert [message.partition(": ")[0].removeprefix(PLACE) for message in refused(_text(yaml.safe_dump(entries)))] == [
        *(f"[0].{field}" for field in ("config_map", "key", "mount_path", "format", "mode", "optional")),
        "[1]",
        *(f"[1].{field}" for field in ("config_map", "key", "mount_path", "format")),
    ]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param("a: [", f"found text that is not YAML (line 2, column 1); allowed: a YAML list of {_FORM}.\nTo fix: correct the YAML.", id="yaml"),
        pytest.param("x: y", f"found no list; allowed: a YAML list of {_FORM}.\nTo fix: write a list, each entry beginning with '- '.", id="object"),
        pytest.param("- x\n" * 300, "found 300 files; allowed: at most 256.\nTo fix: split the pod.", id="many"),
    ],
)  # fmt: skip
def test_no_list(annotation: str, message: str) -> None:
    assert refused(_text(annotation)) == [f"{PLACE}: {message}"]


def test_no_entries() -> None:
    assert skipped(pod(container(), annotations=templates())) == "nothing_to_do"


def test_in_the_way_of_a_file() -> None:
    """One path has one mount, whoever wants it."""
    (message,) = refused(pod(container(), annotations=files(file("/etc/app/config.yaml")) | templates(template())))
    assert message.startswith(f"{PLACE}[0].mount_path: found '/etc/app/config.yaml' beside '/etc/app/config.yaml' in container 'app'")


def test_in_the_way_of_the_apps_own_mount() -> None:
    """The app may mount the ConfigMap itself, elsewhere: it sees names there."""
    volume = {"name": "names", "configMap": {"name": "gateway"}}
    elsewhere = container(volumeMounts=[{"name": "names", "mountPath": "/names"}])
    assert len(injected(pod(elsewhere, annotations=templates(template()), volumes=[volume]))["spec"]["volumes"]) == 4
    around = container(volumeMounts=[{"name": "names", "mountPath": "/etc/app"}])
    (message,) = refused(pod(around, annotations=templates(template()), volumes=[volume]))
    assert message.startswith(
        f"{PLACE}[0].mount_path: found '/etc/app/config.yaml', inside the read-only mount '/etc/app' of volume 'names'"
    )


def test_a_volume_of_our_name_that_is_not_ours() -> None:
    (message,) = refused(pod(container(), annotations=templates(template()), volumes=[{"name": source(), "emptyDir": {}}]))
    assert message.startswith(f"spec.volumes[{source()}]: found a volume named '{source()}' that is not ours")
