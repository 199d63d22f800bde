"""The numbers of a run: who is found, missed, false or not judged."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pickflow.analyze.run import analyze_run
from pickflow.comparison.events import compare_events
from pickflow.comparison.picks import compare_picks
from pickflow.comparison.reference import load_reference
from pickflow.comparison.summary import against_teacher, catalog_numbers, summarize, teachers_of
from pickflow.comparison.tables import RunTables
from pickflow.io.formats import write_csv
from pickflow.io.tables import conform, write_table
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.settings.analyze import AnalyzeParams, ReferenceParams, RegionParams, WindowParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, LEDGER, PICKS, STATIONS, TRUTH_PICKS
from pickflow.windows import parse_time

ZERO = pd.Timestamp("2026-01-15T00:00:00Z")
WINDOW = (parse_time("2026-01-15T00:00:00"), parse_time("2026-01-15T01:00:00"))
STATION_TABLE = conform(pd.DataFrame([("SY", "A", 46.0, 13.0, 0.0)], columns=STATIONS.schema.names[:5]), STATIONS)
NO_REFERENCE = ReferenceParams(file=None, server=None, complete_file=None, complete_picks_file=None)


def analyze_params(**changes):
    values = {
        "reference": NO_REFERENCE,
        "reference_window": None,
        "region": None,
        "event_time_tolerance_s": 2.0,
        "event_distance_tolerance_km": 8.0,
        "pick_time_tolerance_s": 0.5,
        "pick_judged_within_s": 10.0,
        "min_pick_snr_db": 6.0,
    }
    return AnalyzeParams(**(values | changes))


def catalog(**times_s):
    """Events by name at times in s, all at one place."""
    frame = pd.DataFrame({"event_id": list(times_s), "time": ZERO + pd.to_timedelta(list(times_s.values()), unit="s")})
    frame = frame.assign(latitude_deg=46.0, longitude_deg=13.0, depth_km=8.0, n_picks=0, n_p=0, n_s=0, n_stations=0)
    return conform(frame.reindex(columns=EVENTS.schema.names), EVENTS)


def picks_at(*rows):
    """Picks as (station, phase, time in s)."""
    frame = pd.DataFrame(rows, columns=["station", "phase", "time_s"])
    time = ZERO + pd.to_timedelta(frame.time_s, unit="s")
    frame = frame.assign(network="SY", location="", channel="HH", time=time, starttime=time, endtime=time)
    frame["pick_id"] = [f"p{index}" for index in range(len(frame))]
    return conform(frame.assign(probability=0.5, amplitude_m_s=np.nan, snr_db=np.nan), PICKS)


def reference_in(tmp_path, events, **changes):
    """A reference read from a file."""
    write_csv(events, tmp_path / "reference.csv")
    params = ReferenceParams(
        **{
            "file": str(tmp_path / "reference.csv"),
            "server": None,
            "complete_file": None,
            "complete_picks_file": None,
            **changes,
        }
    )
    return analyze_params(reference=params)


NO_PICKS = picks_at()


def unjudged(events, matches):
    """Events of a catalog that its table of matches leaves out."""
    return set(events.event_id) - set(matches.event_id.dropna())


def test_found_missed_and_false_events_are_counted(tmp_path):
    params = reference_in(tmp_path, catalog(a=100, b=200, c=300, d=400))
    result = compare_events(catalog(x=101, y=200.5, z=700), load_reference(params, WINDOW, STATION_TABLE), params)
    assert {key: result.numbers[key] for key in ("n", "matched", "n_false")} == {"n": 4, "matched": 2, "n_false": 1}
    assert result.numbers["recall"] == 0.5
    assert result.numbers["precision"] == pytest.approx(2 / 3, abs=1e-6)
    assert result.numbers["f1"] == pytest.approx(4 / 7, abs=1e-6)
    assert result.numbers["median_time_error_s"] == pytest.approx(0.75)
    assert result.numbers["median_epicentral_error_km"] == 0
    pairs = result.matches[["reference_id", "event_id"]].astype(object).where(result.matches.notna(), None)
    assert sorted(map(tuple, pairs.to_numpy()), key=str) == sorted(
        [("a", "x"), ("b", "y"), ("c", None), ("d", None), (None, "z")], key=str
    )


def test_an_event_that_matches_a_true_one_nobody_asked_for_is_not_false(tmp_path):
    write_csv(catalog(a=100, weak=500), tmp_path / "complete.csv")
    params = reference_in(tmp_path, catalog(a=100), complete_file=str(tmp_path / "complete.csv"))
    events = catalog(x=100, y=500, again=501, z=900)
    result = compare_events(events, load_reference(params, WINDOW, STATION_TABLE), params)
    assert (result.numbers["n"], result.numbers["matched"], result.numbers["recall"]) == (1, 1, 1.0)
    assert (result.numbers["n_false"], result.numbers["precision"]) == (2, 0.5)
    assert unjudged(events, result.matches) == {"y"}


def test_events_outside_the_window_or_the_region_are_not_judged(tmp_path):
    reference = catalog(early=10, a=100, late=3000)
    params = reference_in(tmp_path, reference)
    window = WindowParams(starttime="2026-01-15T00:01:00Z", endtime="2026-01-15T00:30:00Z")
    narrow = analyze_params(reference=params.reference, reference_window=window)
    events = catalog(x=10, y=100, w=2000)
    result = compare_events(events, load_reference(narrow, WINDOW, STATION_TABLE), narrow)
    assert (result.numbers["n"], result.numbers["matched"], result.numbers["precision"]) == (1, 1, 1.0)
    assert unjudged(events, result.matches) == {"x", "w"}
    elsewhere = RegionParams(min_latitude_deg=0, max_latitude_deg=1, min_longitude_deg=0, max_longitude_deg=1)
    far = analyze_params(reference=params.reference, region=elsewhere)
    assert compare_events(events, load_reference(far, WINDOW, STATION_TABLE), far).numbers["n"] == 0


def test_an_event_at_the_edge_of_the_window_finds_its_counterpart_outside(tmp_path):
    params = reference_in(tmp_path, catalog(before=-0.5, a=100))
    result = compare_events(catalog(x=0.5), load_reference(params, WINDOW, STATION_TABLE), params)
    assert (result.numbers["n"], result.numbers["n_false"]) == (1, 0)


def test_picks_are_scored_where_all_true_picks_are_known(tmp_path):
    truth = pd.DataFrame(
        [("a", "A", "P", 101.0, 20.0, True), ("a", "A", "S", 105.0, 20.0, True), ("a", "B", "P", 103.0, 1.0, True)],
        columns=["event_id", "station", "phase", "time_s", "snr_db", "recorded"],
    )
    truth = truth.assign(network="SY", time=ZERO + pd.to_timedelta(truth.time_s, unit="s"))
    write_table(truth, TRUTH_PICKS, tmp_path / "truth.parquet", {})
    params = reference_in(tmp_path, catalog(a=100), complete_picks_file=str(tmp_path / "truth.parquet"))
    picks = picks_at(("A", "P", 101.1), ("B", "P", 103.2), ("A", "P", 300.0), ("A", "S", 105.6))
    scores = compare_picks(picks, load_reference(params, WINDOW, STATION_TABLE), params).numbers
    assert (scores["P"]["n"], scores["P"]["matched"], scores["P"]["recall"]) == (1, 1, 1.0)
    assert scores["P"]["precision"] == pytest.approx(2 / 3, abs=1e-6)
    assert scores["P"]["median_time_error_s"] == pytest.approx(0.1)
    assert (scores["S"]["recall"], scores["S"]["precision"], scores["S"]["median_time_error_s"]) == (0.0, 0.0, None)


@pytest.mark.parametrize("empty", ["catalog", "reference", "both"])
def test_nothing_to_compare_gives_zeros_and_unknowns_that_json_can_say(tmp_path, empty):
    events = catalog() if empty != "reference" else catalog(x=1)
    params = reference_in(tmp_path, catalog() if empty != "catalog" else catalog(a=1))
    scores = compare_events(events, load_reference(params, WINDOW, STATION_TABLE), params).numbers
    assert (scores["recall"], scores["precision"], scores["f1"]) == (0.0, 0.0, 0.0)
    assert scores["median_time_error_s"] is None
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_without_a_reference_the_summary_still_has_its_counts():
    params = analyze_params()
    assert load_reference(params, WINDOW, STATION_TABLE) is None
    assert compare_events(catalog(x=1), None, params).numbers == {}
    ledger = pd.DataFrame({"reason": ["ok", "gap", "ok"]}).reindex(columns=LEDGER.schema.names)
    key = CatalogKey.parse("none/PhaseNet/stead/pyocto")
    numbers = catalog_numbers(key, picks_at(("A", "P", 1.0)), catalog(x=1), {}, (np.nan, np.nan), None)
    assert summarize("demo", ledger, [numbers], []) == {
        "run": "demo",
        "station_days": 3,
        "ledger": {"gap": 1, "ok": 2},
        "catalogs": [
            {
                "signal": "none",
                "model": "PhaseNet",
                "weights": "stead",
                "associator": "pyocto",
                "n_picks": 1,
                "n_events": 1,
                "reference": None,
                "magnitudes": None,
                "vp_vs": None,
                "quality": {},
                "teacher": None,
            }
        ],
        "compression": [],
    }


def test_events_that_a_student_keeps_loses_and_adds_are_counted():
    teacher, student = catalog(a=100, b=200, c=300, d=400), catalog(x=100.5, y=200, z=700)
    assert against_teacher(student, teacher, analyze_params()) == {"matched": 2, "lost": 2, "new": 1}
    assert against_teacher(teacher, teacher, analyze_params()) == {"matched": 4, "lost": 0, "new": 0}
    assert against_teacher(catalog(), teacher, analyze_params()) == {"matched": 0, "lost": 4, "new": 0}
    assert against_teacher(student, catalog(), analyze_params()) == {"matched": 0, "lost": 0, "new": 3}


def test_students_know_their_teacher():
    names = (("original", "teacher"), ("original-safe-s93", "safe"), ("original-magnitude-s93", "magnitude"))
    models = [{"name": name, "method": method} for name, method in names]
    compression = {"teacher": {"model": "PhaseNet", "weights": "original"}, "models": models}
    assert teachers_of([compression]) == {
        Candidate("PhaseNet", "original-safe-s93"): Candidate("PhaseNet", "original"),
        Candidate("PhaseNet", "original-magnitude-s93"): Candidate("PhaseNet", "original"),
    }


def test_catalogs_of_students_are_held_against_their_teacher_with_the_same_signal_and_associator():
    pickers = {"original": catalog(a=100, b=200), "original-safe-s93": catalog(x=100, y=900, z=950)}
    pick_sets = [PickSetKey(signal, "PhaseNet", weights) for signal in ("none", "bandpass") for weights in pickers]
    keys = [CatalogKey(pick_set, "pyocto") for pick_set in pick_sets]
    tables = RunTables(
        stations=STATION_TABLE,
        manifests=[],
        picks=dict.fromkeys(pick_sets, NO_PICKS),
        pick_ledgers={},
        events={key: pickers[key.pick_set.weights if key.pick_set.signal == "none" else "original"] for key in keys},
        assignments={key: conform(pd.DataFrame(), ASSIGNMENTS) for key in keys},
        corrections={},
    )
    models = [{"name": "original", "method": "teacher"}, {"name": "original-safe-s93", "method": "safe"}]
    compression = {"teacher": {"model": "PhaseNet", "weights": "original"}, "models": models}
    summary = analyze_run("x", tables, [compression], WINDOW, analyze_params()).summary
    assert [row["teacher"] for row in summary["catalogs"]] == [
        None,
        {"matched": 1, "lost": 1, "new": 2},
        None,
        {"matched": 2, "lost": 0, "new": 0},
    ]
    assert summary["compression"] == [compression]


def test_a_reference_window_outside_the_run_is_named(tmp_path):
    params = reference_in(tmp_path, catalog(a=100))
    window = WindowParams(starttime="2025-01-01T00:00:00Z", endtime="2025-01-02T00:00:00Z")
    with pytest.raises(ValueError, match=r"analyze\.reference_window 2025-01-01T00:00:00Z .* does not touch the run"):
        load_reference(analyze_params(reference=params.reference, reference_window=window), WINDOW, STATION_TABLE)
