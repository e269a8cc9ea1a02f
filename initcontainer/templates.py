"""Config files of a plan: read where the kubelet has put them, asked what they name, rendered with the values.

All are read before the broker is asked, so that their references travel in the same one request as all others. A file that
several containers get is read and rendered once.
"""

from contract.keys import SOURCE_FILE
from contract.record import record
from contract.rendering import RenderError, render
from contract.template import FORMATS, MAX_SOURCE, Template, TemplateError, read_template
from contract.values import SecretValue
from contract.wire import MAX_SECRETS
from initcontainer.errors import TemplateBroken


@record
class Templates:
    """`found` has every source of the plan in the format that it is wanted in; None for an optional one that is not there."""

    plan: "Plan"
    found: "dict[Source, Template | None]"
    made: "dict[Source, SecretValue]"

    @classmethod
    def read(cls, plan: "Plan", folder: str) -> "Templates":
        """Raises TemplateBroken with every fault of every file."""
        found: dict[Source, Template | None] = {}
        problems: list[str] = []
        for container in plan.containers:
            for delivery in container.templates:
                if _source(delivery) not in found:
                    found[_source(delivery)] = _read(f"{folder}/{delivery.source}/{SOURCE_FILE}", container, delivery, problems)
        names = {str(mention.fqn.required) for template in found.values() if template for mention in template.mentions}
        if len(names) > MAX_SECRETS:
            problems.append(f"the config files of the pod name {len(names)} different secrets; allowed: {MAX_SECRETS} in one pod")
        if problems:
            raise TemplateBroken(*problems)
        return cls(plan, found, {})

    def references(self) -> "Iterator[tuple[str, str]]":
        """Place and name, each name once for a file: where it stands first."""
        for container in self.plan.containers:
            for delivery in container.templates:
                template = self.found[_source(delivery)]
                for name, mention in template.names.items() if template else ():
                    yield f"{_place(container, delivery)}, {mention.place}", name

    def rendered(
        self, container: "ContainerPlan", values: "Values", problems: "list[str]"
    ) -> "Iterator[tuple[TemplateDelivery, SecretValue]]":
        """What a container gets; what a value makes impossible is added to `problems`."""
        for delivery in container.templates:
            try:
                yield delivery, self._rendered(_source(delivery), values)
            except RenderError as error:
                problems += [f"{_place(container, delivery)}, {sentence}" for sentence in error.sentences]

    def _rendered(self, source: "Source", values: "Values") -> SecretValue:
        def value_of(fqn: "Fqn") -> bytes | None:
            value = values[str(fqn)]
            return None if value is None else value.reveal()

        if source not in self.made:
            template = self.found[source]
            self.made[source] = SecretValue(b"" if template is None else render(template, value_of))
        return self.made[source]


def unknown_formats(plan: "Plan") -> list[str]:
    """Formats that a newer webhook may know."""
    return [
        f"container {container.name}: format '{delivery.format[:40]}' is not known here; known: {', '.join(FORMATS)}"
        for container in plan.containers
        for delivery in container.templates
        if delivery.format not in FORMATS
    ]


def _source(delivery: "TemplateDelivery") -> "Source":
    return delivery.source, delivery.format


def _place(container: "ContainerPlan", delivery: "TemplateDelivery") -> str:
    return f"container {container.name}, file {delivery.mount_path} (ConfigMap {delivery.config_map}, key {delivery.key})"


def _read(path: str, container: "ContainerPlan", delivery: "TemplateDelivery", problems: list[str]) -> Template | None:
    place = _place(container, delivery)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 3 ms
            return read_template(file.read(MAX_SOURCE + 1), delivery.format)
    except FileNotFoundError:
        if not delivery.optional:
            problems.append(f"{place}: it is not there; allowed: a ConfigMap with that key, or optional: true")
    except OSError as error:
        problems.append(f"{place}: it cannot be read: {error.strerror}")
    except TemplateError as error:
        problems += [
            f"{place}, line {f.line}, column {f.column}: found {f.found}; allowed: {f.allowed}; to fix: {f.fix}" for f in error.faults
        ]
    return None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.fqn import Fqn
    from contract.plan import ContainerPlan, Plan, TemplateDelivery
    from initcontainer.carry import Values

    Source = tuple[str, str]  # the folder of our mounts, and the format
