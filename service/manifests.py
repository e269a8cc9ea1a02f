"""A folder of manifests as it stands: which SecretStores and SecretGroups its files hold, also while someone edits them.

Decides what is read (the folder's own *.yaml, *.yml and *.json; not its subfolders, nor links that lead out), when (once two
looks see the same file, so that half a write is not taken for the whole) and what happens to a broken file: it is logged
with its line, never its content, and what it last held stays in force.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import yaml

from contract.catalog import GROUP, STORE
from contract.keys import API_GROUP

SUFFIXES = {".yaml", ".yml", ".json"}
SIZE_LIMIT = 4 * 1024 * 1024  # bytes of a file; a group of 1,000 keys is about 40 KB
DEPTH_LIMIT = 100  # levels; our kinds need 7 in a List
Manifest = Mapping[str, Any]
Seen = tuple[str, int, int, int]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast, where the wheel has it

log = structlog.get_logger()


class BrokenFile(ValueError):
    """Why a file cannot be used: a reason without its content, and the line where there is one."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason, self.line = reason, line
        super().__init__(reason)


class Folder:
    """What the files held when they were last good."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: dict[str, Seen] = {}  # what was read, good or broken
        self._last: dict[str, Seen] = {}  # what the last look saw
        self._content: dict[str, list[Manifest]] = {}
        self._places: dict[tuple[str, str], list[str]] = {}  # the files that define each object, one for each time
        self._readable: bool | None = None

    def look(self, *, settle: bool) -> bool:
        """Read what changed; True if anything did. `settle`: only files that the look before saw in the same state."""
        found = self._scan()
        if found is None:
            return False
        first, before, self._last = not self._taken and not self._last, self._last, found
        due = {name: seen for name, seen in found.items() if self._taken.get(name) != seen and (not settle or before.get(name) == seen)}
        gone = self._taken.keys() - found.keys() - before.keys() if settle else self._taken.keys() - found.keys()
        for name in gone:
            del self._taken[name]
            self._hold(name, ())
        taken = [self._take(name, seen) for name, seen in due.items()]
        return first or bool(gone) or any(taken)

    def manifests(self, kind: str, file: str | None = None) -> list[Manifest]:
        """The objects of the kind, of one file or all, less those that two places claim."""
        ours = None if file is None else {id(manifest) for manifest in self._content.get(file, ())}
        return [found[0] for found in self._by_name(kind).values() if len(found) == 1 and (ours is None or id(found[0]) in ours)]

    def files_of(self, kind: str, name: str) -> list[str]:
        """The files that define the object; more than one is a mistake of theirs."""
        return list(self._places.get((kind, name), ()))

    def names(self, kind: str) -> list[str]:
        """Of all that any file defines, usable or not."""
        return [name for found, name in self._places if found == kind]

    def names_in(self, file: str) -> set[tuple[str, str]]:
        return {_id(manifest) for manifest in self._content.get(file, ())}

    def saved(self, kind: str, name: str) -> datetime | None:
        """When the file that defines the object was written, as it was last read."""
        seen = [self._taken[file] for file in self._places.get((kind, name), ()) if file in self._taken]
        return datetime.fromtimestamp(seen[0][2] / 1e9, UTC) if seen else None

    def reread(self, file: str) -> None:
        """Read one file as it is now, without waiting for it to settle."""
        path = self._folder / file
        try:
            state = path.stat()
        except OSError:
            for known in (self._taken, self._last):
                known.pop(file, None)
            self._hold(file, ())
            return
        seen = (str(path.resolve()), state.st_ino, state.st_mtime_ns, state.st_size)
        self._last[file] = seen
        self._take(file, seen)

    def duplicates(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Names that two places claim: neither is used, since either could be the wrong one."""
        problems: dict[tuple[str, str], tuple[str, ...]] = {}
        for kind in (STORE, GROUP):
            for name, found in self._by_name(kind).items():
                if len(found) > 1:
                    problems[kind, name] = (
                        f"metadata.name: {kind} '{name}' is defined {len(found)} times (in {self._files(found)}); keep one",
                    )
        return problems

    def _by_name(self, kind: str) -> dict[str, list[Manifest]]:
        named: dict[str, list[Manifest]] = {}
        for content in self._content.values():
            for manifest in content:
                if manifest["kind"] == kind:
                    named.setdefault(_id(manifest)[1], []).append(manifest)
        return named

    def _files(self, manifests: list[Manifest]) -> str:
        """The files that hold any of these very objects."""
        wanted = {id(manifest) for manifest in manifests}
        return ", ".join(sorted(name for name, content in self._content.items() if not wanted.isdisjoint(map(id, content))))

    def _scan(self) -> dict[str, Seen] | None:
        """Each file's identity. A link must end inside the folder, as those of a ConfigMap volume (`..data`) do."""
        found: dict[str, Seen] = {}
        try:
            root = self._folder.resolve(strict=True)
            names = sorted(os.listdir(root))  # noqa: PTH208 - names alone
        except OSError as error:
            self._report_folder(error)
            return None
        self._readable = True
        for name in names:
            if name.startswith(".") or Path(name).suffix.lower() not in SUFFIXES:
                continue
            try:
                real = (root / name).resolve(strict=True)
                state = real.stat()
            except (OSError, RuntimeError):
                continue  # vanished since, a link to nowhere, or a loop of links (RuntimeError before Python 3.13)
            if real.is_file() and real.is_relative_to(root):
                found[name] = (str(real), state.st_ino, state.st_mtime_ns, state.st_size)
        return found

    def _report_folder(self, error: OSError) -> None:
        if self._readable is not False:
            log.error("manifests_unreadable", folder=str(self._folder), reason=error.strerror)
        self._readable = False

    def _take(self, name: str, seen: Seen) -> bool:
        self._taken[name] = seen
        try:
            self._hold(name, read_file(Path(seen[0])))
        except BrokenFile as error:
            kept = len(self._content.get(name, ()))
            log.error(  # noqa: TRY400 - the reason says it all
                "manifest_broken", file=str(self._folder / name), line=error.line, reason=error.reason, objects_kept=kept
            )
            return False
        return True

    def _hold(self, file: str, content: Sequence[Manifest]) -> None:
        """From now on the file defines these; none: it is gone, or holds nothing of ours."""
        for manifest in self._content.pop(file, ()):
            places = self._places[_id(manifest)]
            places.remove(file)
            if not places:
                del self._places[_id(manifest)]
        if content:
            self._content[file] = list(content)
        for manifest in content:
            self._places.setdefault(_id(manifest), []).append(file)


def _id(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], str(manifest["metadata"].get("name"))


def read_file(path: Path) -> list[Manifest]:
    """The SecretStores and SecretGroups of one file. Raises BrokenFile."""
    try:
        text = _text(path)
        check_depth(text)
        return [manifest for document in yaml.load_all(text, Loader=_LOADER) for manifest in _ours(document)]
    except OSError as error:
        raise BrokenFile(f"cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = re.sub(r"\s*['\"].*['\"]", "", error.problem or "not YAML", flags=re.DOTALL)  # the quoted part is content
        raise BrokenFile(reason, None if mark is None else mark.line + 1) from None
    except UnicodeDecodeError:
        raise BrokenFile("not UTF-8") from None
    except BrokenFile:
        raise
    except (yaml.YAMLError, ValueError):
        raise BrokenFile("not YAML: a character or a number that it does not have") from None


def _text(path: Path) -> str:
    if path.stat().st_size > SIZE_LIMIT:
        raise BrokenFile(f"larger than {SIZE_LIMIT // 1024 // 1024} MiB")
    return path.read_text(encoding="utf-8")


def check_depth(text: str) -> None:
    """Refuse what libyaml would overflow the stack on: it builds a document by recursion in C, but gives events without."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise BrokenFile(f"nested more than {DEPTH_LIMIT} deep", event.start_mark.line + 1 if event.start_mark else None)


def _ours(document: Any) -> Iterator[Manifest]:
    """Our kinds in a document or in a List of them. Another API group's SecretStore is not ours."""
    if not isinstance(document, dict):
        return
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _ours(item)
    elif document.get("kind") in (STORE, GROUP) and str(document.get("apiVersion", API_GROUP)).partition("/")[0] == API_GROUP:
        if not isinstance(document.get("metadata"), dict):
            raise BrokenFile(f"a {document['kind']} without metadata.name")
        yield document
