"""The kernel's limits: one string of 128 KiB, its end included, and a quarter of the stack limit for all. Values past them are told by name."""

import resource

from tests.launcher.programs import dumped, env_file

STRING = 32 * resource.getpagesize()
SENTENCE = f"bytes, its end included; the kernel allows {STRING} for one string"


def test_the_longest_variable(launcher, dump, tmp_path):
    value = b"x" * (STRING - len("LONG=") - 1)
    same = dumped(launcher.start(env_file(tmp_path, [("LONG", value)]), dump).stdout)[1] == [b"LONG=" + value]
    assert same


def test_a_variable_that_is_too_long(launcher, dump, tmp_path):
    file = env_file(tmp_path, [("SHORT", b"1"), ("LONG", b"x" * (STRING - len("LONG="))), ("MORE", b"2")])
    assert launcher.refused(file, dump) == (126, f"{dump}: variable LONG has {STRING + 1} {SENTENCE}")


def test_the_longest_argument(launcher, dump, tmp_path):
    file = env_file(tmp_path, [("A", b"x" * 1000)])
    rest = "y" * (STRING - 1001)
    same = dumped(launcher.start(file, dump, rest + "$(tfy-secret:A)").stdout)[0] == [dump.encode(), rest.encode() + b"x" * 1000]
    assert same
    assert launcher.refused(file, dump, rest + "z$(tfy-secret:A)") == (126, f"{dump}: argument 1 has {STRING + 1} {SENTENCE}")


def test_an_argument_that_becomes_too_long(launcher, dump, tmp_path):
    """It is not even made: one value may stand in an argument hundreds of times."""
    file = env_file(tmp_path, [("A", b"x" * 100_000)])
    expected = f"{dump}: argument 2 has {500 * 100_000 + 1} {SENTENCE}"
    assert launcher.refused(file, dump, "fine", "$(tfy-secret:A)" * 500) == (126, expected)


def limited(kind: int, size: int):
    """For preexec_fn: the soft limit alone."""
    return lambda: resource.setrlimit(kind, (size, resource.getrlimit(kind)[1]))


class TestAllTogether:
    """A quarter of the stack limit; runc gives a container the 8 MiB that every distribution has."""

    VARIABLES = [(f"V{number}", b"x" * 100_000) for number in range(15)] + [("LARGEST", b"x" * 110_000)]

    def test_what_fits(self, native, dump, tmp_path):
        done = native.start(env_file(tmp_path, self.VARIABLES), dump, preexec_fn=limited(resource.RLIMIT_STACK, 8 << 20))
        same = dumped(done.stdout)[1] == [f"{name}=".encode() + value for name, value in self.VARIABLES]
        assert same

    def test_what_does_not(self, native, dump, tmp_path):
        file = env_file(tmp_path, self.VARIABLES)
        total = sum(len(name) + len(value) + 2 + 8 for name, value in self.VARIABLES) + len(dump) + 1 + 8
        told = f"{dump}: arguments and variables have {total} bytes together; the kernel allows a quarter of the stack limit"
        told += " (ulimit -s), at most 6 MiB; the largest is variable LARGEST"
        assert native.refused(file, dump, preexec_fn=limited(resource.RLIMIT_STACK, 4 << 20)) == (126, told)

    def test_the_largest_may_be_as_long_as_one_can_be(self, native, dump, tmp_path):
        """Then it is still the sum that is told."""
        file = env_file(
            tmp_path, [(name, b"x" * (STRING - len(name) - 2)) for name in ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9")]
        )
        code, message = native.refused(file, dump, preexec_fn=limited(resource.RLIMIT_STACK, 4 << 20))
        assert (code, message.startswith(f"{dump}: arguments and variables have "), message.rpartition("; ")[2]) == (
            126,
            True,
            "the largest is variable V1",
        )


def test_no_memory(native, dump, tmp_path):
    file = env_file(tmp_path, [("A", b"x" * 1000)] * 1000)
    given = {"preexec_fn": limited(resource.RLIMIT_DATA, 100_000)}
    assert native.refused(file, dump, **given) == (125, "there is no memory left to prepare the program's start")
