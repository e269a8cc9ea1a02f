"""A secret's name as people type it: a whole FQN, or without the scheme, or without the tenant.

tfy-secret://acme:payments:DB_PASSWORD      acme:payments:DB_PASSWORD      payments:DB_PASSWORD
"""

from broker.errors import InvalidRequest
from broker.people import managed
from contract.fqn import SCHEME, Fqn, ManagedSecret


def read_name(text: str, tenant: str | None) -> tuple[Fqn, ManagedSecret]:
    """`tenant` completes `group:KEY`. Qualifiers (`?version=`, `#field`) may follow. Raises InvalidRequest."""
    if text.startswith(SCHEME) or "::" in text:
        return managed(text)
    name = text.partition("?")[0].partition("#")[0]
    if name.count(":") == 1:
        if not tenant:
            raise InvalidRequest(f"'{text[:120]}' names no tenant; write <tenant>:<group>:<key>, or set TFY_SECRET_TENANT")
        text = f"{tenant}:{text}"
    return managed(SCHEME + text)
