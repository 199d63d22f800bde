"""Picks against a reference: the same, missed, confused, wrong, or not judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.comparison.picks import compare_picks
from pickflow.comparison.reference import ReferenceSet, reference_picks
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS, PICKS, STATIONS
from pickflow.windows import parse_time

ZERO = pd.Timestamp("2026-01-15T00:00:00Z")
WINDOW = (parse_time("2026-01-15T00:00:00"), parse_time("2026-01-15T01:00:00"))


class Params:
    """Only what the comparison of picks looks at."""

    pick_time_tolerance_s = 0.5
    pick_judged_within_s = 10.0


STATION_TABLE = conform(
    pd.DataFrame([("SY", "A", 46.0, 13.0, 0.0), ("SY", "B", 46.1, 13.0, 0.0)], columns=STATIONS.schema.names[:5]),
    STATIONS,
)
EVENT = conform(
    pd.DataFrame(
        [{"event_id": "r", "time": ZERO + pd.Timedelta(seconds=98), "latitude_deg": 46.0, "longitude_deg": 13.0,
          "depth_km": 5.0, "magnitude": 1.7, "n_picks": 0, "n_p": 0, "n_s": 0, "n_stations": 0}]
    ).reindex(columns=EVENTS.schema.names).assign(n_magnitude_stations=0),
    EVENTS,
)  # fmt: skip


def picks_at(*rows, network="SY"):
    """Picks as (station, phase, time in s[, probability])."""
    frame = pd.DataFrame([(*row, 0.5)[:4] for row in rows], columns=["station", "phase", "time_s", "probability"])
    time = ZERO + pd.to_timedelta(frame.time_s.astype(float), unit="s")
    frame = frame.assign(network=network, location="", channel="HH", time=time, starttime=time, endtime=time)
    frame["pick_id"] = [f"p{index:03d}" for index in range(len(frame))]
    return conform(frame.assign(amplitude_m_s=np.nan, snr_db=np.nan), PICKS)


def bulletin(*rows, network="", further_picks=None):
    """A reference with picks as (station, phase, time in s), all of one event."""
    picks = picks_at(*rows, network=network).assign(event_id="r")
    return ReferenceSet(
        events=EVENT, further_events=EVENT.head(0), picks=reference_picks(picks, EVENT, STATION_TABLE),
        further_picks=further_picks, window=WINDOW, region=None,
    )  # fmt: skip


def verdicts(comparison):
    return comparison.matches.verdict.value_counts().to_dict()


def whole(comparison, phase):
    table = comparison.scores
    return table[(table.by == "all") & (table.phase == phase)].iloc[0]


REFERENCE = bulletin(("A", "P", 100.0), ("A", "S", 101.0), ("B", "P", 102.0), ("B", "S", 104.0))


def test_a_bulletin_that_names_no_network_means_any():
    for network in ("SY", "XX"):
        comparison = compare_picks(picks_at(("A", "P", 100.1), network=network), bulletin(("A", "P", 100.0)), Params)
        assert verdicts(comparison) == ({"matched": 1} if network == "SY" else {"unjudged": 1, "missed": 1})
    nameless = compare_picks(picks_at(("Z", "P", 100.1), network="XX"), bulletin(("Z", "P", 100.0)), Params)
    assert verdicts(nameless) == {"matched": 1}


def test_every_pick_gets_one_verdict():
    picks = picks_at(
        ("A", "P", 100.1), ("A", "P", 100.4), ("A", "P", 101.1), ("B", "P", 115.0), ("B", "S", 104.0),
        ("B", "S", 3000.0),
    )  # fmt: skip
    comparison = compare_picks(picks, REFERENCE, Params)
    assert dict(zip(comparison.matches.pick_id, comparison.matches.verdict, strict=True)) == {
        "p000": "matched", "p001": "extra", "p002": "confused", None: "missed", "p003": "unjudged", "p004": "matched",
        "p005": "unjudged",
    }  # fmt: skip


def test_precision_counts_only_what_the_analysts_looked_at():
    picks = picks_at(("A", "P", 100.1), ("A", "P", 105.0), ("A", "P", 500.0), ("B", "P", 102.3))
    comparison = compare_picks(picks, REFERENCE, Params)
    p = whole(comparison, "P")
    assert (p.n_reference, p.n_found, p.n_judged, p.n_true) == (2, 2, 3, 2)
    assert comparison.numbers["P"]["n_unjudged"] == 1
    assert comparison.numbers["P"]["precision"] == pytest.approx(2 / 3, abs=1e-6)
    s = whole(comparison, "S")
    assert (s.n_reference, s.n_found, s.recall) == (2, 0, 0.0)
    assert np.isnan(s.precision)


def test_where_all_true_picks_are_known_every_pick_is_judged():
    known_picks = picks_at(("B", "P", 700.0))
    picks = picks_at(("A", "P", 100.1), ("A", "P", 500.0), ("B", "P", 700.1))
    comparison = compare_picks(picks, bulletin(("A", "P", 100.0), further_picks=known_picks), Params)
    assert verdicts(comparison) == {"matched": 1, "extra": 1, "true": 1}
    assert comparison.numbers["P"]["precision"] == pytest.approx(2 / 3, abs=1e-6)


def test_confusions_are_counted_by_both_phases():
    picks = picks_at(("A", "S", 100.1), ("A", "S", 101.0), ("B", "P", 102.0), ("B", "P", 109.0))
    confusion = compare_picks(picks, REFERENCE, Params).numbers["confusion"]
    assert confusion == {
        "P": {"P": 1, "S": 1, "none": 0}, "S": {"P": 0, "S": 1, "none": 1}, "none": {"P": 1, "S": 0},
    }  # fmt: skip


def test_time_errors_are_ours_minus_theirs():
    picks = picks_at(("A", "P", 100.1), ("B", "P", 102.3))
    numbers = compare_picks(picks, REFERENCE, Params).numbers["P"]
    assert numbers["mean_time_error_s"] == pytest.approx(0.2)
    assert numbers["median_time_error_s"] == pytest.approx(0.2)
    assert numbers["mad_time_error_s"] == pytest.approx(0.1)


def test_above_a_threshold_a_stronger_pick_takes_the_place_of_a_weaker_one():
    picks = picks_at(("A", "P", 100.0, 0.3), ("A", "P", 100.3, 0.8))
    curve = compare_picks(picks, bulletin(("A", "P", 100.0)), Params).scores
    curve = curve[(curve.by == "threshold") & (curve.phase == "P")].set_index("low")
    assert curve.recall[0.7] == 1.0
    assert curve.precision[0.3] == 0.5
    assert curve.precision[0.7] == 1.0
    assert curve.recall[0.9] == 0.0


def test_the_curve_begins_with_the_scores_of_all_picks_and_recall_only_falls():
    random = np.random.default_rng(3)
    times = np.arange(40) * 30.0 + 50
    reference = bulletin(*[("A", "P", time) for time in times])
    rows = [
        ("A", "P", time + shift, p)
        for time, shift, p in zip(times, random.normal(0, 0.4, 40), random.uniform(0.2, 1, 40), strict=True)
    ]
    comparison = compare_picks(picks_at(*rows), reference, Params)
    curve = comparison.scores[(comparison.scores.by == "threshold") & (comparison.scores.phase == "P")].sort_values(
        "low"
    )
    assert curve.recall.iloc[0] == whole(comparison, "P").recall
    assert curve.precision.iloc[0] == whole(comparison, "P").precision
    assert (np.diff(curve.recall) <= 0).all()


def test_picks_without_probability_have_no_curve_and_all_other_scores():
    picks = picks_at(("A", "P", 100.1, np.nan))
    table = compare_picks(picks, REFERENCE, Params).scores
    assert set(table.by) == {"all", "station", "distance_km", "magnitude", "hour"}


def test_groups_have_the_distance_and_magnitude_of_the_reference():
    comparison = compare_picks(picks_at(("B", "P", 102.1)), REFERENCE, Params)
    table = comparison.scores[comparison.scores.phase == "P"]
    distance = table[table.by == "distance_km"].set_index("low")
    assert (distance.n_reference[0.0], distance.n_found[0.0]) == (1, 0)
    assert (distance.n_reference[10.0], distance.n_found[10.0]) == (1, 1)
    assert table[table.by == "magnitude"].low.tolist() == [1.5]
    assert table[table.by == "station"].set_index("bin").n_found.to_dict() == {"SY.A": 0, "SY.B": 1}
    for by in ("station", "distance_km", "magnitude", "hour"):
        assert table[table.by == by].n_reference.sum() == whole(comparison, "P").n_reference


def test_without_reference_picks_there_is_nothing():
    empty = ReferenceSet(
        events=EVENT,
        further_events=EVENT.head(0),
        picks=REFERENCE.picks.head(0),
        further_picks=None,
        window=WINDOW,
        region=None,
    )
    for reference in (None, empty):
        comparison = compare_picks(picks_at(("A", "P", 100.0)), reference, Params)
        assert comparison.matches.empty
        assert comparison.scores.empty
        assert comparison.numbers == {}


def test_without_picks_all_of_the_reference_is_missed():
    comparison = compare_picks(picks_at(), REFERENCE, Params)
    assert verdicts(comparison) == {"missed": 4}
    assert comparison.numbers["P"]["recall"] == 0.0
    assert comparison.numbers["P"]["mean_time_error_s"] is None
