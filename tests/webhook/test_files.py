"""Files by annotation: every entry strictly read, and mounted where Kubernetes can."""

from typing import Any

import pytest
import yaml

from contract import keys
from tests.webhook.pods import KEY, OWN, Json, app, container, env, file, files, injected, planned, pod, refused, skipped, warned

TLS = "tfy-secret://acme:payments:TLS_KEY"
PLACE = f"metadata.annotations[{keys.FILES}]"


def _mount(path: str, number: int, container: str = "app") -> Json:
    return {"name": f"tfy-secrets-{container}", "mountPath": path, "subPath": f"files/{number}", "readOnly": True}


def _text(annotation: str, *containers: Json, **spec: Any) -> Json:
    return pod(*(containers or (container(),)), annotations={keys.FILES: annotation}, **spec)


def test_several_under_one_folder() -> None:
    """Each is mounted by itself, so the folder keeps what the image has in it."""
    patched = injected(pod(container(), annotations=files(file(), file("/etc/app/tls.crt", KEY), file("/etc/app/sub/x", OWN))))
    assert patched["spec"]["containers"][0]["volumeMounts"] == [
        _mount("/etc/app/tls.key", 0),
        _mount("/etc/app/tls.crt", 1),
        _mount("/etc/app/sub/x", 2),
    ]
    found = [(f.mount_path, f.path, f.fqn, f.mode) for f in planned(patched).files]
    assert found == [
        ("/etc/app/tls.key", "files/0", TLS, 0o444),
        ("/etc/app/tls.crt", "files/1", KEY, 0o444),
        ("/etc/app/sub/x", "files/2", OWN, 0o444),
    ]


def test_next_to_other_mounts() -> None:
    """Mounts of others keep their place, in front of ours."""
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "etc", "mountPath": "/etc/app2", "subPath": "x", "new": 1}]
    patched = injected(pod(container(volumeMounts=mounts), annotations=files(file())))
    assert patched["spec"]["containers"][0]["volumeMounts"] == [*mounts, _mount("/etc/app/tls.key", 0)]


def test_files_and_variables_share_the_volume() -> None:
    """One tmpfs a container, for both."""
    patched = injected(pod(container(env=env(A=KEY)), annotations=files(file())))
    assert (planned(patched).mode, len(planned(patched).env), len(planned(patched).files)) == ("envfile", 1, 1)
    assert len(patched["spec"]["volumes"]) == 2


@pytest.mark.parametrize(
    ("containers", "getting"),
    [
        pytest.param(None, ["app", "worker"], id="all-app-containers-by-default"),
        pytest.param(["worker"], ["worker"], id="one"),
        pytest.param(["init", "worker"], ["init", "worker"], id="init-container-by-name"),
        pytest.param(["sidecar"], ["sidecar"], id="native-sidecar-by-name"),
    ],
)
def test_containers(containers: list[str] | None, getting: list[str]) -> None:
    """App containers, or those named; a container that is not named has no mount of ours."""
    entry = file() if containers is None else file(containers=containers)
    init = [container("init"), container("sidecar", restartPolicy="Always")]
    spec = injected(pod(container(), container("worker"), annotations=files(entry), initContainers=init))["spec"]
    mounting = [c["name"] for c in (*spec["initContainers"][1:], *spec["containers"]) if "volumeMounts" in c]
    assert mounting == getting


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        pytest.param("0400", 0o400, id="octal-of-YAML-1.1"),
        pytest.param("'0400'", 0o400, id="text"),
        pytest.param("0o400", 0o400, id="octal-of-YAML-1.2"),
        pytest.param('"0755"', 0o755, id="executable"),
        pytest.param("0000", 0, id="none"),
        pytest.param("0777", 0o777, id="all"),
    ],
)
def test_mode(written: str, mode: int) -> None:
    """Permission bits are octal however they are written: the annotation is text, and 0400 is not 400 in decimal."""
    found = planned(injected(_text(f"- {{mount_path: /k, secret_fqn: '{TLS}', mode: {written}}}"))).files[0].mode
    assert found == mode


@pytest.mark.parametrize(
    "written", ["256", "400", "00400", "0800", "4755", "u=r", "''", "null", "true", "[0400]", "-0400", "0x100", "4 00", "04000"]
)
def test_bad_mode(written: str) -> None:
    """256 is what a decimal reader makes of 0400, and 400 could be meant either way: only a leading zero says octal."""
    (message,) = refused(_text(f"- {{mount_path: /k, secret_fqn: '{TLS}', mode: {written}}}"))
    assert message.startswith(f"{PLACE}[0].mode: found ")
    assert message.endswith("; allowed: permission bits in octal, from '0000' to '0777'.\nTo fix: write e.g. mode: '0400'.")


_PATH = "the absolute path of the file, without '..', '//', ':' or a trailing '/'"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param("a: [", "found text that is not YAML (line 2, column 1)", id="broken-yaml"),
        pytest.param("- {a: b}\n- }", "found text that is not YAML (line 2, column 3)", id="broken-yaml-further-down"),
        pytest.param("", "found no list", id="empty"),
        pytest.param("mount_path: /k", "found no list", id="object"),
        pytest.param("tls", "found no list", id="text"),
        pytest.param("[" * 100_000, "found text nested more than 100 deep", id="deep-nesting"),
        pytest.param("- x\n" * 300, "found 300 files; allowed: at most 256.\nTo fix: split the pod.", id="many"),
        pytest.param(
            "- mount_path: /k\n  secret_fqn: x\n  mount_path: /l\n",
            "found text that gives 'mount_path' twice in one entry (line 3, column 3)",
            id="field-given-twice",
        ),
        pytest.param("# " + "x" * 300_000, "found 300002 characters; allowed: at most 262144.\nTo fix: split the pod.", id="long"),
    ],
)
def test_no_list(annotation: str, message: str) -> None:
    """What is no list of files is told with line and column, and without its text."""
    form = "; allowed: a YAML list of {mount_path, secret_fqn, mode?, containers?}.\nTo fix: "
    (found,) = refused(_text(annotation))
    assert found.startswith(f"{PLACE}: {message if 'allowed' in message else message + form}")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(
            "x",
            "[0]: found no object; allowed: {mount_path, secret_fqn, mode?, containers?}.\nTo fix: write the fields by name.",
            id="text",
        ),
        pytest.param(
            file(path="x"),
            "[0]: found the unknown field 'path'; allowed: mount_path, secret_fqn, mode, containers.\nTo fix: correct its name, or remove it.",
            id="unknown-field",
        ),
        pytest.param(
            {"secret_fqn": TLS}, f"[0].mount_path: found nothing; allowed: {_PATH}.\nTo fix: e.g. /etc/app/tls.key.", id="no-path"
        ),
        pytest.param(
            {"mount_path": "/k"},
            "[0].secret_fqn: found nothing; allowed: an FQN.\nTo fix: e.g. tfy-secret://acme:payments:TLS_KEY.",
            id="no-name",
        ),
        pytest.param(
            file(containers=[]),
            "[0].containers: found something else; allowed: a list of container names.\nTo fix: e.g. containers: [app].",
            id="no-containers",
        ),
        pytest.param(
            file(containers="app"),
            "[0].containers: found 'app'; allowed: a list of container names.\nTo fix: e.g. containers: [app].",
            id="text-for-a-list",
        ),
        pytest.param(
            file(containers=["ap"]),
            "[0].containers: found the unknown container 'ap'; allowed: app.\nTo fix: did you mean app?",
            id="unknown-container-that-is-near",
        ),
        pytest.param(
            file(containers=["zzzzz"]),
            "[0].containers: found the unknown container 'zzzzz'; allowed: app.\nTo fix: correct the name.",
            id="unknown-container",
        ),
        pytest.param(
            file(secret_fqn="tfy-secret://acme:payments"),
            "[0].secret_fqn: found 'tfy-secret://acme:payments'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three parts.\n"
            "To fix: add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD.",
            id="bad-name",
        ),
        pytest.param(
            file(secret_fqn="acme/aws/nobody::/x"),
            "[0].secret_fqn: found 'acme/aws/nobody::/x'; allowed: a configured store's FQN before '::'.\n"
            "To fix: use the FQN of a SecretStore (kubectl get secretstores).",
            id="unknown-store",
        ),
        pytest.param(
            file(secret_fqn="${" + TLS + "}"),
            f"[0].secret_fqn: found '${{{TLS}}}'; allowed: tfy-secret://<tenant>:<group>:<key> or <store-fqn>::<path>.\n"
            "To fix: write e.g. tfy-secret://acme:payments:DB_PASSWORD.",
            id="name-in-braces",
        ),
        pytest.param(
            file(secret_fqn="tfy-secret://acme:search:INDEX_KEY"),
            "[0].secret_fqn: found 'tfy-secret://acme:search:INDEX_KEY', denied for service account shop/web; allowed: a role in group 'search'.\n"
            "To fix: ask its admin to allow serviceaccount:shop/web or namespace:shop.",
            id="denied",
        ),
    ],
)
def test_bad_entry(entry: Any, message: str) -> None:
    """Each fault with the entry's number and field."""
    assert refused(_text(yaml.safe_dump([entry]))) == [f"{PLACE}{message}"]


@pytest.mark.parametrize(
    "path", ["etc/k", "/", "/etc/", "/etc/../k", "/etc//k", "//k", "/a:b", "/a\nb", "", "/./k", "/" + "x" * 1025, "C:\\k", "/a\u202eb"]
)
def test_bad_path(path: str) -> None:
    """Kubernetes mounts only what it can name; a path that has two spellings could hide a collision."""
    (message,) = refused(pod(container(), annotations=files(file(path))))
    assert message.startswith(f"{PLACE}[0].mount_path: found '")
    assert message.endswith(f"; allowed: {_PATH}.\nTo fix: e.g. /etc/app/tls.key.")


def test_all_faults_of_all_entries() -> None:
    """Nothing is reported one at a time."""
    entries = [{"mount_path": "x", "mode": "9"}, {"nope": 1}, file()]
    assert [m.partition(":")[0] for m in refused(_text(yaml.safe_dump(entries)))] == [
        f"{PLACE}[0].mount_path",
        f"{PLACE}[0].secret_fqn",
        f"{PLACE}[0].mode",
        f"{PLACE}[1]",
        f"{PLACE}[1].mount_path",
        f"{PLACE}[1].secret_fqn",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("/etc/app/tls.key", "/etc/app/tls.key", id="the-same-path"),
        pytest.param("/etc/app", "/etc/app/tls.key", id="one-inside-another"),
        pytest.param("/etc/app/tls.key", "/etc/app", id="one-around-another"),
    ],
)
def test_files_in_each_others_way(first: str, second: str) -> None:
    """Two files cannot be one path, nor one a folder of another."""
    assert refused(pod(container(), annotations=files(file(first), file(second)))) == [
        (
            f"{PLACE}[1].mount_path: found '{second}' beside '{first}' in container 'app'; allowed: one file for each path, none inside another.\n"
            "To fix: change one of the paths."
        )
    ]


def test_the_same_path_in_two_containers() -> None:
    """That is no collision."""
    entries = (file(containers=["app"]), file(secret_fqn=KEY, containers=["worker"]))
    patched = injected(pod(container(), container("worker"), annotations=files(*entries)))
    assert [planned(patched, name).files[0].fqn for name in ("app", "worker")] == [TLS, KEY]


_VOLUMES: dict[str, Json] = {
    "data": {"emptyDir": {}},
    "disk": {"persistentVolumeClaim": {"claimName": "c"}},
    "config": {"configMap": {"name": "c"}},
    "secret": {"secret": {"secretName": "s"}},
    "both": {"projected": {"sources": []}},
    "down": {"downwardAPI": {}},
    "image": {"image": {"reference": "x"}},
}


def _mounted(volume: str, mount_path: str, **mount: Any) -> Json:
    found = container(volumeMounts=[{"name": volume, "mountPath": mount_path, **mount}])
    return pod(found, annotations=files(file()), volumes=[{"name": name, **source} for name, source in _VOLUMES.items()])


@pytest.mark.parametrize("volume", ["data", "disk"])
@pytest.mark.parametrize("where", ["/etc/app", "/etc", "/etc/app/", "/"])
def test_inside_a_writable_mount(volume: str, where: str) -> None:
    """The kubelet makes the mount point there; the author is told that it stays."""
    manifest = _mounted(volume, where)
    assert injected(manifest)["spec"]["containers"][0]["volumeMounts"][-1] == _mount("/etc/app/tls.key", 0)
    assert warned(manifest) == (
        f"{PLACE}[0].mount_path: /etc/app/tls.key is inside volume '{volume}': an empty file of that name stays in the volume as the mount point",
    )


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        pytest.param("data", {"readOnly": True}, id="read-only-mount"),
        pytest.param("config", {}, id="configMap"),
        pytest.param("secret", {}, id="secret"),
        pytest.param("both", {}, id="projected"),
        pytest.param("down", {}, id="downwardAPI"),
        pytest.param("image", {}, id="image"),
    ],
)
def test_inside_a_read_only_mount(volume: str, mount: Json) -> None:
    """No mount point can be made there: the container would not start, so the pod is refused with the ways out."""
    assert refused(_mounted(volume, "/etc/app", **mount)) == [
        (
            f"{PLACE}[0].mount_path: found '/etc/app/tls.key', inside the read-only mount '/etc/app' of volume '{volume}' in container 'app'; "
            "allowed: a path outside of read-only mounts, where no mount point can be made.\n"
            "To fix: mount the file outside of it, or mount that volume's entries one by one with subPath."
        )
    ]


def test_the_nearest_mount_decides() -> None:
    """A writable mount inside a read-only one is writable, and the other way round."""
    writable = [{"name": "config", "mountPath": "/etc"}, {"name": "data", "mountPath": "/etc/app"}]
    read_only = [{"name": "data", "mountPath": "/etc"}, {"name": "config", "mountPath": "/etc/app"}]
    volumes = [{"name": name, **source} for name, source in _VOLUMES.items()]
    assert len(warned(pod(container(volumeMounts=writable), annotations=files(file()), volumes=volumes))) == 1
    assert len(refused(pod(container(volumeMounts=read_only), annotations=files(file()), volumes=volumes))) == 1


@pytest.mark.parametrize(
    ("path", "found", "allowed", "fix"),
    [
        pytest.param(
            "/etc/app/tls.key",
            "'/etc/app/tls.key', where container 'app' already mounts volume 'config'",
            "a path that nothing else is mounted at",
            "choose another path, or remove that mount",
            id="at-the-same-path",
        ),
        pytest.param(
            "/etc/app/tls.key/",
            "'/etc/app/tls.key', where container 'app' already mounts volume 'config'",
            "a path that nothing else is mounted at",
            "choose another path, or remove that mount",
            id="at-the-same-path-in-another-spelling",
        ),
        pytest.param(
            "/etc/app/tls.key/x",
            "'/etc/app/tls.key', below which container 'app' mounts volume 'config'",
            "the path of a file",
            "name the file itself, not a folder of other mounts",
            id="around-another-mount",
        ),
    ],
)
def test_in_the_way_of_a_mount(path: str, found: str, allowed: str, fix: str) -> None:
    """A path has one mount."""
    assert refused(_mounted("config", path)) == [f"{PLACE}[0].mount_path: found {found}; allowed: {allowed}.\nTo fix: {fix}."]


def test_mounts_whose_names_only_begin_alike() -> None:
    """`/etc/ap` is not around `/etc/app/tls.key`."""
    assert warned(_mounted("config", "/etc/ap")) == ()


@pytest.mark.parametrize("path", ["/proc/key", "/proc/self/key"])
def test_below_proc(path: str) -> None:
    """Runtimes refuse to mount there, after the pod was scheduled."""
    assert refused(_text(f"- {{mount_path: {path}, secret_fqn: '{TLS}'}}")) == [
        f"{PLACE}[0].mount_path: found '{path}'; allowed: a path outside of /proc, where no runtime mounts a file.\nTo fix: choose another path."
    ]


def test_an_optional_key_that_is_unknown() -> None:
    """The author is told what becomes of the file."""
    fqn = "tfy-secret://acme:payments:NEW?optional=true"
    assert warned(_text(f"- {{mount_path: /k, secret_fqn: '{fqn}'}}")) == (
        f"{PLACE}[0].secret_fqn: group 'payments' lists no key 'NEW'; the reference is optional, so the file is empty",
    )


def test_optional_and_version() -> None:
    """A file's name takes the same qualifiers as a variable's."""
    (found,) = planned(injected(pod(container(), annotations=files(file(secret_fqn=f"{TLS}?version=2&optional=true#pem"))))).files
    assert found.fqn == f"{TLS}?version=2&optional=true#pem"


def test_no_files() -> None:
    """An empty list is nothing to do."""
    assert skipped(pod(container(), annotations=files())) == "nothing_to_do"
    assert skipped(app()) == "nothing_to_do"
