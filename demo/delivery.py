"""From an admitted pod to a running app, in both modes, and the value that only one of them carries.

What the kubelet and the container runtime would do is in `kubelet` and `container`; the init container and the launcher are real.
"""

import json
from copy import deepcopy
from pathlib import Path
from subprocess import CompletedProcess

from contract import keys
from demo import kubelet
from demo.apiserver import Pod
from demo.app import fingerprint
from demo.container import Container, launcher_here
from demo.errors import DemoError, NotHere
from demo.programs import run
from demo.scenery import PodPlace, make_quoted_password
from demo.screen import GREEN, RED
from demo.stage import Stage, init_container
from initcontainer.errors import CannotCarry
from initcontainer.exits import EXITS


def deliver(stage: Stage, pod: Pod) -> PodPlace:
    stage.screen.heading("The init container fetches the values and writes them to memory")
    place = stage.scenery.place("web-1")
    done = run_init(stage, pod, place)
    stage.screen.quote(done.stderr.decode(errors="replace"))
    _check_delivered(done)
    _show_files(stage, place)
    return place


def start_app(stage: Stage, pod: Pod, place: PodPlace) -> None:
    stage.screen.heading("The app starts and finds ordinary variables and files")
    _run_app(stage, pod, place)
    stage.screen.say("(Masked by the app. SENTRY_DSN is optional and was never stored, so it is not set.)")


def show_limit(stage: Stage, pod: Pod) -> None:
    """The same pod once more, after the password has changed to one that an env file cannot carry."""
    screen, place = stage.screen, stage.scenery.place("web-2")
    screen.heading("A value that mode envfile cannot carry exactly stops the pod, with the reason")
    screen.say("The password changes; the new one has a single quote, for which the kubelet's env files have no escape:")
    stage.put("DB_PASSWORD", make_quoted_password())
    done = run_init(stage, pod, place)
    expected = EXITS[CannotCarry].code
    if done.returncode != expected or any(_files(place)):
        raise DemoError(f"The init container should have ended with exit code {expected} and no file; it ended with {done.returncode}")
    screen.say(f"Exit code {expected}, nothing written, the app is not started. `kubectl describe pod` shows:")
    screen.quote(place.termination_log.read_text(), RED)


def exec_mode(stage: Stage, pod: Pod) -> None:
    """The same app in mode exec, by the real launcher. `pod` is as its author wrote it."""
    screen, place = stage.screen, stage.scenery.place("web-3")
    screen.heading("The same app in mode exec: a launcher sets the variables and becomes the app")
    try:
        launcher = launcher_here()
    except NotHere as why:
        screen.say(f"Left out on this machine: {why}.")
        return
    screen.say(
        f"The launcher ({launcher.stat().st_size} bytes, from initcontainer/launcher.c) works on any kubelet and carries any value but NUL."
    )
    screen.say(f"The same pod with the annotation {keys.MODE}: exec. Lines that change in its container:")
    changed = deepcopy(pod)
    changed["metadata"]["annotations"][keys.MODE] = "exec"
    admitted = stage.admit(changed)
    screen.difference(pod["spec"]["containers"], admitted["spec"]["containers"])
    _check_delivered(run_init(stage, admitted, place, TFY_SECRET_LAUNCHER=str(launcher)))
    _show_files(stage, place)
    screen.command(" ".join((*admitted["spec"]["containers"][0]["command"], *admitted["spec"]["containers"][0]["args"])))
    _run_app(stage, admitted, place)


def run_init(stage: Stage, pod: Pod, place: PodPlace, **settings: str) -> CompletedProcess[bytes]:
    """The real init container, with the volumes that the kubelet made for the pod."""
    kubelet.make_volumes(pod, place.volumes, stage.scenery.pod_token)
    given = {name: value.decode() for name, value in kubelet.environment(init_container(pod), place.volumes).items()}
    done = run(["initcontainer"], place.init_settings() | given | settings)
    stage.init_logs += done.stdout + done.stderr
    stage.screen.command("python -m initcontainer")
    return done


def _check_delivered(done: CompletedProcess[bytes]) -> None:
    if done.returncode:
        raise DemoError(f"The init container ended with exit code {done.returncode}:\n{done.stderr.decode(errors='replace')}")


def _files(place: PodPlace) -> list[Path]:
    return sorted(p for p in place.volumes.rglob("*") if p.is_file() and p.parent.name != keys.TOKEN_VOLUME)


def _show_files(stage: Stage, place: PodPlace) -> None:
    for file in _files(place):
        status = file.stat()
        stage.screen.quote(f"{status.st_mode & 0o777:04o}  {status.st_size:>4} bytes  {file.relative_to(place.volumes)}")


def _run_app(stage: Stage, pod: Pod, place: PodPlace) -> None:
    said = Container(pod["spec"]["containers"][0], place.volumes, place.root).run()
    stage.screen.quote(said, GREEN)
    _check_app(stage, said)
    stage.screen.good("the process has what was stored, byte for byte: the fingerprints are equal")


def _check_app(stage: Stage, said: str) -> None:
    """Compare what the app found with what is stored, by fingerprint."""
    stored = stage.values
    password = stored["DB_PASSWORD"]
    expected = {
        "DB_USER": b"shop",
        "DB_PASSWORD": password,
        "DB_URL": b"postgres://shop:" + password + b"@db.shop/orders",
        "STRIPE_KEY": stored["STRIPE_KEY"],
        "STRIPE_HEADER": b"Authorization: Bearer " + stored["STRIPE_KEY"],
        "SMTP_PASSWORD": json.loads(stored["SMTP"])["password"].encode(),
        "/etc/web/signing.key": stored["SIGNING_KEY"],
    }
    found = {line.split()[0]: line.split()[-1].rstrip(")") for line in said.splitlines()}
    wrong = [name for name, value in expected.items() if found.get(name) != fingerprint(value)]
    wrong += sorted(found.keys() - expected.keys())  # SENTRY_DSN must not be there
    if wrong:
        raise DemoError(f"The app does not have what was stored: {', '.join(wrong)}")
