"""Where things are on the page: each address is made here, percent-encoded. No address ever holds a value or a token."""

from pathlib import Path
from urllib.parse import quote, unquote, urlencode

FOLDER = Path(__file__).parent
ROOT = "/ui/"


def _part(name: str) -> str:
    return quote(name, safe="")


class Places:
    """Addresses under ROOT."""

    HOME = ROOT + "groups"
    LOGIN = ROOT + "login"
    LOGOUT = ROOT + "logout"
    OIDC = ROOT + "login/oidc"
    STORES = ROOT + "stores"
    NEW_GROUP = ROOT + "new-group"

    @staticmethod
    def groups(search: str = "", page: int = 1) -> str:
        asked = ([("q", search)] if search else []) + ([("page", str(page))] if page > 1 else [])
        return Places.HOME + (f"?{urlencode(asked)}" if asked else "")

    @staticmethod
    def group(name: str, what: str = "") -> str:
        """`what`: keys (nothing), use, collaborators, activity, delete, new-key."""
        return f"{Places.HOME}/{_part(name)}" + (f"/{what}" if what else "")

    @staticmethod
    def key(group: str, key: str, what: str = "") -> str:
        """`what`: the key itself (nothing), edit, delete, reveal, restore, undo."""
        return f"{Places.group(group, 'keys')}/{_part(key)}" + (f"/{what}" if what else "")


def with_note(place: str, note: str) -> str:
    """`note` is the name of a sentence that the page knows, not the sentence: an address shows nothing that others wrote."""
    return f"{place}{'&' if '?' in place else '?'}{urlencode({'note': note})}"


def own(target: str | None) -> str:
    """Where to go after a login: a page of ours, whatever was asked for."""
    if not target or len(target) > 2000 or not target.startswith(ROOT) or not target.isascii() or not target.isprintable():
        return Places.HOME
    decoded = unquote(target.partition("?")[0])
    if (
        "\\" in decoded
        or "//" in decoded
        or "/." in decoded
        or " " in target
        or target.startswith(Places.LOGIN)
        or not decoded.isprintable()
    ):
        return Places.HOME
    return target
