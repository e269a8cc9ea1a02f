"""Groups as manifests in a folder, where no Kubernetes API is used: the same changes, written into the files that hold them.

A file keeps its comments, its other documents and its mode (`splice`), or the change is refused. What is pending and what people did is
in `.secret-groups/` beside the files, one JSON file a group, which no reader of manifests looks at. One broker writes a folder: it
holds a lock, and so knows that what is pending and not its own belongs to one that is gone.

pending is written                         | when
------------------------------------------ | ----------------------------------------
the former and the new together            | before the manifest
the new alone                              | after the manifest
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from broker.errors import InvalidRequest, Misconfigured, Unavailable
from broker.groups import durable
from broker.groups.activity import merged
from broker.groups.held import Held, collaborators_of, fingerprint, last_change, manager_of, rules_of, time_of
from broker.groups.index import Index
from broker.groups.intents import Intent, decode, encode, foreign
from broker.groups.model import Activity
from broker.groups.resources import Edit, Fresh, Stale
from broker.groups.splice import CannotEdit, with_lists, without
from contract.catalog import GROUP
from contract.keys import API_VERSION
from contract.resources import ResourceError, parse_group
from service.catalog import FolderCatalog
from service.manifests import BrokenFile, Manifest, read_file

T = TypeVar("T")
STATE = ".secret-groups"
_LOCK = "lock"
TRIES = 3  # to find a group whose file went while it was read
_LONGEST_STEM = 255 - len(".secretgroup-.yaml.12345678.tmp")  # a file's name has at most 255 bytes, `durable`'s aside too


class FolderResources:
    """`live` reads the same folder, and `index` follows it."""

    owned = True

    def __init__(self, folder: Path, live: FolderCatalog, index: Index) -> None:
        self._folder, self._live, self._index = folder, live, index
        self._writing = asyncio.Lock()
        self._lock: int | None = None

    async def read(self, name: str) -> Held | None:
        """One that goes while it is read is not there; a file that cannot be read says why."""
        for _ in range(TRIES):
            file = self._file_of(name)
            if file is None:
                return None
            with suppress(Stale):
                return await self._run(partial(self._held, file, name))
            self._live.look()  # what it held last is no base for a change, so the file is looked for again
        raise Misconfigured(f"SecretGroup {name}: its file cannot be read as it is now. To fix: finish or correct the edit, then try again")

    async def create(self, fresh: Fresh) -> Held:
        async with self._writing:
            if self._live.folder.files_of(GROUP, fresh.name):
                raise Stale
            file = f"secretgroup-{_stem(fresh.name)}.yaml"
            state = {"created": datetime.now(UTC).isoformat(), "created_by": fresh.created_by, "pending": encode(fresh.pending)}
            await self._run(lambda: self._make(file, fresh, state))
            return await self._written(file, fresh.name)

    async def change(self, held: Held, edit: Edit) -> Held:
        async with self._writing:
            file = self._file_of(held.name)
            if file is None:
                raise Stale
            await self._run(lambda: self._edit(file, held, edit))
            return await self._written(file, held.name)

    async def delete(self, held: Held) -> None:
        async with self._writing:
            file = self._file_of(held.name)
            if file is None:
                return
            await self._run(lambda: self._remove(file, held))
            self._live.wrote(file)

    async def remember(self, name: str, entries: Sequence[Activity]) -> None:
        def add() -> list[Mapping[str, Any]] | None:
            state = self._state(name)
            if not state and not self._live.folder.files_of(GROUP, name):
                return None
            activity = merged(state.get("activity") or (), entries)
            self._put_state(name, state | {"activity": activity})
            return activity

        async with self._writing:
            activity = await self._run(add)
            if activity is not None:  # the files that are watched say nothing of it
                self._index.remember(name, tuple(activity))

    def pending(self) -> Iterable[str]:
        """Only for the folder's one writer. What is left of a group whose file was never made, or is gone, goes."""
        found = [p for p in sorted((self._folder / STATE).glob("*.json")) if b'"pending"' in (durable.read(p) or b"")]
        if not found or self._writing.locked():
            return []
        try:
            self._own()
        except (OSError, Unavailable):
            return []
        names = {_stem(name): name for name in self._live.folder.names(GROUP)}
        for path in [p for p in found if p.stem not in names]:
            path.unlink(missing_ok=True)
        return [names[path.stem] for path in found if path.stem in names]

    async def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _run(self, work: Callable[[], T]) -> T:
        """In a thread, since a disk may be slow; its errors as ours."""
        try:
            return await asyncio.to_thread(work)
        except (durable.Edited, BrokenFile):
            raise Stale from None
        except CannotEdit as error:
            problem: Exception = InvalidRequest(str(error))
        except OSError as error:
            problem = Misconfigured(
                f"TFY_SECRET_MANIFESTS {self._folder}: cannot be written ({error.strerror}). "
                "To fix: a folder that the broker's user can write, or edit the manifests by hand"
            )
        raise problem

    def _file_of(self, name: str) -> str | None:
        """As the folder was last looked at, and if it is not there, as it is now."""
        for look in (False, True):
            if look:
                self._live.look()
            files = self._live.folder.files_of(GROUP, name)
            if len(files) > 1:
                raise Misconfigured(f"SecretGroup {name} is defined {len(files)} times ({', '.join(sorted(files))}). To fix: keep one")
            if files:
                return files[0]
        return None

    async def _written(self, file: str, name: str) -> Held:
        self._live.wrote(file)
        held = await self._run(lambda: self._held(file, name))
        if held is None:
            raise Stale
        return held

    # --- in a thread -------------------------------------------------------------------------------------------------

    def _held(self, file: str, name: str) -> Held | None:
        path = self._folder / file
        manifest = next((m for m in read_file(path) if m["kind"] == GROUP and m["metadata"].get("name") == name), None)
        return None if manifest is None else self.held(manifest, path)

    def held(self, manifest: Manifest, path: Path | None = None) -> Held:
        """Raises Misconfigured. `path` None: with the time that its file had when it was last read."""
        name = str(manifest["metadata"]["name"])
        state = self._state(name)
        try:
            group = parse_group(manifest)
        except ResourceError as error:
            raise Misconfigured(f"SecretGroup {name} cannot be used: {'; '.join(error.problems)}. To fix: correct its file") from None
        collaborators = collaborators_of(manifest)
        pending = decode(state.get("pending"))
        saved = self._live.folder.saved(GROUP, name) if path is None else durable.saved(path)
        activity = tuple(entry for entry in state.get("activity") or () if isinstance(entry, dict))
        return Held(
            group=group,
            collaborators=collaborators,
            version=fingerprint([group.store, sorted(group.keys), sorted([c.subject, c.role] for c in collaborators)]),
            mark=fingerprint([manifest, state.get("pending")]),
            pending=pending,
            created=time_of(state.get("created")) or saved,
            created_by=state.get("created_by"),
            updated=max((time for time in (saved, last_change(activity)) if time is not None), default=None),
            managed_by=manager_of(manifest["metadata"]),
            activity=activity,
        )

    def _make(self, file: str, fresh: Fresh, state: dict[str, Any]) -> None:
        self._own()
        document = {
            "apiVersion": API_VERSION,
            "kind": GROUP,
            "metadata": {"name": fresh.name},
            "spec": {"store": fresh.store, "keys": [], "collaborators": rules_of(fresh.collaborators)},
        }
        import yaml

        content = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
        self._put_state(fresh.name, state)
        durable.write(self._folder / file, content, None)

    def _edit(self, file: str, held: Held, edit: Edit) -> None:
        self._own()
        path = self._writable(file)
        seen = durable.read(path)
        if self._fresh(file, held.name).mark != held.mark or seen is None:
            raise Stale
        lists: dict[str, Any] = {}
        if edit.keys is not None and edit.keys != held.keys:
            lists["keys"] = list(edit.keys)
        if edit.collaborators is not None:
            lists["collaborators"] = rules_of(edit.collaborators)
        made = with_lists(_text(seen), held.name, lists).encode() if lists else seen
        if edit.pending is not None:
            both = {found.id: found for found in (*held.pending, *edit.pending)}
            self._put_pending(held.name, tuple(both.values()))
        if made != seen:
            self._keep_created(held.name, path)
            durable.write(path, made, seen)
        if edit.pending is not None:
            self._put_pending(held.name, edit.pending)

    def _remove(self, file: str, held: Held) -> None:
        self._own()
        path = self._writable(file)
        seen = durable.read(path)
        if seen is None or self._fresh(file, held.name).mark != held.mark:
            raise Stale
        rest = without(_text(seen), held.name)
        if rest is None:
            durable.remove(path, seen)
        else:
            durable.write(path, rest.encode(), seen)
        state = self._folder / STATE / f"{_stem(held.name)}.json"
        state.unlink(missing_ok=True)

    def _fresh(self, file: str, name: str) -> Held:
        found = self._held(file, name)
        if found is None:
            raise Stale
        return found

    def _writable(self, file: str) -> Path:
        path = self._folder / file
        if path.is_symlink():  # a ConfigMap's volume: replacing the link would fork its content
            raise Misconfigured(f"{path}: is a link, so it is not written. To fix: change what it points to, or use a plain file")
        return path

    def _own(self) -> None:
        """Be the folder's one writer. Raises Unavailable, OSError."""
        if self._lock is None:
            (self._folder / STATE).mkdir(mode=0o700, exist_ok=True)
            self._lock = durable.lock(self._folder / STATE / _LOCK)
            if self._lock is not None:
                for folder in (self._folder, self._folder / STATE):
                    durable.sweep(folder)
        if self._lock is None:
            raise Unavailable(f"another broker writes the folder {self._folder}. To fix: stop it, or send the request to it")

    def _state(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(durable.read(self._folder / STATE / f"{_stem(name)}.json") or b"{}")
        except (OSError, ValueError):
            return {}
        kinds = {"pending": str, "activity": list, "created": str, "created_by": str}  # what has another type was not written by us
        return {k: v for k, v in found.items() if k in kinds and isinstance(v, kinds[k])} if isinstance(found, dict) else {}

    def _put_pending(self, name: str, pending: tuple[Intent, ...]) -> None:
        state = self._state(name)
        made = encode(pending, foreign(state.get("pending")))
        if state.get("pending") != made:
            self._put_state(name, state | {"pending": made})

    def _keep_created(self, name: str, path: Path) -> None:
        """Of one that was made by hand its file's time is all that is known, and we are about to move that."""
        state = self._state(name)
        if "created" not in state:
            self._put_state(name, state | {"created": durable.saved(path).isoformat()})

    def _put_state(self, name: str, state: dict[str, Any]) -> None:
        self._own()
        path = self._folder / STATE / f"{_stem(name)}.json"
        kept = {key: value for key, value in state.items() if value}
        durable.write(path, json.dumps(kept, separators=(",", ":")).encode(), durable.read(path), 0o600)


def _stem(name: str) -> str:
    """A group's name in the names of its files; of a long one its beginning and a digest."""
    return name if len(name) <= _LONGEST_STEM else f"{name[: _LONGEST_STEM - 33]}.{sha256(name.encode()).hexdigest()[:32]}"


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CannotEdit("the file is not UTF-8") from None
