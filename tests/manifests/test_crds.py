"""The CRDs know every provider, role and field that contract.resources knows, and no more."""

from typing import Any

from contract.keys import API_GROUP
from contract.providers import PROVIDERS, required
from contract.resources import ROLES
from tests.manifests.built import one

REFUSED = {
    "accessKey",
    "accessKeyId",
    "apiKey",
    "authData",
    "clientSecret",
    "credentials",
    "headers",
    "key",
    "password",
    "privateKey",
    "secretAccessKey",
    "secretId",
    "secretKey",
    "serviceAccountKey",
    "sessionToken",
    "token",
}


def schema_of(plural: str) -> dict[str, Any]:
    (version,) = one("crds", "CustomResourceDefinition", f"{plural}.{API_GROUP}")["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    return version["schema"]["openAPIV3Schema"]["properties"]


def test_providers_and_their_fields_are_the_same() -> None:
    providers = schema_of("secretstores")["spec"]["properties"]["provider"]["properties"]
    assert providers.keys() == PROVIDERS.keys()
    for name, fields in PROVIDERS.items():
        assert providers[name]["properties"].keys() - REFUSED == fields.keys()
        assert set(providers[name].get("required", ())) == {field for field, known in fields.items() if required(known)}


def test_every_object_that_declares_a_credential_refuses_it() -> None:
    """A declared field without the rule would be stored."""

    def visit(schema: dict[str, Any]) -> int:
        properties = schema.get("properties", {})
        if properties.keys() & REFUSED:
            assert properties.keys() >= REFUSED
            (rule,) = (r["rule"] for r in schema["x-kubernetes-validations"] if "has(self.token)" in r["rule"])
            assert all(f"has(self.{name})" in rule for name in REFUSED)
        return bool(properties.keys() & REFUSED) + sum(visit(child) for child in properties.values())

    assert visit(schema_of("secretstores")["spec"]) == len(PROVIDERS) + 4  # Vault's auth and its three objects


def test_roles_are_the_same() -> None:
    group = schema_of("secretgroups")["spec"]["properties"]
    assert tuple(group["collaborators"]["items"]["properties"]["role"]["enum"]) == ROLES


def test_conditions_are_merged_by_type() -> None:
    for plural in ("secretstores", "secretgroups"):
        conditions = schema_of(plural)["status"]["properties"]["conditions"]
        assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
