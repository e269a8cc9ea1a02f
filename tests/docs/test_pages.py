"""What the pages name exists: links, headings, paths, make targets, commands, settings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from broker.settings import BROKER_CA_FILE_ENV, BROKER_URL_ENV, TOKEN_ENV
from broker.settings import SETTINGS as BROKER
from docs.generate import ROOT, pages
from initcontainer.settings import SETTINGS as INIT
from webhook.settings import SETTINGS as WEBHOOK

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
_FOLDERS = (
    "contract",
    "service",
    "webhook",
    "broker",
    "initcontainer",
    "launcher",
    "manifests",
    "images",
    "demo",
    "docs",
    "tests",
    "requirements",
    ".ci",
)
every_page = pytest.mark.parametrize("name", PAGES)


def prose_and_code(name: str) -> tuple[str, list[str]]:
    """The whole text, and what stands in code: spans, fenced and indented blocks."""
    text = PAGES[name].read_text()
    code = re.findall(r"```.*?```", text, re.DOTALL)
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return text, code + re.findall(r"`([^`\n]+)`", rest) + re.findall(r"^ {4,}(.+)$", rest, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """GitHub's: lower case, blanks as hyphens, other signs gone."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pages_that_the_project_promises():
    promised = {
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/annotations.md",
        "docs/settings.md",
        "docs/architecture.md",
    }
    assert promised <= set(PAGES)
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence


@every_page
def test_links_lead_somewhere(name: str):
    page = PAGES[name]
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@every_page
def test_paths_exist(name: str):
    found = {
        path.rstrip("/.,:")
        for code in prose_and_code(name)[1]
        for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(_FOLDERS)})/[\w./-]*", code)
    }
    assert sorted(path for path in found if not (ROOT / path).exists()) == []


@every_page
def test_make_targets_exist(name: str):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for code in prose_and_code(name)[1] for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", code)}
    assert sorted(named - targets) == []


@every_page
def test_settings_exist(name: str):
    known = {s.name for s in (*WEBHOOK, *BROKER)} | {n for n, _, _ in INIT} | {BROKER_URL_ENV, BROKER_CA_FILE_ENV, TOKEN_ENV}
    named = set(re.findall(r"\bTFY_SECRET_[A-Z_]+[A-Z]", PAGES[name].read_text()))
    assert sorted(named - known) == []


def commands() -> set[tuple[str, ...]]:
    """`python -m PROGRAM WORD...` as the pages write it, up to the first argument that is no subcommand."""
    found = set()
    for name in PAGES:
        for code in prose_and_code(name)[1]:
            for program, words in re.findall(r"python -m (webhook|broker)((?: [a-z-]+)*)", code):
                wanted = tuple(word for word in words.split() if not word.startswith("-"))
                if wanted:
                    found.add((program, *wanted[: 2 if wanted[0] == "secret" else 1]))
    return found


@pytest.mark.parametrize("command", sorted(commands()), ids=" ".join)
def test_commands_exist(command: tuple[str, ...]):
    done = subprocess.run([sys.executable, "-m", *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_options_of_the_command_line_exist():
    """Each `--option` beside a `python -m broker` is one that its help knows."""
    named = {
        option
        for name in PAGES
        for code in prose_and_code(name)[1]
        if "python -m broker secret" in code
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", code.partition("python -m broker")[2])
    }
    helps = [["secret", action, "--help"] for action in ("put", "get", "list", "versions", "delete")]
    known = "".join(
        subprocess.run([sys.executable, "-m", "broker", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in helps
    )
    assert sorted(option for option in named if option not in known) == []
    assert named, "the pages show options"
