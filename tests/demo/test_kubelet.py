"""The demo's kubelet keeps the kubelet's rules, so that what the app gets is what it would get."""

from pathlib import Path

import pytest

from contract.envfile import render
from contract.keys import AUDIENCE, TOKEN_VOLUME
from demo import kubelet
from demo.errors import DemoError


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "secret").write_bytes(render(b"a $(PLAIN) b"))
    (tmp_path / "v" / "absent").write_bytes(render(None))
    (tmp_path / "v" / "broken").write_bytes(b"VALUE='never closed")
    return tmp_path


def from_file(name: str, path: str, **more: bool) -> dict:
    return {"name": name, "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": path, "key": "VALUE"} | more}}


def test_order_and_expansion(volumes: Path):
    """`$(VAR)` sees earlier variables alone, is expanded in plain values and never in what a file holds."""
    env = [
        {"name": "EARLY", "value": "[$(SECRET)]"},
        {"name": "PLAIN", "value": "x"},
        from_file("SECRET", "secret"),
        {"name": "LATE", "value": "[$(SECRET)] $$(PLAIN) $(NOBODY)"},
        {"name": "EMPTY"},
    ]
    made = kubelet.environment({"name": "app", "env": env}, volumes)
    assert list(made.items()) == [
        ("EARLY", b"[$(SECRET)]"),
        ("PLAIN", b"x"),
        ("SECRET", b"a $(PLAIN) b"),
        ("LATE", b"[a $(PLAIN) b] $(PLAIN) $(NOBODY)"),
        ("EMPTY", b""),
    ]


def test_the_command_line():
    """`$(VAR)` is put in from the environment; a mark for the launcher is escaped, and is a mark afterwards."""
    container = {"command": ["/run/launcher", "app"], "args": ["$(PLAIN)", "$$(tfy-secret:KEY)", "$(NOBODY)"]}
    assert kubelet.argv(container, {"PLAIN": b"x"}) == [b"/run/launcher", b"app", b"x", b"$(tfy-secret:KEY)", b"$(NOBODY)"]


def test_optional_and_absent_is_unset(volumes: Path):
    assert kubelet.environment({"name": "app", "env": [from_file("X", "absent", optional=True)]}, volumes) == {}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("absent", "key VALUE not found in absent", id="a-key-that-is-not-there"),
        pytest.param("broken", "the single quote is not closed", id="a-file-that-is-no-env-file"),
        pytest.param("nowhere", "cannot be read", id="a-missing-file"),
    ],
)
def test_a_container_that_would_not_start(volumes: Path, path: str, said: str):
    with pytest.raises(DemoError, match=said):
        kubelet.environment({"name": "app", "env": [from_file("X", path)]}, volumes)


def test_other_sources_are_told(volumes: Path):
    entry = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    with pytest.raises(DemoError, match="env X: found secretKeyRef"):
        kubelet.environment({"name": "app", "env": [entry]}, volumes)


def test_volumes_and_mounts(tmp_path: Path):
    """A folder for each volume, our token where the pod asks for it, and mounts that lead to files by subPath."""
    token = {"serviceAccountToken": {"audience": AUDIENCE, "path": "token"}}
    volumes = [{"name": TOKEN_VOLUME, "projected": {"sources": [token]}}, {"name": "v", "emptyDir": {"medium": "Memory"}}]
    kubelet.make_volumes({"spec": {"volumes": volumes}}, tmp_path, "not-a-secret")
    assert (tmp_path / TOKEN_VOLUME / "token").read_text() == "not-a-secret"
    assert (tmp_path / "v").stat().st_mode & 0o777 == 0o777
    mounted = kubelet.mounts({"volumeMounts": [{"name": "v", "mountPath": "/etc/x", "subPath": "files/0"}]}, tmp_path)
    assert mounted == {"/etc/x": tmp_path / "v" / "files" / "0"}


def test_another_audience_gets_no_token(tmp_path: Path):
    token = {"serviceAccountToken": {"audience": "vault", "path": "token"}}
    with pytest.raises(DemoError, match="volume t"):
        kubelet.make_volumes({"spec": {"volumes": [{"name": "t", "projected": {"sources": [token]}}]}}, tmp_path, "x")
