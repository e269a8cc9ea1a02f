"""`python -m webhook.issuing`: what the certificates' Secrets are to hold, decided in a process of its own that ends.

The library that makes certificates takes 8 MiB, and is needed for milliseconds every few weeks: the webhook, which is always
there, does without (`issuer` starts this one). Questions come as lines of JSON on standard input, answers go out the same way;
private keys pass through these pipes and nowhere else. `ca` has the rules; here is only what a question means.
"""

import base64
import json
import sys
from datetime import datetime
from typing import Any

from webhook.ca import Authority, KeyPair, advance, check_authority, issue, leaf_problem
from webhook.errors import DamagedAuthority

Content = dict[str, bytes]  # of a Secret


def authority_content(held: Content | None, known: bytes, now: datetime) -> Content:
    """What the CA's Secret is to hold. Raises DamagedAuthority: it is never replaced."""
    found = None
    if held is not None:
        found = _authority(held)
        check_authority(found)
    made = advance(found, now, known=known)
    content = {"tls.crt": made.signing.certificate, "tls.key": made.signing.key, "ca.crt": made.bundle}
    if made.coming:
        content |= {"next.crt": made.coming.certificate, "next.key": made.coming.key}
    return content


def leaf_content(held: Content | None, authority: Content, names: tuple[str, ...], now: datetime) -> tuple[Content, str | None]:
    """What a server's Secret is to hold, and why that is a new certificate, if it is."""
    held, signer = held or {}, _authority(authority)
    pair = KeyPair(held.get("tls.crt", b""), held.get("tls.key", b""))
    problem = leaf_problem(pair, signer, names, now) if held else "there is none"
    if problem:
        pair = issue(signer.signing, names, now)
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": signer.bundle}, problem


def _authority(held: Content) -> Authority:
    coming = KeyPair(held.get("next.crt", b""), held.get("next.key", b"")) if "next.crt" in held or "next.key" in held else None
    return Authority(KeyPair(held.get("tls.crt", b""), held.get("tls.key", b"")), coming, held.get("ca.crt", b""))


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """One question's answer: {"content", "reason"}, or {"damaged"} with a sentence."""
    held, now = question["held"] and decoded(question["held"]), datetime.fromisoformat(question["now"])
    if question["names"]:
        content, reason = leaf_content(held, decoded(question["authority"]), tuple(question["names"]), now)
        return {"content": encoded(content), "reason": reason}
    try:
        return {"content": encoded(authority_content(held, base64.b64decode(question["known"]), now)), "reason": None}
    except DamagedAuthority as error:
        return {"damaged": str(error)}


def encoded(content: Content) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in content.items()}


def decoded(content: dict[str, str]) -> Content:
    return {name: base64.b64decode(value) for name, value in content.items()}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201 - the pipe to the webhook


if __name__ == "__main__":
    main()
