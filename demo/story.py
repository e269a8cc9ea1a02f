"""The demo's story, one function a scene: what happens, in the order in which a secret travels.

Decides what is shown. Each scene does the real thing, checks it, and raises DemoError where it did not come out as promised.
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import yaml

from contract import keys
from contract.plan import EnvDelivery, decode_plan
from demo import kubelet, search
from demo.apiserver import ApiServer, Outcome, Pod, pod_of
from demo.app import fingerprint
from demo.errors import DemoError
from demo.programs import Server, run, run_exactly
from demo.scenery import DEPLOYMENT, HOST, MANIFESTS, Scenery, make_values
from demo.screen import GREEN, RED, Screen
from demo.stopping import undisturbed

NAMESPACE = "shop"


@dataclass(slots=True)
class Stage:
    """What one scene leaves for the next."""

    screen: Screen
    scenery: Scenery
    broker: Server
    webhook: Server
    broker_url: str
    api_server: ApiServer
    values: dict[str, bytes] = field(default_factory=make_values, repr=False)
    init_log: bytes = b""

    @property
    def everything_secret(self) -> list[bytes]:
        return [*self.values.values(), json.loads(self.values["SMTP"])["password"].encode()]


def open_stage(screen: Screen, scenery: Scenery, stack: ExitStack) -> Stage:
    """Start both servers and wait until they are ready."""
    screen.heading("Two servers start, with TLS on this machine alone")
    with undisturbed():
        broker = stack.enter_context(Server("broker", scenery.broker_settings(), scenery.folder / "broker.log"))
    broker_url = f"https://{HOST}:{broker.wait_ready()}"
    screen.good(f"broker   {broker_url}: decides who may have which secret, and reads it from the store")
    with undisturbed():
        webhook = stack.enter_context(Server("webhook", scenery.webhook_settings(broker_url), scenery.folder / "webhook.log"))
    port = webhook.wait_ready()
    screen.good(f"webhook  https://{HOST}:{port}: rewrites pods; never sees a value")
    screen.say("This script plays the API server and the kubelet. The rest is what runs in a cluster.")
    return Stage(screen, scenery, broker, webhook, broker_url, ApiServer(port, scenery.ca))


def tell(stage: Stage) -> None:
    """All scenes."""
    store_secrets(stage)
    deployment = yaml.safe_load(DEPLOYMENT.read_text())
    outcome = admit(stage, pod_of(deployment))
    assert outcome.pod is not None  # noqa: S101 - admit has raised otherwise
    deliver(stage, outcome.pod)
    start_app(stage, outcome.pod)
    prove(stage, outcome)
    refuse(stage, pod_of(deployment))


def store_secrets(stage: Stage) -> None:
    screen = stage.screen
    screen.heading("An admin puts values into the secret group 'payments'")
    group = yaml.safe_load((MANIFESTS / "payments.yaml").read_text())["spec"]
    screen.say("The group is a manifest with names and roles, which can live in Git (demo/manifests/payments.yaml):")
    screen.quote(yaml.safe_dump({"keys": group["keys"], "collaborators": group["collaborators"]}, sort_keys=False, default_flow_style=None))
    screen.say("A value comes from standard input, never from the command line:")
    for key, value in stage.values.items():
        done = run(["broker", "secret", "put", f"payments:{key}"], stage.scenery.admin_settings(stage.broker_url), value)
        if done.returncode:
            raise DemoError(f"`python -m broker secret put payments:{key}` failed: {done.stderr.decode(errors='replace').strip()}")
        screen.command(f"... | python -m broker secret put payments:{key}")
        screen.quote(done.stdout.decode())


def admit(stage: Stage, pod: Pod) -> Outcome:
    screen = stage.screen
    screen.heading("A developer deploys a pod that holds names; the webhook rewrites it")
    screen.say("The API server sends the Deployment's pod (demo/deployment.yaml) for review. Lines that change:")
    outcome = stage.api_server.admit(pod, NAMESPACE)
    if outcome.pod is None:
        raise DemoError(f"The webhook refused the pod:\n{outcome.message}")
    screen.difference(pod, outcome.pod)
    screen.say("An init container was added, a token for it alone, and a volume in memory. The plan tells it what to fetch:")
    plan = decode_plan(_init_container(outcome.pod)["env"][0]["value"])
    for container in plan.containers:
        for variable in container.env:
            screen.quote(f"{container.name}: {variable.name} = {_as_written(variable)}")
        for file in container.files:
            screen.quote(f"{container.name}: {file.mount_path} = {file.fqn}")
    return outcome


def deliver(stage: Stage, pod: Pod) -> None:
    screen, scenery = stage.screen, stage.scenery
    screen.heading("The init container fetches the values and writes them to memory")
    kubelet.make_volumes(pod, scenery.volumes, scenery.pod_token)
    given = {name: value.decode() for name, value in kubelet.environment(_init_container(pod), scenery.volumes).items()}
    done = run(["initcontainer"], scenery.init_settings() | given)
    stage.init_log = done.stdout + done.stderr
    screen.command("python -m initcontainer")
    screen.quote(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise DemoError(f"The init container ended with exit code {done.returncode}; its log is above")
    for file in sorted(p for p in scenery.volumes.rglob("*") if p.is_file() and p.parent.name != keys.TOKEN_VOLUME):
        status = file.stat()
        screen.quote(f"{status.st_mode & 0o777:04o}  {status.st_size:>4} bytes  {file.relative_to(scenery.volumes)}")


def start_app(stage: Stage, pod: Pod) -> None:
    screen, scenery = stage.screen, stage.scenery
    screen.heading("The app starts and finds ordinary variables and files")
    container = pod["spec"]["containers"][0]
    given = kubelet.environment(container, scenery.volumes)
    files = kubelet.mounts(container, scenery.volumes)
    for path, target in files.items():
        link = scenery.container_root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    done = run_app(scenery, given, list(files))
    screen.quote(done, GREEN)
    screen.say("(Masked by the app. SENTRY_DSN is optional and was never stored, so it is not set.)")
    _check_app(stage, done)
    screen.good("the process has what was stored, byte for byte: the fingerprints are equal")


def run_app(scenery: Scenery, environ: dict[str, bytes], files: list[str]) -> str:
    """The app's own words. It gets the environment that the kubelet made, and nothing else."""
    done = run_exactly(["demo.app", str(scenery.container_root), *files], environ)
    if done.returncode:
        raise DemoError(f"The app ended with exit code {done.returncode}")
    return done.stdout.decode()


def prove(stage: Stage, outcome: Outcome) -> None:
    screen, scenery = stage.screen, stage.scenery
    screen.heading("What the API server would have stored: names")
    assert outcome.pod is not None  # noqa: S101 - this pod was admitted
    for entry in outcome.pod["spec"]["containers"][0]["env"]:
        source = entry.get("valueFrom", {}).get("fileKeyRef")
        stored = f"file {source['path']} of volume {source['volumeName']}" if source else json.dumps(entry["value"])
        screen.quote(f"{entry['name']:<14} {stored}")
    places = {
        "the review, as it was sent": outcome.sent,
        "the webhook's answer and its patch": outcome.received + outcome.patch,
        "the pod, as it would be stored": json.dumps(outcome.pod).encode(),
        "the webhook's log": stage.webhook.log.read_bytes(),
        "the broker's log": stage.broker.log.read_bytes(),
        "the audit log": scenery.audit.read_bytes(),
        "the init container's log": stage.init_log,
        "the embedded store's file on disk": b"".join(p.read_bytes() for p in sorted(scenery.folder.glob("secrets.db*"))),
    }
    screen.say("Each place, searched for every value (as it is, in JSON, base64, hexadecimal, percent-encoded):")
    for place, count in search.all_clear(places, stage.everything_secret).items():
        if count:
            raise DemoError(f"{count} of the secret values occur in {place}. This is a serious fault: please report it (SECURITY.md)")
        screen.good(f"{place:<36} {len(places[place]):>7} bytes, no value")
    screen.say("Who got what is in the broker's audit log, one line a decision:")
    screen.quote(_audit_line(scenery))


def refuse(stage: Stage, pod: Pod) -> None:
    screen = stage.screen
    screen.heading("What does not start: refused when it is applied, with the reason")
    screen.say("The service account 'cleaner', which has no role in the group:")
    _refused(stage, _small(pod, "cleaner", "DB_PASSWORD"), "denied")
    screen.say("A misspelt key:")
    _refused(stage, _small(pod, "web", "DB_PASSWROD"), "did you mean DB_PASSWORD?")


def _small(pod: Pod, account: str, key: str) -> Pod:
    """The pod with one variable, and no files."""
    app = pod["spec"]["containers"][0] | {"env": [{"name": "DB_PASSWORD", "value": f"tfy-secret://acme:payments:{key}"}]}
    metadata = pod["metadata"] | {"annotations": {}}
    return pod | {"metadata": metadata, "spec": pod["spec"] | {"serviceAccountName": account, "containers": [app]}}


def _refused(stage: Stage, pod: Pod, expected: str) -> None:
    outcome = stage.api_server.admit(pod, NAMESPACE)
    if outcome.pod is not None or expected not in outcome.message:
        raise DemoError(f"The webhook should have refused this pod ('{expected}'); it said: {outcome.message or 'allowed'}")
    stage.screen.quote(outcome.message, RED)


def _as_written(variable: EnvDelivery) -> str:
    """The variable's text with its names as `${...}`, where there is text around them."""
    if len(variable.parts) == 3 and not any(variable.parts[::2]):
        return variable.parts[1]
    return "".join(f"${{{part}}}" if index % 2 else part for index, part in enumerate(variable.parts))


def _init_container(pod: Pod) -> dict[str, Any]:
    return next(c for c in pod["spec"]["initContainers"] if c["name"] == keys.INIT_CONTAINER)


def _check_app(stage: Stage, said: str) -> None:
    """Compare what the app found with what was stored, by fingerprint."""
    stored = stage.values
    password = stored["DB_PASSWORD"]
    expected = {
        "DB_PASSWORD": password,
        "DB_URL": b"postgres://shop:" + password + b"@db.shop/orders",
        "STRIPE_KEY": stored["STRIPE_KEY"],
        "STRIPE_HEADER": b"Authorization: Bearer " + stored["STRIPE_KEY"],
        "SMTP_PASSWORD": json.loads(stored["SMTP"])["password"].encode(),
        "/etc/web/signing.key": stored["SIGNING_KEY"],
    }
    found = {line.split()[0]: line.split()[-1].rstrip(")") for line in said.splitlines()}
    wrong = [name for name, value in expected.items() if found.get(name) != fingerprint(value)]
    wrong += ["SENTRY_DSN"] if "SENTRY_DSN" in found else []
    if wrong:
        raise DemoError(f"The app does not have what was stored: {', '.join(wrong)}")


def _audit_line(scenery: Scenery) -> str:
    shown = ("caller", "action", "fqn", "version", "decision", "code")
    for line in scenery.audit.read_text().splitlines():
        event = json.loads(line)
        if event.get("action") == "inject":
            return json.dumps({name: event[name] for name in shown if name in event})
    raise DemoError("The broker's audit log has no line for the init container's request")
