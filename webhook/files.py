"""Files by annotation: which secret goes to which path of which container."""

from collections.abc import Container as Holder
from dataclasses import dataclass

from contract.fqn import Fqn, FqnError, parse_fqn
from webhook.entries import Entry, read_entries
from webhook.mounts import WantedMount
from webhook.problem import Problem

FIELDS = ("mount_path", "secret_fqn", "mode", "containers")
_FORM = "{mount_path, secret_fqn, mode?, containers?}"


@dataclass(frozen=True, slots=True)
class WantedFile(WantedMount):
    """One entry of the annotation."""

    fqn_text: str


def parse_files(place: str, text: str, problems: list[Problem]) -> tuple[WantedFile, ...]:
    """The annotation's entries; faults are added to `problems`."""
    documents = read_entries(place, text, _FORM, problems)
    files = [_file(Entry(f"{place}[{index}]", document, FIELDS, _FORM, problems)) for index, document in enumerate(documents)]
    return tuple(file for file in files if file is not None)


def _file(entry: Entry) -> WantedFile | None:
    if not entry.is_object:
        return None
    mount_path = entry.mount_path()
    fqn = entry.text("secret_fqn", "an FQN", "e.g. tfy-secret://acme:payments:TLS_KEY")
    mode, containers = entry.mode(), entry.containers()
    return WantedFile(entry.place, mount_path, mode, containers, fqn) if entry.is_good else None


def read_fqn(file: WantedFile, stores: Holder[str], problems: list[Problem]) -> Fqn | None:
    try:
        return parse_fqn(file.fqn_text, stores)  # type: ignore[arg-type]  # a Container is all it asks for
    except FqnError as error:
        problems.append(Problem.of_fqn(f"{file.place}.secret_fqn", error))
        return None
