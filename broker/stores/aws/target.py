"""What a SecretStore says of AWS: which region, which endpoint, as which role. Faults are told when the store is opened.

The endpoint of the store comes from the manifest or follows from the region; the environment's AWS_ENDPOINT_URL variables are
heeded for the login (STS) alone.
"""

import re
from dataclasses import dataclass, replace

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from broker.stores.checks import shown
from broker.stores.exchange import Patience
from contract.resources import SecretStore

_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")
_ROLE = re.compile(r"arn:aws[a-z-]{0,12}:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """One store's place in AWS. `has_own_paths`: it has allow rules, so the role may be meant for those alone."""

    name: str
    region: str
    endpoint: str | None
    role: str | None
    tenant: str
    has_own_paths: bool
    reach: Reach
    patience: Patience
    service: str = ""

    @classmethod
    def parse(cls, store: SecretStore, reach: Reach, patience: Patience | None = None) -> "Target":
        """Raises Misconfigured."""
        place = f"SecretStore {store.name}"
        region = str(store.settings.get("region"))
        endpoint, role = store.settings.get("endpoint"), store.settings.get("roleArn")
        if not _REGION.fullmatch(region):
            raise Misconfigured(f"{place}: region: found '{shown(region)}'; allowed: an AWS region, e.g. eu-west-1")
        if role is not None and not _ROLE.fullmatch(role):
            raise Misconfigured(f"{place}: roleArn: found '{shown(role)}'; allowed: an IAM role, e.g. arn:aws:iam::123456789012:role/name")
        return cls(
            name=store.name,
            region=region,
            endpoint=None if endpoint is None else reach.check_url(f"{place}: endpoint", endpoint),
            role=role,
            tenant=re.split("[/:]", store.fqn)[0],
            has_own_paths=bool(store.allow),
            reach=reach,
            patience=patience or Patience(),
        )

    @property
    def place(self) -> str:
        """How messages begin."""
        return f"SecretStore {self.name}" + (f": login: {self.service}" if self.service else "")

    def of(self, service: str) -> "Target":
        """For what is asked in order to log in: a failure there is not the store's."""
        return replace(self, service=service)

    @property
    def session_name(self) -> str:
        """What CloudTrail shows: at most 64 characters."""
        return f"tfy-secret-injector-{self.name}"[:64]

    @property
    def nowhere(self) -> str:
        """A name within the policy that we document, which no secret can have: `-` is no group and no key."""
        return f"/tfy-secret/{self.tenant}/-/-"

    def place_of(self, path: str, version: str | None = None) -> str:
        return f"{self.place}: path '{shown(path)}'" + ("" if version is None else f" version '{shown(version)}'")
