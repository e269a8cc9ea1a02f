"""Where probes and metrics are served unless somebody says."""

import pytest

from service.settings import COMMON, Address, Reader, metrics_listen


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        pytest.param({}, Address("0.0.0.0", 9090), id="in-a-cluster"),
        pytest.param({"TFY_SECRET_MANIFESTS": "/m"}, None, id="off-cluster-two-programs-share-a-machine"),
        pytest.param({"TFY_SECRET_MANIFESTS": "/m", "TFY_SECRET_METRICS_LISTEN": "127.0.0.1:1"}, Address("127.0.0.1", 1), id="asked-for"),
        pytest.param({"TFY_SECRET_METRICS_LISTEN": ""}, None, id="turned-off"),
    ],
)
def test_default(environ: dict[str, str], address: Address | None) -> None:
    assert metrics_listen(Reader(environ, COMMON)) == address
