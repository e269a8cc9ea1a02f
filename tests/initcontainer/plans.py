"""Plans for tests, in few words."""

from hashlib import sha256

from contract.plan import ContainerPlan, EnvDelivery, FileDelivery, Plan, TemplateDelivery

PASSWORD = "tfy-secret://acme:payments:DB_PASSWORD"
TOKEN_NAME = "tfy-secret://acme:mcp:TOKEN"
PATH = "acme/aws/ssm-prod::/mail/smtp-key"
HOST = "tfy-secret://acme:payments:HOST"


def variable(name: str, *parts: str) -> EnvDelivery:
    """`parts` as in the plan: text, name, text; one part alone is a whole value."""
    return EnvDelivery(name, f"env/{name}", parts if len(parts) > 1 else ("", parts[0], ""))


def file(path: str, fqn: str, mode: int = 0o444) -> FileDelivery:
    return FileDelivery(f"/etc/app/{path}", f"files/{path}", fqn, mode)


def template(
    path: str, key: str = "config.yaml", format_name: str = "yaml", *, mode: int = 0o444, optional: bool = False
) -> TemplateDelivery:
    """Of ConfigMap `gateway`; its source's folder is the key."""
    return TemplateDelivery(f"/etc/app/{path}", f"templates/{path}", key, "gateway", key, format_name, mode, optional)


def container(*deliveries: EnvDelivery | FileDelivery | TemplateDelivery, name: str = "app", mode: str = "envfile") -> ContainerPlan:
    env = tuple(d for d in deliveries if isinstance(d, EnvDelivery))
    files = tuple(d for d in deliveries if isinstance(d, FileDelivery))
    templates = tuple(d for d in deliveries if isinstance(d, TemplateDelivery))
    return ContainerPlan(name, f"tfy-secret-{name}", mode, env, files, templates)


def plan(*containers: ContainerPlan, broker: str = "https://localhost:1", ca: str = "") -> Plan:
    return Plan(broker, ca, containers)


def digest(value: bytes) -> str:
    """Compare by this, so that a failing assertion shows no value."""
    return sha256(value).hexdigest()
