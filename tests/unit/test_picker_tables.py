"""What the picker shows after a run."""

from __future__ import annotations

import pandas as pd
import pytest

from pickflow.command_line.picker.tables import as_text, picks_by_group
from pickflow.io.tables import conform, write_table
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import RunLayout
from pickflow.schemas import ASSIGNMENTS, PICK_LEDGER, PICKS

CATALOG = CatalogKey.parse("none/PhaseNet/stead/gamma")


def picks_of_a_run(results):
    """Two stations on two days: AAA has three picks on the first day, two of them in an event; BBB has none."""
    times = pd.to_datetime(["2024-03-05T10:00", "2024-03-05T10:01", "2024-03-05T10:02"], utc=True)
    picks = pd.DataFrame(
        {
            "pick_id": ["a", "b", "c"], "network": "XA", "station": "AAA", "location": "", "channel": "HH",
            "phase": ["P", "P", "S"], "time": times, "starttime": times, "endtime": times, "probability": 0.5,
            "amplitude_m_s": 0.0, "snr_db": 0.0,
        }
    )  # fmt: skip
    folder = results / "picks" / "none" / "PhaseNet" / "stead"
    for day, table in (("2024-03-05", picks), ("2024-03-06", picks[:0])):
        write_table(table, PICKS, folder / f"{day}.parquet", {})
        rows = [("XA", station, day, "ok", "", 0, 0, 0) for station in ("AAA", "BBB")]
        ledger = pd.DataFrame(rows, columns=PICK_LEDGER.schema.names)
        ledger.loc[0, ["n_p", "n_s"]] = [int((table["phase"] == phase).sum()) for phase in ("P", "S")]
        write_table(ledger, PICK_LEDGER, folder / f"{day}.ledger.parquet", {})
    rows = [("e", pick, 0.0, 1.0, 0.0) for pick in ("a", "c")]
    assigned = conform(pd.DataFrame(rows, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS)
    path = results / "catalog" / "none" / "PhaseNet" / "stead" / "gamma" / "assignments.parquet"
    write_table(assigned, ASSIGNMENTS, path, {})


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["station"], [("AAA", 3, 2, 1, 2), ("BBB", 0, 0, 0, 0)]),
        (["date"], [("2024-03-05", 3, 2, 1, 2), ("2024-03-06", 0, 0, 0, 0)]),
        (["network", "network"], [("XA", 3, 2, 1, 2)]),
        (
            ["station", "date"],
            [("AAA", "2024-03-05", 3, 2, 1, 2), ("AAA", "2024-03-06", 0, 0, 0, 0)]
            + [("BBB", day, 0, 0, 0, 0) for day in ("2024-03-05", "2024-03-06")],
        ),
    ],
)
def test_picks_are_counted_by_the_groups_asked_for(tmp_path, groups, expected):
    picks_of_a_run(tmp_path)
    table = picks_by_group(RunLayout(tmp_path), [CATALOG], ["2024-03-05", "2024-03-06"], groups)
    assert set(table["model"] + table["weights"] + table["associator"]) == {"PhaseNetsteadgamma"}
    assert [tuple(row) for row in table.iloc[:, 4:].itertuples(index=False)] == expected


def test_days_of_an_earlier_run_do_not_count(tmp_path):
    picks_of_a_run(tmp_path)
    assert picks_by_group(RunLayout(tmp_path), [CATALOG], ["2024-03-06"], ["network"])["n_picks"].tolist() == [0]


def test_picks_that_nobody_associated_are_counted_too(tmp_path):
    picks_of_a_run(tmp_path)
    alone = CatalogKey(CATALOG.pick_set, "")
    table = picks_by_group(RunLayout(tmp_path), [alone, CATALOG], ["2024-03-05"], ["network"])
    assert table[["associator", "n_picks", "n_in_events"]].to_numpy().tolist() == [["", 3, 0], ["gamma", 3, 2]]


def test_a_long_table_is_shown_in_part():
    assert as_text(pd.DataFrame({"row": range(70)})).endswith("… and 10 rows more")
    assert len(as_text(pd.DataFrame({"row": range(60)})).splitlines()) == 61
