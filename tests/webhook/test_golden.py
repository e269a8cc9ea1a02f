"""Golden pairs: realistic pods and what becomes of them, whole. `UPDATE_GOLDEN=1` writes `patched.yaml` anew.

`between.yaml`, where there is one, is a JSON Patch of another webhook between our first and our second call.
"""

import json
import os
from pathlib import Path

import jsonpatch
import kubernetes_validate
import pytest
import yaml

from tests.webhook.pods import Json, applied, decide
from webhook.planning import Inject, Skip

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = sorted(path.parent.name for path in GOLDEN.glob("*/pod.yaml"))


def _patched(name: str) -> Json:
    pod: Json = yaml.safe_load((GOLDEN / name / "pod.yaml").read_text())
    decision = decide(pod)
    assert isinstance(decision, Inject | Skip), decision
    pod = applied(pod, decision)
    between = GOLDEN / name / "between.yaml"
    if between.exists():
        pod = jsonpatch.apply_patch(json.loads(json.dumps(pod)), yaml.safe_load(between.read_text()))
        pod = applied(pod, decide(pod))
    return pod


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    """The patch is applied and the whole pod compared; the result is final, and Kubernetes' own schema takes it."""
    patched, file = json.loads(json.dumps(_patched(name))), GOLDEN / name / "patched.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(yaml.safe_dump(patched, sort_keys=False, allow_unicode=True, width=1000))
    assert patched == yaml.safe_load(file.read_text())
    assert isinstance(decide(patched), Skip)
    kubernetes_validate.validate(patched, "1.36", strict=True)


def test_there_are_pairs() -> None:
    """A wrong path would make the test above pass by having nothing to do."""
    assert len(NAMES) >= 15
    assert sorted(path.parent.name for path in GOLDEN.glob("*/patched.yaml")) == NAMES
