"""Two catalogs in files against each other: a bulletin with itself, with known changes, and what cannot be compared."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pickflow.command_line import main
from pickflow.comparison.bulletins import (
    Catalog,
    common_window,
    compare_catalogs,
    comparison_text,
    read_catalog,
)
from pickflow.comparison.sources import read_reference
from pickflow.io.tables import conform, write_table
from pickflow.report.bulletins import write_comparison
from pickflow.run.keys import CatalogKey
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS
from pickflow.windows import parse_time

ROOT = Path(__file__).parents[2]
OGS = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared")) / "data" / "ogs-2024" / "RSFVG-2024.hpc"
ZERO = pd.Timestamp("2026-01-15T00:00:00Z")
PARAMS = AnalyzeParams()


def made_up(n_events=30, n_stations=6, name="ours"):
    """Events every ten minutes with P and S at every station."""
    random = np.random.default_rng(1)
    times = ZERO + pd.to_timedelta(600.0 * np.arange(n_events), unit="s")
    events = pd.DataFrame({"event_id": [f"e{row:03d}" for row in range(n_events)], "time": times})
    events = events.assign(
        latitude_deg=46 + random.uniform(-0.2, 0.2, n_events), longitude_deg=13.0, depth_km=8.0,
        magnitude=np.round(random.exponential(0.5, n_events), 1), n_picks=2 * n_stations, n_p=n_stations,
        n_s=n_stations, n_stations=n_stations, n_magnitude_stations=0,
    )  # fmt: skip
    rows = [
        (row.event_id, f"S{site}", phase, row.time + pd.Timedelta(seconds=2.0 + site + delay))
        for row in events.itertuples() for site in range(n_stations) for phase, delay in (("P", 0.0), ("S", 4.0))
    ]  # fmt: skip
    picks = pd.DataFrame(rows, columns=["event_id", "station", "phase", "time"])
    picks = picks.assign(
        pick_id=[f"p{row:05d}" for row in range(len(picks))], network="", location="", channel="",
        starttime=picks.time, endtime=picks.time, probability=random.uniform(0.3, 1, len(picks)),
        amplitude_m_s=np.nan, snr_db=np.nan, residual_s=0.0, distance_km=20.0, azimuth_deg=0.0,
    )  # fmt: skip
    return Catalog(
        key=CatalogKey.foreign(name),
        events=conform(events.reindex(columns=EVENTS.schema.names).assign(n_magnitude_stations=0), EVENTS),
        assignments=conform(picks, ASSIGNMENTS), picks=conform(picks, PICKS),
        stations=conform(pd.DataFrame(), STATIONS),
    )  # fmt: skip


def compared(ours, reference):
    return compare_catalogs(ours, reference, common_window(ours, reference, PARAMS, None, None), PARAMS)


def scores_of(ours, reference):
    return compared(ours, reference).findings.summary["catalogs"][0]["reference"]


def test_a_catalog_agrees_with_itself():
    scores = scores_of(made_up(), made_up(name="reference"))
    assert (scores["recall"], scores["precision"], scores["n_false"]) == (1.0, 1.0, 0)
    for phase in ("P", "S"):
        assert (scores["picks"][phase]["recall"], scores["picks"][phase]["precision"]) == (1.0, 1.0)
        assert scores["picks"][phase]["mad_time_error_s"] == 0.0


def test_known_changes_are_found():
    ours, reference = made_up(), made_up(name="reference")
    lost = ours.events.event_id.isin(["e003", "e007", "e011"])
    events = ours.events[~lost].assign(time=lambda table: table.time + pd.Timedelta(seconds=0.3), depth_km=9.5)
    picks = ours.picks.assign(
        time=ours.picks.time + pd.to_timedelta(np.where(ours.picks.phase == "P", 0.1, -0.05), unit="s")
    )
    scores = scores_of(replace(ours, events=conform(events, EVENTS), picks=conform(picks, PICKS)), reference)
    assert (scores["n"], scores["matched"], scores["n_false"]) == (30, 27, 0)
    assert scores["missed"] == {"not_associated": 3}
    assert scores["median_time_error_s"] == pytest.approx(0.3)
    assert scores["median_depth_error_km"] == pytest.approx(1.5)
    assert scores["picks"]["P"]["median_time_error_s"] == pytest.approx(0.1)
    assert scores["picks"]["S"]["median_time_error_s"] == pytest.approx(-0.05)


def test_exchanging_the_two_exchanges_recall_and_precision():
    ours, reference = made_up(), made_up(name="reference")
    fewer = replace(ours, events=ours.events.drop(index=[4, 9]).reset_index(drop=True))
    forward, backward = scores_of(fewer, reference), scores_of(reference, fewer)
    assert forward["recall"] == backward["precision"] == pytest.approx(28 / 30, abs=1e-6)
    assert forward["precision"] == backward["recall"] == 1.0


def test_only_the_time_in_common_counts():
    ours, reference = made_up(n_events=10), made_up(n_events=30, name="reference")
    assert scores_of(ours, reference)["recall"] == 1.0
    start, end = common_window(ours, reference, PARAMS, "2026-01-15T00:30:00Z", "2026-01-15T01:00:00Z")
    assert (end - start).total_seconds() == 1800
    later = replace(ours, events=ours.events.assign(time=ours.events.time + pd.Timedelta(days=9)),
                    picks=ours.picks.head(0), assignments=ours.assignments.head(0))  # fmt: skip
    with pytest.raises(ValueError, match="no time in common"):
        common_window(later, reference, PARAMS, None, None)


def test_catalogs_without_picks_have_a_page_and_a_summary(tmp_path):
    ours, reference = (
        replace(catalog, picks=catalog.picks.head(0), assignments=catalog.assignments.head(0))
        for catalog in (made_up(), made_up(name="reference"))
    )
    comparison = compared(ours, reference)
    findings = comparison.findings
    page = write_comparison(comparison, tmp_path / "out")[0].read_text()
    assert "of which the picks are not known" in page
    assert "Picks against those of the reference" not in page
    assert "30 matched" in comparison_text(findings)
    assert comparison_text(findings).startswith(f"Time     {findings.summary['time'][0]} to ")


@pytest.mark.parametrize("empty_side", ["ours", "reference"])
def test_an_empty_side_is_a_page_too(tmp_path, empty_side):
    full = made_up(name="full")
    empty = replace(
        full,
        key=CatalogKey.foreign("empty"),
        events=full.events.head(0),
        picks=full.picks.head(0),
        assignments=full.assignments.head(0),
    )
    ours, reference = (empty, full) if empty_side == "ours" else (full, empty)
    comparison = compared(ours, reference)
    findings = comparison.findings
    assert write_comparison(comparison, tmp_path / "out")[0].stat().st_size > 1000
    assert not re.search(r"\b(nan|NaN|NaT)\b", comparison_text(findings))
    with pytest.raises(ValueError, match="neither"):
        common_window(empty, empty, PARAMS, None, None)


def test_tables_are_written_beside_the_page(tmp_path):
    paths = write_comparison(compared(made_up(), made_up(name="reference")), tmp_path / "out")
    names = {path.name for path in paths}
    assert {"report.html", "matches.csv", "event_scores.csv", "pick_matches.csv", "pick_scores.csv"} <= names
    assert len(pd.read_csv(tmp_path / "out" / "matches.csv")) == 30


def test_a_folder_of_a_run_is_read_with_its_picks_and_stations(tmp_path):
    content, folder = made_up(), tmp_path / "run" / "catalog" / "none" / "PhaseNet" / "stead" / "pyocto"
    write_table(content.events, EVENTS, folder / "catalog.parquet", {})
    write_table(content.assignments, ASSIGNMENTS, folder / "assignments.parquet", {})
    write_table(
        content.picks, PICKS, tmp_path / "run" / "picks" / "none" / "PhaseNet" / "stead" / "2026-01-15.parquet", {}
    )
    for path in (folder, folder / "catalog.parquet"):
        catalog = read_catalog(path)
        assert str(catalog.key) == "none/PhaseNet/stead/pyocto"
        assert (len(catalog.events), len(catalog.picks)) == (30, len(content.picks))
    assert scores_of(catalog, made_up(name="reference"))["picks"]["P"]["recall"] == 1.0
    with pytest.raises(ValueError, match=r"no catalog\.parquet; give a catalog folder"):
        read_catalog(tmp_path)


@pytest.mark.parametrize("name", ["week.pun", "week.2024", "week"])
def test_a_bulletin_of_ogs_is_the_same_as_catalog_and_as_reference(tmp_path, name):
    """With what lies beside it, and also where its name has no ending of OGS."""
    summary = "12401312359 57.05 46-30.00  10- 6.00   9.27   1.54 20  94 16.4 0.25  0.6  1.4 B1\n"
    card = "ABCDiPc11240131235959.90".ljust(62) + "FLD" + " " * 12 + "7 gg\n" + " " * 17 + "1\n"
    (tmp_path / ("week.pun" if name == "week" else name)).write_text(summary)
    (tmp_path / "week.dat").write_text(card)
    catalog = read_catalog(tmp_path / name)
    reference = read_reference(tmp_path / name, *map(parse_time, ("2024-01-01", "2025-01-01")))
    pd.testing.assert_frame_equal(catalog.events, reference.events)
    assert catalog.events.latitude_deg.tolist() == [46.5]
    assert len(catalog.picks) == len(reference.picks) == (0 if name == "week.2024" else 1)


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["compare", str(tmp_path / "no.hpc"), str(tmp_path / "no.dat")]) == 1
    assert re.search(r"ERROR .*no\.hpc", capsys.readouterr().err)


@pytest.mark.skipif(not OGS.exists(), reason="the OGS bulletin is not here (PICKFLOW_SHARED)")
def test_the_bulletin_of_ogs_agrees_with_itself():
    bulletin = read_catalog(OGS)
    scores = scores_of(replace(bulletin, key=CatalogKey.foreign("same")), bulletin)
    assert scores["n"] == len(bulletin.events) > 1700
    assert (scores["recall"], scores["precision"]) == (1.0, 1.0)
    # A few stations have two picks at one time, of which either may be the partner.
    for phase in ("P", "S"):
        assert scores["picks"][phase]["recall"] == 1.0
        assert scores["picks"][phase]["precision"] > 0.995
