import pytest

from tests.launcher import programs
from tests.launcher.programs import FORMS, Program, Unavailable


def made(form: str) -> Program:
    try:
        return FORMS[form]()
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session", params=["native", "foreign", "sanitized"])
def launcher(request) -> Program:
    """The launcher in each form that is quick enough for every rule."""
    return made(request.param)


@pytest.fixture(scope="session")
def native() -> Program:
    return made("native")


@pytest.fixture(scope="session")
def memchecked() -> Program:
    return made("valgrind")


@pytest.fixture(scope="session")
def dump() -> str:
    return programs.dump()
