"""One container of a pod and what it is to get; and what was found on the way."""

from dataclasses import dataclass, field

from contract.fqn import Fqn
from webhook.files import WantedFile
from webhook.mounts import WantedMount
from webhook.pod import Container
from webhook.problem import MAX_TOLD, Problem
from webhook.reference import EnvReference
from webhook.rollout import KnownEnv
from webhook.templates import WantedTemplate
from webhook.variables import Variables


@dataclass(slots=True)
class Target:
    """A container, where it stands, and what is new for it."""

    container: Container
    kind: str  # the array in the pod's spec
    index: int
    references: list[EnvReference] = field(default_factory=list)
    known: KnownEnv | None = None  # what is remembered of them
    dependents: list[EnvReference] = field(default_factory=list)  # plain entries that name one of them, where a mode needs them
    variables: Variables | None = None
    files: list[tuple[WantedFile, Fqn]] = field(default_factory=list)
    templates: list[WantedTemplate] = field(default_factory=list)
    launched: bool = False  # an earlier call chose mode exec for it
    lost: bool = False  # and something has since changed what that call wrote: it is to be written again

    @property
    def is_app(self) -> bool:
        return self.kind == "containers"

    @property
    def place(self) -> str:
        return f"spec.{self.kind}[{self.container.name or self.index}]"

    @property
    def pointer(self) -> str:
        """The container's JSON Pointer; nothing in it needs escaping."""
        return f"/spec/{self.kind}/{self.index}"

    @property
    def wants(self) -> bool:
        return bool(self.references or self.dependents or self.files or self.templates or self.lost)

    @property
    def mounted(self) -> list[WantedMount]:
        """Every file that is new in it."""
        return [*(file for file, _ in self.files), *self.templates]


@dataclass(slots=True)
class Findings:
    """Everything that is wrong or doubtful, and how many references of each kind there are."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    references: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str, number: int = 1) -> None:
        if number:
            self.references[kind] = self.references.get(kind, 0) + number

    def tell(self, outcome: Problem | str | None) -> None:
        """A problem, a warning, or nothing. What is beyond what anyone is shown is not kept."""
        if isinstance(outcome, Problem):
            if not self.full:
                self.problems.append(outcome)
        elif outcome is not None and len(self.warnings) <= MAX_TOLD and outcome not in self.warnings:
            self.warnings.append(outcome)

    @property
    def full(self) -> bool:
        """Whether there are more problems than a message shows: what is found now costs time and tells nothing."""
        return len(self.problems) > MAX_TOLD
