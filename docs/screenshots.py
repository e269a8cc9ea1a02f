"""`python -m docs.screenshots`: the pictures of the web page in docs/images, light and dark, from a broker with made-up groups.

Needs a Chromium (CHROMIUM names another than /usr/bin/chromium). Nothing but loopback is asked, and nothing stays.
"""

import os
import ssl
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Literal

import httpx
import trustme
from playwright.sync_api import Browser, Page, sync_playwright

from demo.programs import Server

IMAGES = Path(__file__).parent / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"]
MAX_BYTES = 150_000
ANN, BOB = "ann@acme.example", "bob@acme.example"
STORE = """apiVersion: tfy-secret.dev/v1alpha1
kind: SecretStore
metadata: {name: embedded}
spec: {fqn: acme/embedded/default, provider: {embedded: {}}}
"""
GROUPS = {
    "payments": ["DB_PASSWORD", "STRIPE_KEY", "SMTP_PASSWORD", "SIGNING_KEY", "SENTRY_DSN"],
    "checkout": ["REDIS_PASSWORD", "SESSION_KEY"],
    "data-platform": ["WAREHOUSE_PASSWORD", "AIRFLOW_FERNET_KEY", "S3_SECRET_KEY", "DBT_TOKEN"],
    "mail": ["SMTP_PASSWORD", "DKIM_KEY"],
    "ml-gateway": ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MODEL_REGISTRY_TOKEN"],
    "search": ["INDEX_PASSWORD"],
    "web": ["TLS_KEY", "SESSION_KEY", "CSRF_KEY"],
}
Scheme = Literal["light", "dark"]


def token(who: str) -> str:
    return f"token-of-{who.partition('@')[0]}"


def settings(folder: Path) -> dict[str, str]:
    for name in ("tls", "manifests"):
        (folder / name).mkdir()
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(folder / "tls/tls.key"))
    (folder / "tls/tls.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
    authority.cert_pem.write_to_path(str(folder / "tls/ca.crt"))
    (folder / "manifests/store.yaml").write_text(STORE)
    (folder / "tokens.csv").write_text("".join(f"{token(who)},{who},{who}\n" for who in (ANN, BOB)))
    return {
        "TFY_SECRET_TENANT": "acme",
        "TFY_SECRET_TENANT_ADMINS": f"user:{ANN}",
        "TFY_SECRET_LISTEN": "127.0.0.1:0",
        "TFY_SECRET_METRICS_LISTEN": "127.0.0.1:0",
        "TFY_SECRET_TLS_DIR": str(folder / "tls"),
        "TFY_SECRET_MANIFESTS": str(folder / "manifests"),
        "TFY_SECRET_TOKENS_FILE": str(folder / "tokens.csv"),
        "TFY_SECRET_AUDIT_FILE": str(folder / "audit.log"),
        "TFY_SECRET_EMBEDDED_DB": str(folder / "secrets.db"),
        "TFY_SECRET_EMBEDDED_KEY_FILE": str(folder / "key"),
    }


def fill(url: str, trust: ssl.SSLContext) -> None:
    """Groups and values, through the API that people have."""
    with httpx.Client(base_url=url, verify=trust) as http:
        for name, keys in GROUPS.items():
            collaborators = [
                {"subject": f"user:{BOB}", "role_id": "secret-group-editor"},
                {"subject": "team:developers", "role_id": "secret-group-viewer"},
                {"subject": f"serviceaccount:shop/{name}", "role_id": "secret-group-consumer"},
            ]
            manifest = {"type": "secret-group", "name": name, "integration_fqn": "acme/embedded/default", "collaborators": collaborators}
            _call(http, ANN, "/api/svc/v1/secret-groups", {"manifest": manifest})
            for key in keys:
                _write(http, ANN, name, key, "correct-horse-battery")
        _write(http, BOB, "payments", "DB_PASSWORD", "staple-correct-horse-9")
        _write(http, ANN, "payments", "DB_PASSWORD", "mauve-otter-lantern-41")


def _write(http: httpx.Client, who: str, group: str, key: str, value: str) -> None:
    _call(http, who, "/v1/secrets", {"fqn": f"tfy-secret://acme:{group}:{key}", "value": b64encode(value.encode()).decode()})


def _call(http: httpx.Client, who: str, path: str, body: object) -> None:
    http.put(path, json=body, headers={"Authorization": f"Bearer {token(who)}"}).raise_for_status()


def take(browser: Browser, url: str, scheme: Scheme) -> None:
    context = browser.new_context(
        ignore_https_errors=True, base_url=url, color_scheme=scheme, viewport={"width": 1080, "height": 760}, device_scale_factor=1.5
    )
    page = context.new_page()
    page.goto("/ui/login")
    page.get_by_label("Kubernetes token").fill(token(ANN))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/ui/groups")
    _shoot(page, f"page-groups-{scheme}.png")
    page.goto("/ui/groups/payments/keys/DB_PASSWORD")
    page.get_by_role("button", name="Show value").click()
    page.locator("#value").wait_for()
    _shoot(page, f"page-key-{scheme}.png")
    page.goto("/ui/groups/payments/collaborators")
    _shoot(page, f"page-collaborators-{scheme}.png")
    context.close()


def _shoot(page: Page, name: str) -> None:
    path = IMAGES / name
    page.screenshot(path=path)
    size = path.stat().st_size
    sys.stdout.write(f"docs/images/{name}: {size // 1000} KB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"docs/images/{name} is larger than {MAX_BYTES // 1000} KB")


def main() -> int:
    if not Path(CHROMIUM).exists():
        sys.stderr.write(f"no browser at {CHROMIUM}. To fix: install chromium, or name one in CHROMIUM\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, Server("broker", settings(Path(name)), Path(name) / "log") as server:
        url = f"https://localhost:{server.wait_ready()}"
        fill(url, ssl.create_default_context(cafile=str(Path(name) / "tls/ca.crt")))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            schemes: tuple[Scheme, ...] = ("light", "dark")
            for scheme in schemes:
                take(browser, url, scheme)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
