"""The emulated cloud: where it cannot be, its tests are skipped with the reason."""

import os

import pytest

from tests.cloud.kubernetes_pods import why_not
from tests.snakemake_runner import ROOT


@pytest.fixture(scope="session")
def private_pods():
    """Skip where nobody asks for it, or pods cannot have a file system of their own."""
    if os.environ.get("PICKFLOW_CLOUD") != "1":
        pytest.skip("it takes minutes: make test-cloud (PICKFLOW_CLOUD=1)")
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture
def hidden(tmp_path):
    """What the pods must not see: the submitter's folder, and the workflow of this checkout, which has to travel."""
    return [tmp_path, ROOT / "workflow", ROOT / "scripts", ROOT / "profiles"]


@pytest.fixture
def storage(private_pods):
    from tests.cloud.bucket import ObjectStorage

    with ObjectStorage() as server:
        yield server


@pytest.fixture
def api(storage, hidden):
    from tests.cloud.kubernetes_api import KubernetesApi
    from tests.cloud.kubernetes_nodes import usual_nodes

    with KubernetesApi(ROOT / "envs" / "kubernetes", usual_nodes(), hidden) as server:
        yield server
