"""What the program is given: variables and arguments, byte for byte and in their order."""

import resource
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initcontainer.launch import encode
from tests.launcher.programs import dumped, env_file

EVERY_BYTE = bytes(range(1, 256))
AWKWARD = {
    "empty": b"",
    "quotes": b"""it's "so" `x` $HOME""",
    "newlines": b"a\nb\r\nc\n\n",
    "not-utf8": b"\xff\xfe\x80",
    "every-byte": EVERY_BYTE,
    "equals": b"=a=b=",
    "mark": b"$(tfy-secret:A)",
    "blanks": b"  \t x \t ",
}


class TestVariables:
    @pytest.mark.parametrize(
        ("own", "file", "expected"),
        [
            pytest.param({}, [], [], id="nothing-at-all"),
            pytest.param({"X": "1", "Y": "2"}, [], ["X=1", "Y=2"], id="own-variables-stay-in-order"),
            pytest.param({"X": "1"}, [("A", b"2"), ("B", b"3")], ["X=1", "A=2", "B=3"], id="the-files-come-after-in-order"),
            pytest.param({"A": "name", "X": "1"}, [("A", b"2")], ["X=1", "A=2"], id="a-name-is-replaced-by-its-value"),
            pytest.param({"A": "name", "X": "1"}, [("A", None)], ["X=1"], id="an-absent-secret-is-unset"),
            pytest.param({"A": "name"}, [("A", b"")], ["A="], id="an-empty-secret-is-set"),
            pytest.param({"AB": "1", "": "2"}, [("A", b"3")], ["AB=1", "=2", "A=3"], id="names-match-whole"),
            pytest.param({"A": "1"}, [("AB", b"3")], ["A=1", "AB=3"], id="names-match-whole-the-other-way"),
            pytest.param({}, [("A", b"1"), ("B", b"2"), ("A", b"3")], ["B=2", "A=3"], id="the-last-of-a-name-wins"),
            pytest.param({"A": "0"}, [("A", b"1"), ("A", None)], [], id="the-last-of-a-name-may-unset"),
            pytest.param({}, [("A", None), ("A", b"1")], ["A=1"], id="the-last-of-a-name-may-set"),
            pytest.param({}, [("a.b-c/d e", b"1")], ["a.b-c/d e=1"], id="any-name-that-kubernetes-allows"),
        ],
    )
    def test_the_new_environment(self, launcher, dump, tmp_path, own, file, expected):
        done = launcher.start(env_file(tmp_path, file), dump, env=own)
        assert (done.returncode, done.stderr, dumped(done.stdout)[1]) == (0, b"", [text.encode() for text in expected])

    def test_every_duplicate_of_a_name_is_replaced(self, native, dump, tmp_path):
        """An environment may hold a name twice, or an entry without '='; programs differ in which one they take."""
        file = env_file(tmp_path, [("A", b"new"), ("NAKED", b"1")])
        given_env = [b"A=old", b"X=1", b"NAKED", b"A=older", b"X=2", b"BARE"]
        code = (
            "import ctypes, sys\n"
            "def array(texts): return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)\n"
            f"argv = {[native.command[0].encode(), str(file).encode(), dump.encode()]!r}\n"
            f"ctypes.CDLL(None).execve(argv[0], array(argv), array({given_env!r}))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
        assert dumped(done.stdout)[1] == [b"X=1", b"X=2", b"BARE", b"A=new", b"NAKED=1"]

    @pytest.mark.parametrize("value", AWKWARD.values(), ids=AWKWARD)
    def test_a_value_is_carried_to_the_byte(self, launcher, dump, tmp_path, value):
        done = launcher.start(env_file(tmp_path, [("A", value)]), dump)
        assert dumped(done.stdout)[1] == [b"A=" + value]

    def test_thousands_of_variables_of_each_side(self, launcher, dump, tmp_path):
        """As many as a pod can have; they are found by a table, so the time stays linear."""
        own = {f"VARIABLE_{number}": "name" for number in range(15_000)}
        file = [(f"VARIABLE_{number}", b"value %d" % number) for number in range(5_000, 20_000)]
        expected = [f"VARIABLE_{n}=name".encode() for n in range(5_000)] + [
            f"VARIABLE_{n}=value {n}".encode() for n in range(5_000, 20_000)
        ]
        same = dumped(launcher.start(env_file(tmp_path, file), dump, env=own).stdout)[1] == expected
        assert same


class TestArguments:
    @pytest.mark.parametrize(
        "argv",
        [
            pytest.param([], id="none"),
            pytest.param(["", "", "x", ""], id="empty-ones"),
            pytest.param(["a b", "'", '"', "a\nb", "\\", "*", "--", "-c", "$HOME", "$(X)", "$$(X)", "`id`"], id="nothing-is-interpreted"),
            pytest.param([EVERY_BYTE, "é€"], id="any-byte"),
        ],
    )
    def test_arguments_are_verbatim(self, launcher, dump, tmp_path, argv):
        done = launcher.start(env_file(tmp_path, []), dump, *argv)
        assert dumped(done.stdout)[0] == [text if isinstance(text, bytes) else text.encode() for text in [dump, *argv]]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("$(tfy-secret:A)", "one", id="whole"),
            pytest.param("--password=$(tfy-secret:A)!", "--password=one!", id="inside"),
            pytest.param("$(tfy-secret:A)$(tfy-secret:B)$(tfy-secret:A)", "onetwoone", id="several"),
            pytest.param("$(tfy-secret:EMPTY)", "", id="empty-value"),
            pytest.param("$(tfy-secret:ABSENT)", "$(ABSENT)", id="unset-becomes-the-kubelets-spelling"),
            pytest.param("$(tfy-secret:NONE)", "$(NONE)", id="unknown-becomes-the-kubelets-spelling"),
            pytest.param("$(tfy-secret:OWN)", "$(OWN)", id="own-variables-are-not-the-files"),
            pytest.param("$(tfy-secret:LOOP)", "$(tfy-secret:A)", id="one-pass"),
            pytest.param("$(tfy-secret:a.b c)", "three", id="any-name"),
            pytest.param("$(tfy-secret:$(tfy-secret:A))", "$($(tfy-secret:A))", id="a-name-ends-at-the-first-parenthesis"),
            pytest.param("$(tfy-secret:)", "$()", id="no-name"),
            pytest.param("$(tfy-secret:A", "$(tfy-secret:A", id="not-closed"),
            pytest.param("$(tfy-secret:A) $(tfy-secret:B", "one $(tfy-secret:B", id="the-last-not-closed"),
            pytest.param("$$(tfy-secret:A)", "$one", id="a-dollar-in-front-is-text"),
            pytest.param("$(A) $(tfy-secretA) $(TFY-SECRET:A)", "$(A) $(tfy-secretA) $(TFY-SECRET:A)", id="other-spellings-are-text"),
            pytest.param("$(tfy-secret", "$(tfy-secret", id="half-a-mark-at-the-end"),
            pytest.param("$(tfy-secret:TWICE)", "last", id="the-last-of-a-name-wins"),
        ],
    )
    def test_marks_become_values(self, launcher, dump, tmp_path, text, expected):
        file = [("A", b"one"), ("B", b"two"), ("EMPTY", b""), ("ABSENT", None), ("LOOP", b"$(tfy-secret:A)"), ("a.b c", b"three")]
        file += [("TWICE", b"first"), ("TWICE", b"last")]
        done = launcher.start(env_file(tmp_path, file), dump, "before", text, "after", env={"OWN": "own"})
        assert dumped(done.stdout)[0][1:] == [b"before", expected.encode(), b"after"]

    def test_the_command_is_expanded_too(self, launcher, dump, tmp_path):
        done = launcher.start(env_file(tmp_path, [("WHERE", dump.encode())]), "$(tfy-secret:WHERE)", "x")
        assert dumped(done.stdout)[0] == [dump.encode(), b"x"]

    def test_many_marks_that_never_close_take_linear_time(self, native, dump, tmp_path):
        """1 MB of them takes 0.02 s of CPU; searching for the end of each would take several seconds."""
        text = "$(tfy-secret:" * 8000
        file = env_file(tmp_path, [("A", b"1")])
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        same = dumped(native.start(file, dump, *[text] * 10).stdout)[0][1:] == [text.encode()] * 10
        assert same
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5


NAMES = st.text(
    st.characters(min_codepoint=1, max_codepoint=0x2FF, exclude_characters="=", exclude_categories=["Cs"]), min_size=1, max_size=12
)
BYTES = st.binary(max_size=300).map(lambda value: value.replace(b"\0", b""))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variables=st.lists(st.tuples(NAMES, st.none() | BYTES), max_size=8),
    own=st.dictionaries(NAMES, BYTES, max_size=4),
    argv=st.lists(BYTES, max_size=6),
)
def test_anything_comes_out_as_it_went_in(native, dump, tmp_path, variables, own, argv):
    file = tmp_path / "env"
    file.write_bytes(encode(variables))
    done = native.start(file, dump, *argv, env=own)
    last = dict(variables)
    expected = [name.encode() + b"=" + value for name, value in own.items() if name not in last]
    for at, (name, value) in enumerate(variables):
        if value is not None and name not in {later for later, _ in variables[at + 1 :]}:
            expected.append(name.encode() + b"=" + value)
    assert dumped(done.stdout) == ([dump.encode(), *argv], expected)
