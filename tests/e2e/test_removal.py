"""`kubectl delete -k` leaves nothing behind."""

from tests.e2e.conftest import remove_world
from tests.e2e.installation import left_over
from tests.e2e.kubectl import kubectl


def test_before_it_there_is_something_to_leave_behind() -> None:
    """Or the next test could not fail: each kind that is looked for is there now."""
    kinds = {name.partition("/")[0] for name in left_over()}
    assert kinds == {
        "Namespace",
        "CustomResourceDefinition",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    }


def test_deleting_leaves_nothing_behind() -> None:
    remove_world()
    assert left_over() == []
    assert "tfy-secret.dev" not in kubectl("api-resources", "-o", "name", "--cached=false").text
