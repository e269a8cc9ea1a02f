"""5,000 groups with their own people and keys, and one with 200 keys: what the tests and the bench of large lists look at."""

from tests.page.running import ROLES, group

GROUPS, KEYS = 5_000, 200
SCREEN_BYTES = 500_000
WIDE = "/ui/groups/zz-many-keys"
COLLABORATORS = f"{WIDE}/collaborators"
PLACES = [
    "/ui/groups", "/ui/groups?page=100", "/ui/groups?q=team-4999", "/ui/groups?q=key_77", WIDE, f"{WIDE}?q=KEY_1", f"{WIDE}/use",
    COLLABORATORS, f"{WIDE}/keys/KEY_100", "/ui/stores", "/ui/new-group",
]  # fmt: skip


def manifests():
    everyone = [(role, f"user:{role}") for role in ROLES]
    narrow = [group(f"team-{n:04}", [f"KEY_{n}", "DB_PASSWORD"], everyone) for n in range(GROUPS - 1)]
    return [*narrow, group("zz-many-keys", [f"KEY_{n:03}" for n in range(KEYS)], everyone)]
