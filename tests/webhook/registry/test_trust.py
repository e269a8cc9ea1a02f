import pytest
import trustme

from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.trust import Trust


async def test_a_new_file_counts_at_once(tmp_path):
    """A CA is replaced without a restart; a file that is broken on the way leaves the last good one."""
    file = tmp_path / "ca.crt"
    trustme.CA(organization_name="one").cert_pem.write_to_path(str(file))
    trust = Trust(file)
    first = await trust.context()
    assert await trust.context() is first
    file.write_text("not a certificate")
    assert await trust.context() is first
    trustme.CA(organization_name="two").cert_pem.write_to_path(str(file))
    second = await trust.context()
    organizations = [dict(part[0] for part in each["subject"]).get("organizationName") for each in second.get_ca_certs()]
    assert second is not first and "two" in organizations
    file.unlink()
    assert await trust.context() is second


@pytest.mark.parametrize("content", [None, "", "not a certificate"])
async def test_a_file_that_never_was_good(tmp_path, content):
    """Refused with the setting's name, not passed over."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(LookupFailed) as failed:
        await Trust(file).context()
    assert failed.value.reason is LookupReason.INSECURE and "TFY_SECRET_REGISTRY_CA_FILE" in failed.value.sentence
