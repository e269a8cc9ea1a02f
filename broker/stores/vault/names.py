"""From a path to the name that a KV mount has for it, so that one name has one spelling and no own path reaches a managed secret.

path                              | name below the mount | what is there
--------------------------------- | -------------------- | -------------------------------------------------------
/tfy-secret/<t>/<g>/<K>           | the same             | ours: one value
/mail/smtp                        | mail/smtp            | the team's: an object of fields
<mount>/mail/smtp                 | mail/smtp            | the team's, as `vault kv get` names it
another mount/..., mail/smtp      |                      | refused: it could mean two things
/tfy-secret/ and another shape    | the same             | the team's: whose it is, was decided by its plain path
a segment `tfy-secret` elsewhere  |                      | refused: managed secrets have their own names, and roles
"", `.`, `..`, unprintable        |                      | refused: Vault itself would read another name there

`data/` is no part of a name: the client of KV version 2 adds it, so `/data/x` is a folder called data.
"""

from dataclasses import dataclass
from urllib.parse import quote

from broker.errors import InvalidRequest, Misconfigured
from broker.stores.checks import check_path, shown
from contract.fqn import MANAGED_FORM, ROOT, is_part, shorten


@dataclass(frozen=True, slots=True)
class Name:
    """`below` the mount. `ours`: the entry holds one value that this broker writes; else it is an object that others keep."""

    below: str
    ours: bool

    @property
    def quoted(self) -> str:
        """As a URL carries it; a slash in it separates, nothing else has a meaning."""
        return quote(self.below, safe="/")


def parse(place: str, path: str, mount: str) -> Name:
    """Raises InvalidRequest, with `place` before the sentence."""
    check_path(path)
    below = path[1:] if path.startswith("/") else path.removeprefix(f"{mount}/")
    if below == path:
        raise InvalidRequest(
            f"{place}: path '{shown(path)}': begins neither with '/' nor with the mount '{mount}/'. "
            f"To fix: write /<path> for what is below the mount; for another mount, name a SecretStore of its own"
        )
    segments = below.split("/")
    if not all(map(_is_segment, segments)):
        raise InvalidRequest(
            f"{place}: path '{shown(path)}': has a segment that is empty, '.', '..' or not printable, which Vault reads as another name. "
            "To fix: write the path that is meant, without a slash at its end"
        )
    plain = path.startswith(f"/{ROOT}/")
    if plain and len(segments) == 4 and all(map(is_part, segments)):
        return Name(below, ours=True)
    # In any other place, for a mount of another version or another depth than we think would put it first.
    if any(segment.casefold() == ROOT for segment in segments[plain:]) or path.partition("/")[0] == ROOT:
        raise InvalidRequest(f"{place}: path '{shown(path)}': managed secrets are named {MANAGED_FORM}. To fix: use that name")
    return Name(below, ours=False)


def misread(path: str, name: Name, mount: str) -> str | None:
    """What an author may have meant by an own path that leads to nothing: how to write it, as the end of a sentence."""
    if path.startswith(f"/{mount}/"):
        return f"a path that begins with '/' is below the mount already; is '{shown(path[1:])}' meant?"
    if name.below.startswith("data/"):
        return f"'data/' belongs to the API and not to a name; is '/{shown(name.below.removeprefix('data/'))}' meant?"
    return None


def parse_mount(label: str, text: str) -> str:
    """A mount's path without outer slashes. Raises Misconfigured."""
    mount = text.strip("/")
    if not all(map(_is_segment, mount.split("/"))):
        raise Misconfigured(f"{label}: found '{shorten(text)}'; allowed: where it is mounted, e.g. secret or team/kv")
    return mount


def _is_segment(text: str) -> bool:
    return text not in ("", ".", "..") and text.isprintable()
