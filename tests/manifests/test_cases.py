"""contract.resources gives every manifest of the table the outcome that the CRDs give it on a cluster (tests/e2e sends the same table)."""

import pytest

from contract.resources import ResourceError, parse_group, parse_store
from tests.manifests.cases import CANARY, Case, load

PARSE = {"SecretStore": parse_store, "SecretGroup": parse_group}


@pytest.mark.parametrize("case", load(), ids=str)
def test_the_folder_form_gives_the_same_outcome(case: Case) -> None:
    """Accepted is accepted; refused is refused with its sentence, and never shows what was written where a credential stands."""
    parse = PARSE[case.manifest["kind"]]
    if case.contract is None:
        parse(case.manifest)
        return
    with pytest.raises(ResourceError) as caught:
        parse(case.manifest)
    assert case.contract in str(caught.value)
    assert CANARY not in str(caught.value)
