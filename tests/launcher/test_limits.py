"""The kernel's limits: one string of 128 KiB, its end included, and a quarter of the stack limit for all. Values past them are told by name."""

import resource

import pytest

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
    """It is not even made: one value may stand in an argument thousands of times."""
    file = env_file(tmp_path, [("A", b"x" * 100_000)])
    expected = f"{dump}: argument 2 has {5000 * 100_000 + 1} {SENTENCE}"
    assert launcher.refused(file, dump, "fine", "$(tfy-secret:A)" * 5000) == (126, expected)


@pytest.mark.parametrize(("stack", "fits"), [pytest.param(8, True, id="2-MiB-of-8"), pytest.param(4, False, id="1-MiB-of-4")])
def test_all_together(native, dump, tmp_path, stack, fits):
    """What runc gives a container is what this process has: 8 MiB of stack on every distribution that we know."""
    variables = [(f"V{n}", b"x" * 100_000) for n in range(15)] + [("LARGEST", b"x" * 110_000)]
    file = env_file(tmp_path, variables)
    total = sum(len(name) + len(value) + 2 + 8 for name, value in variables) + len(dump) + 1 + 8
    limit = lambda: resource.setrlimit(resource.RLIMIT_STACK, (stack << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    if fits:
        same = dumped(native.start(file, dump, preexec_fn=limit).stdout)[1] == [f"{name}=".encode() + value for name, value in variables]
        assert same
    else:
        assert native.refused(file, dump, preexec_fn=limit) == (
            126,
            f"{dump}: arguments and variables have {total} bytes together; the kernel allows a quarter of the stack limit (ulimit -s), "
            "at most 6 MiB; the largest is variable LARGEST",
        )


def test_no_memory(native, dump, tmp_path):
    file = env_file(tmp_path, [("A", b"x" * 1000)] * 1000)
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (100_000, 100_000))
    assert native.refused(file, dump, preexec_fn=limit) == (125, "there is no memory left to prepare the program's start")
