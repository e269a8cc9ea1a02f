"""The example of docs/templates.md: the webhook takes its manifests, and its program serves a rendered file as the page says."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from contract.catalog import Catalog
from contract.rendering import render
from contract.template import read_template
from tests.manifests.built import MANIFESTS, built, one
from tests.webhook.pods import cluster
from webhook.inject import Injector

EXAMPLE = "examples/ai-gateway"
KEYS = {
    "tfy-secret://acme:llm:OPENAI_KEY": 'sk-"openai": #1',
    "tfy-secret://acme:llm:MISTRAL_KEY": "it's 'mistral'\\n",
    "tfy-secret://acme:llm:HOUSE_KEY": "1e3",
    "tfy-secret://acme:llm:MASTER_KEY": "true",
}


class Provider(BaseHTTPRequestHandler):
    """Tells what it was asked with."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"path": self.path, "key": self.headers["Authorization"], "model": asked["model"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, with all models at one provider."""
    provider = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=provider.serve_forever)
    thread.start()
    template = read_template((MANIFESTS / EXAMPLE / "config.yaml").read_bytes(), "yaml")
    config = yaml.safe_load(render(template, lambda fqn: KEYS[str(fqn)].encode()))
    for model in config["model_list"]:
        model["litellm_params"]["api_base"] = f"http://127.0.0.1:{provider.server_port}/{model['model_name']}/v1"
    file = tmp_path_factory.mktemp("gateway") / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    port = _free_port()
    process = subprocess.Popen([sys.executable, MANIFESTS / EXAMPLE / "gateway.py", file, str(port)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == f"3 models on port {port}\n".encode()
        _until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()
        provider.shutdown()
        provider.server_close()
        thread.join()


def _free_port() -> int:
    server = HTTPServer(("127.0.0.1", 0), Provider)
    server.server_close()
    return server.server_port


def _until_it_answers(url: str) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/health") as answer:
                assert answer.status == 200
                return
        except urllib.error.URLError:
            time.sleep(0.02)
    raise AssertionError("the gateway does not answer")


def ask(url: str, key: str | None, body: dict[str, object] | None = None) -> tuple[int, dict[str, object]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize(
    ("model", "name", "key"),
    [("gpt", "gpt-4o", "OPENAI_KEY"), ("mistral", "mistral-large-latest", "MISTRAL_KEY"), ("house", "house", "HOUSE_KEY")],
)
def test_a_request_carries_the_key_of_its_model(gateway: str, model: str, name: str, key: str) -> None:
    """Keys that would have broken the file: quotes, `: #`, a number's spelling."""
    status, answer = ask(f"{gateway}/v1/chat/completions", "true", {"model": model, "messages": []})
    assert (status, answer["path"], answer["model"]) == (200, f"/{model}/v1/chat/completions", name)
    assert answer["key"] == f"Bearer {KEYS[f'tfy-secret://acme:llm:{key}']}"


def test_the_model_list_has_no_keys(gateway: str) -> None:
    status, answer = ask(f"{gateway}/v1/models", "true")
    assert (status, answer) == (200, {"object": "list", "data": [{"id": name, "object": "model"} for name in ("gpt", "mistral", "house")]})


@pytest.mark.parametrize("key", [None, "", "false", "tru\u00e9"])
def test_only_with_the_master_key(gateway: str, key: str | None) -> None:
    assert ask(f"{gateway}/v1/models", key)[0] == 401
    assert ask(f"{gateway}/v1/chat/completions", key, {"model": "gpt"})[0] == 401


@pytest.mark.parametrize("body", [{"model": "nobody"}, {}, {"model": ["gpt"]}])
def test_an_unknown_model(gateway: str, body: dict[str, object]) -> None:
    status, answer = ask(f"{gateway}/v1/chat/completions", "true", body)
    assert (status, answer["error"]) == (404, "unknown model; known: gpt, mistral, house")


def test_the_webhook_takes_the_manifests() -> None:
    """As they are, with the store of the other example: every reference is allowed, and the config file is a mount."""
    documents = built(EXAMPLE)
    manifests = [yaml.safe_load((MANIFESTS / "examples/embedded-store.yaml").read_text()), one(EXAMPLE, "SecretGroup", "llm")]
    injector = Injector(lambda: cluster(Catalog("acme", manifests)), "shop")
    for document in documents:
        injector.learn(document)
    made = [injector.inject(document) for document in documents]
    assert (injector.refused, injector.warnings) == ([], [])
    (deployment,) = (document for document in made if document["kind"] == "Deployment")
    mounts = deployment["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts] == ["/program", "/etc/gateway/config.yaml"]


def test_the_group_lists_what_the_file_names() -> None:
    mentions = read_template((MANIFESTS / EXAMPLE / "config.yaml").read_bytes(), "yaml").mentions
    named = sorted(str(mention.fqn).rpartition(":")[2] for mention in mentions)
    assert named == sorted(one(EXAMPLE, "SecretGroup", "llm")["spec"]["keys"])
    assert Path(MANIFESTS / EXAMPLE / "gateway.py").read_text() == one(EXAMPLE, "ConfigMap", "ai-gateway-program")["data"]["gateway.py"]
