"""Data sets that pickflow writes: SeisBench opens them, and they are the same again."""

import hashlib
import json

import h5py
import numpy as np
import pandas as pd
import pytest

from pickflow.datasets import subsets
from pickflow.datasets.memory import dataset_of, join
from pickflow.datasets.reading import Dataset, open_dataset
from pickflow.datasets.records import Record, to_unit_peak
from pickflow.datasets.subsets import STEAD_COUNTS, SUBSETS, build_subset, subset_rows
from pickflow.datasets.synthetic import synthetic_record, write_stand_in
from pickflow.datasets.writing import copy_traces, write_records
from tests.dataset_fixture import N_SAMPLES, noise_row, row, wave, write_set


def record(index, **values):
    picks = {"P": 500.0 + index, "S": 900.5}
    samples = to_unit_peak(wave(index, 2000 + index).astype(float))
    facts = {"name": f"r{index}", "dataset": "d", "station": "XA.S1", "event": f"e{index}", "part": "train", **values}
    return Record(**facts, samples=samples, picks=picks)


def seisbench_set(folder):
    from seisbench.data import WaveformDataset

    return WaveformDataset(folder, component_order="ZNE")


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "stead"
    write_stand_in(folder, 120, 30, seed=3)
    return folder


def test_records_are_the_same_again_also_with_probabilities(tmp_path):
    records = [record(index, probability=soft(index), part="validation") for index in range(300)]
    write_records(tmp_path / "set", iter(records), {"name": "mine"})
    again = open_dataset(tmp_path / "set").read([0, 7, 299])
    for copy, index in zip(again, (0, 7, 299), strict=True):
        assert (copy.name, copy.station, copy.event, copy.kind) == (f"r{index}", "XA.S1", f"e{index}", "event")
        assert copy.picks == records[index].picks
        np.testing.assert_allclose(copy.samples, records[index].samples, atol=1e-6)
        np.testing.assert_array_equal(copy.probability, soft(index))


def soft(index):
    return np.random.default_rng(index).random((2, 2000 + index)).astype(np.float32)


def test_records_with_and_without_probabilities_share_a_block_and_a_set(tmp_path):
    records = [record(index, probability=soft(index) if index < 9 and index % 2 else None) for index in range(260)]
    write_records(tmp_path / "set", records, {})
    dataset = open_dataset(tmp_path / "set")
    for copy, original in zip(dataset.read(), records, strict=True):
        if original.probability is None:
            assert copy.probability is None
        else:
            np.testing.assert_array_equal(copy.probability, original.probability)
    assert dataset.left_out.empty


def test_a_record_whose_probabilities_cannot_be_read_is_left_out_by_name(tmp_path):
    write_records(tmp_path / "set", [record(index, probability=soft(index)) for index in range(3)], {})
    with h5py.File(tmp_path / "set/waveforms.hdf5", "a") as file:
        del file["probability/bucket0"]
        file["probability/bucket0"] = np.zeros(3, dtype="S4")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.read() == []
    assert dataset.left_out.reason.tolist() == ["unreadable"] * 3
    assert dataset.left_out.detail.str.startswith("probability: ").all()
    with pytest.raises(ValueError, match="at least one trace"):
        copy_traces(dataset, tmp_path / "copy", {})


def test_seisbench_opens_what_we_write(tmp_path):
    records = [record(index) for index in range(5)]
    write_records(tmp_path / "set", records, {})
    theirs = seisbench_set(tmp_path / "set")
    assert len(theirs) == 5
    for index in (0, 4):
        samples, metadata = theirs.get_sample(index)
        np.testing.assert_array_equal(samples, records[index].samples)
        assert metadata["trace_p_arrival_sample"] == records[index].picks["P"]
    assert len(theirs.train()) == 5


def test_the_same_records_give_the_same_bytes_and_a_failure_leaves_nothing(tmp_path):
    for name in "ab":
        write_records(tmp_path / name, (record(index) for index in range(3)), {"seed": 1})
    assert digest(tmp_path / "a") == digest(tmp_path / "b")

    def broken():
        yield record(0)
        raise RuntimeError("generator")

    with pytest.raises(RuntimeError, match="generator"):
        write_records(tmp_path / "c", broken(), {})
    with pytest.raises(ValueError, match="at least one trace"):
        write_records(tmp_path / "c", [], {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_copied_traces_keep_their_samples_their_components_and_all_their_metadata(tmp_path):
    rows = [row("a", trace_colour="red", trace_component_order="ENZ"), noise_row("b", trace_component_order="Z")]
    rows += [row("c", trace_sampling_rate_hz=50.0, trace_component_order="ZNE")]
    traces = [wave(0) * 1e6, wave(1, n_components=1), wave(2, 1200)]
    write_set(tmp_path / "set", rows, traces, component_order=None)
    dataset = open_dataset(tmp_path / "set")
    copy_traces(dataset.take([0, 1, 2]), tmp_path / "copy", {"name": "copy"})
    copy = open_dataset(tmp_path / "copy")
    columns = ["name", "event", "station", "kind", "n_samples", "p_sample", "s_sample", "rate_hz", "components"]
    pd.testing.assert_frame_equal(copy.table[columns], dataset.table[columns])
    for record_copy, original in zip(copy.read(), dataset.read(), strict=True):
        np.testing.assert_array_equal(record_copy.samples, original.samples)
    theirs = seisbench_set(tmp_path / "copy")
    assert theirs.metadata.trace_colour[0] == "red"
    np.testing.assert_array_equal(theirs.get_waveforms(0)[:, :N_SAMPLES], traces[0][::-1])


def test_copied_traces_keep_their_probabilities(tmp_path):
    records = [record(index, probability=soft(index) if index else None) for index in range(3)]
    write_records(tmp_path / "set", records, {})
    copy_traces(open_dataset(tmp_path / "set").take([0, 2]), tmp_path / "copy", {})
    first, second = open_dataset(tmp_path / "copy").read()
    assert first.probability is None
    np.testing.assert_array_equal(second.probability, records[2].probability)


@pytest.mark.parametrize("padding", [0.0, np.nan])
def test_padding_is_not_copied_as_signal(tmp_path, padding):
    traces = [wave(0), wave(1)]
    traces[0][:, 1200:] = padding
    dataset = open_dataset(write_set(tmp_path / "set", [row("a"), row("b")], traces))
    copy_traces(dataset, tmp_path / "copy", {})
    copies = open_dataset(tmp_path / "copy").read()
    assert [copy.samples.shape[1] for copy in copies] == [1200, N_SAMPLES]
    for copy, original in zip(copies, dataset.read(), strict=True):
        np.testing.assert_array_equal(copy.samples, original.samples)
        assert copy.picks == original.picks


def test_the_stand_in_of_stead_has_its_columns_and_its_kinds(stand_in):
    dataset = open_dataset(stand_in)
    assert dataset.table.kind.value_counts().to_dict() == {"event": 120, "noise": 30}
    assert dataset.left_out.reason.isin(["s_outside"]).all()
    assert dataset.table.name.str.fullmatch(r"S\d{3}\.SY_\d{14}_(EV|NO)").all()
    events = dataset.table[dataset.table.kind == "event"]
    assert events.groupby("event").station.nunique().max() == 3
    assert events.p_sample.between(400, 900).all()
    assert (events.magnitude.notna() & events.distance_km.between(2, 150)).all()
    assert json.loads((stand_in / "origin.json").read_text())["stand_in"] is True
    theirs = seisbench_set(stand_in)
    assert theirs.get_waveforms(0).shape == (3, 6000)
    quiet, loud = (np.abs(dataset.read([0])[0].samples[0, cut]).max() for cut in (slice(0, 300), slice(400, 2000)))
    assert loud > quiet


def test_the_stand_in_is_the_same_again(tmp_path):
    for name in "ab":
        write_stand_in(tmp_path / name, 6, 2, seed=1)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def stead_without_samples():
    kinds = np.repeat(list(STEAD_COUNTS), list(STEAD_COUNTS.values()))
    table = pd.DataFrame({"name": np.arange(len(kinds)).astype(str), "kind": kinds})
    return Dataset(name="STEAD", table=table, sources=())


def test_subsets_of_all_of_stead_have_the_numbers_of_the_studies(monkeypatch):
    monkeypatch.setattr(subsets, "_rank", lambda name, seed: int(name))  # a million digests take seconds
    stead = stead_without_samples()
    kinds = stead.table.kind.to_numpy()
    rows = {name: subset_rows(stead, name) for name in SUBSETS}
    counts = {
        name: dict(zip(*np.unique(kinds[rows_of_subset], return_counts=True), strict=True))
        for name, rows_of_subset in rows.items()
    }
    assert counts == {
        "STEADmini": {"event": 103_023, "noise": 23_542},
        "STEADmicro": {"event": 10_302, "noise": 2_354},
        "merged": {"event": 20_000, "noise": 23_543},
    }


def test_a_subset_of_a_stand_in_has_the_same_share_and_is_a_set_of_its_own(stand_in, tmp_path):
    dataset = open_dataset(stand_in, "STEAD")
    mini = build_subset(dataset, "STEADmini", tmp_path / "mini", seed=5)
    assert mini.table.kind.value_counts().to_dict() == {"event": 12, "noise": 3}
    assert set(mini.table.name) < set(dataset.table.name)
    originals = {example.name: example for example in dataset.read()}
    for example in mini.read():
        np.testing.assert_array_equal(example.samples, originals[example.name].samples)
    assert json.loads((tmp_path / "mini/origin.json").read_text()) == {
        "name": "STEADmini", "n_traces": 15, "part_of": "STEAD", "seed": 5,
    }  # fmt: skip
    assert set(subset_rows(dataset, "merged", seed=5)) < set(range(len(dataset)))
    rows = {
        (name, seed): set(subset_rows(dataset, name, seed)) for name in ("STEADmini", "STEADmicro") for seed in (5, 6)
    }
    assert rows["STEADmicro", 5] < rows["STEADmini", 5] != rows["STEADmini", 6]
    build_subset(dataset, "STEADmini", tmp_path / "again", seed=5)
    assert digest(tmp_path / "mini") == digest(tmp_path / "again")
    with pytest.raises(ValueError, match="0 traces of noise, STEADmicro needs 1"):
        build_subset(dataset.select(kind="event").take(range(20)), "STEADmicro", tmp_path / "micro")
    with pytest.raises(ValueError, match="no subset 'STEADnano' of STEAD; there are STEADmini, STEADmicro, merged"):
        subset_rows(dataset, "STEADnano")


def test_synthetic_records_are_the_same_again_and_of_both_kinds():
    np.testing.assert_array_equal(synthetic_record(4, 0).samples, synthetic_record(4, 0).samples)
    assert not np.array_equal(synthetic_record(4, 0).samples, synthetic_record(5, 0).samples)
    kinds = [synthetic_record(4, index, 2000).kind for index in range(40)]
    assert {"event", "noise"} == set(kinds)


def test_sets_are_joined_and_read_in_the_order_asked_for(tmp_path):
    write_records(tmp_path / "one", [record(index) for index in range(3)], {})
    whole = join("both", [open_dataset(tmp_path / "one"), dataset_of([record(9, dataset="memory")], "memory")])
    assert [example.name for example in whole.read([3, 0, 2])] == ["r9", "r0", "r2"]
    assert whole.table.dataset.tolist() == ["one"] * 3 + ["memory"]
    with pytest.raises(ValueError, match="two sets are called 'one'"):
        join("both", [open_dataset(tmp_path / "one")] * 2)
    with pytest.raises(ValueError, match="at least one record"):
        dataset_of([], "empty")
