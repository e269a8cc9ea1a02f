"""What Key Vault's and the login's refusals mean, and who must act. Reads statuses and codes; repeats none of the service's words."""

import re
from typing import Any

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

from broker.errors import (
    BrokerError,
    Disabled,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    SoftDeleted,
    StoreRefused,
    Unavailable,
)
from broker.stores.azure.credentials import SECRET_FILE, TOKEN_FILE, Credentials
from broker.stores.azure.transport import Bare, Fault

RECOVER = "recover it (portal: Manage deleted secrets; or az keyvault secret recover), or write it again"
_CODE = re.compile(r"[A-Za-z]{1,64}")
_AADSTS = re.compile(r"AADSTS(\d{5,8})")

# A role for each thing that is done, and the permission where a vault still has access policies.
USER, OFFICER = "Key Vault Secrets User", "Key Vault Secrets Officer"

# What Entra's commonest codes mean; others are looked up by their number.
_LOGIN_FIXES = {
    "700016": "AZURE_CLIENT_ID names no application or managed identity of this tenant",
    "90002": "AZURE_TENANT_ID names no tenant of this cloud",
    "900023": "AZURE_TENANT_ID names no tenant of this cloud",
    "70021": "add a federated credential to the identity, with this cluster's issuer and the broker's service account as subject",
    "700211": "the federated credential names another issuer than this cluster's",
    "700212": "the federated credential names another audience than the token's (api://AzureADTokenExchange)",
    "700213": "the federated credential names another subject than the broker's service account",
    "700024": "the token is outside of its validity: are the clocks right?",
    "7000215": f"{SECRET_FILE} holds no secret of this application (its value is needed, not its id)",
    "7000222": "the client's secret has expired: make a new one",
    "700027": "the certificate is not registered with the application, or has expired",
}


def explained(place: str, error: Exception, needs: str) -> BrokerError:
    """What any exception of a call to the vault means. `needs` is the permission that the call takes: get, set, delete, list, recover."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, Fault):
        return error.at(place)
    if isinstance(error, Bare):
        return _refusal(place, error.status, "", needs)
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _refusal(place, int(error.status_code or 0), _inner_code(error.response), needs)
    if isinstance(error, ValueError) and str(error).startswith("The challenge "):
        return Misconfigured(
            f"{place}: the vault asks for a token of another service; it got none. To fix: is vaultUrl the vault's own address?"
        )
    return Malformed(f"{place}: the answer is not what Key Vault's API says ({type(error).__name__}). To fix: is vaultUrl a key vault's?")


def _refusal(place: str, status: int, code: str, needs: str) -> BrokerError:
    match status:
        case 400:
            return InvalidRequest(f"{place}: Key Vault says that the name, version or value is not acceptable (400)")
        case 401:
            return StoreRefused(
                f"{place}: the vault does not accept our token (401). To fix: the vault must trust the tenant in AZURE_TENANT_ID, and the "
                "clocks must be right"
            )
        case 403:
            return _forbidden(place, code, needs)
        case 404:
            return NotFound(f"{place}: the vault has no such secret or version (404)")
        case 409:
            return _conflict(place, code)
        case _:
            return Malformed(f"{place}: found status {status}, which Key Vault's API does not have. To fix: is vaultUrl right?")


def _forbidden(place: str, code: str, needs: str) -> BrokerError:
    match code:
        case "SecretDisabled":
            return Disabled(f"{place}: the version is disabled in the vault. To fix: enable it there, or name another version")
        case "ForbiddenByFirewall" | "ForbiddenByConnection" | "ForbiddenByNetworkPerimeter":
            fix = "allow the broker's network in the vault's networking settings, or give it a private endpoint"
            return StoreRefused(f"{place}: the vault's firewall refuses the broker's address (403 {code}). To fix: {fix}")
        case "ForbiddenByPolicy":
            fix = f"add the secret permission '{needs}' for the broker's identity to the vault's access policies"
            return StoreRefused(f"{place}: the broker's identity may not do this (403 {code}). To fix: {fix}")
        case _:
            known = f" {code}" if code == "ForbiddenByRbac" else ""
            role = USER if needs in ("get", "list") else OFFICER
            fix = f"assign it the role '{role}' at the vault (with access policies: the secret permission '{needs}')"
            return StoreRefused(f"{place}: the broker's identity may not do this (403{known}). To fix: {fix}")


def _conflict(place: str, code: str) -> BrokerError:
    match code:
        case "ObjectIsDeletedButRecoverable":
            return soft_deleted(place)
        case "ObjectIsBeingDeleted":
            return Unavailable(f"{place}: the vault is still deleting the secret of this name (409). To fix: try again in some seconds")
        case "ObjectIsBeingRecovered":
            return Unavailable(f"{place}: the vault is still recovering the secret of this name (409). To fix: try again in some seconds")
        case _:
            return Unavailable(f"{place}: the secret is being changed by someone else (409). To fix: try again")


def soft_deleted(place: str) -> SoftDeleted:
    return SoftDeleted(f"{place}: the secret is deleted, and the vault still keeps it. To fix: {RECOVER}")


def login_refused(place: str, error: Exception, credentials: Credentials) -> BrokerError:
    """What any exception of a token request means."""
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, Fault):
        return error.at(place)
    number, status = "", 0
    if isinstance(error, Bare):
        status = error.status
    elif isinstance(error, ClientAuthenticationError) and error.response is not None:
        number, status = _login_code(error.response), int(error.status_code or 0)
    if status < 400:
        return Malformed(f"{place}: the answer is no token ({type(error).__name__}). To fix: is AZURE_AUTHORITY_HOST a login of Azure?")
    found = f"AADSTS{number}" if number else f"status {status}"
    hint = "the federated credential of the identity" if credentials.kind == TOKEN_FILE else f"what {credentials.kind} holds"
    fix = _LOGIN_FIXES.get(number, f"AZURE_TENANT_ID, AZURE_CLIENT_ID and {hint}")
    return StoreRefused(f"{place}: Microsoft Entra refuses the login ({found}). To fix: {fix}")


def _inner_code(response: Any) -> str:
    """The most precise of the codes in {"error": {"code", "innererror": {"code"}}}."""
    error = _member(_document(response), "error")
    code = _member(_member(error, "innererror"), "code") or _member(error, "code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _login_code(response: Any) -> str:
    """Entra's number of what is wrong. Its text is anybody's; only digits are taken from it."""
    document = _document(response)
    codes = _member(document, "error_codes")
    if isinstance(codes, list) and codes and isinstance(codes[0], int) and 0 < codes[0] < 10**8:
        return str(codes[0])
    text = _member(document, "error_description")
    found = _AADSTS.search(text) if isinstance(text, str) else None
    return found[1] if found else ""


def _document(response: Any) -> Any:
    try:
        return response.json()
    except Exception:  # noqa: BLE001 - an error without a readable body is one without a code
        return None


def _member(document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        return None
    return next((value for key, value in document.items() if isinstance(key, str) and key.lower() == name), None)
