"""The development file of tokens: strict, read again when it changes, and it lets no one in when it is broken."""

import os

import pytest

from broker.errors import Misconfigured, Unauthenticated, Unavailable
from broker.tokens import StaticTokens, parse_tokens

FILE = """# people
t-ann,ann@acme.example,1,"payments,search"
t-web,system:serviceaccount:shop:web,2
t-none,nobody@acme.example,3,""
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text(FILE)
    return path


async def test_people_have_their_groups(file):
    ann = await StaticTokens(file).person("t-ann")
    assert ann.name == "ann@acme.example"
    assert ann.subjects == {"user:ann@acme.example", "team:payments", "team:search"}
    assert ann.pod is None


async def test_a_service_accounts_row_stands_for_a_pod(file):
    web = await StaticTokens(file).pod("t-web")
    assert (web.pod.namespace, web.pod.service_account, web.pod.name) == ("shop", "web", "dev")
    assert {"serviceaccount:shop/web", "namespace:shop", "team:system:serviceaccounts"} <= web.subjects


async def test_a_person_is_no_pod(file):
    with pytest.raises(Unauthenticated, match="must be bound to a pod"):
        await StaticTokens(file).pod("t-ann")


@pytest.mark.parametrize("token", ["", "t-an", "t-anna", "T-ANN", "token"])
async def test_unknown_tokens(file, token):
    with pytest.raises(Unauthenticated, match="not accepted"):
        await StaticTokens(file).person(token)


async def test_a_change_acts_at_once(file):
    tokens = StaticTokens(file)
    file.write_text("t-new,new,1\n")
    assert (await tokens.person("t-new")).name == "new"
    with pytest.raises(Unauthenticated):
        await tokens.person("t-ann")


async def test_a_broken_file_lets_no_one_in(file):
    tokens = StaticTokens(file)
    file.write_text("broken\n")
    os.utime(file, ns=(1, 1))
    with pytest.raises(Unavailable):
        await tokens.person("t-ann")
    file.write_text(FILE)
    assert (await tokens.person("t-ann")).name == "ann@acme.example"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b,c\nCANARY\n", "line 2: found 1 columns"),
        ("CANARY,,1\n", "line 1: found 3 columns or an empty one"),
        ("a,b,c\n\nx,y,z,g,CANARY\n", "line 3: found 5 columns"),
        ('a,b,c,"CANARY\n', "line 1: not CSV"),
        ("CANARY,b,c\nCANARY,d,e\n", "a token is given twice"),
    ],
)
async def test_a_problem_names_the_line_and_no_content(tmp_path, text, problem):
    file = tmp_path / "users.csv"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=problem) as caught:
        StaticTokens(file)
    assert "CANARY" not in str(caught.value)


async def test_no_file(tmp_path):
    with pytest.raises(Misconfigured, match="FileNotFoundError"):
        StaticTokens(tmp_path / "none")


def test_rows_hold_no_token():
    assert "t-ann" not in repr(parse_tokens(FILE))
