"""A whole lab: data, training, predictions, table and pages, and catalogs of what was trained."""

import json

import pandas as pd
import pytest
import yaml

from pickflow.command_line.plan import jobs_of
from pickflow.datasets.synthetic import write_stand_in
from pickflow.io.tables import read_table
from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS
from tests.snakemake_runner import ROOT, SMALL, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
VARIANTS = ["EQT", "Vanilla", "PhaseNet"]
LAB = {
    **SMALL,
    "run": "lab",
    "associate": {**SMALL["associate"], "methods": ["stack"]},
    "lab": {
        "variants": VARIANTS,
        "sources": [{"name": "synthetic", "kind": "synthetic", "n_events": 60, "n_noise": 24}],
        "split": {"by": "event", "train": 0.6, "validation": 0.2},
        "training": {"optimisation": {"epochs": 2, "batch_size": 8, "steps_per_epoch": 4}},
        "bootstrap": 50,
        "inside": {"n_windows": 3},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("lab")
    snakemake("--cores", "2", directory=directory, config=LAB)
    return directory / "results" / "lab"


def test_each_variant_has_its_row_beside_the_bundled_picker(run):
    table = pd.read_csv(run / "lab" / "table.csv").set_index("variant")
    assert sorted(table.index) == sorted([*VARIANTS, "PickflowNet/bundled"])
    assert table.loc["PickflowNet/bundled", "p_f1_0.3s"] > 0.8  # trained, unlike the others, which have seen 8 steps
    assert table.loc["PickflowNet/bundled", "n_events"] > 0
    assert (table.n_parameters > 1000).all()


def test_what_was_trained_picks_in_the_run_with_its_card(run):
    for variant in VARIANTS:
        card = json.loads((run / "models" / variant / "lab-1" / "card.json").read_text())
        assert (card["model"], card["weights"]) == (variant, "lab-1")
        assert [entry["name"] for entry in card["training_sets"]] == ["synthetic"]
        assert (run / "picks" / "none" / variant / "lab-1").is_dir()


def test_each_picker_was_given_every_record_that_decides_or_tests(run):
    described = json.loads((run / "lab" / "description.json").read_text())["parts"]
    parts = [part for part in described if part["part"] in ("validation", "test")]
    n_records = sum(part["earthquake_records"] + part["noise_records"] for part in parts)
    for picker in [*(f"{variant}/lab-1" for variant in VARIANTS), "PickflowNet/bundled"]:
        records = read_table(run / "lab" / "predictions" / f"{picker}.records.parquet", LABELLED_RECORDS)
        picks = read_table(run / "lab" / "predictions" / f"{picker}.parquet", PREDICTIONS)
        assert len(records) == n_records > 0
        assert set(picks.record) <= set(records.record)


def test_the_pages_need_nothing_from_elsewhere(run):
    pages = [run / "lab" / "lab.html", *(run / "lab" / "inside").glob("*/lab-1/inside.html")]
    assert len(pages) == 1 + len(VARIANTS)
    for page in pages:
        text = page.read_text()
        assert not any(word in text for word in ('src="http', "@import", "fetch("))
    assert all(variant in pages[0].read_text() for variant in VARIANTS)


def test_another_variant_leaves_the_trained_ones_as_they_are(run):
    config_with_gru = {**LAB, "lab": {**LAB["lab"], "variants": [*VARIANTS, "GRU"]}}
    output = snakemake("-n", "lab_all", directory=run.parents[1], config=config_with_gru)
    text = output.stdout + output.stderr
    assert jobs_of(text)["lab_train"] == 1
    assert "models/GRU/lab-1/model.safetensors" in text
    assert "output: results/lab/models/EQT" not in text


def test_the_configuration_for_steadmicro_runs_on_a_stand_in_of_a_hundredth(tmp_path):
    config = yaml.safe_load((ROOT / "config" / "lab-steadmicro.yaml").read_text())
    short = {"epochs": 2, "batch_size": 8, "steps_per_epoch": 4, "precision": "float32"}
    config = config | SMALL | {"run": "micro", "associate": SMALL["associate"] | {"methods": ["stack"]}}
    config["lab"] |= {"training": {"optimisation": short}, "bootstrap": 50, "inside": {"n_windows": 3}}
    write_stand_in(tmp_path / "cache" / "datasets" / "stead", n_events=10_302, n_noise=2_354)
    environment = {"SEISBENCH_CACHE_ROOT": str(tmp_path / "cache")}
    snakemake("--cores", "2", directory=tmp_path, config=config, environment=environment)
    lab = tmp_path / "results" / "micro" / "lab"
    table = pd.read_csv(lab / "table.csv")
    assert set(config["lab"]["variants"]) < set(table.variant)
    described = json.loads((lab / "description.json").read_text())["parts"]
    [whole] = [part for part in described if part["part"] == "all"]
    # Where the split is by event and station, less than half of the 103 earthquakes have both in one part.
    assert 35 <= whole["earthquake_records"] <= 65
    assert 12 <= whole["noise_records"] <= 24
