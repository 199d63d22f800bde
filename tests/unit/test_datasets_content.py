"""What is known of a data set when its samples are read or its traces put together, and what describes it."""

import pickle

import h5py
import numpy as np
import pandas as pd

from pickflow.datasets.components import join_components
from pickflow.datasets.description import describe
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import to_unit_peak
from pickflow.datasets.splits import Split
from pickflow.datasets.table import digest_ranks
from tests.dataset_fixture import noise_row, row, wave, write_set


def reasons(dataset):
    return dict(zip(dataset.left_out.name, dataset.left_out.reason, strict=True))


def test_a_set_is_described_by_its_table(tmp_path):
    rows = [row("a", source_magnitude=1.5, path_ep_distance_km=12.0), row("b", source_magnitude=2.5), noise_row("c")]
    rows += [row("d", trace_s_arrival_sample=200.0)]
    dataset = open_dataset(write_set(tmp_path, rows, [wave(index) for index in range(4)]), split=Split(by="event"))
    described = describe(dataset)
    whole = described.counts.set_index("part").loc["all"]
    assert whole.to_dict() == {
        "earthquake_records": 2, "noise_records": 1, "events": 2, "stations": 1, "p": 2, "s": 2,
    }  # fmt: skip
    assert described.counts.iloc[:3].earthquake_records.sum() == 2
    properties = described.properties.set_index("property")
    assert properties.loc["magnitude", ["n", "least", "most"]].tolist() == [2, 1.5, 2.5]
    assert properties.loc["S - P", ["n", "median", "unit"]].tolist() == [2, 5.0, "s"]
    assert properties.loc["distance", "n"] == 1
    assert described.left_out[["reason", "n"]].to_numpy().tolist() == [["s_before_p", 1]]


def test_the_same_samples_under_two_names_are_found_when_all_are_read(tmp_path):
    rows = [row("XA_AAA_HHN_1", trace_channel="HHN"), row("XA_AAA_HHZ_1", trace_channel="HHZ"), row("other_1")]
    rows[2]["trace_channel"] = "HHZ"
    traces = [wave(seed, n_components=1) for seed in (0, 0, 1)]
    dataset = open_dataset(write_set(tmp_path, rows, traces, component_order=None))
    examined_set = dataset.examined()
    assert reasons(examined_set) == {"XA_AAA_HHZ_1": "duplicate"}
    assert examined_set.table.name.tolist() == ["XA_AAA_HHN_1", "other_1"]


def test_components_in_traces_of_their_own_become_one_record(tmp_path):
    rows = [row(f"XA_AAA_HH{letter}_201001", trace_channel=f"HH{letter}", source_id="") for letter in "ENZ"]
    rows += [row("XA_AAA_HHZ_201002", trace_channel="HHZ", source_id="")]
    rows += [row("XA_AAA_HHN_201002", trace_channel="HHN", source_id="", trace_p_arrival_sample=700.0)]
    whole = wave(0)
    traces = [whole[[2]], whole[[1]], whole[[0]], wave(1, n_components=1), wave(2, n_components=1)]
    dataset = join_components(open_dataset(write_set(tmp_path, rows, traces, component_order=None)))
    assert dataset.table.name.tolist() == ["XA_AAA_HH_201001", "XA_AAA_HHZ_201002", "XA_AAA_HHN_201002"]
    first, *singles = dataset.read()
    np.testing.assert_array_equal(first.samples, to_unit_peak(whole.astype(float)))
    assert [int(record.samples.any(axis=1).sum()) for record in singles] == [1, 1]
    assert [record.name for record in dataset.read([2, 0])] == ["XA_AAA_HHN_201002", "XA_AAA_HH_201001"]


def test_traces_with_probabilities_stay_as_they_are(tmp_path):
    rows = [row(f"XA_AAA_HH{letter}_201001", trace_channel=f"HH{letter}", source_id="") for letter in "ZN"]
    folder = write_set(tmp_path, rows, [wave(index, n_components=1) for index in range(2)], component_order=None)
    with h5py.File(folder / "waveforms.hdf5", "a") as file:
        for number, metadata in enumerate(rows):
            file[f"probability/{metadata['trace_name']}"] = wave(number, n_components=2)
    first, second = join_components(open_dataset(folder)).read()
    np.testing.assert_array_equal(first.probability, wave(0, n_components=2))
    np.testing.assert_array_equal(second.probability, wave(1, n_components=2))


def test_two_components_with_the_same_samples_are_no_record(tmp_path):
    rows = [row(f"XA_AAA_HH{letter}_201001", trace_channel=f"HH{letter}", source_id="") for letter in "NZ"]
    folder = write_set(tmp_path, rows, [wave(0, n_components=1)] * 2, component_order=None)
    dataset = join_components(open_dataset(folder))
    assert dataset.read() == []
    assert reasons(dataset) == {"XA_AAA_HH_201001": "duplicate"}


def test_the_real_set_of_single_components_has_records_of_three(shared):
    dataset = join_components(open_dataset(shared / "data/labelled/stead1001-one-component"))
    counts = dataset.table.components.str.len().value_counts()
    assert counts.sum() < 500
    assert counts[3] > 190
    [record] = dataset.read([int(np.flatnonzero(dataset.table.components.str.len() == 3)[0])])
    assert record.samples.any(axis=1).all()


def test_a_set_goes_to_another_process(tmp_path):
    """Several processes of a training read one set."""
    dataset = open_dataset(write_set(tmp_path, [row("a"), row("b")], [wave(0), wave(1)], bucket="bucket0"))
    before = dataset.read()
    for copy, original in zip(pickle.loads(pickle.dumps(dataset)).read(), before, strict=True):
        np.testing.assert_array_equal(copy.samples, original.samples)


def test_ranks_by_digest_are_of_each_group_and_do_not_depend_on_the_rest():
    table = pd.DataFrame({"name": [f"t{index}" for index in range(50)], "station": ["A"] * 40 + ["B"] * 10})
    ranks = digest_ranks(table, "station")
    assert sorted(ranks[:40]) == list(range(1, 41))
    assert sorted(ranks[40:]) == list(range(1, 11))
    assert list(ranks[:40]) != list(range(1, 41))
    pd.testing.assert_series_equal(digest_ranks(table[::-1], "station").sort_index(), ranks)
    alone = digest_ranks(table[table.station == "B"], "station")
    pd.testing.assert_series_equal(alone, ranks[40:])
