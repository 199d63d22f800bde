"""Events that only one side has: the reasons and the kinds, each from the smallest case that has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.comparison.events import compare_events
from pickflow.comparison.picks import compare_picks
from pickflow.comparison.reference import ReferenceSet, reference_picks
from pickflow.comparison.unmatched import KINDS, WHY, missed_events, new_events, properties
from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS
from pickflow.windows import parse_time

ZERO = pd.Timestamp("2026-01-15T00:00:00Z")
WINDOW = (parse_time("2026-01-15T00:00:00"), parse_time("2026-01-16T00:00:00"))
NAMES = ("A", "B", "C", "D")
SITES = conform(
    pd.DataFrame(
        [("SY", name, 46.0 + 0.02 * row, 13.0, 0.0) for row, name in enumerate(NAMES)],
        columns=STATIONS.schema.names[:5],
    ),
    STATIONS,
)


class Params:
    """Only what the analysis looks at."""

    event_time_tolerance_s = 2.0
    event_distance_tolerance_km = 8.0
    pick_time_tolerance_s = 0.5
    pick_judged_within_s = 10.0


def catalog(rows):
    """Events by name as (time in s, north in km, number of picks)."""
    frame = pd.DataFrame(
        [(name, *row) for name, row in rows.items()], columns=["event_id", "time_s", "north", "n_picks"]
    )
    frame = frame.assign(
        time=ZERO + pd.to_timedelta(frame.time_s.astype(float), unit="s"), latitude_deg=46.0 + frame.north / 111.195,
        longitude_deg=13.0, depth_km=8.0, n_p=0, n_s=0, n_stations=0, rms_residual_s=0.1, azimuthal_gap_deg=90.0,
        n_magnitude_stations=0,
    )  # fmt: skip
    return conform(frame.reindex(columns=EVENTS.schema.names), EVENTS)


def picks_of(arrivals):
    """Picks as (event of ours or None, station, phase, time in s), and their assignments."""
    frame = pd.DataFrame(arrivals, columns=["event_id", "station", "phase", "time_s"])
    time = ZERO + pd.to_timedelta(frame.time_s.astype(float), unit="s")
    frame = frame.assign(
        network="SY", location="", channel="HH", time=time, starttime=time, endtime=time, probability=0.5,
        amplitude_m_s=np.nan, snr_db=np.nan, residual_s=0.0, distance_km=1.0, azimuth_deg=0.0,
        pick_id=[f"p{row:03d}" for row in range(len(frame))],
    )  # fmt: skip
    return conform(frame, PICKS), conform(frame.dropna(subset=["event_id"]), ASSIGNMENTS)


def arrivals_at(origin_s, event_id=None, n=4):
    """P at the first stations, 2 s after the origin."""
    return [(event_id, name, "P", origin_s + 2.0) for name in NAMES[:n]]


def reference_of(events, with_picks=True):
    rows = [
        (row.event_id, name, "P", (row.time - ZERO).total_seconds() + 2.0)
        for row in events.itertuples()
        for name in NAMES
    ]
    picks, _ = picks_of([(None, *row[1:]) for row in rows])
    owned = picks.sort_values("pick_id").assign(event_id=[row[0] for row in rows])
    table = reference_picks(owned if with_picks else owned.head(0), events, SITES)
    return ReferenceSet(
        events=events, further_events=events.head(0), picks=table, further_picks=None, window=WINDOW, region=None
    )


def missed(ours, arrivals, reference, with_picks=True):
    reference_set = reference_of(reference, with_picks)
    picks, assignments = picks_of(arrivals)
    compared, of_picks = compare_events(ours, reference_set, Params), compare_picks(picks, reference_set, Params)
    return missed_events(ours, assignments, picks, SITES, reference_set, compared.matches, of_picks.matches, Params)


GOOD = {"x": (100.0, 0.0, 4)}


@pytest.mark.parametrize("with_picks", [True, False])
@pytest.mark.parametrize(
    ("extra_events", "extra_picks", "why", "n_picks"),
    [
        ({}, [], "no_picks", 0),
        ({}, arrivals_at(5000.0, n=2), "too_few_picks", 2),
        ({}, arrivals_at(5000.0), "not_associated", 4),
        ({"far": (5000.5, 60.0, 4)}, arrivals_at(5000.0, "far"), "located_far", 4),
        ({"late": (5004.0, 1.0, 4)}, [], "located_far", 0),
    ],
)
def test_a_missed_event_says_why(with_picks, extra_events, extra_picks, why, n_picks):
    reference = catalog({"found": (100.0, 0.0, 4), "lost": (5000.0, 0.0, 4)})
    ours = catalog(GOOD | extra_events)
    table = missed(ours, [*arrivals_at(100.0, "x"), *extra_picks], reference, with_picks)
    assert table.event_id.tolist() == ["lost"]
    assert (table.why[0], table.n_picks[0]) == (why, n_picks)
    assert table.why[0] in WHY


def test_an_event_whose_picks_went_to_another_one_of_the_reference_names_it():
    reference = catalog({"found": (100.0, 0.0, 4), "twin": (100.3, 10.0, 4)})
    arrivals = [("x", name, "P", 102.15) for name in NAMES]
    missed_table = missed(catalog(GOOD), arrivals, reference, with_picks=False)
    assert (missed_table.why[0], missed_table.other_event_id[0]) == ("other_event", "x")
    assert missed_table.other_time_difference_s[0] == pytest.approx(-0.3)
    assert missed_table.other_distance_km[0] == pytest.approx(10.0, rel=1e-3)


def test_without_picks_nothing_is_said_about_picks():
    reference = catalog({"lost": (5000.0, 0.0, 4)})
    assert missed(catalog(GOOD), [], reference).why.tolist() == ["no_event"]


@pytest.mark.filterwarnings("error")
def test_a_station_that_had_no_place_then_has_no_arrivals(monkeypatch):
    closed = SITES.assign(endtime=[ZERO + pd.Timedelta(hours=1)] + [pd.NaT] * 3)
    monkeypatch.setattr("tests.unit.test_comparison_unmatched.SITES", conform(closed, STATIONS))
    reference = catalog({"lost": (5000.0, 0.0, 4)})
    assert missed(catalog({}), arrivals_at(5000.0), reference, with_picks=False).n_picks.tolist() == [3]


def test_an_empty_catalog_misses_everything():
    reference = catalog({"a": (100.0, 0.0, 4), "b": (900.0, 0.0, 4)})
    assert len(missed(catalog({}), [], reference)) == 2


def new(ours, reference, arrivals=()):
    reference_set = reference_of(reference)
    picks, assignments = picks_of(list(arrivals))
    compared = compare_events(ours, reference_set, Params)
    table = properties(ours, assignments, picks, reference)
    return new_events(table, compared.matches, reference, Params).set_index("event_id")


def test_new_events_are_told_apart():
    reference = catalog({"a": (100.0, 0.0, 10), "b": (5000.0, 0.0, 10), "c": (9000.0, 0.0, 10)})
    ours = catalog(
        {"x": (100.0, 0.0, 10), "again": (101.0, 0.0, 5), "far": (5003.0, 1.0, 8), "y": (9000.0, 0.0, 12),
         "like": (20000.0, 0.0, 11), "weak": (30000.0, 0.0, 4)}
    )  # fmt: skip
    table = new(ours, reference)
    assert table.kind.to_dict() == {"again": "double", "far": "displaced", "like": "like_matched", "weak": "poorer"}
    assert set(table.kind) <= set(KINDS)


def test_a_new_event_knows_the_nearest_event_of_the_reference():
    reference = catalog({"a": (100.0, 0.0, 10), "b": (500.0, 30.0, 10)})
    ours = catalog({"x": (100.0, 0.0, 10), "n": (350.0, 0.0, 5)})
    arrivals = [("n", "A", "P", 352.0), ("n", "B", "P", 353.0)]
    row = new(ours, reference, arrivals).loc["n"]
    assert (row.reference_id, row.reference_time_difference_s) == ("b", -150.0)
    assert row.reference_distance_km == pytest.approx(30.0, rel=1e-3)
    assert row.mean_probability == 0.5


def test_the_table_of_new_events_is_that_of_the_false_ones():
    random = np.random.default_rng(2)
    times = np.sort(random.uniform(0, 80000, 40))
    reference = catalog({f"r{row:02d}": (time, 0.0, 8) for row, time in enumerate(times)})
    ours = catalog({f"o{row:02d}": (time, 0.0, 8) for row, time in enumerate([*times[::2], *(times[:9] + 400)])})
    reference_set = reference_of(reference)
    compared = compare_events(ours, reference_set, Params)
    assert len(new(ours, reference)) == compared.numbers["n_false"]
    assert len(missed(ours, [], reference)) == compared.numbers["n"] - compared.numbers["matched"]


def test_events_are_scored_by_their_own_magnitude_and_number_of_picks():
    reference = catalog({"a": (100.0, 0.0, 10), "b": (5000.0, 0.0, 30)}).assign(magnitude=[1.2, 3.1])
    ours = catalog({"x": (100.0, 0.0, 12), "y": (9000.0, 0.0, 6)}).assign(magnitude=[1.3, 0.4])
    table = compare_events(ours, reference_of(reference), Params).scores
    magnitude = table[table.by == "magnitude"].set_index("low")
    assert magnitude.recall[[1.0, 3.0]].tolist() == [1.0, 0.0]
    assert magnitude.precision[[0.0, 1.0]].tolist() == [0.0, 1.0]
    n_picks = table[table.by == "n_picks"].set_index("low")
    assert n_picks.precision[[6.0, 12.0]].tolist() == [0.0, 1.0]
    curve = table[table.by == "min_n_picks"].set_index("low")
    assert curve.precision[[6.0, 12.0]].tolist() == [0.5, 1.0]
    assert curve.recall[[6.0, 12.0]].tolist() == [0.5, 0.5]
