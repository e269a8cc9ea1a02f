"""What one scene leaves for the next, and the two servers that run through all of them."""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from contract import keys
from demo.apiserver import ApiServer, Outcome, Pod
from demo.errors import DemoError
from demo.programs import Server, run
from demo.scenery import HOST, Scenery
from demo.screen import Screen
from demo.stopping import undisturbed

NAMESPACE = "shop"


@dataclass(slots=True)
class Stage:
    """`values` are what the store holds now, by key; `everything_secret` is all that it ever held."""

    screen: Screen
    scenery: Scenery
    broker: Server
    webhook: Server
    broker_url: str
    api_server: ApiServer
    values: dict[str, bytes] = field(default_factory=dict, repr=False)
    everything_secret: list[bytes] = field(default_factory=list, repr=False)
    admitted: list[Outcome] = field(default_factory=list, repr=False)
    init_logs: bytes = b""

    def put(self, key: str, value: bytes) -> None:
        """As an admin does: the value comes from standard input, never from the command line."""
        done = run(["broker", "secret", "put", f"payments:{key}"], self.scenery.admin_settings(self.broker_url), value)
        if done.returncode:
            raise DemoError(f"`python -m broker secret put payments:{key}` failed: {done.stderr.decode(errors='replace').strip()}")
        self.values[key] = value
        self.everything_secret.append(value)
        if key == "SMTP":
            self.everything_secret.append(json.loads(value)["password"].encode())
        self.screen.command(f"... | python -m broker secret put payments:{key}")
        self.screen.quote(done.stdout.decode())

    def admit(self, pod: Pod) -> Pod:
        """The pod as the API server would store it."""
        outcome = self.api_server.admit(pod, NAMESPACE)
        if outcome.pod is None:
            raise DemoError(f"The webhook refused the pod:\n{outcome.message}")
        self.admitted.append(outcome)
        return outcome.pod


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


def init_container(pod: Pod) -> dict[str, Any]:
    return next(c for c in pod["spec"]["initContainers"] if c["name"] == keys.INIT_CONTAINER)
