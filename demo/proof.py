"""The promise, checked: no value in anything that the API server saw, in any log, or on disk outside of the store."""

import json

from demo import search
from demo.errors import DemoError
from demo.stage import Stage


def prove(stage: Stage) -> None:
    screen, admitted = stage.screen, stage.admitted
    screen.heading("What the API server would have stored: names")
    assert admitted[0].pod is not None  # noqa: S101 - this pod was admitted
    for entry in admitted[0].pod["spec"]["containers"][0]["env"]:
        source = entry.get("valueFrom", {}).get("fileKeyRef")
        stored = f"file {source['path']} of volume {source['volumeName']}" if source else json.dumps(entry["value"])
        screen.quote(f"{entry['name']:<14} {stored}")
    screen.say("Each place, searched for every value (as it is, in JSON, base64, hexadecimal, percent-encoded):")
    places = _places(stage)
    for place, count in search.all_clear(places, stage.everything_secret).items():
        if count:
            raise DemoError(f"{count} of the secret values occur in {place}. This is a serious fault: please report it (SECURITY.md)")
        screen.good(f"{place:<36} {len(places[place]):>7} bytes, no value")
    screen.say("Who got what is in the broker's audit log, one line a decision:")
    screen.quote(_audit_line(stage))


def _places(stage: Stage) -> dict[str, bytes]:
    scenery, admitted = stage.scenery, stage.admitted
    return {
        "the reviews, as they were sent": b"".join(outcome.sent for outcome in admitted),
        "the webhook's answers and patches": b"".join(outcome.received + outcome.patch for outcome in admitted),
        "the pods, as they would be stored": json.dumps([outcome.pod for outcome in admitted]).encode(),
        "the webhook's log": stage.webhook.log.read_bytes(),
        "the broker's log": stage.broker.log.read_bytes(),
        "the audit log": scenery.audit.read_bytes(),
        "the init containers' logs": stage.init_logs,
        "the embedded store's file on disk": b"".join(p.read_bytes() for p in sorted(scenery.folder.glob("secrets.db*"))),
    }


def _audit_line(stage: Stage) -> str:
    shown = ("caller", "action", "fqn", "version", "decision", "code")
    for line in stage.scenery.audit.read_text().splitlines():
        event = json.loads(line)
        if event.get("action") == "inject":
            return json.dumps({name: event[name] for name in shown if name in event})
    raise DemoError("The broker's audit log has no line for the init container's request")
