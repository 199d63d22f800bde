import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pickflow.datasets.memory import dataset_of, join
from pickflow.datasets.records import Record
from pickflow.datasets.splits import parts_of
from pickflow.io.atomic import write_text
from pickflow.lab.data import description_of, open_sources, shuffled, write_sources
from pickflow.lab.joined import csv_text
from pickflow.lab.run import account_of
from pickflow.run.configuration import ConfigError, complete
from pickflow.run.grid import Candidate
from pickflow.run.lab import seed_of, teachers, trained_pickers
from pickflow.run.layout import RunLayout
from pickflow.run.settings.lab import LabSource, LabSplit

SPLIT = LabSplit(by="event", train=0.5, validation=0.25)
SYNTHETIC = LabSource(name="made", kind="synthetic", n_events=24, n_noise=8)


def ignore(name, n_done, total):
    """Show no progress."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_sources([SYNTHETIC], SPLIT, [], folder, ignore)
    return folder


def section(**changes):
    sources = [{"name": "made", "kind": "synthetic", "n_events": 5, "n_noise": 5}]
    lab = {"variants": ["EQT"], "sources": sources, **changes}
    return complete({"run": "x", "starttime": "2020-01-01", "endtime": "2020-01-02", "lab": lab})["lab"]


def test_synthetic_records_are_written_in_the_numbers_asked_for(folder):
    dataset = open_sources([SYNTHETIC], SPLIT, 0, folder)
    assert dataset.table.kind.value_counts().to_dict() == {"event": 24, "noise": 8}
    assert set(dataset.table.dataset) == {"made"}
    records = dataset.read()
    assert all(np.ptp(record.samples[0]) > 0 for record in records)
    assert all(record.picks for record in records if record.kind == "event")


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(folder, tmp_path):
    for seed, is_same in ((SPLIT.seed, True), (SPLIT.seed + 1, False)):
        write_sources([SYNTHETIC], SPLIT.changed(seed=seed), [], tmp_path / str(seed), ignore)
        for file in ("metadata.csv", "waveforms.hdf5"):
            file_of_seed, file_of_folder = (path / "made" / file for path in (tmp_path / str(seed), folder))
            assert (file_of_seed.read_bytes() == file_of_folder.read_bytes()) == is_same


def test_a_set_is_read_where_it_lies_and_a_smaller_number_is_part_of_a_larger_one(folder, tmp_path):
    names = []
    for n_events in (6, 12):
        source = LabSource(name="again", path=str(folder / "made"), n_events=n_events, n_noise=4)
        write_sources([source], SPLIT, [], tmp_path / "data", ignore)
        dataset = open_sources([source], LabSplit(by="column"), 0, tmp_path / "data")
        assert dataset.table.kind.value_counts().to_dict() == {"event": n_events, "noise": 4}
        names.append(set(dataset.table.name))
    assert names[0] < names[1]
    assert list((tmp_path / "data").iterdir()) == []


def test_of_the_windows_of_a_run_as_many_are_taken_as_asked_for(folder, tmp_path, monkeypatch):
    windows = open_sources([SYNTHETIC], SPLIT, 0, folder)
    monkeypatch.setattr("pickflow.lab.data.open_run", lambda *_, **named: windows)
    source = LabSource(name="night", kind="run", path="results/night", n_events=15, n_noise=5)
    write_sources([source], SPLIT, [], tmp_path, ignore)
    dataset = open_sources([source], SPLIT, 0, tmp_path)
    assert dataset.table.kind.value_counts().to_dict() == {"event": 15, "noise": 5}


def test_the_same_samples_under_one_name_in_two_sets_are_used_once():
    samples = np.random.default_rng(0).normal(size=(3, 600)).astype(np.float32)
    sets = [
        dataset_of([Record(name="a", dataset=name, station="XX.A", event=name, part="test", samples=samples,
                           picks={"P": 100.0})], name)
        for name in ("first", "second")
    ]  # fmt: skip
    dataset = join("lab", sets).examined()
    assert dataset.table.dataset.tolist() == ["first"]
    assert dataset.left_out[["reason", "detail"]].to_numpy().tolist() == [["duplicate", "its samples are those of a"]]


def test_names_of_what_was_left_out_stay_text(tmp_path):
    run = RunLayout(tmp_path)
    rows = {"name": ["NA", "007", "1e5"], "reason": ["no_label", "duplicate", "no_label"], "detail": ["", "nan", "3"]}
    write_text(run.lab("left_out.csv"), csv_text(pd.DataFrame(rows)))
    assert account_of(run).to_dict("list") == rows


def test_teachers_probabilities_are_stored_with_the_records(folder, tmp_path, monkeypatch):
    def half(records, models):
        for record in records:
            probability = np.full((2, record.samples.shape[1]), 0.5, dtype=np.float32)
            yield Record(**{**vars(record), "probability": probability})

    monkeypatch.setattr("pickflow.lab.data.soft_labels", half)
    source = LabSource(name="taught", path=str(folder / "made"))
    write_sources([source], SPLIT, [SimpleNamespace()], tmp_path, ignore)
    dataset = open_sources([source], SPLIT, 1, tmp_path)
    assert parts_of(dataset.table, dataset.splits["taught"]).tolist() == dataset.table.part.tolist()
    assert dataset.splits["taught"].by == "event"
    records = dataset.read()
    assert len(records) == 32
    assert all((record.probability == 0.5).all() for record in records)


def test_a_part_without_records_is_an_error_that_says_what_to_change(folder):
    with pytest.raises(ValueError, match=r"lab.sources: the part (train|validation|test) has no records"):
        open_sources([LabSource(name="few", path=str(folder / "made"), n_events=1, n_noise=0)], SPLIT, 0, folder)


def test_the_description_is_json_and_counts_every_record(folder):
    description = json.loads(json.dumps(description_of(open_sources([SYNTHETIC], SPLIT, 0, folder))))
    (whole,) = [part for part in description["parts"] if part["part"] == "all"]
    assert (whole["earthquake_records"], whole["noise_records"]) == (24, 8)
    assert len(description["fingerprint"]) == 64


def test_shuffled_records_are_the_same_in_an_order_that_does_not_change(folder):
    dataset = open_sources([SYNTHETIC], SPLIT, 0, folder)
    names = shuffled(dataset).table.name.tolist()
    assert names == shuffled(dataset).table.name.tolist() != dataset.table.name.tolist()
    assert sorted(names) == sorted(dataset.table.name)


def test_each_variant_is_trained_with_each_seed():
    assert trained_pickers(section(variants=["EQT", "4x4"], seeds=[1, 2])) == [
        Candidate("EQT", "lab-1"),
        Candidate("EQT", "lab-2"),
        Candidate("4x4", "lab-1"),
        Candidate("4x4", "lab-2"),
    ]
    assert trained_pickers(section(variants=[])) == []
    assert [seed_of(Candidate("EQT", name)) for name in ("lab-7", "bundled", "lab-x")] == [7, None, None]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"variants": ["EQT", "BLCOS"]}, "lab.variants: no picker that can be trained is called 'BLCOS'; .*'BCLOS'"),
        ({"reference": "GRU"}, "lab.reference: lab.variants has no 'GRU'; known: EQT"),
        ({"sources": []}, "lab.sources is empty"),
        (
            {"sources": 2 * [{"name": "twin", "kind": "synthetic", "n_events": 1, "n_noise": 1}]},
            "lab.sources: two sets are called 'twin'; give one another name",
        ),
    ],
)
def test_a_lab_that_cannot_be_run_is_named_before_any_work(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        trained_pickers(section(**changes))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"name": "a", "kind": "folder"}, "path: folder needs the folder"),
        ({"name": "STEAD", "kind": "seisbench", "path": "x"}, "path: seisbench takes none"),
        ({"name": "a", "kind": "synthetic"}, "n_events: the generator has no end"),
        ({"name": "a", "kind": "archive", "path": "x", "n_noise": 5}, "n_events: all windows of an archive are used"),
        ({"name": "../a", "kind": "folder", "path": "x"}, "name"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(source, problem):
    with pytest.raises(ConfigError, match=problem):
        section(sources=[source])


def test_parts_must_leave_a_test():
    with pytest.raises(ConfigError, match="leave nothing for the test"):
        section(split={"train": 0.9, "validation": 0.2})


def test_teachers_are_pickers_with_weights():
    assert teachers(section(teachers=["PhaseNet/volpick"])) == [Candidate("PhaseNet", "volpick")]
    for name in ("PhaseNet", "PhaseNett/volpick", "PhaseNet/../x"):
        with pytest.raises(ConfigError, match="lab.teachers"):
            teachers(section(teachers=[name]))
