"""What a SecretStore's `provider` may say: exactly one of the providers, and its fields by a table.

A credential never belongs there; a field that looks like one is refused with the sentence that says where it belongs, and what
it held is not repeated.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from contract.fqn import shorten
from contract.record import record

CREDENTIAL_SENTENCE = "a credential does not belong in a manifest: put it in a file mounted into the broker, and name the file"
# What credentials are called by AWS, Google, Azure, Vault and those who write manifests; a name that ends in "file" is a path's.
_CREDENTIAL = re.compile(
    r"(?!.*file$)(?:.*(?:token|passw|passphrase|credential|(?:api|access|secret|private|account)key|bearer|jwt).*|.*secret|secretid|roleid"
    r"|key|keyjson|serviceaccountjson|headers?|auth|authdata|userpass)"
)
_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")


@record
class Field:
    """One field: whether its value is acceptable, what is needed otherwise, and whether it must be there."""

    accepts: Callable[[Any], bool]
    needed: str
    required: bool = True

    @property
    def optional(self) -> "Field":
        return Field(self.accepts, self.needed, False)


@record
class OneOf:
    """An object with exactly one of these fields."""

    choices: "Mapping[str, Field | Shape]"


@record
class Named:
    """An object whose fields the author names; each holds the same."""

    each: Field


Shape = dict[str, "Field | OneOf | Named"]

TEXT = Field(lambda v: isinstance(v, str) and bool(v), "a string is needed")
URL = Field(
    lambda v: isinstance(v, str) and _URL.fullmatch(v) is not None,
    f"an https URL without user, query and fragment is needed; {CREDENTIAL_SENTENCE}",
)
FILE = Field(lambda v: isinstance(v, str) and v.startswith("/"), f"an absolute path of a mounted file is needed; {CREDENTIAL_SENTENCE}")
KV_VERSION = Field(lambda v: isinstance(v, int) and not isinstance(v, bool) and v in {1, 2}, "1 or 2 is needed")

_AWS: Shape = {"region": TEXT, "endpoint": URL.optional, "roleArn": TEXT.optional}
_VAULT_AUTH = OneOf(
    {
        "kubernetes": {"role": TEXT, "tokenFile": FILE.optional, "path": TEXT.optional},
        "jwt": {"role": TEXT, "tokenFile": FILE, "path": TEXT.optional},
        "appRole": {"roleIdFile": FILE, "secretIdFile": FILE, "path": TEXT.optional},
        "tokenFile": FILE,
    }
)
PROVIDERS: dict[str, Shape] = {
    "embedded": {},
    "generic": {"baseUrl": URL, "headerFiles": Named(FILE)},
    "awsParameterStore": _AWS,
    "awsSecretsManager": _AWS,
    "googleSecretManager": {"project": TEXT, "endpoint": URL.optional},
    "azureKeyVault": {"vaultUrl": URL},
    "vault": {
        "address": URL,
        "mount": TEXT,
        "namespace": TEXT.optional,
        "kvVersion": KV_VERSION.optional,
        "caFile": FILE.optional,
        "auth": _VAULT_AUTH,
    },
    "truefoundry": {"baseUrl": URL, "tokenFile": FILE},
}


def read_provider(value: Any, problems: list[str]) -> tuple[str, Mapping[str, Any]]:
    """The provider's name and settings; faults are added to `problems`."""
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in PROVIDERS:
        found = ", ".join(shorten(str(k), 30) for k in value) if isinstance(value, dict) and value else "nothing"
        problems.append(f"spec.provider: found {found}; allowed: exactly one of {', '.join(PROVIDERS)}")
        return "", {}
    ((name, settings),) = value.items()
    if settings is None and name == "embedded":
        problems.append("spec.provider.embedded: an object is needed; for embedded write `embedded: {}`")
    else:
        _check_shape(f"spec.provider.{name}", settings, PROVIDERS[name], problems)
    return name, settings if isinstance(settings, dict) else {}


def _check_shape(place: str, value: Any, shape: Shape, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(f"{place}: an object is needed, {{}} at least")
        return
    for name, content in value.items():
        if name in shape:
            _check(f"{place}.{name}", content, shape[name], problems)
        else:
            problems.append(_unknown(place, str(name), shape))
    missing = [name for name, known in shape.items() if name not in value and required(known)]
    problems += [f"{place}.{name}: is missing" for name in missing]


def files(provider: str, settings: Mapping[str, Any]) -> list[str]:
    """The mounted files that the settings of a provider name: its credentials, in most cases. For settings that passed the check."""
    return _files(settings, PROVIDERS.get(provider, {}))


def _files(settings: Mapping[str, Any], shape: "Mapping[str, Field | Shape | OneOf | Named]") -> list[str]:
    found: list[str] = []
    for name, value in settings.items():
        known = shape.get(name)
        if isinstance(known, Field):
            found += [value] * (known.accepts is FILE.accepts)
        elif isinstance(known, Named):
            found += list(value.values()) if known.each.accepts is FILE.accepts else []
        elif known is not None:
            found += _files(value, known.choices if isinstance(known, OneOf) else known)
    return found


def required(known: Field | OneOf | Named) -> bool:
    return isinstance(known, OneOf) or (isinstance(known, Field) and known.required)


def _check(place: str, value: Any, known: Field | OneOf | Named, problems: list[str]) -> None:
    if isinstance(known, Field):
        if not known.accepts(value):
            problems.append(f"{place}: {known.needed}")
    elif isinstance(known, Named):
        _check_named(place, value, known, problems)
    elif isinstance(value, dict):
        _check_choice(place, value, known, problems)
    else:
        problems.append(f"{place}: an object is needed")


def _check_named(place: str, value: Any, known: Named, problems: list[str]) -> None:
    if not isinstance(value, dict) or not all(isinstance(k, str) and k and isinstance(v, str) and v for k, v in value.items()):
        problems.append(f"{place}: an object of strings is needed")
        return
    for name, content in value.items():
        _check(f"{place}.{shorten(name, 40)}", content, known.each, problems)


def _check_choice(place: str, value: dict[Any, Any], known: OneOf, problems: list[str]) -> None:
    problems += [_unknown(place, str(name), known.choices) for name in value if name not in known.choices]
    given = [name for name in value if name in known.choices]
    if len(given) != 1:
        problems.append(f"{place}: allowed: exactly one of {', '.join(known.choices)}")
    for name in given:
        choice = known.choices[name]
        if isinstance(choice, Field):
            _check(f"{place}.{name}", value[name], choice, problems)
        else:
            _check_shape(f"{place}.{name}", value[name], choice, problems)


def _unknown(place: str, name: str, known: Mapping[str, Any]) -> str:
    credential = _CREDENTIAL.fullmatch(name.lower().replace("_", "").replace("-", ""))
    reason = CREDENTIAL_SENTENCE if credential else f"unknown field; allowed: {', '.join(known) or 'none'}"
    return f"{place}.{shorten(name, 40)}: {reason}"
