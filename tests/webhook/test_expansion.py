"""`$(VAR)` beside a reference: put in as the kubelet would, where it can be known; told where it cannot."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.references import Template, find_references
from tests.webhook.pods import KEY, STRIPE, TOKEN, Json, app, container, decide, env, injected, planned, pod, refused
from webhook.expansion import MAX_LENGTH, MAX_TOTAL, Environment, UnknownVariable, expand
from webhook.planning import Reject

FIELD = {"fieldRef": {"fieldPath": "status.podIP"}}
K = f"${{{KEY}}}"


def _parts(**variables: object) -> tuple[str, ...]:
    """The plan's parts of the last variable."""
    return planned(injected(app(**variables))).env[-1].parts


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        pytest.param({"HOST": "db", "URL": f"$(HOST)/{K}"}, ("db/", KEY, ""), id="earlier-value"),
        pytest.param({"URL": f"$(HOST)/{K}", "HOST": "db"}, ("$(HOST)/", KEY, ""), id="later-value-stays-as-the-kubelet-leaves-it"),
        pytest.param({"URL": f"$(NONE)/{K}"}, ("$(NONE)/", KEY, ""), id="nobodys-value-stays"),
        pytest.param({"A": "1", "B": "$(A)2", "C": f"$(B)3{K}"}, ("123", KEY, ""), id="through-another"),
        pytest.param({"A": "$$(X)", "C": f"$(A){K}"}, ("$(X)", KEY, ""), id="what-was-expanded-is-not-again"),
        pytest.param({"A": "1", "C": f"$$(A) $$$(A) $ $x $({K}"}, ("$(A) $1 $ $x $(", KEY, ""), id="dollars"),
        pytest.param({"A": STRIPE, "C": f"$(A):{K}"}, ("", STRIPE, ":", KEY, ""), id="earlier-reference"),
        pytest.param(
            {"A": f"x{STRIPE}", "B": "$(A)y", "C": f"$(B):{K}"}, ("x", STRIPE, "y:", KEY, ""), id="reference-through-a-plain-value"
        ),
        pytest.param({"A": "", "C": f"[$(A)]{K}"}, ("[]", KEY, ""), id="empty-value"),
        pytest.param({"C": f"$(C){K}"}, ("$(C)", KEY, ""), id="itself-is-not-earlier"),
        pytest.param({"A_PORT": "1", "C": f"$(A_PORT){K}"}, ("1", KEY, ""), id="own-variable-over-a-services"),
    ],
)
def test_expanded(variables: Json, parts: tuple[str, ...]) -> None:
    """The kubelet does not expand what it reads from a file, so it is done before, by the same rules."""
    assert _parts(**variables) == parts


def test_the_later_of_two_counts() -> None:
    """A name that is given twice has, at each point, the value of the last one before it."""
    entries = [*env(A="1"), *env(B=f"$(A){K}"), *env(A="2"), *env(C=f"$(A){K}")]
    assert [d.parts[0] for d in planned(injected(pod(container(env=entries)))).env] == ["1", "2"]


def test_values_without_references_are_the_kubelets() -> None:
    """Nothing is expanded where nothing is delivered: also not beside a variable of ours."""
    entries = env(A=KEY, B="$(A) $$ $(NONE)", IP=FIELD, C="$(IP)")
    patched = injected(pod(container(env=entries)))["spec"]["containers"][0]["env"]
    assert patched[1:] == entries[1:]


def test_env_from_is_never_expanded() -> None:
    """The kubelet does not look into envFrom for `$(VAR)`; so a name that may come from there stays."""
    manifest = pod(container(env=env(A=f"$(FROM_CONFIG){K}"), envFrom=[{"configMapRef": {"name": "c"}}]))
    assert planned(injected(manifest)).env[0].parts[0] == "$(FROM_CONFIG)"


_ALLOWED = "$(NAME) of an earlier variable that has a plain value or a reference"
_FIX = "set the reference in a variable of its own, and combine the two in the app or in args"


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        pytest.param(
            {"IP": FIELD, "A": f"$(IP)/{K}"}, "'$(IP)' beside a reference, and its value is not known at admission", id="valueFrom"
        ),
        pytest.param(
            {"IP": FIELD, "B": "$(IP)", "A": f"$(B)/{K}"},
            "'$(B)' beside a reference, and its value is not known at admission",
            id="plain-value-that-needs-valueFrom",
        ),
        pytest.param(
            {"A": f"$(REDIS_SERVICE_HOST){K}"},
            "'$(REDIS_SERVICE_HOST)' beside a reference, and it may be a variable that the kubelet makes for a Service",
            id="service-host",
        ),
        pytest.param(
            {"A": f"$(REDIS_PORT_6379_TCP_ADDR){K}"},
            "'$(REDIS_PORT_6379_TCP_ADDR)' beside a reference, and it may be a variable that the kubelet makes for a Service",
            id="service-port",
        ),
    ],
)
def test_unknown(variables: Json, found: str) -> None:
    """A name in place of a value would be worse than a refusal, which says what to do."""
    assert refused(app(**variables)) == [f"spec.containers[app].env[A]: found {found}; allowed: {_ALLOWED}.\nTo fix: {_FIX}."]


def test_an_earlier_variable_that_is_malformed() -> None:
    """Both are told: the one that is wrong, and the one that cannot be known because of it."""
    first, second = refused(app(A="tfy-secret://acme", B=f"$(A){K}"))
    assert first.startswith("spec.containers[app].env[A]: found 'tfy-secret://acme'; ")
    assert second.startswith("spec.containers[app].env[B]: found '$(A)' beside a reference, and its value is not known at admission; ")


@pytest.mark.parametrize(
    ("name", "links", "known"),
    [
        pytest.param("REDIS_SERVICE_HOST", True, False, id="a-services"),
        pytest.param("REDIS_SERVICE_HOST", False, True, id="a-services-without-links"),
        pytest.param("KUBERNETES_SERVICE_HOST", False, False, id="kubernetes-own-is-always-there"),
        pytest.param("KUBERNETES_PORT_443_TCP", False, False, id="kubernetes-own-port"),
        pytest.param("redis_service_host", True, True, id="lower-case"),
        pytest.param("MY_HOST", True, True, id="no-services-name"),
    ],
)
def test_service_links(name: str, links: bool, known: bool) -> None:
    """With enableServiceLinks the kubelet makes variables for every Service of the namespace; without, for `kubernetes` alone."""
    decision = decide(pod(container(env=env(A=f"$({name}){K}")), enableServiceLinks=links))
    assert isinstance(decision, Reject) is not known


# Kubernetes' third_party/forked/golang/expansion/expand_test.go; FOO, ZOO and BLU are set.
_SET = {"FOO": "bar", "ZOO": "$(FOO)-1", "BLU": "$(ZOO)-2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(FOO)", "bar"), ("$(ZOO)", "$(FOO)-1"), ("$(BLU)", "$(ZOO)-2"), ("___$(FOO)___", "___bar___"), ("$(FOO)$(FOO)", "barbar"),
        ("$$(FOO)", "$(FOO)"), ("$$$$(FOO)", "$$(FOO)"), ("$$$(FOO)", "$bar"), ("$$$$$(FOO)", "$$bar"), ("$$$$$$$(FOO)", "$$$bar"),
        ("foo$$(FOO)", "foo$(FOO)"), ("$(NOPE)", "$(NOPE)"), ("$(FOO", "$(FOO"), ("$FOO", "$FOO"), ("f$", "f$"), ("$", "$"), ("$$", "$"),
        ("$(FOO))", "bar)"), ("$(foo bar)", "$(foo bar)"), ("$$(FOO", "$(FOO"), ("foo$$", "foo$"), ("$(FOO)$$$(BLU)", "bar$$(ZOO)-2"),
        ("$$$$$(FOO)$(BLU)", "$$bar$(ZOO)-2"), ("$(FOO)_____$(ZOO", "bar_____$(ZOO"), ("$?-$$-$(FOO)", "$?-$-bar"), ("", ""), ("$()", "$()"),
        ("$(FOO$(FOO))", "$(FOO$(FOO))"),
    ],
)  # fmt: skip
def test_kubernetes_own_cases(text: str, expected: str) -> None:
    """The expansion is the kubelet's, on its own cases."""
    assert "".join(str(piece) for piece in expand(text, lambda name: (_SET.get(name, f"$({name})"),))) == expected


@given(st.text("$()AB ", max_size=30))
def test_any_text_as_the_kubelet_would(text: str) -> None:
    """A second reading of the kubelet's rules, character by character, agrees on every text."""
    known = {"A": "x", "B": "$(A)"}
    mine = "".join(str(piece) for piece in expand(text, lambda name: (known.get(name, f"$({name})"),)))
    assert mine == _character_by_character(text, known)


def _character_by_character(text: str, known: dict[str, str]) -> str:
    result, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            result, at = result + text[at], at + 1
        elif text[at + 1] == "$":
            result, at = result + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            name = text[at + 2 : end]
            result, at = result + known.get(name, f"$({name})"), end + 1
        else:
            result, at = result + text[at : at + 2], at + 2
    return result


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param("", id="of-nothing"),
        pytest.param("x", id="of-one-character"),
        pytest.param(KEY, id="of-a-reference"),
        pytest.param("y" * 60_000, id="of-much-text"),
    ],
)
def test_doubling_is_bounded(seed: str) -> None:
    """`B=$(A)$(A)`, `C=$(B)$(B)`, ...: 2^60 pieces from 3 KB of pod. The work stays small, and the answer is an answer."""
    entries = [*env(V0=seed), *[{"name": f"V{n}", "value": f"$(V{n - 1})$(V{n - 1})"} for n in range(1, 60)], *env(LAST=f"$(V59){TOKEN}")]
    start = time.thread_time()
    decision = decide(pod(container(env=entries)))
    assert time.thread_time() - start < 20
    assert isinstance(decision, Reject) is bool(seed)


def test_length_limit_names_the_kernel() -> None:
    """A value that no process could be given is refused here, with the bound."""
    half = "x" * (MAX_LENGTH // 2)
    assert len(_parts(A=half, B=f"$(A){KEY}")[0]) == len(half)
    (message,) = refused(app(A=half, B="$(A)$(A)", C=f"$(A)$(B){K}"))
    assert message.startswith(
        "spec.containers[app].env[C]: found '$(...)' beside a reference, and what it stands for is longer than the kernel takes "
        "(128 KiB a variable, 2 MiB a container)"
    )


def test_total_of_a_container_is_bounded() -> None:
    """Many long values together are as much as a few endless ones."""
    environment = Environment(service_links=True)
    environment.declare("A", "x" * (MAX_LENGTH // 2))
    template = find_references(f"$(A){KEY}", frozenset())
    assert isinstance(template, Template)
    resolved = 0
    with pytest.raises(UnknownVariable, match=r"\.\.\."):
        while resolved < 100:
            environment.resolve(template)
            resolved += 1
    assert resolved == MAX_TOTAL // (MAX_LENGTH // 2) - 1
