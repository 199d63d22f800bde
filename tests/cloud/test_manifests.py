"""The files of the cloud, as far as they can be checked without one: manifests, image, profile, Dask clusters."""

import re
import tomllib
from pathlib import Path

import dask_kubernetes
import jsonschema
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

from pickflow.run.settings.compute import DaskParams, KubernetesParams
from pickflow.run.workers import kubernetes_cluster
from tests.cloud.kubernetes_rules import VERSION, read_manifests, rights_of
from tests.snakemake_runner import ROOT

FOLDERS = [ROOT / "envs" / "kubernetes", ROOT / "envs" / "kubernetes" / "optional"]
MANIFESTS = [thing for folder in FOLDERS for thing in read_manifests(folder)]
CONTAINERFILE = (ROOT / "envs" / "Containerfile").read_text()


@pytest.mark.parametrize("thing", MANIFESTS, ids=lambda thing: f"{thing['kind']}-{thing['metadata']['name']}")
def test_each_manifest_is_valid(thing):
    kubernetes_validate.validate(thing, VERSION, strict=True)
    assert thing["metadata"].get("namespace", thing["metadata"]["name"]) == "pickflow"


def test_no_manifest_holds_a_secret():
    secrets = [thing for thing in MANIFESTS if thing["kind"] == "Secret"]
    assert len(secrets) == 1
    assert set(secrets[0]["stringData"].values()) == {""}


def test_pods_have_no_rights_and_no_token():
    accounts = {thing["metadata"]["name"]: thing for thing in MANIFESTS if thing["kind"] == "ServiceAccount"}
    profile = (ROOT / "profiles" / "ada-cloud" / "config.yaml").read_text()
    pods = re.search(r"^kubernetes-service-account-name: (\S+)$", profile, re.MULTILINE)[1]
    assert accounts[pods]["automountServiceAccountToken"] is False
    assert rights_of(MANIFESTS, pods, "pickflow") == set()
    assert ("create", "batch/jobs") in rights_of(MANIFESTS, "pickflow", "pickflow")


def test_only_dask_pods_can_be_reached_and_only_by_pods_of_the_run(dask_cluster):
    policies = {thing["metadata"]["name"]: thing["spec"] for thing in MANIFESTS if thing["kind"] == "NetworkPolicy"}
    closed_to_all, dask = policies["pickflow"], policies["pickflow-dask"]
    assert closed_to_all == {"podSelector": {}, "policyTypes": ["Ingress"]}
    (label,) = {"dask.org/cluster-name"} & set(dask_cluster["spec"]["scheduler"]["service"]["selector"])
    assert dask["podSelector"]["matchExpressions"] == [{"key": label, "operator": "Exists"}]
    (rule,) = dask["ingress"]
    assert [set(peer) for peer in rule["from"]] == [{"podSelector"}] * 2  # of this namespace, no address


def test_no_role_knows_a_wildcard():
    rules = [rule for thing in MANIFESTS if thing["kind"] == "Role" for rule in thing["rules"]]
    assert rules
    assert not [rule for rule in rules if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]]


def instructions(name):
    """Arguments of all instructions of that name in the Containerfile."""
    joined = CONTAINERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_the_image_is_built_of_files_that_are_there():
    copies = [line.split() for line in instructions("COPY") if "--from" not in line]
    sources = [source for *sources, _ in copies for source in sources]
    assert "pyproject.toml" in sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_pins_everything_and_has_the_storage_plugins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [
        *project["dependencies"],
        *(line for name in ("workflow", "pick", "gamma") for line in extras[name]),
    ]
    (install,) = [line for line in instructions("RUN") if "pip install" in line]
    assert "--constraint python-3.11.txt" in install
    assert "'.[workflow,pick,gamma]'" in install
    lines = (ROOT / "constraints" / "python-3.11.txt").read_text().splitlines()
    pins = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1] for line in lines if "==" in line}
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(pins[re.sub(r"[-_.]+", "-", requirement.name).lower()])
    assert any(text.startswith("snakemake-storage-plugin-s3") for text in requirements)


def test_the_image_does_not_run_as_root():
    assert instructions("USER") == ["1000"]
    assert CONTAINERFILE.index("USER 1000") > CONTAINERFILE.rindex("FROM ")


def closed(schema):
    """The same schema, with an error for unknown fields where the API server would drop them in silence."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {} if "properties" not in schema or "additionalProperties" in schema else {"additionalProperties": False}
    return {key: closed(value) for key, value in schema.items()} | strict


@pytest.fixture(scope="module")
def definition():
    """What the Dask operator's own definition says about a DaskCluster."""
    (path,) = Path(dask_kubernetes.__file__).parent.rglob("crds/daskcluster.yaml")
    (version,) = yaml.safe_load(path.read_text())["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    return schema["properties"]["spec"]


@pytest.fixture
def dask_cluster():
    pods = KubernetesParams(image="registry.example/pickflow:0.1.0", volume_claim="pickflow-archive")
    return kubernetes_cluster(DaskParams(cluster="kubernetes", n_workers=3, kubernetes=pods))


def test_workers_in_pods_are_a_valid_dask_cluster(dask_cluster, definition):
    jsonschema.validate(dask_cluster["spec"], definition)
    for part in ("scheduler", "worker"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": part},
            "spec": dask_cluster["spec"][part]["spec"],
        }
        kubernetes_validate.validate(pod, VERSION, strict=True)
    assert dask_cluster["kind"] == "DaskCluster"
    assert dask_cluster["spec"]["worker"]["replicas"] == 3
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", dask_cluster["metadata"]["name"])


def test_workers_in_pods_share_the_volume_of_the_run(dask_cluster):
    for part in ("scheduler", "worker"):
        spec = dask_cluster["spec"][part]["spec"]
        assert {volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"]} == {"pickflow-archive"}
        for container in spec["containers"]:
            resources = container["resources"]
            assert resources["requests"] == resources["limits"]
            assert container["volumeMounts"]


def test_a_dask_cluster_with_a_mistyped_field_is_not_valid(dask_cluster, definition):
    dask_cluster["spec"]["worker"]["replicass"] = 3
    with pytest.raises(jsonschema.ValidationError, match="replicass"):
        jsonschema.validate(dask_cluster["spec"], definition)
