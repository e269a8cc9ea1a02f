"""Mode `exec`: the launcher stands in front of the container's command, sets the variables and becomes the app.

Works on any kubelet and carries any value but NUL. What it has to rewrite: the env entries (their value is now empty), plain
entries that name one of them in `$(VAR)`, the command, exec probes and exec hooks; `$(VAR)` in their words, which the kubelet
would fill with the empty value, becomes a mark that the launcher fills in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import normpath

from contract import keys
from contract.plan import EnvDelivery
from contract.references import Template
from webhook.draft import Draft
from webhook.expansion import marked, names_in
from webhook.mounts import is_read_only
from webhook.patch import Op, replace
from webhook.pod import Container, PodSpec
from webhook.problem import Problem, Reason
from webhook.reference import EnvReference, Found
from webhook.registry.entrypoint import Entrypoint, argv
from webhook.registry.errors import ImageError, LookupFailed
from webhook.registry.image import parse_image
from webhook.target import Findings, Target

LAUNCH = (f"{keys.EXEC_MOUNT}/{keys.EXEC_LAUNCHER}", f"{keys.EXEC_MOUNT}/{keys.EXEC_ENV}")

_LOOKUP_LENGTH = 600  # characters of what a look-up says: its notes about pull secrets stand at the end, and are half of the way out


@dataclass(slots=True)
class Images:
    """What is known of images: an entrypoint, or why there is none. `wanted` are those that someone has to look up.

    `reachable` False: nobody can, as for `inject` off-cluster.
    """

    known: Mapping[str, Entrypoint | LookupFailed] = field(default_factory=dict)
    reachable: bool = True
    wanted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Exec:
    """Made for one pod: `commands` are the author's, by container."""

    commands: Mapping[str, tuple[str, ...]]
    images: Images
    spec: PodSpec = field(default_factory=PodSpec)
    name: str = "exec"

    def check(self, target: Target, findings: Findings) -> None:
        if not target.launched:  # what an earlier call put there is ours
            self._check_ours(target, findings)
        self._find_dependents(target, findings)
        self._check_paths(target, findings)
        if not starts(target.container):
            self._check_command(target, findings)

    def _check_ours(self, target: Target, findings: Findings) -> None:
        """Our folder and our mark are free."""
        for mount in target.container.volumeMounts or ():
            path = normpath(f"/{mount.mountPath}").replace("//", "/")  # POSIX keeps two slashes in front
            if f"{path}/".startswith(f"{keys.EXEC_MOUNT}/"):
                findings.tell(self._taken(target, f"a mount at '{mount.mountPath}'"))
            elif f"{keys.EXEC_MOUNT}/".startswith(f"{path.rstrip('/')}/") and (mount.readOnly or is_read_only(mount.name, self.spec)):
                findings.tell(self._taken(target, f"a read-only mount at '{mount.mountPath}', in which no mount point can be made"))
        for place, words in self._words(target):
            if any(f"({keys.PLACEHOLDER}" in word for word in words):
                found = f"'({keys.PLACEHOLDER}...' in a word of the command"
                findings.tell(Problem(place, Reason.NOT_DELIVERABLE, found, "words without our own mark", "write $(NAME)"))

    def _taken(self, target: Target, found: str) -> Problem:
        return Problem(target.place, Reason.NAME_TAKEN, found, f"nothing at {keys.EXEC_MOUNT}, which mode exec needs", "mount it elsewhere")

    def _check_paths(self, target: Target, findings: Findings) -> None:
        """The kubelet would make a path of the empty value: of `$(NAME)` alone, the whole volume."""
        names = {reference.name for reference in (*target.references, *target.dependents)}
        for mount in target.container.volumeMounts or ():
            if mount.subPathExpr and not names.isdisjoint(names_in(mount.subPathExpr)):
                place, found = (
                    f"{target.place}.volumeMounts[{mount.mountPath}].subPathExpr",
                    f"'{mount.subPathExpr}', which names a reference",
                )
                findings.tell(
                    Problem(place, Reason.NOT_DELIVERABLE, found, "variables with plain values, in mode exec", "use one of these")
                )

    def deliver(self, target: Target, draft: Draft) -> list[Op]:
        draft.mode = self.name
        operations = []
        for reference in (*target.references, *target.dependents):
            draft.env.append(EnvDelivery(reference.name, f"{keys.EXEC_FOLDER}/{keys.EXEC_ENV}", reference.found.parts))
            operations.append(replace(reference.pointer, {"name": reference.name, "value": ""}))
        names = {delivery.name for delivery in draft.env}
        mounts = target.container.volumeMounts or ()
        if not any(mount.name == draft.volume and mount.mountPath.rstrip("/") == keys.EXEC_MOUNT for mount in mounts):
            draft.mounts.append({"name": draft.volume, "mountPath": keys.EXEC_MOUNT, "subPath": keys.EXEC_FOLDER, "readOnly": True})
        operations += self._command(target, names)
        for _, path, words in target.container.exec_probes():
            operations += _wrap(f"{target.pointer}/{path}", words, names)
        for _, path, words in target.container.exec_hooks():
            operations += _wrap(f"{target.pointer}/{path}", words, set())  # the kubelet expands nothing in a hook, so neither do we
        return operations

    def _words(self, target: Target) -> Iterator[tuple[str, Sequence[str]]]:
        """Every list of words that the author wrote, and where."""
        for place, _, words in target.container.words():
            yield f"{target.place}.{place}", words
        name = target.container.name
        if name in self.commands:
            yield f"metadata.annotations[{keys.COMMAND_OF}{name}]", self.commands[name]

    def _find_dependents(self, target: Target, findings: Findings) -> None:
        references = {reference.entry: reference.template for reference in target.references}
        if target.variables is None:  # `scan` sets it wherever there is a reference, or was one
            return
        entries = target.container.env or []
        dependents: dict[int, Template] = {}
        for index, outcome in target.variables.dependents(references, target.place).items():
            if isinstance(outcome, Problem):
                findings.tell(outcome)
                continue
            dependents[index] = outcome
            reference = EnvReference(target.place, f"{target.pointer}/env", index, entries[index].name, Found.of(outcome))
            target.dependents.append(reference)
        for name in target.variables.overridden(references | dependents):
            found = f"the variable '{name}' with a reference, and later with another value"
            findings.tell(
                Problem(f"{target.place}.env[{name}]", Reason.NOT_DELIVERABLE, found, "one value for it", "remove one of the two")
            )

    def _check_command(self, target: Target, findings: Findings) -> None:
        """The container has a command, the author says one, or its image has to be asked."""
        container = target.container
        if container.command and container.name in self.commands:
            annotation = f"metadata.annotations[{keys.COMMAND_OF}{container.name}]"
            findings.tell(f"{annotation}: not used, since {target.place}.command says what is started; remove one of the two")
        if container.command or container.name in self.commands:
            return
        known = self.images.known.get(container.image or "")
        if isinstance(known, Entrypoint):
            if not argv(known, None, container.args):
                findings.tell(self._no_command(target, f"the image '{container.image}', which has neither ENTRYPOINT nor CMD"))
        elif isinstance(known, LookupFailed):
            findings.tell(self._no_command(target, f"no command, and the image could not be asked: {known.sentence}", known.fix))
        elif not self.images.reachable:
            findings.tell(self._no_command(target, "no command, and no registry that could be asked for the image's"))
        else:
            try:
                parse_image(container.image or "")
                self.images.wanted.add(container.image or "")
            except ImageError as error:
                findings.tell(self._no_command(target, f"no command, and {error}"))

    def _no_command(self, target: Target, found: str, mend: str = "") -> Problem:
        annotation = f"{keys.COMMAND_OF}{target.container.name}"
        fix = f"set command, or the annotation {annotation} to a JSON list, e.g. '[\"/app\"]'{f'; or {mend}' if mend else ''}"
        return Problem(target.place, Reason.COMMAND_UNKNOWN, found, "a container whose command is known, in mode exec", fix, _LOOKUP_LENGTH)

    def _command(self, target: Target, names: set[str]) -> list[Op]:
        container, where = target.container, f"{target.pointer}/command"
        operations = _mark(f"{target.pointer}/args", container.args, names)
        if starts(container):
            return [*operations, *_mark(where, container.command, names)]
        if container.command:
            return [*operations, *_wrap(where, container.command, names)]
        words, cmd = self._launched(container, names)
        operations.append({"op": "add", "path": where, "value": [*LAUNCH, *words]})
        if not container.args and cmd:
            operations.append({"op": "add", "path": f"{target.pointer}/args", "value": list(cmd)})
        return operations

    def _launched(self, container: Container, names: set[str]) -> tuple[list[str], tuple[str, ...]]:
        """Command and arguments of a container that says no command; an image's words are not subject to `$(VAR)`, the author's are."""
        if container.name in self.commands:
            return [marked(word, names) for word in self.commands[container.name]], ()
        image = self.images.known[container.image or ""]
        assert isinstance(image, Entrypoint)  # noqa: S101 - `check` has refused the others
        start = argv(Entrypoint(image.escaped().entrypoint, ()), None, None)
        return list(start), image.escaped().cmd


def starts(container: Container) -> bool:
    """Whether the launcher starts it already. Another webhook's wrapper may have taken the place of `command`, and this into `args`."""
    return _is_wrapped([*(container.command or ()), *(container.args or ())])


def is_whole(container: Container) -> bool:
    """Whether everything that it starts goes through the launcher: what does not would see empty variables."""
    others = [words for _, _, words in (*container.exec_probes(), *container.exec_hooks()) if words]
    return starts(container) and all(map(_is_wrapped, others))


def _is_wrapped(command: list[str]) -> bool:
    """Whether the launcher is there already; another webhook may since have put a wrapper of its own in front."""
    words = tuple(command)
    return any(words[index : index + len(LAUNCH)] == LAUNCH for index, word in enumerate(words) if word == LAUNCH[0])


def _wrap(where: str, words: list[str], names: set[str]) -> list[Op]:
    """Put the launcher in front, once."""
    operations = _mark(where, words, names)
    if words and not _is_wrapped(words):
        operations += [{"op": "add", "path": f"{where}/0", "value": word} for word in reversed(LAUNCH)]
    return operations


def _mark(where: str, words: list[str] | None, names: set[str]) -> list[Op]:
    changed = ((index, word, marked(word, names)) for index, word in enumerate(words or ()) if "$(" in word)
    return [replace(f"{where}/{index}", after) for index, before, after in changed if after != before]
