# ruff: noqa: INP001 - a program of one file
"""A small AI gateway: it reads a model list in LiteLLM's style, and sends each request on with the key of the model that it names.

    python gateway.py /etc/gateway/config.yaml [PORT]

    GET  /health                 ok
    GET  /v1/models              the models' names
    POST /v1/chat/completions    {"model": NAME, ...} goes to the model's api_base, with its api_key

Callers show the master key, apps never see a provider's. Needs Python and PyYAML. It is an example of an app that reads a rendered
config file, and no replacement for a real gateway: nothing is streamed, counted or tried again.
"""

import hmac
import json
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

MAX_BODY = 1024 * 1024  # bytes
SECONDS = 60.0


class Models:
    """The config file, as it is when the process starts."""

    def __init__(self, path: Path) -> None:
        config = yaml.safe_load(path.read_bytes())
        self.master_key: str = config["general_settings"]["master_key"]
        self.by_name: dict[str, dict[str, Any]] = {model["model_name"]: model["litellm_params"] for model in config["model_list"]}

    def accepts(self, header: str) -> bool:
        return hmac.compare_digest(header.encode("latin-1"), f"Bearer {self.master_key}".encode())


class Gateway(BaseHTTPRequestHandler):
    """One connection of a caller."""

    models: Models
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        elif self.path == "/v1/models" and self._is_allowed():
            names = [{"id": name, "object": "model"} for name in self.models.by_name]
            self._answer(200, {"object": "list", "data": names})
        elif self.path != "/v1/models":
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self._answer(413, {"error": f"a body of at most {MAX_BODY} bytes, with its length, is needed"})
            return
        body = self.rfile.read(int(length))
        if self.path != "/v1/chat/completions":
            self._answer(404, {"error": "not found"})
        elif self._is_allowed():
            self._forward(body)

    def _is_allowed(self) -> bool:
        if self.models.accepts(self.headers.get("Authorization", "")):
            return True
        self._answer(401, {"error": "the master key is needed"})
        return False

    def _forward(self, body: bytes) -> None:
        try:
            wanted = json.loads(body)
            model = self.models.by_name[wanted["model"]]
        except (ValueError, KeyError, TypeError):
            self._answer(404, {"error": f"unknown model; known: {', '.join(self.models.by_name)}"})
            return
        try:
            status, answer = _ask(model, wanted | {"model": model["model"].rpartition("/")[2]})
        except (OSError, HTTPException, ValueError) as error:
            self._answer(502, {"error": f"the provider does not answer ({type(error).__name__})"})
            return
        self._send(status, answer)

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, json.dumps(document).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, _format: str, *_words: object) -> None:
        """Nothing: a caller's path is the caller's."""


def _ask(model: dict[str, Any], document: dict[str, Any]) -> tuple[int, bytes]:
    base = urlsplit(model["api_base"])
    connect = HTTPSConnection if base.scheme == "https" else HTTPConnection
    connection = connect(base.hostname or "", base.port, timeout=SECONDS)
    try:
        headers = {"Authorization": f"Bearer {model['api_key']}", "Content-Type": "application/json"}
        connection.request("POST", f"{base.path}/chat/completions", json.dumps(document), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def main(config: str, port: str = "4000") -> None:
    Gateway.models = Models(Path(config))
    sys.stderr.write(f"{len(Gateway.models.by_name)} models on port {port}\n")
    with ThreadingHTTPServer(("", int(port)), Gateway) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
