"""YAML that is ready to paste: a key as a variable, inside other text, and as a file."""

import re
from dataclasses import dataclass

from contract import keys

_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})  # of YAML 1.1, which kubectl reads


@dataclass(frozen=True, slots=True)
class Snippet:
    """`title` and `about` say when to use it."""

    name: str
    title: str
    about: str
    yaml: str


def snippets(fqn: str, key: str) -> tuple[Snippet, ...]:
    variable = _yaml(variable_name(key))
    return (
        Snippet(
            "env",
            "As an environment variable",
            "In the container's env. The process finds the value; the pod's spec holds the name alone.",
            f'env:\n- name: {variable}\n  value: "{fqn}"\n',
        ),
        Snippet(
            "inline",
            "Inside other text",
            "For a URL or a header that holds the value among other things.",
            f'env:\n- name: DATABASE_URL\n  value: "postgres://app:${{{fqn}}}@db:5432/app"\n',
        ),
        Snippet(
            "file",
            "As a file",
            "In memory, exact to the byte: for certificates, keys and anything that is no line of text. The annotation is the pod's.",
            f'metadata:\n  annotations:\n    {keys.FILES}: |\n      - mount_path: /etc/app/{key}\n        secret_fqn: "{fqn}"\n',
        ),
    )


def variable_name(key: str) -> str:
    """As shells and most programs can read one."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", key)
    return f"_{name}" if name[:1].isdigit() else name


def _yaml(name: str) -> str:
    """As YAML reads the name: some words are no text there."""
    return f'"{name}"' if name.lower() in _WORDS else name


def opt_in(namespace: str) -> str:
    return f"kubectl label namespace {namespace} {keys.INJECT_LABEL}={keys.INJECT_ENABLED}"
