"""Changing one group in a file leaves every other byte, or is refused: tables of YAML as people write it, and generated files."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.groups.splice import CannotEdit, with_lists, without

HEAD = "apiVersion: tfy-secret.dev/v1alpha1\nkind: SecretGroup\n"
FILE = """# Groups of the payments team. Ask #payments before you change them.
apiVersion: v1
kind: ConfigMap
metadata: {name: é, annotations: {x: "# no comment"}}
---
# payments
apiVersion: tfy-secret.dev/v1alpha1
kind: SecretGroup
metadata: {name: payments}   # the name
spec:
  store: main   # here
  keys:
  # the first
  - A   # about a
  # the second
  - B
  collaborators:
  - role: secret-group-admin   # long ago
    subject: "user:ann"
  - {role: secret-group-viewer, subject: "user:bob"}
# the end
---
apiVersion: tfy-secret.dev/v1alpha1
kind: SecretGroup
metadata: {name: other}
spec: {store: main}
"""
BOB = {"role": "secret-group-viewer", "subject": "user:bob"}
EVE = {"role": "secret-group-editor", "subject": "team:naïve # no: comment"}


def test_comments_and_other_documents_stay_to_the_byte():
    made = with_lists(FILE, "payments", {"keys": ["B", "yes"], "collaborators": [BOB, EVE]})
    assert made == FILE.replace("  - A   # about a\n", "").replace("  - B\n", '  - B\n  - "yes"\n').replace(
        '  - role: secret-group-admin   # long ago\n    subject: "user:ann"\n', ""
    ).replace('subject: "user:bob"}\n', 'subject: "user:bob"}\n  - {role: secret-group-editor, subject: "team:naïve # no: comment"}\n')


SPECS = {
    "no-list": ("spec: {store: m}\n", 'spec: {"keys": [A], store: m}\n'),
    "no-list-in-a-block": ("spec:\n    store: m\n", "spec:\n    keys: [A]\n    store: m\n"),
    "an-empty-value": ("spec:\n  store: m\n  keys:\n", "spec:\n  store: m\n  keys: [A]\n"),
    "null": ("spec:\n  keys: null # none\n  store: m\n", "spec:\n  keys: [A] # none\n  store: m\n"),
    "brackets": ("spec:\n  keys: [ X,\n     Y ]\n  store: m\n", "spec:\n  keys: [A]\n  store: m\n"),
    "an-indented-list": ("spec:\n  keys:\n      - X\n  store: m\n", "spec:\n  keys:\n      - A\n  store: m\n"),
    "no-last-newline": ("spec:\n  store: m\n  keys:\n  - A", "spec:\n  store: m\n  keys:\n  - A"),
    "windows": ("spec:\r\n  store: m\r\n  keys:\r\n  - X\r\n", "spec:\r\n  store: m\r\n  keys:\r\n  - A\n"),
}


@pytest.mark.parametrize(("before", "after"), SPECS.values(), ids=SPECS)
def test_shapes_of_lists(before, after):
    head = HEAD + "metadata: {name: g}\n"
    assert with_lists(head + before, "g", {"keys": ["A"]}) == head + after


def test_an_item_after_a_last_line_without_its_newline():
    made = with_lists(HEAD + "metadata: {name: g}\nspec:\n  store: m\n  keys:\n  - A", "g", {"keys": ["A", "B"]})
    assert made.endswith("  - A\n  - B\n")


def test_json_stays_json():
    import json

    text = '{"apiVersion":"tfy-secret.dev/v1alpha1","kind":"SecretGroup","metadata":{"name":"j"},"spec":{"store":"m","keys":["X"]}}'
    assert json.loads(with_lists(text, "j", {"keys": ["A"], "collaborators": [BOB]}))["spec"] == {
        "store": "m",
        "keys": ["A"],
        "collaborators": [BOB],
    }


REFUSED = {
    "an-anchor-that-something-else-uses": "metadata: {name: g}\nspec: {store: m, keys: &k [X]}\nother: *k\n",
    "a-merge": "base: &b {store: m, keys: [X]}\nmetadata: {name: g}\nspec: *b\nother: *b\n",
    "a-comment-in-brackets": "metadata: {name: g}\nspec:\n  store: m\n  keys: [X, # why\n    Y]\n",
    "a-text": "metadata: {name: g}\nspec: {store: m, keys: {a: b}}\n",
    "no-spec": "metadata: {name: g}\n",
    "an-empty-spec": "metadata: {name: g}\nspec: {}\n",
    "another-name": "metadata: {name: h}\nspec: {store: m}\n",
}


@pytest.mark.parametrize("rest", REFUSED.values(), ids=REFUSED)
def test_what_would_lose_something_is_refused(rest):
    with pytest.raises(CannotEdit):
        with_lists(HEAD + rest, "g", {"keys": ["A"]})


def test_removing_a_document():
    made = without(FILE, "payments")
    assert (
        made
        == FILE[: FILE.index("---\n# payments")]
        + FILE[FILE.index("---\napiVersion: tfy-secret.dev/v1alpha1\nkind: SecretGroup\nmetadata: {name: other}") :]
    )
    assert without(made, "other").rstrip("\n") + "\n" == made[: made.rindex("---\n")]
    assert without(HEAD + "metadata: {name: g}\nspec: {store: m}\n# bye\n", "g") is None


def test_removing_an_item_of_a_list():
    items = "".join(
        f"- apiVersion: tfy-secret.dev/v1alpha1\n  kind: SecretGroup\n  metadata: {{name: g{n}}}\n  spec: {{store: m}}\n" for n in (1, 2, 3)
    )
    text = f"kind: List\nitems:\n{items}# end\n"
    for n in (1, 2, 3):
        left = without(text, f"g{n}")
        assert [item["metadata"]["name"] for item in yaml.safe_load(left)["items"]] == [f"g{m}" for m in (1, 2, 3) if m != n]
        assert left.endswith("# end\n")


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9])?", fullmatch=True)
SUBJECTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(lambda t: f"user:x{t}y")
DUMPS = [
    lambda d: yaml.safe_dump(d, default_flow_style=False, allow_unicode=True),
    lambda d: yaml.safe_dump(d, default_flow_style=True, allow_unicode=True),
    lambda d: yaml.safe_dump(d, indent=4, default_style='"'),
    lambda d: yaml.safe_dump(d, sort_keys=False, width=20),
]


@settings(max_examples=120, deadline=None)
@given(
    st.lists(NAMES, unique=True, max_size=6),
    st.lists(NAMES, unique=True, max_size=6),
    st.lists(SUBJECTS, unique=True, max_size=4),
    st.lists(SUBJECTS, unique=True, max_size=4),
    st.sampled_from(DUMPS),
)
def test_any_file_is_changed_as_meant_or_refused(before, after, people, wanted, dump):
    """Never a third outcome: `with_lists` raises nothing but CannotEdit, and what it returns means exactly the change."""

    def rules(subjects):
        return [{"role": "secret-group-viewer", "subject": s} for s in subjects]

    def group(name, keys, subjects):
        return {
            "apiVersion": "x",
            "kind": "SecretGroup",
            "metadata": {"name": name},
            "spec": {"store": "m", "keys": keys, "collaborators": rules(subjects)},
        }

    other = dump(group("other", after, people))
    text = "# top\n" + dump(group("g", before, people)) + "---\n# between\n" + other
    try:
        made = with_lists(text, "g", {"keys": after, "collaborators": rules(wanted)})
    except CannotEdit:
        assert any(not c.isprintable() for s in wanted + people for c in s), "only odd characters are a reason"
        return
    first, second = yaml.safe_load_all(made)
    assert set(first["spec"]["keys"] or []) == set(after)
    assert {r["subject"] for r in first["spec"]["collaborators"] or []} == set(wanted)
    assert second == yaml.safe_load(other)
    assert made.endswith("---\n# between\n" + other)
