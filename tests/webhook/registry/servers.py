"""Debian's docker-registry on loopback, and a token server beside it: plain, htpasswd, and Bearer tokens over TLS."""

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def docker_registry(folder, *, auth=None, tls=None):
    """`host:port` of a running one; `auth` is its configuration's, `tls` the files of a certificate and its key."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    http = {"addr": f"127.0.0.1:{port}", "secret": "upload-state"} | (
        {"tls": {"certificate": str(tls[0]), "key": str(tls[1])}} if tls else {}
    )
    config = {"version": 0.1, "log": {"level": "error", "accesslog": {"disabled": True}}, "http": http}
    config["storage"] = {"filesystem": {"rootdirectory": str(folder / "storage")}}
    if auth:
        config["auth"] = auth
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            _await_port(process, port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _await_port(process, port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("docker-registry did not start")


def htpasswd(folder, user, password):
    program = shutil.which("htpasswd")
    if program is None:
        pytest.skip("htpasswd is not installed (Debian: apt-get install apache2-utils)")
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run([program, "-iBn", user], input=password.encode(), capture_output=True, check=True)
    (folder / "htpasswd").write_bytes(made.stdout)
    return {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}


class TokenServer:
    """Signs what a log-in may do: `users` by name, `identities` by identity token, `public` repositories for anyone."""

    def __init__(self, certificate_pem, key_pem, context, users, identities=(), public=()):
        self._key = serialization.load_pem_private_key(key_pem, None)
        leaf = x509.load_pem_x509_certificate(certificate_pem)
        self._x5c = base64.b64encode(leaf.public_bytes(serialization.Encoding.DER)).decode()
        self.users, self.identities, self.public = users, identities, public
        self.requests = []  # (method, whose)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def realm(self):
        return f"https://127.0.0.1:{self._server.server_address[1]}/token"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, who, scopes):
        granted = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [a for a in actions.split(",") if who or (name in self.public and a == "pull")]
            granted.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {"iss": "test", "sub": who, "aud": "reg", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1", "access": granted}
        signed = b".".join(_part(json.dumps(each).encode()) for each in ({"typ": "JWT", "alg": "ES256", "x5c": [self._x5c]}, claims))
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return (signed + b"." + _part(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()

    def _who(self, authorization):
        """A user's name, "" for nobody, None for a log-in that is refused."""
        if not authorization:
            return ""
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return user if self.users.get(user) == password else None

    def _handler(outer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                self._answer(outer._who(self.headers.get("Authorization")), query.get("scope", []), "token")

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                known = form["grant_type"] == ["refresh_token"] and form["refresh_token"][0] in outer.identities
                self._answer("identity" if known else None, form["scope"], "access_token")

            def _answer(self, who, scopes, field):
                outer.requests.append((self.command, who))
                body = b"{}" if who is None else json.dumps({field: outer.token(who, scopes), "expires_in": 300}).encode()
                self.send_response(401 if who is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


def _part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def server_context(leaf):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context
