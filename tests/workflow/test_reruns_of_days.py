"""A day, a station, a format or layers more or less: only their jobs run again."""

import shutil

import pytest

from pickflow.run.stations_of_days import END, Epoch
from tests.snakemake_runner import ROOT
from tests.workflow_plan import (
    ASSOCIATE,
    CATALOG,
    LAYERS,
    LEAN,
    epochs,
    finish,
    in_folder,
    jobs_to_run,
    planned,
    rules_to_run,
)

DAYS = ("2024-05-01", "2024-05-02", "2024-05-03")


@pytest.fixture(scope="module")
def lean_once(tmp_path_factory):
    return finish(tmp_path_factory.mktemp("lean") / "run", LEAN)


@pytest.fixture
def lean(lean_once, tmp_path):
    """A finished run of three days that a test may change."""
    return shutil.copytree(lean_once, tmp_path / "run")


# What sees all days. Amplitudes are of relocated events, and these move a little with every day.
WHOLE = ["analyze", "catalog", "locate", "report"]


def of_days(rule, *days):
    return [f"{rule} {day}" for day in days]


def test_a_day_after_the_run_needs_its_jobs_and_the_association_of_the_day_before_it(lean):
    new = "2024-05-04"
    assert jobs_to_run(lean, {**LEAN, "endtime": "2024-05-05"}) == sorted(
        [
            f"download {new}",
            f"pick {new}",
            *of_days("associate", DAYS[-1], new),
            *of_days("amplitude", *DAYS, new),
            *WHOLE,
        ]
    )


def test_a_day_before_the_run_needs_its_jobs_and_the_association_of_the_day_after_it(lean):
    new = "2024-04-30"
    assert jobs_to_run(lean, {**LEAN, "starttime": new}) == sorted(
        [
            f"download {new}",
            f"pick {new}",
            *of_days("associate", new, DAYS[0]),
            *of_days("amplitude", new, *DAYS),
            *WHOLE,
        ]
    )


def test_a_run_that_ends_earlier_keeps_its_days(lean):
    assert jobs_to_run(lean, {**LEAN, "endtime": "2024-05-03"}) == sorted(
        [f"associate {DAYS[1]}", *of_days("amplitude", *DAYS[:2]), *WHOLE]
    )


def test_the_hours_of_a_day_belong_to_that_day(lean):
    longer = {**LEAN, "endtime": "2024-05-04T06:00:00Z"}
    once = jobs_to_run(lean, longer)
    assert "download 2024-05-04" in once
    assert not {f"download {day}" for day in DAYS} & set(once)


def test_another_way_to_write_the_same_changes_nothing(lean):
    same_config = {
        "endtime": "2024-05-04T00:00:00Z",
        "starttime": "2024-05-01T00:00:00+00:00",
        "run": "small",
        "analyze": {"event_time_tolerance_s": 2, "reference": {"file": "bulletin.xml"}},
        "associate": {"min_evidence": 2.0, "velocity_model": {"file": "velocity.nd"}},
        "download": {**LEAN["download"], "padding_s": 60.0, "exclude": []},
    }
    assert jobs_to_run(lean, same_config) == []


def test_a_new_station_has_a_row_on_each_day(lean):
    config_with_station = {**LEAN, "download": {**LEAN["download"], "stations": ["XX.A", "XX.B", "XX.C"]}}
    jobs = jobs_to_run(lean, config_with_station)
    assert "inventory" in jobs
    assert {f"{rule} {day}" for rule in ("download", "pick") for day in DAYS} < set(jobs)
    assert "weights" not in jobs


def test_a_day_whose_stations_are_others_runs_again_and_its_neighbours_only_associate(lean):
    change = Epoch("2024-05-03T12:00:00", END, "B has another sensor")
    (lean / "results/small/inventory/epochs.json").write_bytes(in_folder(lean, epochs, LEAN, change))
    assert jobs_to_run(lean, LEAN) == sorted(
        [
            f"download {DAYS[2]}",
            f"pick {DAYS[2]}",
            *of_days("associate", *DAYS[1:]),
            *of_days("amplitude", *DAYS),
            *WHOLE,
        ]
    )


def test_newer_files_of_the_inventory_change_nothing(lean):
    for path in (lean / "results/small/inventory").iterdir():
        path.write_bytes(path.read_bytes())
    (lean / "stations.xml").write_bytes((lean / "stations.xml").read_bytes())
    assert jobs_to_run(lean, LEAN) == []


def test_other_layers_locate_and_associate_and_download_nothing(lean):
    (lean / "velocity.nd").write_text(LAYERS)
    assert jobs_to_run(lean, LEAN) == []
    (lean / "velocity.nd").write_text(LAYERS.replace("5.5", "5.6"))
    assert {job.split()[0] for job in jobs_to_run(lean, LEAN)} == ASSOCIATE


def test_another_script_runs_nothing_again(lean, tmp_path):
    # Under a path of its own: Snakemake remembers the age of a script as long as its process lives.
    checkout = tmp_path / "checkout"
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(ROOT / name, checkout / name)
    shutil.copy(ROOT / "Snakefile", checkout)
    with (checkout / "scripts" / "pick.py").open("a") as script:
        script.write("# the end\n")
    assert jobs_to_run(lean, LEAN, snakefile=checkout / "Snakefile") == []


def test_a_longer_grid_makes_only_what_is_new(lean):
    config_with_stack = {**LEAN, "associate": {**LEAN["associate"], "methods": ["pyocto", "stack"]}}
    with planned(lean, config_with_stack) as dag:
        jobs = [job for job in dag.needrun_jobs(exclude_finished=False) if "associator" in job.wildcards_dict]
    assert {job.wildcards_dict["associator"] for job in jobs} == {"stack"}
    assert rules_to_run(lean, config_with_stack) == ASSOCIATE


def test_one_format_more_writes_the_catalog_and_measures_nothing(lean):
    assert rules_to_run(lean, {**LEAN, "catalog": {"formats": ["csv", "quakeml", "nordic"]}}) == CATALOG


def test_one_format_less_runs_nothing(lean):
    assert jobs_to_run(lean, {**LEAN, "catalog": {"formats": ["csv"]}}) == []
