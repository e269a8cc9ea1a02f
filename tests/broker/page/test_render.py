"""From a view to HTML: escaped, exact, complete; and with what an image has of the standard library."""

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from broker.page.places import FOLDER, Places, with_note
from broker.page.render import environment, exact, iso, plural, when
from broker.page.snippets import snippets, variable_name
from contract.fqn import ManagedSecret
from contract.references import find_references
from images.collect import Profile

ROOT = Path(__file__).parents[3]


def parsed(html):
    """The text that a browser makes of it, line ends as HTML has them."""
    texts = []

    class Parser(HTMLParser):
        def handle_data(self, data):
            texts.append(data)

    # An HTML parser turns CR and CRLF of its input into LF before anything else.
    Parser(convert_charrefs=True).feed(html.replace("\r\n", "\n").replace("\r", "\n") + "<i>")
    return "".join(texts)


@pytest.mark.parametrize("value", ["a\r\nb\rc\n", "\n\n", "<&>\"'", "&#13;", " \t", "", "🔑\x1b"])
def test_a_value_passes_html_exactly(value):
    assert parsed(str(exact(value))) == value


def test_everything_is_escaped_and_nothing_is_missing_in_silence():
    made = environment().from_string("{{ name }}")
    assert made.render(name="<script>") == "&lt;script&gt;"
    with pytest.raises(UndefinedError):
        made.render()


@pytest.mark.parametrize("template", sorted(path.name for path in (FOLDER / "templates").iterdir()))
def test_no_template_switches_escaping_off(template):
    text = (FOLDER / "templates" / template).read_text()
    assert not [word for word in ("|safe", "| safe", "autoescape", "Markup", "|tojson", "style=", "onclick") if word in text]


def test_times_are_utc_and_say_so():
    moment = datetime(2026, 3, 1, 14, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert (when(moment), iso(moment), when(None)) == ("1 Mar 2026, 12:05 UTC", "2026-03-01T12:05:09+00:00", "")


@pytest.mark.parametrize(("count", "words"), [(0, "0 keys"), (1, "1 key"), (5000, "5,000 keys")])
def test_one_and_many(count, words):
    assert plural(count, "key") == words


def test_addresses_are_encoded():
    assert Places.key("a b/../c?", 'k#&"') == "/ui/groups/a%20b%2F..%2Fc%3F/keys/k%23%26%22"
    assert Places.groups("a&b=c", 2) == "/ui/groups?q=a%26b%3Dc&page=2"
    assert with_note(Places.groups("x"), "saved") == "/ui/groups?q=x&note=saved"


@pytest.mark.parametrize(("key", "name"), [("DB_PASSWORD", "DB_PASSWORD"), ("tls.key", "tls_key"), ("2fa-seed", "_2fa_seed")])
def test_a_key_as_a_variable(key, name):
    assert variable_name(key) == name


def test_snippets_are_what_the_webhook_reads():
    """Each is YAML, and the name in it is a reference to this key."""
    import yaml

    from webhook.files import parse_files

    secret = ManagedSecret("acme", "payments", "tls.key")
    env, inline, file = (yaml.safe_load(snippet.yaml) for snippet in snippets(str(secret), "tls.key"))
    assert find_references(env["env"][0]["value"], ()).parts == ("", str(secret), "")
    assert find_references(inline["env"][0]["value"], ()).parts == ("postgres://app:", str(secret), "@db:5432/app")
    problems = []
    (wanted,) = parse_files("here", file["metadata"]["annotations"]["tfy-secret.dev/files"], problems)
    assert (problems, wanted.mount_path, wanted.fqn_text) == ([], "/etc/app/tls.key", str(secret))


@pytest.mark.parametrize("key", ["true", "NO", "Null", "y", "on", "1e3", "0", "DB_PASSWORD"])
def test_the_name_of_a_variable_is_text_in_yaml(key):
    """Some words are something else without quotes, and a pod with such a name is refused."""
    import yaml

    env = yaml.safe_load(snippets(f"tfy-secret://acme:payments:{key}", key)[0].yaml)
    assert env["env"][0]["name"] == variable_name(key)


def test_templates_need_nothing_that_an_image_leaves_out():
    """Every template is read and compiled without what `site` loads; no module that images/without.txt drops is imported for it."""
    code = f"""
import sys
sys.path[:0] = {[str(ROOT), str(Path(pytest.__file__).parents[1])]!r}
from broker.page.render import environment
from broker.page import assets
made = environment()
for name in made.list_templates():
    made.get_template(name)
made.get_template("problem.html").render(person=None, title="a", message="b")
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "jinja2" in done.stdout.split()
    assert set(done.stdout.split()) & Profile.load("webhook").dropped == set()


def test_an_image_has_the_page_whole(tmp_path):
    """Templates, style sheet, script and icon are no Python, and are copied all the same."""
    from images.collect import copy

    copy(ROOT / "broker/page", tmp_path / "page")
    kept = {path.relative_to(tmp_path / "page") for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.relative_to(FOLDER) for name in ("templates", "static") for path in (FOLDER / name).iterdir()} <= kept
