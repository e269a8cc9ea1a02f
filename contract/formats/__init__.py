"""Where the strings of a config file stand, format by format, and how a string is written so that a reader takes exactly it.

Each module has `strings(text)`, which gives keys, values and comments in their order, and `written(content)`, the spelling of a
value that stands in a value's place. Both know nothing of references: what is replaced by what is decided in `contract.template`.
Standard library alone, and imported only where a pod has a template: the init container has no YAML parser.
"""

KEY, VALUE, COMMENT = "key", "value", "comment"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    # What it is, the indexes of its spelling (quotes included), and what a reader takes it for.
    String = tuple[str, int, int, str]

    class Format(Protocol):
        """A module of this package."""

        def strings(self, text: str) -> Iterable[String]:
            """Raises TextFault for a text that it cannot place, if need be after some of them."""
            ...

        def written(self, content: str, following: str = "") -> str:
            """`following`: the character behind it, if there is one. Raises Unfit for a content that the format cannot carry."""
            ...

        def check_around(self, text: str) -> str | None:
            """What stands in the text around a reference that readers of the format do not agree on."""
            ...


class TextFault(ValueError):
    """Text that is not of its format, or that is not understood here. Names a place, never what stands there."""

    def __init__(self, at: int, found: str, allowed: str, fix: str) -> None:
        self.at, self.found, self.allowed, self.fix = at, found, allowed, fix
        super().__init__(f"found {found}; allowed: {allowed}.\nTo fix: {fix}.")


class Unfit(ValueError):
    """A content that the format cannot carry; the sentence holds none of it."""
