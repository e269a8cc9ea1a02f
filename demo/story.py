"""The demo's story, one function a scene: what happens, in the order in which a secret travels.

Decides what is shown. Each scene does the real thing, checks it, and raises DemoError where it did not come out as promised.
"""

import yaml

from contract.plan import EnvDelivery, decode_plan
from demo.apiserver import Pod, pod_of
from demo.delivery import deliver, exec_mode, show_limit, start_app
from demo.errors import DemoError
from demo.proof import prove
from demo.scenery import DEPLOYMENT, MANIFESTS, make_values
from demo.screen import RED
from demo.stage import NAMESPACE, Stage, init_container


def tell(stage: Stage) -> None:
    """All scenes."""
    store_secrets(stage)
    deployment = yaml.safe_load(DEPLOYMENT.read_text())
    pod = admit(stage, pod_of(deployment))
    start_app(stage, pod, deliver(stage, pod))
    show_limit(stage, pod)
    exec_mode(stage, pod_of(deployment))
    prove(stage)
    refuse(stage, pod_of(deployment))


def store_secrets(stage: Stage) -> None:
    screen = stage.screen
    screen.heading("An admin puts values into the secret group 'payments'")
    group = yaml.safe_load((MANIFESTS / "payments.yaml").read_text())["spec"]
    screen.say("The group is a manifest with names and roles, which can live in Git (demo/manifests/payments.yaml):")
    screen.quote(yaml.safe_dump({"keys": group["keys"], "collaborators": group["collaborators"]}, sort_keys=False, default_flow_style=None))
    screen.say("A value comes from standard input, never from the command line:")
    for key, value in make_values().items():
        stage.put(key, value)


def admit(stage: Stage, pod: Pod) -> Pod:
    screen = stage.screen
    screen.heading("A developer deploys a pod that holds names; the webhook rewrites it")
    screen.say("The API server sends the Deployment's pod (demo/deployment.yaml) for review. Lines that change:")
    admitted = stage.admit(pod)
    screen.difference(pod, admitted)
    screen.say("This is mode envfile: the kubelet will read each variable from a file. An init container was added, a token for it alone,")
    screen.say("and a volume in memory. The plan tells it what to fetch:")
    plan = decode_plan(init_container(admitted)["env"][0]["value"])
    for container in plan.containers:
        for variable in container.env:
            screen.quote(f"{container.name}: {variable.name} = {_as_written(variable)}")
        for file in container.files:
            screen.quote(f"{container.name}: {file.mount_path} = {file.fqn}")
    return admitted


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
