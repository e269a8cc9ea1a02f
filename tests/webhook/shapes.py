"""Generated pods: anything that has a pod's shape, with references sprinkled in.

`pods(careful=True)` are those that a good author writes: mostly injected. Without it names collide, fields are null or of this
program's own making, and references are malformed.
"""

import json
from typing import Any

from hypothesis import strategies as st

from contract import keys
from tests.webhook.pods import KEY, OWN, STRIPE, TOKEN, Json

GOOD = st.sampled_from(
    [
        KEY,
        STRIPE,
        TOKEN,
        OWN,
        f"{KEY}?optional=true",
        f"${{{KEY}}}",
        f"a ${{{KEY}}} b ${{{OWN}}}",
        f"Bearer {TOKEN}",
        f"$(A){STRIPE}",
        f"{KEY}#f",
    ]
)
BAD = st.sampled_from(
    [
        "tfy-secret://",
        "tfy-secret://acme",
        f"{KEY}?x=1",
        f"${{{KEY}",
        "tfy-secret://acme:search:INDEX_KEY",
        "tfy-secret://globex:a:b",
        "acme/vault/broken::/x",
        "acme/aws/ssm-prod::",
        f"$(REDIS_SERVICE_HOST){KEY}",
    ]
)
PLAIN = st.sampled_from(
    ["", "x", "std::vector", "2001:db8::1", "$(A)", "$$(A)", "${HOME}", "acme/aws/nobody::/x", '{"a": 1}', "é\n"]
) | st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)
UNKNOWN = st.dictionaries(st.sampled_from(["newField", "other", "zzz"]), ANYTHING, max_size=2)
SOURCES = st.sampled_from(
    [{"fieldRef": {"fieldPath": "status.podIP"}}, {"secretKeyRef": {"name": "s", "key": "k"}}, {"newRef": {"a": [None]}}]
)
NAMES = st.sampled_from(["A", "B", "C", "dotted.name", "with-dash", "REDIS_SERVICE_HOST"])


def _maybe(strategy: st.SearchStrategy[Any], careful: bool) -> st.SearchStrategy[Any]:
    return strategy if careful else strategy | st.none()


@st.composite
def _object(draw: st.DrawFn, **fields: st.SearchStrategy[Any]) -> Json:
    """Each field may be missing; unknown ones come along."""
    return draw(st.fixed_dictionaries({}, optional=fields)) | draw(UNKNOWN)


@st.composite
def _entry(draw: st.DrawFn, careful: bool) -> Json:
    entry: Json = {"name": draw(NAMES if careful else NAMES | st.sampled_from(["", "ä", ".."]))}
    if draw(st.integers(0, 4)) == 0:
        entry["valueFrom"] = draw(_maybe(SOURCES, careful))
    else:
        values = GOOD | PLAIN if careful else GOOD | PLAIN | GOOD | PLAIN | st.none()
        entry["value"] = draw(values if careful or draw(st.integers(0, 15)) else BAD)
    if not careful and draw(st.booleans()):
        entry |= draw(UNKNOWN)
    return entry


@st.composite
def _container(draw: st.DrawFn, name: str, careful: bool) -> Json:
    made = draw(
        _object(
            env=_maybe(st.lists(_entry(careful), max_size=5), careful),
            envFrom=_maybe(st.just([{"prefix": "P_", "configMapRef": {"name": "c"}}]), careful),
            volumeMounts=_maybe(
                st.lists(st.sampled_from([{"name": "data", "mountPath": "/data"}, {"name": "cfg", "mountPath": "/cfg"}]), max_size=2),
                careful,
            ),
            securityContext=_maybe(st.sampled_from([{}, {"runAsUser": 0}, {"runAsUser": 1000}]), careful),
            command=_maybe(st.just(["sh", "-c", "x"]), careful),
            args=st.just(["$(A)"]) if careful else st.sampled_from([None, [], ["x"], ["$(A)"], ["y", "z"], [KEY]]),
            restartPolicy=st.just("Always"),
        )
    )
    if careful or draw(st.booleans()):
        made["env"] = draw(st.lists(_entry(careful), min_size=1, max_size=5))
    if careful and draw(st.integers(0, 3)):
        made["command"] = ["/app"]
    return {"name": name, "image": "x"} | made


ENTRIES = st.fixed_dictionaries(
    {"mount_path": st.sampled_from(["/etc/a", "/etc/b", "/data/c"]), "secret_fqn": st.sampled_from([KEY, OWN])},
    optional={"mode": st.sampled_from(["0400", "0440", "0755"]), "containers": st.sampled_from([["c0"], ["c0", "c1"]])},
)


CONFIG_FILES = st.fixed_dictionaries(
    {
        "mount_path": st.sampled_from(["/etc/c", "/etc/d", "/data/e"]),
        "config_map": st.sampled_from(["gateway", "other.name"]),
        "key": st.sampled_from(["config.yaml", "x"]),
        "format": st.sampled_from(["yaml", "json", "raw"]),
    },
    optional={"mode": st.sampled_from(["0400", "0644"]), "containers": st.sampled_from([["c0"], ["c0", "c1"]]), "optional": st.booleans()},
)


@st.composite
def _annotations(draw: st.DrawFn, careful: bool) -> Json:
    files = st.lists(ENTRIES, max_size=2, unique_by=lambda e: e["mount_path"]).map(json.dumps)
    templates = st.lists(CONFIG_FILES, max_size=2, unique_by=lambda e: e["mount_path"]).map(json.dumps)
    known = {
        keys.FILES: files,
        keys.TEMPLATES: templates,
        keys.INIT_POSITION: st.just("first"),
        keys.MODE: st.sampled_from(["auto", "envfile"]),
        "other/x": st.just("y"),
    }
    if not careful:
        odd = st.none() | st.text(max_size=10) | files | templates | st.sampled_from(["last", "after:c0", "exec"])
        if draw(st.integers(0, 3)) == 0:
            known = {**dict.fromkeys(known, odd), keys.PREFIX + "mod": odd, keys.INJECT_LABEL: odd}
    return draw(st.fixed_dictionaries({}, optional=known))


VOLUMES = st.lists(
    st.sampled_from([{"name": "data", "emptyDir": {}}, {"name": "cfg", "configMap": {"name": "c"}}, {"name": "new", "newKind": [1]}]),
    unique_by=lambda v: v["name"],
)


@st.composite
def pods(draw: st.DrawFn, *, careful: bool) -> Json:
    names = [f"c{n}" for n in range(6)]
    if not careful:
        odd = draw(st.lists(st.sampled_from([*names, keys.INIT_CONTAINER, "", "x" * 63]), max_size=1))
        names = [*odd, *names] if draw(st.booleans()) else [names[0], *odd, *names[1:]]
    counts = draw(st.tuples(st.integers(1 if careful else 0, 3), st.integers(0, 2)))
    made: list[Json] = [draw(_container(name, careful)) for name in names[: sum(counts)]]
    odd_volumes = st.lists(
        st.sampled_from([{}, {"name": "data", "secret": {}}, {"name": keys.TOKEN_VOLUME}, {"name": "tfy-secrets-c0"}]), max_size=1
    )
    spec = draw(
        _object(
            volumes=VOLUMES if careful else VOLUMES | odd_volumes | st.none(),
            securityContext=_maybe(st.sampled_from([{}, {"runAsUser": 0}, {"runAsUser": 5, "fsGroup": 6}]), careful),
            hostNetwork=_maybe(st.booleans(), careful),
            enableServiceLinks=_maybe(st.booleans(), careful),
            nodeSelector=st.just({"a": "b"})
            if careful
            else st.sampled_from([None, {}, {"a": "b"}, {"a": None}, {"kubernetes.io/os": "windows"}]),
        )
    )
    spec |= {"serviceAccountName": "web", "containers": made[: counts[0]]}
    if counts[1] or draw(st.booleans()):
        spec["initContainers"] = made[counts[0] :]
    if not careful:
        nulls = draw(st.lists(st.sampled_from(["containers", "initContainers", "ephemeralContainers"]), max_size=1))
        spec |= dict.fromkeys(nulls)
    metadata = draw(
        _object(annotations=_annotations(careful), labels=_maybe(st.just({"app": "web"}), careful), generateName=st.just("web-"))
    )
    return {"metadata": metadata, "spec": spec} | draw(UNKNOWN)
