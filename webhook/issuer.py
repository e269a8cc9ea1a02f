"""Asks `webhook.issuing` what the certificates' Secrets are to hold; the process lives for one look and is started when first asked.

What was found right is not asked again for an hour: certificates live for months, and are replaced with weeks to spare.
"""

import asyncio
import base64
import json
import os
import sys
from datetime import datetime, timedelta
from typing import Any, Self

import structlog

from webhook.errors import DamagedAuthority, IssuerFailed

Content = dict[str, bytes]
RECHECK = timedelta(hours=1)
SECONDS = 20.0  # for one answer; a busy node has started the process after a few
LINE = 1024 * 1024  # bytes; a Secret has at most this
log = structlog.get_logger()


class Settled:
    """Questions whose answer was "as it is", and until when that is believed."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[dict[str, Any], datetime]] = {}

    def holds(self, name: str, question: dict[str, Any], now: datetime) -> bool:
        known, until = self._until.get(name, ({}, now))
        return known == question and until - RECHECK <= now < until

    def note(self, name: str, question: dict[str, Any], now: datetime) -> None:
        self._until[name] = (question, now + RECHECK)


class Issuer:
    """One look's questions, one after another. Raises IssuerFailed when the process does not answer."""

    def __init__(self, settled: Settled, now: datetime) -> None:
        self._settled, self._now = settled, now
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()  # it holds nothing that is not in a Secret or lost with the look
            await self._process.wait()

    async def authority(self, name: str, held: Content | None, known: bytes) -> Content:
        """What the CA's Secret is to hold. Raises DamagedAuthority. `known` is a bundle that was handed out before."""
        return await self._decide(name, held, {"names": [], "known": base64.b64encode(known).decode()})

    async def leaf(self, name: str, held: Content | None, authority: Content, names: tuple[str, ...]) -> Content:
        """What a server's Secret is to hold."""
        return await self._decide(name, held, {"names": list(names), "authority": _encoded(authority)})

    async def _decide(self, name: str, held: Content | None, rest: dict[str, Any]) -> Content:
        question = {"held": None if held is None else _encoded(held), **rest}
        if held is not None and self._settled.holds(name, question, self._now):
            return held
        answer = await self._ask({**question, "now": self._now.isoformat()})
        if "damaged" in answer:
            raise DamagedAuthority(answer["damaged"])
        wanted = {key: base64.b64decode(value) for key, value in answer["content"].items()}
        if answer["reason"]:
            log.info("certificate_due", secret=name, reason=answer["reason"])
        if wanted == held:
            self._settled.note(name, question, self._now)
        return wanted

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(SECONDS):
                process = self._process = self._process or await _start()
                assert process.stdin is not None  # noqa: S101 - both are pipes
                assert process.stdout is not None  # noqa: S101 - as above
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            found: dict[str, Any] = json.loads(line)
        except (OSError, TimeoutError, ValueError) as error:
            reason = type(error).__name__  # the content may be a key
        else:
            return found
        raise IssuerFailed(f"certificates cannot be made: python -m webhook.issuing does not answer ({reason})")


async def _start() -> asyncio.subprocess.Process:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}  # our packages, wherever we found them
    command = (sys.executable, "-m", "webhook.issuing")
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing, env=environ, limit=LINE)


def _encoded(content: Content) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in content.items()}
