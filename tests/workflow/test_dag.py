"""The graph of jobs: which jobs, with which resources, in which profile; and what is refused before any work."""

import dataclasses
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pickflow.comparison.tables import Findings
from pickflow.io.formats import FORMATS
from pickflow.run.settings.catalog import CatalogFormat
from pickflow.schemas import CATALOG_FILE
from tests.snakemake_runner import ROOT, SMALL, snakemake

SNAPSHOTS = Path(__file__).parent / "snapshots"
# Where a job runs, not what it asks for.
LOCAL_RESOURCES = {"tmpdir", "mem_mib", "disk_mib", "mem", "disk"}


def graph_of(output):
    """Rules with the number of their jobs, threads and resources, from a dry run's output."""
    counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))
    lines = [f"{rule}: {count}" for rule, count in sorted(counts.items())]
    blocks = re.split(r"^(?:local)?(?:rule|checkpoint) (\w+):$", output, flags=re.MULTILINE)[1:]
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
    assert "locate: 18\n" in graph
    assert "amplitude: 36\n" in graph
    assert "catalog: 18\n" in graph


def test_each_format_that_is_asked_for_is_a_file_of_every_catalog(tmp_path):
    config = {**SMALL, "catalog": {"formats": ["nordic", "hypodd"]}}
    run = snakemake("-n", directory=tmp_path, config=config)
    block = re.split(r"^rule catalog:$", run.stdout + run.stderr, flags=re.MULTILINE)[1].split("\n\n")[0]
    names = [path.rsplit("/", 1)[1] for path in re.search("output: (.*)", block)[1].split(", ")]
    assert names[-2:] == ["catalog.nordic", "catalog.pha"]
    assert "catalog.csv" not in block


def test_a_file_beside_those_of_the_synthetic_archive_is_an_input_too(tmp_path):
    (tmp_path / "more.xml").write_text("<FDSNStationXML/>\n")
    inventory = [*SMALL["download"]["inventory"], "more.xml"]
    run = snakemake(
        "-n", directory=tmp_path, config={**SMALL, "download": {**SMALL["download"], "inventory": inventory}}
    )
    block = re.split(r"^checkpoint inventory:$", run.stdout + run.stderr, flags=re.MULTILINE)[1].split("\n\n")[0]
    assert re.search("input: (.*)", block)[1].split(", ") == ["results/small/synthetic", "more.xml"]


def test_every_format_that_can_be_written_can_be_asked_for():
    # The Parquet tables are always there; Pyrocko may not be installed.
    assert set(get_args(CatalogFormat)) == set(CATALOG_FILE) == {*FORMATS, "pyrocko"} - {"parquet"}


def test_the_analysis_declares_every_table_that_it_writes(tmp_path):
    run = snakemake("-n", directory=tmp_path, config=SMALL)
    block = re.split(r"^rule analyze:$", run.stdout + run.stderr, flags=re.MULTILINE)[1].split("\n\n")[0]
    declared = {Path(path).stem for path in re.search("output: (.*)", block)[1].split(", ")} - {"summary"}
    assert declared == {field.name for field in dataclasses.fields(Findings)} - {"summary"}


GRID = {"models": ["PhaseNet", "EQTransformer", "GPD"], "weights": ["instance", "stead"]}


def test_each_teacher_is_compressed_once_and_each_student_makes_catalogs(tmp_path):
    targets = [{"macs": 0.07}, {"parameters": 0.12}]
    compress = {
        "target": targets,
        "teachers": ["PhaseNet/*", "EQTransformer/instance"],
        "methods": ["safe", "magnitude"],
    }
    run = snakemake("-n", directory=tmp_path, config={**SMALL, "pick": GRID, "compress": compress})
    output = run.stdout + run.stderr
    graph = graph_of(output)
    n_pickers = 6 + 3 * 4
    assert "weights: 6\n" in graph
    assert "compress: 3\n" in graph
    assert f"catalog: {n_pickers}\n" in graph
    assert f"pick: {2 * n_pickers}\n" in graph
    assert f"{re.search(r'^total +([0-9]+)$', output, re.MULTILINE)[1]} jobs in all" in output
    assert "models/PhaseNet/stead-magnitude-p88/certificate.json" in output
    assert "stead-safe-s93-safe" not in output


def test_compression_reads_the_first_signal_and_every_day(tmp_path):
    config = {
        **SMALL,
        "denoise": {"methods": ["bandpass", "none"]},
        "compress": {"target": {"macs": 0.5}, "int8": True},
    }
    run = snakemake("-n", directory=tmp_path, config=config)
    block = re.split(r"^rule compress:$", run.stdout + run.stderr, flags=re.MULTILINE)[1].split("\n\n")[0]
    inputs, outputs = (re.search(rf"{kind}: (.*)", block)[1].split(", ") for kind in ("input", "output"))
    days = ("2026-01-15", "2026-01-16")
    assert [f"results/small/denoised/bandpass/{day}" for day in days] == inputs[:2]
    assert [f"results/small/picks/bandpass/PickflowNet/bundled/{day}.parquet" for day in days] == inputs[2:4]
    assert "results/small/models/PickflowNet/bundled-safe-s50-int8/model.int8.onnx" in outputs
    assert "results/small/models/PickflowNet/bundled-safe-s50/model.int8.onnx" not in outputs


def test_students_are_made_and_not_fetched(tmp_path):
    config = {**SMALL, "compress": {"target": {"macs": 0.5}}}
    fetched = snakemake("-n", "weights_all", directory=tmp_path, config=config)
    graph = graph_of(fetched.stdout + fetched.stderr)
    assert "weights: 1\n" in graph
    assert "compress" not in graph
    picked = snakemake("-n", "picks_all", directory=tmp_path, config=config)
    assert "compress: 1\n" in graph_of(picked.stdout + picked.stderr)


def test_a_student_is_never_compressed_itself(tmp_path):
    config = {**SMALL, "compress": {"target": {"macs": 0.5}}}
    twice = "results/small/models/PickflowNet/bundled-safe-s50-safe-s50/card.json"
    run = snakemake("-n", twice, directory=tmp_path, config=config)
    graph = graph_of(run.stdout + run.stderr)
    assert "weights: 1\n" in graph
    assert "compress" not in graph


def test_without_a_target_nothing_is_compressed(tmp_path):
    run = snakemake("-n", directory=tmp_path, config=SMALL)
    graph = graph_of(run.stdout + run.stderr)
    assert "pick: 2\n" in graph
    assert "compress" not in graph


def test_with_implicit_models_a_run_is_this_experiment_and_nothing_else(tmp_path):
    run = snakemake("-n", directory=tmp_path, config=ROOT / "config" / "lab-implicit.yaml")
    graph = graph_of(run.stdout + run.stderr)
    counts = ["all: 1", "implicit: 1", "implicit_fit: 2", "implicit_teacher: 1", "total: 6", "weights: 1"]
    assert [line for line in graph.splitlines() if "wants" not in line] == counts


def test_each_picker_of_the_experiment_is_one_job_and_the_narrow_one_is_trained_for_both_forms(tmp_path):
    pickers = {"whole": ["PickflowNet/narrow"], "layers": ["PickflowNet/narrow", "PhaseNet/stead", "GPD/original"]}
    graph = graph_of(snakemake("-n", directory=tmp_path, config={**SMALL, "implicit": pickers}).stdout)
    assert "implicit_fit: 4\n" in graph
    assert "implicit_teacher: 1\n" in graph
    assert "weights: 2\n" in graph


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"implicit": {"layers": ["PhaseNett/stead"]}}, "config key implicit.layers: no model is called 'PhaseNett'"),
        ({"implicit": {"layers": ["PhaseNet"]}}, "config key 'implicit.layers.0': 'PhaseNet' does not match"),
        ({"implicit": {"ratios": [0.1, 0.3]}}, "config key implicit.ratios: [0.1, 0.3] must fall"),
        ({"implicit": {"perturbed_ratio": 0.5}}, "config key implicit.perturbed_ratio: 0.5 is none of ratios"),
        ({"implicit": {"kappa": 1.0}}, "config key 'implicit.kappa'"),
        ({"implicit": {"labelled": ["nowhere"]}}, "config key implicit.labelled: 'nowhere' does not exist"),
        ({"pick": {"modles": ["PhaseNet"]}}, "config key 'pick.modles' is not known; did you mean 'models'?"),
        ({"endtime": "2026-01-15"}, "must be later than starttime"),
        ({"endtime": "2026-02-30"}, "'2026-02-30' is not a time"),
        ({"pick": {"models": ["PhaseNett"]}}, "no model is called 'PhaseNett'; did you mean 'PhaseNet'?"),
        ({"download": {"source": "sds", "path": "nowhere"}}, "config key download.path: 'nowhere' does not exist"),
        ({"weights": {"cache": "nowhere"}}, "config key weights.cache: 'nowhere' does not exist"),
        ({"analyze": {"reference": {"file": "no.xml"}}}, "config key analyze.reference.file: 'no.xml' does not exist"),
        ({"associate": {"velocity_model": {"file": __file__}}}, "config key associate.velocity_model.file: "),
        ({"catalog": {"formats": ["quakml"]}}, "config key 'catalog.formats.0': 'quakml' is not one of"),
        ({"magnitude": {"law": "custom"}}, "config key magnitude.custom: law is custom: give the numbers of yours"),
        ({"magnitude": {"station_corrections": {"CLC": 0.1}}}, "'CLC' does not match"),
        ({"compress": {"target": {"macs": 7}}}, "config key compress.target.macs: 7 does not lie between 0 and 1"),
        ({"compress": {"target": 0.07}}, "config key 'compress.target': 0.07 is not of type"),
        (
            {"compress": {"target": {"macs": 0.5}, "teachers": ["PhaseNet/*"]}},
            "config key compress.teachers: no picker of the run fits 'PhaseNet/*'; it has PickflowNet/bundled",
        ),
        (
            {"pick": GRID, "compress": {"target": {"macs": 0.5}}},
            "config key compress.teachers: GPD/instance cannot be compressed",
        ),
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
    run = snakemake("download_all", directory=tmp_path, config=config, check=False)
    assert run.returncode != 0
    assert "has none of CI.*; it has XX.AAA" in run.stdout + run.stderr


def test_an_unreachable_server_is_one_clear_message(tmp_path):
    server = "http://127.0.0.1:9"
    download = {"source": "fdsn", "stations": ["CI.*"], "fdsn": {"servers": [server], "retries": 0, "timeout_s": 2}}
    run = snakemake("download_all", directory=tmp_path, config={**SMALL, "download": download}, check=False)
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


@pytest.mark.parametrize(
    ("name", "n_variants", "profile"),
    [("micro", 14, None), ("steadmicro", 4, "leonardo"), ("steadmini", 7, "leonardo"), ("merged", 5, "leonardo")],
)
def test_a_lab_trains_each_variant_once_and_picks_with_it(name, n_variants, profile, checkout, shared):
    options = ["--profile", profile] if profile else []
    config, environment = ROOT / "config" / f"lab-{name}.yaml", {"PICKFLOW_SHARED": str(shared.resolve())}
    run = snakemake("-n", *options, directory=checkout, config=config, environment=environment)
    graph = graph_of(run.stdout + run.stderr)
    counts = {"lab_data": 1, "lab_train": n_variants, "lab_inside": n_variants, "lab_table": 1}
    counts |= {"lab_pick": n_variants + 1, "catalog": n_variants + 1}  # the bundled picker as well
    for rule, count in counts.items():
        assert f"{rule}: {count}\n" in graph
    total = re.search(r"^total +([0-9]+)$", run.stdout + run.stderr, re.MULTILINE)[1]
    assert f"{total} jobs in all" in run.stdout + run.stderr
    assert ("gpu=1" in re.search("lab_train wants: (.*)", graph)[1]) == (profile is not None)


def test_files_of_sets_and_archives_are_inputs_of_a_labs_data(tmp_path):
    files = ["sds/2020/XA/AAA/HHZ.D/XA.AAA..HHZ.D.2020.001", "set/metadata.csv"]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    (tmp_path / "set" / "waveforms.hdf5").touch()
    sources = [{"name": "a", "kind": "archive", "path": "sds"}, {"name": "b", "path": "set"}]
    lab = {"variants": ["EQT"], "sources": sources, "teachers": ["PickflowNet/bundled"]}
    run = snakemake("-n", "lab_data", directory=tmp_path, config=SMALL | {"lab": lab})
    inputs = re.search("rule lab_data:\n +input: (.*)", run.stdout + run.stderr)[1]
    assert all(file in inputs for file in files)


def test_a_run_without_a_lab_has_no_job_of_it(tmp_path):
    run = snakemake("-n", directory=tmp_path, config=SMALL)
    assert "lab_" not in graph_of(run.stdout + run.stderr)
