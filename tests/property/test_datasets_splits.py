"""Parts share no event and no station, whatever the set."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.datasets.records import PARTS
from pickflow.datasets.splits import Split, independent_shares, part_of, parts_of


def table_of(pairs, n_noise=0):
    """A table with the records of events at stations, and noise of every station."""
    events = [(f"ev{event}", f"XA.S{station}") for event, station in pairs]
    noise = [("", station) for station in sorted({station for _, station in events}) for _ in range(n_noise)]
    frame = pd.DataFrame(events + noise, columns=["event", "station"])
    return frame.assign(recording=[f"r{index}" for index in range(len(frame))], split="")


records = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), min_size=1, max_size=200, unique=True)
shares = st.tuples(*[st.floats(0.05, 1.0)] * 3).map(lambda three: tuple(np.array(three) / sum(three)))


def shared_between_parts(table, parts, column):
    """Events or stations that are in more than one part."""
    named_rows = table.assign(part=parts)[lambda frame: (frame.part != "") & (frame[column] != "")]
    return (named_rows.groupby(column).part.nunique() > 1).sum()


@given(pairs=records, seed=st.integers(0, 1000), shares=shares)
def test_no_event_and_no_station_is_in_two_parts(pairs, seed, shares):
    table = table_of(pairs, n_noise=2)
    parts = parts_of(table, Split(by="both", seed=seed, shares=shares))
    assert set(parts) <= {*PARTS, ""}
    assert shared_between_parts(table, parts, "event") == 0
    if table.station.nunique() > 1:
        assert shared_between_parts(table, parts, "station") == 0


@pytest.mark.parametrize("by", ["event", "station"])
@given(pairs=records, seed=st.integers(0, 1000))
def test_what_is_split_by_is_in_one_part_and_nothing_is_left_out(by, pairs, seed):
    table = table_of(pairs, n_noise=1)
    parts = parts_of(table, Split(by=by, seed=seed))
    assert set(parts) <= set(PARTS)
    if by == "event" or table.station.nunique() > 1:
        assert shared_between_parts(table, parts, by) == 0


@given(pairs=records, seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_part_of_a_record_depends_on_the_seed_and_not_on_the_order(pairs, seed, order):
    table = table_of(pairs)
    shuffled = table.sample(frac=1, random_state=order.randint(0, 2**31))
    split = Split(by="both", seed=seed)
    pd.testing.assert_series_equal(parts_of(table, split), parts_of(shuffled, split).sort_index())


@pytest.mark.parametrize("shares", [(0.65, 0.15, 0.20), (0.85, 0.05, 0.10)])
@pytest.mark.parametrize("by", ["event", "station", "both"])
def test_the_parts_have_the_shares_asked_for(by, shares):
    """In a dense network of many events and stations, to what hashes of 400 names allow."""
    table = table_of([(event, station) for event in range(400) for station in range(400)])
    parts = parts_of(table, Split(by=by, shares=shares))
    counts = parts[parts != ""].value_counts(normalize=True)
    assert [counts[part] for part in PARTS] == pytest.approx(shares, abs=0.05)
    if by == "both":
        expected = sum(share**2 for share in independent_shares(shares))
        assert (parts != "").mean() == pytest.approx(expected, abs=0.05)
    else:
        assert (parts != "").all()


def test_another_seed_is_another_split():
    table = table_of([(event, event % 50) for event in range(200)])
    assert not parts_of(table, Split(seed=1)).equals(parts_of(table, Split(seed=2)))


def test_a_split_by_trace_would_be_noticed():
    """The test above can fail: hashes of records leak events."""
    table = table_of([(event, station) for event in range(20) for station in range(10)])
    assert shared_between_parts(table, table.recording.map(part_of), "event") > 0


def test_the_sets_own_split_is_taken_by_its_words():
    table = table_of([(0, 0)] * 6).assign(split=["train", "dev", "TEST", "validation", "", "other"])
    expected = ["train", "validation", "test", "validation", "", ""]
    assert parts_of(table, Split(by="column")).tolist() == expected


@pytest.mark.parametrize("wrong", [{"by": "trace"}, {"shares": (0.5, 0.4, 0.2)}, {"shares": (1.2, -0.1, -0.1)}])
def test_a_split_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="split: "):
        Split(**wrong)


def test_a_split_survives_json():
    split = Split(by="both", seed=7, shares=(0.85, 0.05, 0.10))
    assert Split.from_json(split.as_json()) == split
