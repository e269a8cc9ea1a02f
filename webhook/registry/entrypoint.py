"""ENTRYPOINT and CMD of an image, and how they combine with a pod's `command` and `args`.

The rules are Kubernetes' ("Define a Command and Arguments for a Container") as containerd and CRI-O carry them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """As the image's configuration has them; empty where it has none."""

    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]

    def escaped(self) -> "Entrypoint":
        """So that it survives in a pod's `command`: the kubelet expands `$(NAME)` and `$$` there, and never in an image's own."""
        return Entrypoint(tuple(map(_escape, self.entrypoint)), tuple(map(_escape, self.cmd)))


def argv(entrypoint: Entrypoint, command: Sequence[str] | None, args: Sequence[str] | None) -> tuple[str, ...]:
    """What would be started; empty if there is nothing to start, which no runtime accepts. Null and empty lists are alike.

    command | args  | what runs
    ------- | ----- | -----------------
    none    | none  | ENTRYPOINT + CMD
    none    | given | ENTRYPOINT + args
    given   | none  | command
    given   | given | command + args
    """
    if command:
        return (*command, *(args or ()))
    start = () if entrypoint.entrypoint == ("",) else entrypoint.entrypoint  # Docker's spelling of "no entrypoint"
    return (*start, *(args or entrypoint.cmd))


def _escape(text: str) -> str:
    return text.replace("$", "$$")
