"""`record`: a frozen, slotted value type that behaves as a frozen dataclass does."""

import copy
import pickle

import pytest

from contract.fqn import Fqn, ManagedSecret
from contract.plan import ContainerPlan
from contract.record import record


@record
class _Point:
    """Two numbers, of which one may be left out."""

    x: int
    y: int = 7

    @property
    def total(self) -> int:
        return self.x + self.y


@record
class _Positive:
    """Cannot exist wrong."""

    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("negative")


def test_fields_by_place_and_by_name_with_defaults() -> None:
    """The initialiser takes what the annotations say."""
    assert (_Point(1), _Point(x=1, y=7), _Point(1, 7)) == (_Point(1, 7),) * 3
    assert _Point(1).total == 8
    for wrong in ((), (1, 2, 3)):
        with pytest.raises(TypeError):
            _Point(*wrong)


def test_frozen() -> None:
    """Nothing is assigned, deleted or added."""
    point = _Point(1)
    for change in (lambda: setattr(point, "x", 2), lambda: delattr(point, "x"), lambda: setattr(point, "z", 2)):
        with pytest.raises(AttributeError, match=r"_Point is frozen: \w cannot be changed"):
            change()
    assert not hasattr(point, "__dict__")


def test_equal_by_type_and_fields() -> None:
    """Equal records are one in a set; another type with the same fields is another value."""
    assert len({_Point(1), _Point(1, 7), _Point(2)}) == 2
    assert _Point(1) != _Positive(1)
    assert ManagedSecret("a", "b", "c") != ("a", "b", "c")


def test_checked_when_made() -> None:
    """`__post_init__` keeps a wrong one from existing."""
    with pytest.raises(ValueError, match="negative"):
        _Positive(-1)


def test_shown_with_names() -> None:
    """A repr that reads as the call that makes it."""
    assert repr(_Point(1)) == "_Point(x=1, y=7)"
    assert (
        repr(Fqn(ManagedSecret("a", "b", "c")))
        == "Fqn(secret=ManagedSecret(tenant='a', group='b', key='c'), version=None, optional=False, field=None)"
    )


def test_copied_pickled_and_matched() -> None:
    """It survives copying and pickling, and `match` knows its fields by place."""
    plan = ContainerPlan("app", "volume", "envfile")
    assert copy.copy(plan) == copy.deepcopy(plan) == pickle.loads(pickle.dumps(plan)) == plan
    match _Point(3, 4):
        case _Point(x, y):
            assert (x, y) == (3, 4)
