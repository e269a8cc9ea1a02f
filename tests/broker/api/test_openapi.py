"""openapi.json is what the broker does: schemathesis sends what it says and what it forbids, to a broker that runs."""

import asyncio
import json
import os
import sys

import pytest
from openapi_spec_validator import validate

from broker.api import openapi
from broker.api.operations import OPERATIONS, ROOT
from tests.broker.api.conftest import CANARY

# All of it takes 15 s of CPU: TFY_TEST_OPENAPI=full does it, CI and before a change of the shapes.
PHASES, EXAMPLES = ("examples,coverage,fuzzing", "10") if os.environ.get("TFY_TEST_OPENAPI") == "full" else ("fuzzing", "3")


async def test_it_is_served_and_valid(site):
    status, found = await site.call("", "GET", "/openapi.json")
    assert status == 200
    assert found == json.loads(json.dumps(openapi.document()))
    validate(found)
    paths = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert paths == {(o.method, o.full_path) for o in OPERATIONS}
    assert all(path.startswith(ROOT) for _, path in paths)


def test_requests_are_strict():
    """No body takes a field that is not written there."""
    schemas = openapi.document()["components"]["schemas"]
    bodies = {o.body.__name__ for o in OPERATIONS if o.body is not None} | {"Given", "Manifest", "Rule", "Owner"}
    assert all(schemas[name]["additionalProperties"] is False for name in bodies)


async def test_schemathesis_finds_nothing(site, tmp_path, authority):
    """As a tenant admin, so that requests get past the roles. A fixed seed; no 500, no status, body or header that is not documented."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{site.url}{ROOT}/openapi.json"]
    command += ["--phases", PHASES, "--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure"]
    command += ["--exclude-checks", "positive_data_acceptance"]  # a name that is taken or a value given twice fits every schema
    command += ["--header", f"Authorization: Bearer {CANARY}-root", "--tls-verify", str(tmp_path / "ca.pem"), "--no-color"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"}
    )
    out, _ = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, out.decode()[-6000:]


@pytest.mark.parametrize("who", ["", "wrong"])
async def test_without_a_token_everything_but_three_is_closed(site, who):
    for operation in OPERATIONS:
        status, answer = await site.call(who, operation.method, operation.path.replace("{id}", "cGF5bWVudHM"))
        assert status == (401 if operation.person else 200), operation
        assert operation.person is False or set(answer) == {"statusCode", "message", "code"}
