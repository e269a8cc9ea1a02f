"""TrueFoundry's SDK against the broker in the cluster, run in the cluster's network: one line of JSON a question, one an answer.

    python -m tests.e2e.sdk URL ADDRESS CA_FILE

URL has the broker's name, which its certificate has too; ADDRESS is where that is. A question is {"token", "call", "with"}: the call
is a method such as `secret_groups.get`, pages are read to their end. Values in answers are digests. An error is its class's name.
"""

import hashlib
import json
import socket
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
from truefoundry_sdk import Collaborator, SecretGroupManifest, SecretInput, TrueFoundry, UpdateSecretInput
from truefoundry_sdk.core.api_error import ApiError
from truefoundry_sdk.core.pagination import SyncPager

TYPES = {"create": SecretInput, "update": UpdateSecretInput}


def point(name: str, address: str) -> None:
    """The cluster's DNS is not that of this process."""
    known = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **named: known(address if host == name else host, *rest, **named)  # type: ignore[assignment]


def hidden(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _digest(value) if key == "value" and isinstance(value, str) else hidden(value) for key, value in found.items()}
    return [hidden(item) for item in found] if isinstance(found, list) else found


def _digest(value: str) -> str:
    raw = value.encode()
    return f"{len(raw)} {hashlib.sha256(raw).hexdigest()}"


def ask(url: str, trust: ssl.SSLContext, question: dict[str, Any]) -> Any:
    with httpx.Client(verify=trust, trust_env=False) as http:
        client = TrueFoundry(base_url=url, api_key=question["token"], httpx_client=http)
        called: Any = client
        for part in question["call"].split("."):
            called = getattr(called, part)
        given = dict(question["with"])
        if "manifest" in given:
            people = [Collaborator(**one) for one in given["manifest"].pop("collaborators", [])]
            given["manifest"] = SecretGroupManifest(**given["manifest"], collaborators=people)
        if "secrets" in given:
            kind = TYPES[question["call"].rpartition(".")[2]]
            given["secrets"] = [kind(**one) for one in given["secrets"]]
        try:
            found = called(**given, request_options={"max_retries": 0})
            found = list(found) if isinstance(found, SyncPager) else found
        except ApiError as error:
            return {"error": type(error).__name__, "status": error.status_code}
        return {
            "found": hidden(
                json.loads(json.dumps([_plain(one) for one in found] if isinstance(found, list) else _plain(found), default=str))
            )
        }


def _plain(found: Any) -> Any:
    return found.dict() if hasattr(found, "dict") else found


def main(url: str, address: str, ca: str) -> None:
    point(urlsplit(url).hostname or "", address)
    trust = ssl.create_default_context(cafile=ca)
    for line in sys.stdin:
        print(json.dumps(ask(url, trust, json.loads(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
