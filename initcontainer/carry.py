"""From values to the bytes of files, or to every reason why that cannot be: decided in full before anything is written.

What a delivery mode can carry, and in what form, is one object per mode in `MODES`; nothing else looks at a mode's name.
Nothing is altered, trimmed or re-encoded: a value is carried exactly or its pod fails with the reason.
"""

from contract import keys
from contract.envfile import cannot_carry, no_variable, render
from contract.plan import EnvDelivery, Plan
from contract.record import record
from contract.values import SecretValue
from initcontainer.errors import CannotCarry

ENV_FILE_MODE = 0o400  # the kubelet reads it, as root on the node; no container mounts it
EXEC_FILE_MODE = 0o444  # whatever user the app runs as; its container alone mounts the folder
LAUNCHER_MODE = 0o555


@record
class Content:
    """One file to write: its path inside the container's volume, its bytes, its permission bits."""

    path: str
    data: SecretValue
    mode: int


@record
class VolumeContents:
    """All files of one container."""

    container: str
    volume: str
    files: tuple[Content, ...]


@record
class Variable:
    """One environment variable with its value. None: leave it unset."""

    delivery: EnvDelivery
    value: SecretValue | None


class EnvFile:
    """A file per variable, which the kubelet parses: `valueFrom.fileKeyRef`."""

    variables = True

    def limit(self, name: str, value: bytes) -> "Limit | None":
        return cannot_carry(value, name)

    def paths(self, deliveries: "Sequence[EnvDelivery]") -> list[str]:
        return [delivery.path for delivery in deliveries]

    def contents(self, variables: "Sequence[Variable]", launcher: bytes) -> tuple[Content, ...]:  # noqa: ARG002 - the kubelet starts the app
        return tuple(Content(v.delivery.path, self._rendered(v.value), ENV_FILE_MODE) for v in variables)

    def _rendered(self, value: SecretValue | None) -> SecretValue:
        return SecretValue(render(None if value is None else value.reveal()))


class Exec:
    """One file for all variables, and the launcher that starts the app with them: any value but NUL."""

    variables = True

    def limit(self, name: str, value: bytes) -> "Limit | None":
        return no_variable(name, value)

    def paths(self, deliveries: "Sequence[EnvDelivery]") -> list[str]:
        return [f"{keys.EXEC_FOLDER}/{name}" for name in (keys.EXEC_ENV, keys.EXEC_LAUNCHER) if deliveries]

    def contents(self, variables: "Sequence[Variable]", launcher: bytes) -> tuple[Content, ...]:
        if not variables:
            return ()
        from initcontainer import launch  # here: most pods need neither it nor its checksum

        encoded = launch.encode([(v.delivery.name, None if v.value is None else v.value.reveal()) for v in variables])
        env, program = self.paths([v.delivery for v in variables])
        return Content(env, SecretValue(encoded), EXEC_FILE_MODE), Content(program, SecretValue(launcher), LAUNCHER_MODE)


class FilesOnly:
    """The container has files and no variable, so any kubelet will do."""

    variables = False

    def limit(self, name: str, value: bytes) -> "Limit | None":  # noqa: ARG002 - there is none to look at
        return None

    def paths(self, deliveries: "Sequence[EnvDelivery]") -> list[str]:  # noqa: ARG002 - there are none
        return []

    def contents(self, variables: "Sequence[Variable]", launcher: bytes) -> tuple[Content, ...]:  # noqa: ARG002 - there are none
        return ()


MODES: "dict[str, Mode]" = {"envfile": EnvFile(), "exec": Exec(), "files": FilesOnly()}


def plan_faults(plan: Plan) -> list[str]:
    """What is wrong with a plan that its own format does not rule out."""
    faults = [
        f"container {c.name}: mode '{c.mode[:40]}' is not known here; known: {', '.join(MODES)}"
        for c in plan.containers
        if c.mode not in MODES
    ]
    faults += [
        f"container {c.name}: mode '{c.mode}' has no variables, and the plan has {len(c.env)}"
        for c in plan.containers
        if c.env and c.mode in MODES and not MODES[c.mode].variables
    ]
    if any(c.templates for c in plan.containers):
        from initcontainer.templates import unknown_formats

        faults += unknown_formats(plan)
    written: set[tuple[str, str]] = set()
    for container in plan.containers:
        own = MODES[container.mode].paths(container.env) if container.mode in MODES else []
        for path in own + [f.path for f in container.files] + [t.path for t in container.templates]:
            if (container.volume, path) in written:
                faults.append(f"container {container.name}: two deliveries to '{path}' of volume {container.volume}")
            written.add((container.volume, path))
    return faults


def carry(plan: Plan, values: "Values", launcher: bytes = b"", templates: "Templates | None" = None) -> tuple[VolumeContents, ...]:
    """The files of every container; `launcher` is the program for mode exec. Raises CannotCarry with every value that cannot be carried."""
    problems: list[str] = []
    carried = tuple(_carry_container(container, values, launcher, templates, problems) for container in plan.containers)
    if problems:
        raise CannotCarry(*problems)
    return carried


def _carry_container(
    container: "ContainerPlan", values: "Values", launcher: bytes, templates: "Templates | None", problems: list[str]
) -> VolumeContents:
    mode = MODES[container.mode]
    variables = [Variable(delivery, _joined(delivery, values)) for delivery in container.env]
    for variable in variables:
        limit = None if variable.value is None else mode.limit(variable.delivery.name, variable.value.reveal())
        if limit is not None:
            problems.append(_sentence(container.name, variable.delivery.name, limit))
    rendered = [] if templates is None else [Content(t.path, data, t.mode) for t, data in templates.rendered(container, values, problems)]
    if problems:
        return VolumeContents(container.name, container.volume, ())
    files = [Content(f.path, _present(values[f.fqn]), f.mode) for f in container.files]
    try:
        delivered = mode.contents(variables, launcher)
    except ValueError as error:  # of what all variables are together; it shows no value
        problems.append(f"container {container.name}: {error}; files carry the large ones")
        return VolumeContents(container.name, container.volume, ())
    return VolumeContents(container.name, container.volume, (*delivered, *files, *rendered))


def _present(value: SecretValue | None) -> SecretValue:
    """An absent optional file is empty rather than missing: the app's mount of a missing file would fail its start."""
    return SecretValue(b"") if value is None else value


def _joined(delivery: EnvDelivery, values: "Values") -> SecretValue | None:
    """The texts and values of a variable, one after the other.

    values          | texts around them | result
    --------------- | ----------------- | ----------------------------------------
    some            | any               | all joined; what is absent adds nothing
    all absent      | some              | the texts
    all absent      | none              | None: the variable is not set
    """
    found = [values[name] for name in delivery.parts[1::2]]
    texts = [text.encode(errors="surrogatepass") for text in delivery.parts[::2]]
    if not any(texts) and all(value is None for value in found):
        return None
    joined = texts[0]
    for value, text in zip(found, texts[1:], strict=True):
        joined += (b"" if value is None else value.reveal()) + text
    return SecretValue(joined)


def _sentence(container: str, variable: str, limit: "Limit") -> str:
    way_out = "mode exec carries it" if limit.exec_carries else "a file carries it"
    return f"container {container}, env {variable}: {limit.sentence}; {way_out}"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from contract.envfile import Limit
    from contract.plan import ContainerPlan
    from initcontainer.templates import Templates

    Values = Mapping[str, SecretValue | None]  # by the name as the plan spells it; None: absent, and optional

    class Mode(Protocol):
        """How a container's variables reach its process."""

        variables: bool  # whether there can be any

        def limit(self, name: str, value: bytes) -> Limit | None:
            """Why the value cannot be carried exactly in a variable of that name, or None."""
            ...

        def paths(self, deliveries: Sequence[EnvDelivery]) -> list[str]:
            """The files that `contents` makes of them."""
            ...

        def contents(self, variables: Sequence[Variable], launcher: bytes) -> tuple[Content, ...]:
            """The files that carry them. Every value has passed `limit`."""
            ...
