"""What a picker was trained on is in its card, and an evaluation that touches it can say so."""

import json
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from pickflow.datasets.families import family_of
from pickflow.datasets.memory import dataset_of, join
from pickflow.datasets.provenance import (
    KEY,
    fingerprint,
    sets_of_weights,
    split_of_training,
    table_of,
    touched,
    training_sets,
)
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import Record
from pickflow.datasets.splits import Split
from pickflow.datasets.subsets import build_subset
from pickflow.datasets.synthetic import write_stand_in
from pickflow.datasets.writing import write_records
from tests.dataset_fixture import network, row, wave, write_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = network(n_events=20, n_stations=8)
    traces = [wave(index, 2000) for index in range(len(rows))]
    return write_set(tmp_path_factory.mktemp("sets") / "dense", rows, traces, bucket="bucket0")


def card_of(dataset, **values):
    return json.loads(json.dumps({KEY: training_sets(dataset, **values)}))


@pytest.mark.parametrize("by", ["event", "station", "both"])
def test_exactly_the_records_of_the_parts_that_were_used_are_touched(folder, by):
    dataset = open_dataset(folder, "dense", Split(by=by, seed=3))
    remarks = touched(card_of(dataset), dataset.table)
    assert (remarks != "").tolist() == (dataset.table.part != "test").tolist()
    only_training = touched(card_of(dataset, parts=["train"]), dataset.table)
    assert (only_training != "").sum() < (remarks != "").sum()


def test_the_split_of_the_evaluation_does_not_hide_what_the_training_saw(folder):
    """The test part of another seed holds records that were trained on."""
    card = card_of(open_dataset(folder, "dense", Split(by="event", seed=1)))
    second_split = open_dataset(folder, "dense", Split(by="event", seed=2))
    remarks = touched(card, second_split.table)
    assert (remarks[second_split.table.part == "test"] != "").any()
    assert remarks[remarks != ""].str.fullmatch("dense: part (train|validation)").all()


def test_records_whose_event_or_station_was_used_are_touched_though_they_were_left_out(folder):
    card = card_of(open_dataset(folder, "dense", Split(by="both", seed=1)))
    everything = open_dataset(folder, "dense", Split(by="event"))
    remarks = touched(card, everything.table)
    assert (remarks == "dense: part train or validation").any()


def test_a_part_of_stead_touches_stead_whatever_it_is_called(tmp_path):
    write_stand_in(tmp_path / "stead", 60, 20)
    stead = open_dataset(tmp_path / "stead", "STEAD")
    mini = build_subset(stead, "merged", tmp_path / "other", split=Split(by="event"))
    renamed = open_dataset(tmp_path / "stead", "mine", Split(by="event"))
    remarks = touched(card_of(mini), renamed.table)
    assert (remarks != "").tolist() == (renamed.table.part != "test").tolist()


@pytest.mark.parametrize("by", ["event", "station", "both"])
def test_noise_of_a_set_that_may_call_it_otherwise_is_held_out_only_by_its_station(folder, by):
    card = card_of(open_dataset(folder, "InstanceCounts", Split(by=by, seed=4)))
    table = open_dataset(folder, "InstanceNoise", Split(by="event", seed=3)).table
    noise = table[table.kind == "noise"].assign(
        name=lambda noise: "other " + noise.name, recording=lambda noise: noise.name
    )
    remarks = touched(card, noise)
    if by == "event":
        assert (remarks == "InstanceCounts: all of it was used, or it is not known what").all()
    else:
        assert 0 < (remarks == "").sum() < len(noise)


def test_a_set_of_few_stations_does_not_touch_the_others_of_its_collection(tmp_path):
    folder_of_set = write_set(
        tmp_path / "stead50", [row(f"r{i}", source_id="") for i in range(9)], [wave(i) for i in range(9)]
    )
    card = card_of(open_dataset(folder_of_set))
    records = pd.DataFrame(
        {"dataset": "STEAD", "name": ["a", "b"], "station": ["XA.AAA", "XB.BBB"], "event": ["1", "2"]}
    )
    assert touched(card, records.assign(event=["a", "b"])).tolist() == [
        "stead50: all of it was used, or it is not known what",
        "",
    ]


@pytest.mark.parametrize(
    ("dataset", "trace", "family"),
    [
        ("stead50", "", "STEAD"),
        ("STEADmicro", "", "STEAD"),
        ("merged", "", "STEAD"),
        ("whatever", "109C.TA_20060723155859_EV", "STEAD"),
        ("InstanceNoise", "", "INSTANCE"),
        ("ncedc154", "BG_ACR_2012082505145960", "NCEDC"),
        ("mine", "r1", "mine"),
    ],
)
def test_sets_belong_to_collections(dataset, trace, family):
    assert family_of(dataset, trace) == family


@pytest.mark.parametrize(
    ("model", "weights", "families"),
    [
        ("PhaseNet", "stead", ["STEAD"]),
        ("PhaseNet", "original_converted", ["NCEDC"]),
        ("EQTransformer", "original", ["STEAD"]),
        ("PhaseNet", "instance_medium_17", ["INSTANCE"]),
        ("EQTransformer", "volpick", ["NCEDC"]),
        ("PhaseNetLight", "ethz", ["ETHZ"]),
        ("PickflowNet", "bundled", []),
    ],
)
def test_published_weights_touch_the_collection_of_their_name(model, weights, families):
    assert [family for entry in sets_of_weights(model, weights) for family in entry["families"]] == families
    records = pd.DataFrame({"dataset": ["ncedc154", "stead50"], "name": "r", "station": "A.B", "event": ["1", "2"]})
    remarks = touched({"model": model, "weights": weights, "training_data": "words"}, records)
    assert (remarks != "").tolist() == [("NCEDC" in families), ("STEAD" in families)]


def test_the_bundled_picker_touches_the_training_parts_of_its_sets(shared):
    card = json.loads((resources.files("pickflow") / "models/bundled/PickflowNet/card.json").read_text())
    for name in ("ncedc154", "stead50"):
        table = open_dataset(shared / "data/labelled" / name).table
        assert (touched(card, table) != "").tolist() == (table.part == "train").tolist()
    unrelated_set = open_dataset(shared / "data/labelled/stead1001-one-component").table
    assert (touched(card, unrelated_set) == "").all()  # none is of the station of stead50


def test_the_split_of_a_training_is_in_its_card(folder):
    split = Split(by="event", seed=3)
    card = card_of(open_dataset(folder, "dense", split))
    assert split_of_training(card, "dense") == split
    assert split_of_training(card, "other") is None
    assert split_of_training({"model": "PhaseNet", "weights": "stead"}, "PhaseNet/stead") is None


def test_a_fingerprint_is_of_content_and_parts_and_not_of_order(folder, tmp_path):
    dataset = open_dataset(folder, "dense")
    assert fingerprint(dataset) == fingerprint(dataset.take(range(len(dataset))[::-1]))
    variants = [dataset.take(range(5)), open_dataset(folder, "other"), open_dataset(folder, "dense", Split(seed=2))]
    prints = {fingerprint(variant) for variant in [dataset, *variants]}
    assert len(prints) == 4


def memory_record(**values):
    facts = {"name": "r", "dataset": "m", "station": "A.B", "event": "e", "part": "train", "picks": {"P": 100.0}}
    return Record(**{**facts, **values}, samples=wave(0))


def test_a_fingerprint_is_of_labels(tmp_path):
    flat, rising = np.zeros((2, 3000), np.float32), np.ones((2, 3000), np.float32)
    variants = [
        memory_record(),
        memory_record(picks={"P": 101.0}),
        memory_record(picks={"P": 100.0, "S": 200.0}),
        memory_record(probability=flat),
        memory_record(probability=rising),
    ]
    assert len({fingerprint(dataset_of([variant], "m")) for variant in variants}) == len(variants)
    assert len({dataset_of([variant], "m").sources[0].digest() for variant in variants}) == len(variants)
    prints = set()
    for number, variant in enumerate(variants):
        write_records(tmp_path / str(number), [variant], {})
        prints.add(fingerprint(open_dataset(tmp_path / str(number), "m", Split(by="column"))))
    assert len(prints) == len(variants)


def test_sets_of_a_joined_one_keep_their_splits(folder):
    first, second = open_dataset(folder, "one", Split(seed=1)), open_dataset(folder, "two", Split(seed=2))
    assert len(join("both", [first, second])) == len(first) + len(second)
    entries = training_sets(join("both", [first, second]))
    assert [(entry["name"], entry["split"]["seed"]) for entry in entries] == [("one", 1), ("two", 2)]
    assert sum(entry["n_records"] for entry in entries) == sum(
        (dataset.table.part != "test").sum() for dataset in (first, second)
    )


def test_records_in_memory_are_looked_at_like_those_of_files():
    records = [
        Record(
            name=f"r{index}",
            dataset="m",
            station=f"A.S{index}",
            event=f"e{index}",
            part=part,
            samples=wave(0),
            picks={},
        )
        for index, part in enumerate(["train", "test", "validation"])
    ]
    dataset = dataset_of(records, "m")
    assert (touched(card_of(dataset), dataset.table) != "").tolist() == [True, False, True]
    assert (touched(card_of(dataset), table_of(records)) != "").tolist() == [True, False, True]


def test_a_trace_of_two_sets_of_a_collection_is_used_once(folder):
    large, small = open_dataset(folder, "STEAD"), open_dataset(folder, "STEADmicro", Split(seed=2)).take(range(9))
    whole = join("both", [large, small])
    assert whole.table.dataset.unique().tolist() == ["STEAD"]
    assert whole.left_out.reason.value_counts().to_dict() == {"duplicate": 9}
