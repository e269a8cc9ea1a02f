"""Frozen, slotted value types at a price that every pod start can pay.

`dataclasses` imports `inspect`, which costs about 6 ms and 1.5 MiB: a fifth of the init container's budget, in every pod.
`record` gives the part of it that the contract uses: annotated fields, defaults, equality, a repr, no assignment, and
`__post_init__` for checks. Type checkers see it as a frozen dataclass.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True)
    def record(cls: type[T]) -> type[T]: ...

else:

    def record(cls):  # noqa: ANN001, ANN201 - typed above
        """Make a frozen, slotted type from a class that holds annotated fields."""
        names = tuple(cls.__annotations__)
        defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
        body = {k: v for k, v in cls.__dict__.items() if k not in defaults and k not in ("__dict__", "__weakref__")}
        made = type(cls)(cls.__name__, cls.__bases__, body | {"__slots__": names, "__match_args__": names})
        made.__qualname__ = cls.__qualname__
        made.__init__ = _first(made, names, defaults)
        made.__setattr__ = made.__delattr__ = _refuse
        made.__eq__, made.__hash__ = _equal, _hash
        made.__reduce__ = lambda self: (type(self), _values(self))
        if "__repr__" not in body:
            made.__repr__ = _repr
        return made

    def _first(made, names, defaults):  # noqa: ANN001, ANN202 - private to `record`
        """The real one is compiled when the first object is made: a pod's start uses few of the types, and each costs it 0.1 ms."""

        def __init__(self, *given, **named):  # noqa: ANN001, ANN002, ANN003, ANN202, N807 - stands for the real one
            made.__init__ = _initialiser(names, defaults, hasattr(made, "__post_init__"))
            made.__init__(self, *given, **named)

        return __init__

    def _initialiser(names, defaults, checked):  # noqa: ANN001, ANN202 - private to `record`
        # Compiled once per type, as dataclasses does: a loop over the fields costs the webhook twice the time per object.
        signature = "".join(f", {n}=_defaults[{n!r}]" if n in defaults else f", {n}" for n in names)
        lines = "".join(f" _set(self, {n!r}, {n})\n" for n in names)
        space = {"_set": object.__setattr__, "_defaults": defaults}
        exec(f"def __init__(self{signature}):\n{lines}{' self.__post_init__()' if checked else ''}\n", space)  # noqa: S102 - names of fields alone
        return space["__init__"]


def _refuse(self: "Any", name: str, *_value: "Any") -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed")


def _values(self: "Any") -> "tuple[Any, ...]":
    return tuple(getattr(self, name) for name in self.__slots__)


def _equal(self: "Any", other: "Any") -> bool:
    return type(other) is type(self) and _values(self) == _values(other)


def _hash(self: "Any") -> int:
    return hash((type(self), _values(self)))


def _repr(self: "Any") -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"
