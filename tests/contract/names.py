"""Generated FQNs: every part that the grammar can hold, percent-encoding included."""

from hypothesis import strategies as st

from contract.fqn import Fqn, ManagedSecret, StoreSecret

PARTS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?", fullmatch=True)
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.text("%?#{}&=:/. $", min_size=1, max_size=8)
PATHS = _TEXT.filter(lambda path: bool(path.strip("/")) and not {".", ".."} & set(path.split("/")))
STORES = st.sampled_from(["acme/aws/ssm-prod", "acme:hashicorp:main:secret-store:kv"])
MANAGED = st.builds(ManagedSecret, PARTS, PARTS, PARTS)
STORE_PATHS = st.builds(StoreSecret, STORES, PATHS)


def fqns() -> st.SearchStrategy[Fqn]:
    return st.builds(Fqn, MANAGED | STORE_PATHS, st.none() | _TEXT, st.booleans(), st.none() | _TEXT)
