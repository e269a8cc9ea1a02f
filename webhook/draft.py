"""One container's part of the plan while it grows, over one or several calls for the same pod."""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

from contract import keys
from contract.plan import ContainerPlan, EnvDelivery, FileDelivery, TemplateDelivery
from webhook.rollout import Delivery

FILES_MODE = "files"  # a container without variables needs none
PLAIN_LENGTH = 200  # characters; a file's name has at most 255 bytes


@dataclass(slots=True)
class Draft:
    """Deliveries that were planned before stay as they are; new ones come after them."""

    name: str
    volume: str
    mode: str = FILES_MODE
    env: list[EnvDelivery] = field(default_factory=list)
    files: list[FileDelivery] = field(default_factory=list)
    templates: list[TemplateDelivery] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)  # what the container is to mount that is new
    paths: set[str] = field(default_factory=set)  # of `env`
    known: Delivery | None = None  # `env` is exactly this, made by mode envfile

    @classmethod
    def of(cls, plan: ContainerPlan) -> "Draft":
        paths = {delivery.path for delivery in plan.env}
        return cls(plan.name, plan.volume, plan.mode, list(plan.env), list(plan.files), list(plan.templates), [], paths)

    def finished(self) -> ContainerPlan:
        return ContainerPlan(self.name, self.volume, self.mode, tuple(self.env), tuple(self.files), tuple(self.templates))

    def path_for(self, variable: str) -> str:
        """A file for a variable: its name where that is a plain one and free, else a number."""
        path = _plain_path(variable) if len(variable) <= PLAIN_LENGTH else None
        if path is None or path in self.paths:
            numbers = count(len(self.paths))  # each is free at once, unless an earlier plan was not ours
            path = next(p for p in (f"{keys.ENV_FOLDER}/{n}" for n in numbers) if p not in self.paths)
        self.paths.add(path)
        return path


@lru_cache(maxsize=4096)
def _plain_path(variable: str) -> str | None:
    """Of short ones alone: what is remembered must not be as long as an author likes. Nobody has checked the pod yet."""
    plain = variable.isascii() and variable.isidentifier()
    return f"{keys.ENV_FOLDER}/{variable}" if plain else None
