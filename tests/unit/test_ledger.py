"""The ledger accounts for every station-day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.analyze.ledger import build_ledger
from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, MANIFEST, PICK_LEDGER, PICKS, REASONS

DAY = "2026-01-15"


def manifest(*rows, date=DAY):
    """Rows of (station, reason, remarks)."""
    frame = pd.DataFrame(rows, columns=["station", "reason", "remarks"])
    frame = frame.assign(network="SY", date=date, detail="", usable=[REASONS[reason].usable for reason in frame.reason])
    return conform(frame.reindex(columns=MANIFEST.schema.names).assign(n_gaps=0), MANIFEST)


def pick_ledger(*rows, date=DAY):
    """Rows of (station, reason, number of P)."""
    frame = pd.DataFrame(rows, columns=["station", "reason", "n_p"]).assign(
        network="SY", date=date, n_s=0, n_artefacts=0
    )
    return conform(frame.assign(detail=[f"why {reason}" for reason in frame.reason]), PICK_LEDGER)


def picks(*stations, date=DAY):
    time = pd.Timestamp(f"{date}T12:00:00Z")
    frame = pd.DataFrame({"station": list(stations)}).assign(network="SY", location="", channel="HH", phase="P")
    frame["pick_id"] = [f"p{date}{index}" for index in range(len(frame))]
    return conform(frame.assign(time=time, starttime=time, endtime=time, probability=0.5, amplitude_m_s=np.nan, snr_db=np.nan), PICKS)  # fmt: skip # noqa: E501


def row_of(ledger, station):
    return ledger.set_index("station").loc[station]


def test_the_first_stage_that_cannot_use_a_record_gives_the_reason():
    ledger = build_ledger(
        [manifest(("A", "no_data", "no_data"), ("B", "gap", "gap"))],
        [pick_ledger(("A", "no_data", 0), ("B", "pick_failed", 0))],
        [],
        [],
    )
    assert tuple(row_of(ledger, "A")[["reason", "stage", "usable"]]) == ("no_data", "download", False)
    assert tuple(row_of(ledger, "B")[["reason", "stage", "usable"]]) == ("pick_failed", "pick", False)
    assert row_of(ledger, "B").remarks == "pick_failed,gap"
    assert row_of(ledger, "B").detail == "why pick_failed"


def test_a_record_that_one_model_lost_and_another_used_stays_usable():
    ledgers = [pick_ledger(("A", "pick_failed", 0)), pick_ledger(("A", "ok", 4))]
    row = row_of(build_ledger([manifest(("A", "ok", "ok"))], ledgers, [], []), "A")
    assert (row.reason, row.usable, row.remarks) == ("ok", True, "pick_failed")


def test_the_worst_remark_of_all_stages_is_the_reason():
    stations = manifest(("A", "gap", "gap"), ("B", "spike", "spike,gap"), ("C", "ok", "ok"))
    later = pick_ledger(("A", "resampled", 3), ("B", "ok", 1), ("C", "resampled", 2))
    ledger = build_ledger([stations], [later], [], [])
    assert list(ledger.reason) == ["gap", "spike", "resampled"]
    assert list(ledger.stage) == ["download", "download", "pick"]
    assert list(ledger.remarks) == ["gap,resampled", "spike,gap", "resampled"]


def test_no_picks_is_said_only_where_everything_worked_and_no_model_picked():
    stations = manifest(("A", "ok", "ok"), ("B", "ok", "ok"), ("C", "gap", "gap"))
    quiet = pick_ledger(("A", "no_picks", 0), ("B", "no_picks", 0), ("C", "no_picks", 0))
    ledger = build_ledger([stations], [quiet, pick_ledger(("A", "no_picks", 0), ("B", "ok", 2))], [], [])
    assert list(ledger.reason) == ["no_picks", "ok", "gap"]
    assert row_of(ledger, "C").remarks == "gap,no_picks"


def test_picks_and_assigned_picks_are_counted_on_their_day():
    days = [manifest(("A", "ok", "ok"), ("B", "ok", "ok"), date=date) for date in (DAY, "2026-01-16")]
    ledgers = [pick_ledger(("A", "ok", 2), ("B", "ok", 1), date=date) for date in (DAY, "2026-01-16")]
    tables = [picks("A", "A", "B"), picks("B", date="2026-01-16")]
    arrivals = [("e1", "p2026-01-150", 0.0, 1.0, 2.0), ("e1", "p2026-01-160", 0.0, 1.0, 2.0)]
    assignments = conform(pd.DataFrame(arrivals, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS)
    ledger = build_ledger(days, ledgers, tables, [assignments, assignments])
    assert list(zip(ledger.date, ledger.station, ledger.n_picks, ledger.n_assigned, strict=True)) == [
        (DAY, "A", 2, 2),
        (DAY, "B", 1, 0),
        ("2026-01-16", "A", 0, 0),
        ("2026-01-16", "B", 1, 2),
    ]


def test_a_station_day_that_nobody_asked_for_is_an_error():
    with pytest.raises(ValueError, match=r"SY\.X on 2026-01-15 was picked but is in no manifest"):
        build_ledger([manifest(("A", "ok", "ok"))], [pick_ledger(("X", "ok", 1))], [], [])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(REASONS)), min_size=3, max_size=3), max_size=4), st.data())
def test_rows_are_stations_times_days_whatever_happened(reasons_by_day, data):
    days = [f"2026-01-{10 + index}" for index in range(len(reasons_by_day))]
    manifests = [
        manifest(*zip("ABC", reasons, reasons, strict=True), date=day)
        for day, reasons in zip(days, reasons_by_day, strict=True)
    ]
    outcomes = st.sampled_from(["ok", "no_picks", "pick_failed", "denoise_failed", "resampled", "too_short"])
    ledgers = [pick_ledger(*((station, data.draw(outcomes), 0) for station in "ABC"), date=day) for day in days]
    ledger = build_ledger(manifests, ledgers, [], [])
    assert len(ledger) == 3 * len(days)
    assert set(ledger.reason) <= set(REASONS)
    assert (ledger.usable == [REASONS[reason].usable for reason in ledger.reason]).all()
