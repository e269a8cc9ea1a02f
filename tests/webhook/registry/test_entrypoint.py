import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.registry.entrypoint import Entrypoint, argv

E, C = ("/entry", "-e"), ("cmd", "-c")


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "command", "args", "runs"),
    [
        pytest.param(E, C, None, None, (*E, *C), id="the-images-own"),
        pytest.param(E, C, None, ["a"], (*E, "a"), id="args-replace-cmd"),
        pytest.param(E, C, ["x"], None, ("x",), id="command-replaces-both"),
        pytest.param(E, C, ["x"], ["a"], ("x", "a"), id="command-and-args"),
        pytest.param(E, C, [], [], (*E, *C), id="empty-lists-are-none"),
        pytest.param(E, (), None, None, E, id="no-cmd"),
        pytest.param((), C, None, None, C, id="no-entrypoint"),
        pytest.param((), C, None, ["a"], ("a",), id="args-alone"),
        pytest.param((), (), None, None, (), id="nothing"),
        pytest.param((), (), None, ["a"], ("a",), id="an-empty-image-and-args"),
        pytest.param(("",), C, None, None, C, id="an-entrypoint-of-one-empty-string-is-none"),
        pytest.param(("", "x"), C, None, None, ("", "x", *C), id="only-of-one"),
        pytest.param(E, ("",), None, None, (*E, ""), id="an-empty-argument-stays"),
        pytest.param(E, C, None, [""], (*E, ""), id="also-of-the-pod"),
    ],
)
def test_what_runs(entrypoint, cmd, command, args, runs):
    """Kubernetes' table, and containerd's reading of its corners."""
    assert argv(Entrypoint(entrypoint, cmd), command, args) == runs


def kubelet_expand(text, known):
    """k8s.io/kubernetes/third_party/forked/golang/expansion, step by step."""
    out, position = "", 0
    while position < len(text):
        if text[position] != "$" or position + 1 == len(text):
            out += text[position]
            position += 1
        elif text[position + 1] == "$":
            out += "$"
            position += 2
        elif text[position + 1] == "(" and (end := text.find(")", position)) > 0:
            name = text[position + 2 : end]
            out += known.get(name, f"$({name})")
            position = end + 1
        else:
            out += text[position : position + 2]
            position += 2
    return out


@given(st.text(alphabet="$()HOME x", max_size=30))
def test_escaped_text_survives_the_kubelet(text):
    """In a pod's `command` an image's own `$(HOME)` or `$$` would be expanded, which the image never asked for."""
    (found,) = Entrypoint((text,), ()).escaped().entrypoint
    assert kubelet_expand(found, {"HOME": "/wrong", "": "wrong", "x": "wrong"}) == text


def test_escaping_is_needed():
    assert kubelet_expand("echo $$ $(HOME)", {"HOME": "/root"}) == "echo $ /root"
    assert Entrypoint(("a$b",), ("$$",)).escaped() == Entrypoint(("a$$b",), ("$$$$",))
