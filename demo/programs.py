"""The real programs as subprocesses: servers that run until the demo ends, and commands that run once.

Each server takes a free port itself and names it in its log; it is ready when its own /readyz says so. A session of its own
keeps a Ctrl-C at the terminal away from it: the demo stops its servers in order.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

from demo.errors import DemoError
from demo.stopping import undisturbed

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 20.0  # a cold start with nothing compiled takes 3 on a slow machine
STOP_SECONDS = 5.0
COMMAND_SECONDS = 60.0
Environ = Mapping[str, str] | Mapping[str, bytes]


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: the machine's own, with our settings and nobody else's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TFY_SECRET_")} | dict(settings)


class Server:
    """`python -m NAME serve`, with its log in a file."""

    def __init__(self, name: str, settings: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", name, "serve"],
                cwd=ROOT,
                env=surroundings(settings),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> int:
        """The port of its HTTPS listener, once it is ready to answer there."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            port, probes = self._event("listening"), self._event("probes_listening")
            if port and probes and _ready(int(probes["port"])):
                return int(port["port"])
            if not self.running:
                raise DemoError(f"{self.name} ended with exit code {self._process.returncode}. It said:\n{self.last_words()}")
            time.sleep(0.02)
        raise DemoError(f"{self.name} was not ready after {READY_SECONDS:.0f} seconds. It said:\n{self.last_words()}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        if self.running:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])

    def _event(self, name: str) -> dict[str, Any] | None:
        for line in self.log.read_bytes().splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("event") == name:
                    return event
        return None


def run(arguments: list[str], settings: Mapping[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`python -m ARGUMENTS` to its end, with our settings in the machine's environment."""
    return run_exactly([sys.executable, "-m", *arguments], surroundings(settings), stdin)


def run_exactly(words: Sequence[str] | Sequence[bytes], environ: Environ, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A program with this environment and nothing else, found in that environment's PATH. The exit code is the caller's to look at."""
    shown = " ".join(map(os.fsdecode, words[:3]))
    pipe, process = subprocess.PIPE, None
    try:
        with undisturbed():  # a signal inside Popen would leave a child that nobody knows
            process = subprocess.Popen(words, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)  # noqa: S603 - our own
        out, error = process.communicate(stdin, COMMAND_SECONDS)
        return subprocess.CompletedProcess(shown, process.returncode, out, error)
    except subprocess.TimeoutExpired:
        raise DemoError(f"`{shown}` did not end within {COMMAND_SECONDS:.0f} seconds") from None
    except OSError as failure:
        raise DemoError(f"`{shown}` cannot be started ({failure.strerror})") from None
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()


def _ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
