"""A secret's value, wrapped so that no log, repr, f-string, exception or pickle can show it by accident."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

HIDDEN = "<secret>"


class SecretValue:
    """Bytes that only `reveal()` opens. Equality works (in constant time); ordering, hashing, iteration and pickling do not."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        if not isinstance(value, bytes):
            raise TypeError("a SecretValue holds bytes")
        self.__value = value

    def reveal(self) -> bytes:
        """The value itself. Every call site is a place where a value can leak; a test counts them."""
        return self.__value

    def __len__(self) -> int:
        return len(self.__value)

    def __bool__(self) -> bool:
        return True  # an empty secret is still a secret; nothing may be decided on truthiness

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bytes__(self) -> bytes:
        return HIDDEN.encode()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        from hmac import compare_digest  # here, because the init container never compares

        return compare_digest(self.__value, other.__value)

    __hash__ = None  # type: ignore[assignment]  # a hash in a log or a metric would tell equal values apart

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a SecretValue is not serialised")

    __getstate__ = __reduce__  # object's own would list the slots with what is in them
