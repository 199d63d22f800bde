"""The graph of jobs: which jobs, with which resources, in which profile; and what is refused before any work."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.snakemake_runner import ROOT, SMALL, snakemake

SNAPSHOTS = Path(__file__).parent / "snapshots"
# Where a job runs, not what it asks for.
LOCAL_RESOURCES = {"tmpdir", "mem_mib", "disk_mib", "mem", "disk"}


def graph_of(output):
    """Rules with the number of their jobs, threads and resources, from a dry run's output."""
    counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
    lines = [f"{rule}: {count}" for rule, count in sorted(counts.items())]
    blocks = re.split(r"^(?:local)?rule (\w+):$", output, flags=re.MULTILINE)[1:]
    wants = {}
    for rule, block in zip(blocks[::2], blocks[1::2], strict=True):
        block = block.split("\n\n")[0]
        threads = re.search(r"threads: (\d+)", block)
        resources = re.search(r"resources: (.*)", block)
        pairs = sorted(
            pair
            for pair in (resources[1].split(", ") if resources else [])
            if pair.split("=")[0] not in LOCAL_RESOURCES
        )
        wants[rule] = f"{rule} wants: threads={threads[1] if threads else 1}" + "".join(f", {pair}" for pair in pairs)
    return "\n".join(lines + sorted(wants.values())) + "\n"


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like a fresh clone: profiles are searched in the working directory."""
    for name in ("profiles", "config"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("leonardo", "ada-cloud"):
        (tmp_path / name).symlink_to(f"profiles/{name}")
    return tmp_path


@pytest.mark.parametrize("profile", ["local", "leonardo", "ada-cloud"])
def test_the_graph_of_each_profile_is_as_recorded(profile, checkout):
    path = "profiles/local" if profile == "local" else profile
    run = snakemake("-n", "--profile", path, directory=checkout)
    graph = graph_of(run.stdout + run.stderr)
    snapshot = SNAPSHOTS / f"{profile}.txt"
    if not snapshot.exists():
        snapshot.write_text(graph)
        pytest.fail(f"{snapshot.name} was missing and has been written: look at it, then run again")
    assert graph == snapshot.read_text(), f"if the new graph is right, remove {snapshot.name} and run again"


def test_a_dry_run_says_how_much_work_it_is(tmp_path):
    run = snakemake("-n", directory=tmp_path)
    assert "12 stations x 2 days = 24 station-days" in run.stdout + run.stderr
    assert "CPU-hours" in run.stdout + run.stderr


def test_every_denoiser_picker_and_associator_makes_a_catalog(tmp_path):
    config = {
        **SMALL,
        "denoise": {"methods": ["none", "bandpass", "deepdenoiser"]},
        "pick": {"models": ["PhaseNet", "EQTransformer"], "weights": ["instance", "pnw"]},
        "associate": {**SMALL["associate"], "methods": ["pyocto", "gamma"]},
    }
    run = snakemake("-n", directory=tmp_path, config=config)
    graph = graph_of(run.stdout + run.stderr)
    assert "PhaseNet/pnw does not exist and is skipped" in run.stdout + run.stderr
    assert "weights: 4\n" in graph
    assert "denoise: 4\n" in graph
    assert "pick: 18\n" in graph
    assert "catalog: 18\n" in graph


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pick": {"modles": ["PhaseNet"]}}, "config key 'pick.modles' is not known; did you mean 'models'?"),
        ({"endtime": "2026-01-15"}, "must be later than starttime"),
        ({"endtime": "2026-02-30"}, "'2026-02-30' is not a time"),
        ({"pick": {"models": ["PhaseNett"]}}, "no model is called 'PhaseNett'; did you mean 'PhaseNet'?"),
        ({"download": {"source": "sds", "path": "nowhere"}}, "config key download.path: 'nowhere' does not exist"),
        ({"weights": {"cache": "nowhere"}}, "config key weights.cache: 'nowhere' does not exist"),
        ({"analyze": {"reference": {"file": "no.xml"}}}, "config key analyze.reference.file: 'no.xml' does not exist"),
        ({"associate": {"velocity_model": {"file": __file__}}}, "config key associate.velocity_model.file: "),
    ],
)
def test_a_bad_configuration_is_refused_before_any_work(change, message, tmp_path):
    run = snakemake(directory=tmp_path, config={**SMALL, **change}, check=False)
    assert run.returncode != 0
    assert message in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (tmp_path / "results").exists()


def test_an_archive_without_the_stations_asked_for_is_one_clear_message(tmp_path):
    (tmp_path / "sds" / "2026" / "XX" / "AAA" / "HHZ.D").mkdir(parents=True)
    config = {**SMALL, "download": {"source": "sds", "path": str(tmp_path / "sds"), "stations": ["CI.*"]}}
    run = snakemake(directory=tmp_path, config=config, check=False)
    assert run.returncode != 0
    assert "has none of CI.*; it has XX.AAA" in run.stdout + run.stderr


def test_an_unreachable_server_is_one_clear_message(tmp_path):
    server = "http://127.0.0.1:9"
    download = {"source": "fdsn", "stations": ["CI.*"], "fdsn": {"servers": [server], "retries": 0, "timeout_s": 2}}
    run = snakemake(directory=tmp_path, config={**SMALL, "download": download}, check=False)
    assert run.returncode != 0
    assert "ERROR download.fdsn.servers: 127.0.0.1: cannot be reached" in run.stdout + run.stderr


def test_the_linter_has_nothing_to_say(tmp_path):
    run = snakemake("--lint", directory=tmp_path, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_shipped_configurations_give_a_graph(tmp_path, shared):
    for path in sorted((ROOT / "config").glob("*.yaml")):
        target = ["train"] if path.name == "train.yaml" else []
        environment = {"PICKFLOW_SHARED": str(shared.resolve())}
        run = snakemake("-n", *target, directory=tmp_path, config=path, environment=environment)
        assert yaml.safe_load(path.read_text())["run"] in run.stdout + run.stderr
