"""The page of a broker that runs, and one whose page is switched off."""

import json

import httpx
import pytest

from tests.page.running import Broker, token_of


@pytest.mark.parametrize("served", ["true", "false"])
def test_the_page_can_be_switched_off(tmp_path, page_authority, served):
    """The API goes on without it."""
    with Broker(tmp_path, page_authority, TFY_SECRET_PAGE=served) as broker, httpx.Client(base_url=broker.url, verify=broker.trust) as http:
        found = [http.get(path).status_code for path in ("/", "/ui/", "/ui/login", "/ui/nowhere")]
        assert found == ([303, 303, 200, 404] if served == "true" else [404] * 4)
        assert broker.http.get("/v1/secrets").status_code == 200
        if served == "true":
            answer = http.post("/ui/login", data={"token": token_of("viewer")}, headers={"Sec-Fetch-Site": "same-origin"})
            assert (answer.status_code, http.get("/ui/groups").status_code) == (303, 200)
    told = (tmp_path / "log").read_text()
    assert "CANARY" not in told
    assert [json.loads(line)["level"] for line in told.splitlines() if json.loads(line)["level"] in ("error", "critical")] == []
