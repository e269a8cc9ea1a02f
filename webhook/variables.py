"""A container's variables in their order: what `$(VAR)` beside a reference, or behind one, comes to.

The kubelet puts `$(VAR)` in from plain values. Where the value is delivered by file it cannot, so this does, at admission.
Each entry is read once, however many references stand beside a `$(VAR)`.
"""

from collections.abc import Mapping

from contract.fqn import FqnError, shorten
from contract.references import Template, find_references
from webhook.expansion import Environment, UnknownVariable, names_in
from webhook.pod import Container, EnvVar
from webhook.problem import Problem, Reason


class Variables:
    """`delivered` are those of an earlier call for the same pod, by name: their entries no longer say what they are."""

    def __init__(self, container: Container, service_links: bool, stores: frozenset[str], delivered: Mapping[str, Template]) -> None:
        self._entries = container.env or []
        self._stores, self._service_links, self._delivered = stores, service_links, delivered
        self._environment, self._declared = Environment(service_links), 0

    def resolve(self, place: str, index: int, template: Template) -> Template | Problem:
        """The template with every `$(VAR)` of an entry before `index` put in."""
        for entry in self._entries[self._declared : index]:
            self._environment.declare(entry.name, self._read(entry))
        self._declared = index
        try:
            return self._environment.resolve(template)
        except UnknownVariable as error:
            found = f"'$({shorten(error.name, 60)})' beside a reference, and {error.why}"
            allowed = "$(NAME) of an earlier variable that has a plain value or a reference"
            fix = "set the reference in a variable of its own, and combine the two in the app or in args"
            return Problem(place, Reason.EXPANSION_UNKNOWN, found, allowed, fix)

    def dependents(self, references: Mapping[int, Template], place: str) -> dict[int, Template | Problem]:
        """The plain entries whose `$(VAR)` names a delivered variable, by index, with the references put in."""
        found: dict[int, Template | Problem] = {}
        known = Variables(Container(env=self._entries), self._service_links, self._stores, self._delivered)
        names: set[str] = set()
        for index, entry in enumerate(self._entries):
            if index in references or self._is_delivered(entry):
                names.add(entry.name)
            elif entry.valueFrom is None and entry.value and "$(" in entry.value and not names.isdisjoint(names_in(entry.value)):
                found[index] = known.resolve(f"{place}.env[{entry.name}]", index, Template((entry.value,), ()))
                names.add(entry.name)
            else:
                names.discard(entry.name)  # a plain value of the same name comes after it
        return found

    def overridden(self, references: Mapping[int, object]) -> list[str]:
        """Names that are delivered and set again, later, by something that is not."""
        last = {entry.name: index for index, entry in enumerate(self._entries)}
        delivered = {self._entries[index].name for index in references}
        return [name for name in delivered if last[name] not in references and not self._is_delivered(self._entries[last[name]])]

    def _is_delivered(self, entry: EnvVar) -> bool:
        by_file = entry.valueFrom is not None and entry.valueFrom.fileKeyRef is not None
        return entry.name in self._delivered and (by_file or (entry.valueFrom is None and not entry.value))

    def _read(self, entry: EnvVar) -> str | Template | None:
        if self._is_delivered(entry):
            return self._delivered[entry.name]
        if entry.valueFrom is not None:
            return None
        try:
            return find_references(entry.value or "", self._stores) or entry.value or ""
        except FqnError:
            return None  # a problem of its own, told where it stands
