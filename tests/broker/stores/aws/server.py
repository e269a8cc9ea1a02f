"""AWS for the tests: moto's HTTP server, one for the whole run, emptied for each test, and corrected where AWS answers otherwise.

    aws = shared(); aws.url; aws.reset()

The corrections are only those that a test leans on: a put to a deleted secret is refused, a list of versions of a secret that is
not there is a refusal and not a crash.
"""

import atexit
import json
import logging
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from aiohttp import web
from moto.secretsmanager.exceptions import InvalidRequestException, SecretNotFoundException
from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import ThreadedMotoServer

from tests.broker.stores.faults import FaultyProxy
from tests.generic_server import Fault

REGION = "eu-west-1"
ACCOUNT = "123456789012"


class Aws:
    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._warm()

    def reset(self) -> "Aws":
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()
        return self

    def _warm(self) -> None:
        """The first question to a service loads it, which takes seconds on a busy machine: not within a test's time-outs."""
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=x"
        for service, target in (("ssm", "AmazonSSM.GetParameter"), ("secretsmanager", "secretsmanager.GetSecretValue")):
            headers = {"Authorization": scope.format(REGION, service), "X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
            with suppress(HTTPError):
                urlopen(Request(self.url, b'{"Name": "/none", "SecretId": "none"}', headers)).close()

    def stop(self) -> None:
        self._server.stop()


@cache
def shared() -> Aws:
    _correct()
    aws = Aws()
    atexit.register(aws.stop)
    return aws


class IamProxy(FaultyProxy):
    """With a policy: an operation, or a call that names a path, in `denied` is refused as a whole, as IAM does for Parameter Store."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.denied: set[str] = set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if operation in self.denied or any(f'"{name}"' in body for name in self.denied):
            self.faults.insert(0, refusal("AccessDeniedException", "User: x is not authorized to perform it"))
        return await super()._handle(request)


def refusal(code: str, message: str = "", status: int = 400, **headers: str) -> Fault:
    """As AWS refuses in its JSON protocols."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Fault(status=status, headers={"Content-Type": "application/x-amz-json-1.1", **headers}, body=body)


def answer(document: Any) -> Fault:
    return Fault(status=200, headers={"Content-Type": "application/x-amz-json-1.1"}, body=json.dumps(document).encode())


def _correct() -> None:
    put, listed = SecretsManagerBackend.put_secret_value, SecretsManagerBackend.list_secret_version_ids

    def put_secret_value(self: SecretsManagerBackend, secret_id: str, *rest: Any, **named: Any) -> str:
        if self._is_valid_identifier(secret_id) and self.secrets[secret_id].is_deleted():
            raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
        return put(self, secret_id, *rest, **named)

    def list_secret_version_ids(self: SecretsManagerBackend, secret_id: str) -> str:
        if not self._is_valid_identifier(secret_id):
            raise SecretNotFoundException
        document = json.loads(listed(self, secret_id))
        for entry in document["Versions"]:
            entry["CreatedDate"] = self.secrets[secret_id].versions[entry["VersionId"]]["createdate"]
        return json.dumps(document)

    SecretsManagerBackend.put_secret_value = put_secret_value  # type: ignore[method-assign]
    SecretsManagerBackend.list_secret_version_ids = list_secret_version_ids  # type: ignore[method-assign]
