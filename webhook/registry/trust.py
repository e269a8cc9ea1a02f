"""Which certificates are trusted: the system's, and those of TFY_SECRET_REGISTRY_CA_FILE, read again when the file changes."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

from webhook.registry.errors import LookupFailed, LookupReason

Seen = tuple[int, int, int] | None


class Trust:
    """`context` is cheap while the file stays as it is. A file that becomes unreadable leaves the last good one in force."""

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self._seen: Seen = None
        self._context: ssl.SSLContext | None = None
        self._loading = asyncio.Lock()

    async def context(self) -> ssl.SSLContext:
        """Raises LookupFailed while there was no good file yet."""
        async with self._loading:
            seen = self._stat()
            if self._context is None or seen != self._seen:
                self._seen = seen
                with suppress(OSError):  # an SSLError is one
                    self._context = await asyncio.to_thread(self._load)  # the system's 140 authorities take 50 ms
            if self._context is None:
                raise LookupFailed(
                    LookupReason.INSECURE,
                    f"TFY_SECRET_REGISTRY_CA_FILE: found '{self._ca_file}', which cannot be read; allowed: a file of PEM certificates",
                    "correct the setting or the file",
                )
            return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(cafile=str(self._ca_file))
        return context

    def _stat(self) -> Seen:
        if self._ca_file is None:
            return None
        try:
            found = self._ca_file.stat()
        except OSError:
            return self._seen
        return found.st_ino, found.st_mtime_ns, found.st_size
