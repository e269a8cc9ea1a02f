"""Format raw: the whole file is one string, and a value stands in it as it is, byte for byte."""

from contract.formats import VALUE


def strings(text: str) -> "Iterable[String]":
    return ((VALUE, 0, len(text), text),)


def written(content: str, following: str = "") -> str:  # noqa: ARG001 - it is as it is
    return content


def check_around(text: str) -> str | None:  # noqa: ARG001 - nothing is special
    return None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from contract.formats import String
