"""What the environment says about the login: as azure-workload-identity's webhook sets it, or files of a service principal.

One login for all key vaults of a broker. No secret is taken from a variable's value, none from a command line tool or a node's metadata
service: a pod that shares its node would share its identity. Files are read when they are needed, and again when they change.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from broker.stores.credential_file import CredentialFile, Signature, signature
from contract.fqn import shorten

MAX_CERTIFICATE_BYTES = 64 * 1024  # with its chain and key it has some 6 KB
PUBLIC_CLOUD = "https://login.microsoftonline.com"

TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - a variable's name
CERTIFICATE_FILE = "AZURE_CLIENT_CERTIFICATE_PATH"
SECRET_FILE = "AZURE_CLIENT_SECRET_FILE"  # noqa: S105 - the same
_FILES = (TOKEN_FILE, CERTIFICATE_FILE, SECRET_FILE)
# Variables of Azure's SDK whose value is a secret, and what to use instead.
_VALUES = {
    "AZURE_CLIENT_SECRET": f"put it in a mounted file, and name the file in {SECRET_FILE}",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD": f"mount the certificate with a key that has no password, and name the file in {CERTIFICATE_FILE}",
    "AZURE_PASSWORD": f"let the broker be a workload identity ({TOKEN_FILE}), not a user",
}
_LABEL = "label the broker's pod azure.workload.identity/use: \"true\" and annotate its service account with the client's id"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,252}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the broker is at Microsoft Entra: `kind` is the variable that names `file`."""

    authority: str
    tenant: str
    client: str
    kind: str
    file: Path

    @classmethod
    def from_environ(cls, place: str, environ: Mapping[str, str], reach: Reach) -> "Credentials":
        """Raises Misconfigured with everything that is wrong."""
        problems = [f"{name}: a secret in a variable is not used. To fix: {fix}" for name, fix in _VALUES.items() if environ.get(name)]
        tenant, client = (_id(environ, name, problems) for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"))
        given = [name for name in _FILES if environ.get(name)]
        if len(given) != 1:
            found, fix = (" and ".join(given), "unset the others") if given else ("none", _LABEL)
            problems.append(f"{', '.join(_FILES)}: found {found}; allowed: exactly one of them. To fix: {fix}")
        if problems:
            raise Misconfigured(f"{place}: the login to Azure: " + "; ".join(problems))
        return cls(_authority(place, environ, reach), tenant, client, given[0], Path(environ[given[0]]))

    def line(self, place: str) -> CredentialFile:
        """The file of a token or a client's secret."""
        fix = "put the client's secret there" if self.kind == SECRET_FILE else "mount a token of the broker's service account there"
        return CredentialFile(f"{place}: {self.kind}", str(self.file), fix)


class CertificateFile:
    """A certificate and its key, read again when the file changes. What is in it never appears in a message."""

    def __init__(self, label: str, file: Path) -> None:
        self._label, self._file = label, file
        self._read: Signature | None = None

    def content(self) -> bytes | None:
        """What is in the file; None: what was in it the last time. Raises Misconfigured."""
        try:
            if self._read == signature(self._file.stat()):
                return None
            with self._file.open("rb") as stream:
                self._read = signature(os.fstat(stream.fileno()))  # of what is read, whatever the name means a moment later
                content = stream.read(MAX_CERTIFICATE_BYTES + 1)
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from None
        if len(content) > MAX_CERTIFICATE_BYTES:
            raise self.unusable()
        return content

    def unusable(self) -> Misconfigured:
        """For content that is something else. It is read again the next time."""
        self._read = None
        return self._fault("holds no certificate with its RSA key, without a password, as PEM or PKCS #12")

    def _fault(self, found: str) -> Misconfigured:
        return Misconfigured(f"{self._label}: file {self._file} {found}. To fix: mount the application's certificate and key there")


def _id(environ: Mapping[str, str], name: str, problems: list[str]) -> str:
    value = environ.get(name, "")
    if not _ID.fullmatch(value):
        found = repr(shorten(value, 60)) if value else "nothing"
        problems.append(f"{name}: found {found}; allowed: an id such as 00000000-0000-0000-0000-000000000000")
    return value


def _authority(place: str, environ: Mapping[str, str], reach: Reach) -> str:
    value = environ.get("AZURE_AUTHORITY_HOST") or PUBLIC_CLOUD
    url = reach.check_url(f"{place}: AZURE_AUTHORITY_HOST", value if "://" in value else f"https://{value}")
    if not url.lower().startswith("https://"):
        raise Misconfigured(f"{place}: AZURE_AUTHORITY_HOST: found plain HTTP; allowed: https, by Azure's own rule")
    return url
