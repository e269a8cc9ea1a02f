"""The broker's API as the command line uses it: HTTPS with one CA, a bearer token, and errors as `broker.errors`.

Leaves out retries: a person sees what happened and decides. Neither the token nor a value is ever in a message.
"""

import binascii
import ssl
from pathlib import Path
from typing import Any, Self

import httpx

from broker.errors import BrokerError, Malformed, Misconfigured, Unavailable
from contract.fqn import Fqn
from contract.values import SecretValue

TIMEOUT = 30.0  # seconds; the broker gives its stores 8


class ApiSecrets:
    """Managed secrets through a broker."""

    def __init__(self, url: str, ca_file: Path | None, token: str) -> None:
        try:
            tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(f"--ca-file {ca_file}: no CA certificate in PEM can be read ({error.strerror or 'not PEM'})") from None
        self._url = url
        headers = {"Authorization": f"Bearer {token}"}
        # No proxy, netrc or other setting of the surroundings: the token goes to this broker and nowhere else.
        self._http = httpx.AsyncClient(base_url=url, verify=tls, headers=headers, timeout=TIMEOUT, trust_env=False)

    async def put(self, fqn: Fqn, value: SecretValue) -> str:
        encoded = binascii.b2a_base64(value.reveal(), newline=False).decode()
        return str((await self._call("PUT", "/v1/secrets", json={"fqn": str(fqn), "value": encoded}))["version"])

    async def get(self, fqn: Fqn) -> SecretValue:
        answer = await self._call("GET", "/v1/secrets/value", params={"fqn": str(fqn)})
        try:
            return SecretValue(binascii.a2b_base64(answer["value"], strict_mode=True))
        except (ValueError, TypeError):
            pass
        raise Malformed(f"the broker at {self._url} sent a value that is not base64; is it a broker?")

    async def names(self, group: str | None) -> list[str]:
        answer = await self._call("GET", "/v1/secrets", params={} if group is None else {"group": group})
        return [str(fqn) for fqn in answer["secrets"]]

    async def versions(self, fqn: Fqn) -> list[tuple[str, str | None]]:
        answer = await self._call("GET", "/v1/secrets/versions", params={"fqn": str(fqn)})
        return [(str(v["version"]), v["created"]) for v in answer["versions"]]

    async def delete(self, fqn: Fqn, version: str | None) -> None:
        await self._call("DELETE", "/v1/secrets", json={"fqn": str(fqn)} | ({} if version is None else {"version": version}))

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"the broker at {self._url} cannot be reached: {_reason(error)}") from None
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Malformed(f"{self._url} answered with status {answer.status_code} and no JSON; is it a broker?")
        if answer.status_code != httpx.codes.OK:
            raise BrokerError(str(document.get("message") or f"the broker refused with status {answer.status_code}"))
        return document

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


def _reason(error: httpx.HTTPError) -> str:
    """A library's words about the connection, which hold addresses and no request."""
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not accepted ({text}). To fix: name the CA with --ca-file or TFY_SECRET_BROKER_CA_FILE"
    return text
