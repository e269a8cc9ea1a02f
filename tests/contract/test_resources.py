"""SecretStore and SecretGroup manifests: what is taken, and each fault in its words, all of an object's at once."""

from typing import Any

import pytest

from contract.providers import files
from contract.resources import AllowRule, ResourceError, SecretGroup, SecretStore, parse_group, parse_store

API = "tfy-secret.dev/v1alpha1"
STORE_FORM = "<tenant>/<provider>/<name> or <tenant>:<provider>:<account>:secret-store:<name>"
SUBJECTS = "user:<name>, team:<name>, serviceaccount:<namespace>/<name> or namespace:<name>"
PROVIDERS = "embedded, generic, awsParameterStore, awsSecretsManager, googleSecretManager, azureKeyVault, vault, truefoundry"
CREDENTIAL = "a credential does not belong in a manifest: put it in a file mounted into the broker, and name the file"


def store(name: Any = "ssm", fqn: Any = "acme/aws/ssm", provider: Any = None, **more: Any) -> dict[str, Any]:
    spec = {"fqn": fqn, "provider": {"embedded": {}} if provider is None else provider, **more}
    return {"apiVersion": API, "kind": "SecretStore", "metadata": {"name": name}, "spec": spec}


def _vault(auth: Any) -> dict[str, Any]:
    return store(provider={"vault": {"address": "https://v", "mount": "kv", "auth": auth}})


def group(name: Any = "payments", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": "SecretGroup", "metadata": {"name": name}, "spec": {"store": "ssm", **spec}}


@pytest.mark.parametrize(
    ("provider", "settings"),
    [
        pytest.param("embedded", {}, id="embedded"),
        pytest.param("generic", {"baseUrl": "https://s"}, id="generic"),
        pytest.param("generic", {"baseUrl": "https://s", "headerFiles": {"Authorization": "/run/token"}}, id="generic-with-headers"),
        pytest.param("awsParameterStore", {"region": "eu-west-1", "endpoint": "https://e", "roleArn": "arn"}, id="parameter-store"),
        pytest.param("awsSecretsManager", {"region": "eu-west-1"}, id="secrets-manager"),
        pytest.param("googleSecretManager", {"project": "p"}, id="google"),
        pytest.param("azureKeyVault", {"vaultUrl": "https://v"}, id="azure"),
        pytest.param("vault", {"address": "https://v", "mount": "kv", "kvVersion": 2, "auth": {"tokenFile": "/t"}}, id="vault"),
        pytest.param("truefoundry", {"baseUrl": "https://t", "tokenFile": "/t"}, id="truefoundry"),
    ],
)
def test_each_provider(provider: str, settings: dict[str, Any] | None) -> None:
    """A store has exactly one provider, with the settings that the design names."""
    assert parse_store(store(provider={provider: settings})) == SecretStore("ssm", "acme/aws/ssm", provider, settings or {})


@pytest.mark.parametrize("fqn", ["acme/aws/ssm-prod", "Acme.1/a_b/c-d", "acme:aws:123456789012:secret-store:ssm"])
def test_store_fqns(fqn: str) -> None:
    """Both forms of the design."""
    assert parse_store(store(fqn=fqn)).fqn == fqn


def test_allow_rules() -> None:
    """Subjects and path prefixes are kept as written."""
    rule = {
        "subjects": ["namespace:mail", "serviceaccount:shop/web", "user:ann@acme.example", "team:Payments Team"],
        "paths": ["/mail/", "x"],
    }
    assert parse_store(store(allow=[rule])).allow == (AllowRule(frozenset(rule["subjects"]), ("/mail/", "x")),)


def test_group() -> None:
    """Keys in order, roles by subject; one subject may have several."""
    collaborators = [
        {"role": "secret-group-admin", "subject": "user:ann"},
        {"role": "secret-group-viewer", "subject": "team:search"},
        {"role": "secret-group-consumer", "subject": "user:ann"},
    ]
    roles = {"user:ann": frozenset({"secret-group-admin", "secret-group-consumer"}), "team:search": frozenset({"secret-group-viewer"})}
    assert parse_group(group(keys=["B", "A.1"], collaborators=collaborators)) == SecretGroup("payments", "ssm", ("B", "A.1"), roles)
    assert parse_group(group(keys=None, collaborators=None)) == SecretGroup("payments", "ssm", (), {})


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        pytest.param(store() | {"apiVersion": "v1"}, f"apiVersion: found 'v1'; allowed: {API}", id="other-version"),
        pytest.param(store("SSM"), "metadata.name: found 'SSM'; allowed: lower-case letters, digits, '-' and '.'", id="upper-case-name"),
        pytest.param(store(None), "metadata.name: found nothing; allowed: lower-case letters, digits, '-' and '.'", id="no-name"),
        pytest.param(store(3), "metadata.name: found int; allowed: lower-case letters, digits, '-' and '.'", id="name-of-a-number"),
        pytest.param(store(fqn="acme/ssm"), f"spec.fqn: found 'acme/ssm'; allowed: {STORE_FORM}", id="fqn-of-two-parts"),
        pytest.param(
            store(fqn="acme:aws:1:store:x"), f"spec.fqn: found 'acme:aws:1:store:x'; allowed: {STORE_FORM}", id="fqn-of-another-kind"
        ),
        pytest.param(store(fqn=None), f"spec.fqn: found nothing; allowed: {STORE_FORM}", id="no-fqn"),
        pytest.param(
            store(fqn="a/b/c\n"), f"spec.fqn: found 'a/b/c\N{REPLACEMENT CHARACTER}'; allowed: {STORE_FORM}", id="newline-behind-the-fqn"
        ),
        pytest.param(store(provider={}), f"spec.provider: found nothing; allowed: exactly one of {PROVIDERS}", id="no-provider"),
        pytest.param(store(provider=[]), f"spec.provider: found nothing; allowed: exactly one of {PROVIDERS}", id="list-of-providers"),
        pytest.param(
            store(provider={"embedded": {}, "vault": {}}),
            f"spec.provider: found embedded, vault; allowed: exactly one of {PROVIDERS}",
            id="two-providers",
        ),
        pytest.param(
            store(provider={"redis": {}}), f"spec.provider: found redis; allowed: exactly one of {PROVIDERS}", id="unknown-provider"
        ),
        pytest.param(store(provider={"vault": 3}), "spec.provider.vault: an object is needed, {} at least", id="provider-of-a-number"),
        pytest.param(store(provider={"awsParameterStore": {}}), "spec.provider.awsParameterStore.region: is missing", id="missing-setting"),
        pytest.param(
            store(provider={"awsParameterStore": {"region": 1}}),
            "spec.provider.awsParameterStore.region: a string is needed",
            id="wrong-type",
        ),
        pytest.param(
            store(provider={"generic": {"baseUrl": "https://s", "timeout": 3}}),
            "spec.provider.generic.timeout: unknown field; allowed: baseUrl, headerFiles",
            id="unknown-setting",
        ),
        pytest.param(
            store(provider={"embedded": {"x": 1}}), "spec.provider.embedded.x: unknown field; allowed: none", id="embedded-takes-none"
        ),
        pytest.param(
            store(provider={"generic": {"baseUrl": "https://s", "headers": {"A": "b"}}}),
            f"spec.provider.generic.headers: {CREDENTIAL}",
            id="headers-in-the-manifest",
        ),
        pytest.param(
            store(provider={"truefoundry": {"baseUrl": "https://s", "tokenFile": "/t", "api_key": "b"}}),
            f"spec.provider.truefoundry.api_key: {CREDENTIAL}",
            id="credential-in-another-spelling",
        ),
        pytest.param(
            store(provider={"generic": {"baseUrl": "https://s", "headerFiles": {"Authorization": "Bearer x"}}}),
            f"spec.provider.generic.headerFiles.Authorization: an absolute path of a mounted file is needed; {CREDENTIAL}",
            id="value-for-a-file",
        ),
        pytest.param(
            store(provider={"vault": {"address": "https://a", "mount": "m", "auth": {"tokenFile": "/t"}, "kvVersion": True}}),
            "spec.provider.vault.kvVersion: 1 or 2 is needed",
            id="true-for-a-number",
        ),
        pytest.param(_vault("x"), "spec.provider.vault.auth: an object is needed", id="text-for-a-login"),
        pytest.param(_vault({}), "spec.provider.vault.auth: allowed: exactly one of kubernetes, jwt, appRole, tokenFile", id="no-login"),
        pytest.param(
            _vault({"tokenFile": "/t", "kubernetes": {"role": "r"}}),
            "spec.provider.vault.auth: allowed: exactly one of kubernetes, jwt, appRole, tokenFile",
            id="two-logins",
        ),
        pytest.param(_vault({"kubernetes": {}}), "spec.provider.vault.auth.kubernetes.role: is missing", id="login-without-a-role"),
        pytest.param(
            store(provider={"generic": {"baseUrl": "https://s", "headerFiles": {"A": 1}}}),
            "spec.provider.generic.headerFiles: an object of strings is needed",
            id="number-for-a-file",
        ),
        pytest.param(store(extra=1), "spec.extra: unknown field; allowed: allow, fqn, provider", id="unknown-field"),
        pytest.param(store(allow={}), "spec.allow: a list is needed", id="object-for-a-list"),
        pytest.param(store(allow=[{"paths": ["/a"]}]), "spec.allow[0]: subjects and paths are needed, and nothing else", id="half-a-rule"),
        pytest.param(
            store(allow=[{"subjects": ["group:x"], "paths": []}]),
            f"spec.allow[0].subjects[0]: found 'group:x'; allowed: {SUBJECTS}",
            id="unknown-kind-of-subject",
        ),
        pytest.param(
            store(allow=[{"subjects": ["serviceaccount:web"], "paths": []}]),
            f"spec.allow[0].subjects[0]: found 'serviceaccount:web'; allowed: {SUBJECTS}",
            id="account-without-namespace",
        ),
        pytest.param(
            store(allow=[{"subjects": [], "paths": ["/a/../b"]}]),
            "spec.allow[0].paths[0]: found '/a/../b'; allowed: a path such as /tfy-secret/mail/",
            id="path-that-climbs",
        ),
        pytest.param(
            store(allow=[{"subjects": [], "paths": [""]}]),
            "spec.allow[0].paths[0]: found ''; allowed: a path such as /tfy-secret/mail/",
            id="empty-path-would-open-everything",
        ),
    ],
)
def test_bad_store(manifest: dict[str, Any], problem: str) -> None:
    """Each fault names the field, what was found and what is allowed."""
    with pytest.raises(ResourceError) as caught:
        parse_store(manifest)
    assert caught.value.problems == [problem]


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        pytest.param(group("a.-b"), "metadata.name: found 'a.-b'; allowed: lower-case letters, digits, '-' and '.'", id="name-of-no-label"),
        pytest.param(group(store=None), "spec.store: found nothing; allowed: the name of a SecretStore", id="no-store"),
        pytest.param(group(store=["ssm"]), "spec.store: found list; allowed: the name of a SecretStore", id="two-stores"),
        pytest.param(group(keys={"A": "x"}), "spec.keys: a list is needed", id="keys-with-values"),
        pytest.param(
            group(keys=["A", "a b"]), "spec.keys[1]: found 'a b'; allowed: letters, digits, '.', '_' and '-'", id="key-with-a-blank"
        ),
        pytest.param(group(keys=[1]), "spec.keys[0]: found int; allowed: letters, digits, '.', '_' and '-'", id="key-of-a-number"),
        pytest.param(group(keys=["A", "B", "A"]), "spec.keys[2]: 'A' is listed twice", id="key-twice"),
        pytest.param(group(value="x"), "spec.value: unknown field; allowed: collaborators, keys, store", id="value-in-a-manifest"),
        pytest.param(
            group(collaborators=[{"role": "owner", "subject": "user:ann"}]),
            "spec.collaborators[0].role: found 'owner'; allowed: secret-group-admin, secret-group-editor, secret-group-viewer, secret-group-consumer",
            id="unknown-role",
        ),
        pytest.param(
            group(collaborators=[{"role": ["secret-group-admin"], "subject": "user:ann"}]),
            "spec.collaborators[0].role: found list; allowed: secret-group-admin, secret-group-editor, secret-group-viewer, secret-group-consumer",
            id="role-of-a-list",
        ),
        pytest.param(
            group(collaborators=[{"role": "secret-group-admin", "subject": "ann"}]),
            f"spec.collaborators[0].subject: found 'ann'; allowed: {SUBJECTS}",
            id="subject-without-kind",
        ),
        pytest.param(
            group(collaborators=["user:ann"]), "spec.collaborators[0]: role and subject are needed, and nothing else", id="only-a-subject"
        ),
        pytest.param(
            group() | {"spec": None, "metadata": {"name": "payments"}},
            "spec: is missing",
            id="no-spec",
        ),
    ],
)
def test_bad_group(manifest: dict[str, Any], problem: str) -> None:
    """Each fault names the field, what was found and what is allowed."""
    with pytest.raises(ResourceError) as caught:
        parse_group(manifest)
    assert problem in caught.value.problems
    assert len(caught.value.problems) == (2 if problem == "spec: is missing" else 1)


@pytest.mark.parametrize(
    "field",
    ["sessionToken", "session_token", "aws_secret_access_key", "secretKey", "privateKey", "serviceAccountKey", "clientSecret"]
    + ["password", "passphrase", "bearer", "jwt", "userpass", "auth", "header", "credentialsJson", "roleId", "rootToken"],
)
def test_a_credential_by_whatever_name_is_told_where_it_belongs(field: str) -> None:
    with pytest.raises(ResourceError) as caught:
        parse_store(store(provider={"awsSecretsManager": {"region": "eu-west-1", field: "canary"}}))
    assert caught.value.problems == [f"spec.provider.awsSecretsManager.{field}: {CREDENTIAL}"]


@pytest.mark.parametrize("field", ["tokenFile", "secretName", "keyVersion", "kmsKeyId", "author", "secretsPath", "roleArns"])
def test_another_unknown_field_is_no_credential(field: str) -> None:
    with pytest.raises(ResourceError, match="unknown field; allowed: region, endpoint, roleArn"):
        parse_store(store(provider={"awsSecretsManager": {"region": "eu-west-1", field: "x"}}))


def test_all_faults_together() -> None:
    """One look at the message is enough to mend the manifest; it carries the object's kind and name."""
    with pytest.raises(ResourceError) as caught:
        parse_store(store(fqn=1, provider={}, allow=[1, 2]))
    assert str(caught.value) == (
        f"SecretStore ssm: spec.fqn: found int; allowed: {STORE_FORM}; spec.provider: found nothing; allowed: exactly one of {PROVIDERS}; "
        "spec.allow[0]: subjects and paths are needed, and nothing else; spec.allow[1]: subjects and paths are needed, and nothing else"
    )


def test_found_text_is_cut() -> None:
    """Somebody may have put a credential where a name belongs: not all of a long text is shown."""
    with pytest.raises(ResourceError) as caught:
        parse_group(group(store="ssm", keys=["x " * 100]))
    assert caught.value.problems == [f"spec.keys[0]: found '{'x ' * 30}...'; allowed: letters, digits, '.', '_' and '-'"]


def test_the_files_that_a_provider_names() -> None:
    """What must be looked at for a credential that changed: files alone, wherever the shape has them."""
    auth = {"appRole": {"roleIdFile": "/role", "secretIdFile": "/secret", "path": "/not/a/file"}}
    assert files("vault", {"address": "https://v", "mount": "/kv", "caFile": "/ca", "auth": auth}) == ["/ca", "/role", "/secret"]
    assert files("vault", {"auth": {"tokenFile": "/token"}}) == ["/token"]
    assert files("vault", {"auth": {"kubernetes": {"role": "/r"}}}) == []
    assert files("generic", {"baseUrl": "https://x", "headerFiles": {"A": "/a", "B": "/b"}}) == ["/a", "/b"]
    assert files("truefoundry", {"baseUrl": "https://x", "tokenFile": "/t"}) == ["/t"]
    assert files("embedded", {}) == files("unheard-of", {"tokenFile": "/t"}) == []
