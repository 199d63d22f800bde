"""Catalogs in the formats of others: what a format can hold comes back, as exactly as its digits allow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pickflow.io.formats import catalog_tables, read_bulletin, write_catalog
from pickflow.io.tables import conform, read_table
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS

MIDNIGHT = pd.Timestamp("2026-01-15T00:00:00Z")
several = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
station_codes = st.text("ABCXYZ019", min_size=1, max_size=5)


@st.composite
def catalogs(draw):
    """Up to three located events around midnight, each with up to six picks, of times to the millisecond."""
    stations = draw(st.lists(station_codes, min_size=1, max_size=6, unique=True))
    events, picks, assignments = [], [], []
    for index in range(draw(st.integers(1, 3))):
        origin = MIDNIGHT + pd.Timedelta(milliseconds=draw(st.integers(-90_000, 90_000)))
        event = {name: 0 if name.startswith("n_") else None for name in EVENTS.schema.names}
        event |= {"event_id": str(index + 1), "time": origin}
        event |= {"latitude_deg": draw(st.integers(-89_999, 89_999)) / 1000}
        event |= {"longitude_deg": draw(st.integers(-179_999, 179_999)) / 1000}
        event |= {"depth_km": draw(st.integers(0, 7000)) / 10, "rms_residual_s": draw(st.integers(1, 50)) / 10}
        event |= {"magnitude": draw(st.sampled_from([np.nan, -1.2, 0.0, 4.5]))}
        event |= {"magnitude_type": None if np.isnan(event["magnitude"]) else "ML"}
        event |= {"azimuthal_gap_deg": float(draw(st.integers(1, 360)))}
        for name in ("horizontal_uncertainty_km", "depth_uncertainty_km"):
            event[name] = draw(st.sampled_from([np.nan, 0.5, 12.3]))
        events.append(event)
        readings = draw(st.lists(st.tuples(st.sampled_from(stations), st.sampled_from("PS")), max_size=6, unique=True))
        for station, phase in readings:
            time = origin + pd.Timedelta(milliseconds=draw(st.integers(0, 150_000)))
            pick = {"pick_id": f"{index}{station}{phase}", "network": "OX", "station": station, "location": ""}
            pick |= {"channel": "HH", "phase": phase, "time": time, "starttime": time, "endtime": time}
            pick |= {
                "probability": draw(st.sampled_from([0.25, 0.875])),
                "time_uncertainty_s": draw(st.sampled_from([np.nan, 0.125])),
            }
            picks.append(pick | {"amplitude_m_s": np.nan, "snr_db": np.nan})
            residual, distance = draw(st.integers(-999, 999)) / 100, draw(st.integers(1, 900)) / 2
            assignments.append(
                (event["event_id"], pick["pick_id"], residual, distance, float(draw(st.integers(0, 359))))
            )
    count = pd.DataFrame(assignments, columns=ASSIGNMENTS.schema.names)
    merged = count.merge(pd.DataFrame(picks, columns=PICKS.schema.names)[["pick_id", "station", "phase"]], on="pick_id")
    for event in events:
        picks_of_event = merged[merged.event_id == event["event_id"]]
        event |= {
            "n_picks": len(picks_of_event),
            "n_p": int((picks_of_event.phase == "P").sum()),
            "n_s": int((picks_of_event.phase == "S").sum()),
        }
        event |= {"n_stations": picks_of_event.station.nunique()}
    return (
        conform(pd.DataFrame(events), EVENTS),
        conform(count, ASSIGNMENTS),
        conform(pd.DataFrame(picks, columns=PICKS.schema.names), PICKS),
    )


def compare(table, expected, exact, near, by=("event_id", "station", "phase")):
    """The same rows: some columns exactly, others (name: tolerance) nearly."""
    table, expected = (frame.sort_values(list(by), ignore_index=True) for frame in (table, expected))
    assert len(table) == len(expected)
    for name in exact:
        pd.testing.assert_series_equal(table[name], expected[name], check_dtype=False)
    for name, tolerance in near.items():
        if name == "time":
            assert (table.time - expected.time).abs().max() <= pd.Timedelta(seconds=tolerance) or table.empty
        else:
            np.testing.assert_allclose(
                table[name].to_numpy(float), expected[name].to_numpy(float), rtol=0, atol=tolerance
            )


KEYS = ["event_id", "station", "phase"]
PLACE = {"time": 0, "latitude_deg": 0, "longitude_deg": 0, "depth_km": 0}
SIZES = ["event_id", "magnitude", "magnitude_type", "n_picks", "n_p", "n_s", "n_stations"]
ERRORS = {"horizontal_uncertainty_km": 1e-9, "depth_uncertainty_km": 1e-9}
# What comes back of events and of picks, by format: columns that are the same, and how far others may be off.
HOLDS = {
    "quakeml": (SIZES, PLACE | ERRORS | {"depth_km": 1e-9, "rms_residual_s": 0, "azimuthal_gap_deg": 0},
                [*KEYS, "network", "channel", "time"],
                {"probability": 0, "time_uncertainty_s": 0, "residual_s": 0, "distance_km": 1e-9, "azimuth_deg": 0}),
    "scml": (SIZES, PLACE | ERRORS | {"depth_km": 1e-9, "rms_residual_s": 0, "azimuthal_gap_deg": 0},
             [*KEYS, "network", "channel", "time"],
             {"time_uncertainty_s": 0, "residual_s": 0, "distance_km": 1e-9, "azimuth_deg": 0}),
    "nonlinloc": (["event_id", "n_picks", "n_p", "n_s"], {}, [*KEYS, "channel", "time"], {"time_uncertainty_s": 0}),
    "hypodd": (["event_id", "magnitude", "n_picks", "n_p", "n_s"], PLACE | ERRORS | {"rms_residual_s": 0},
               [*KEYS, "time"], {"weight": 0}),
    "nordic": (["magnitude", "magnitude_type", "n_picks", "n_p", "n_s"],
               PLACE | {"rms_residual_s": 0.001, "horizontal_uncertainty_km": 0.02, "depth_uncertainty_km": 0.001},
               ["station", "phase", "time"],
               {"residual_s": 0.051, "distance_km": 0.51, "azimuth_deg": 0.5, "weight": 0}),
}  # fmt: skip


@pytest.mark.parametrize("format", sorted(HOLDS))
@several
@given(tables=catalogs())
def test_what_a_format_can_hold_comes_back(tmp_path, format, tables):
    events, assignments, picks = tables
    path = tmp_path / "catalog"
    write_catalog(*tables, path, format)
    if format == "nonlinloc":  # an event without phases is nothing there
        events = events[events.n_picks > 0]
    if events.empty:
        return
    bulletin = read_bulletin(path)
    assert bulletin.rejected.empty
    assert bulletin.n_lines == bulletin.n_read + bulletin.n_headers
    exact, near, pick_exact, pick_near = HOLDS[format]
    expected = assignments.merge(picks, on="pick_id")
    expected = expected.assign(weight=expected.probability if format == "hypodd" else 1.0)
    by_event, by_pick = ["event_id"], KEYS
    if format == "nordic":  # its identifiers are times
        names = dict(zip(bulletin.events.event_id, bulletin.events.sort_values("time").event_id, strict=True))
        assert len(names) == len(events)
        by_event, by_pick = ["time", "latitude_deg"], ["time", "station", "phase"]
    compare(bulletin.events, events, exact, near, by_event)
    compare(bulletin.picks, expected, pick_exact, pick_near, by_pick)


@several
@given(tables=catalogs())
def test_parquet_gives_the_same_tables_again(tmp_path, tables):
    write_catalog(*tables, tmp_path / "c.parquet", "parquet")
    endings = (".parquet", ".assignments.parquet", ".picks.parquet")
    for ending, table, frame in zip(endings, (EVENTS, ASSIGNMENTS, PICKS), tables, strict=True):
        pd.testing.assert_frame_equal(read_table(tmp_path / f"c{ending}", table), frame)
    pd.testing.assert_frame_equal(read_bulletin(tmp_path / "c.parquet").events, tables[0])


@several
@given(tables=catalogs())
def test_a_second_conversion_changes_nothing(tmp_path, tables):
    for format in ("quakeml", "hypodd"):
        write_catalog(*tables, tmp_path / "first", format)
        once = read_bulletin(tmp_path / "first")
        write_catalog(*catalog_tables(once), tmp_path / "second", format)
        again = read_bulletin(tmp_path / "second")
        pd.testing.assert_frame_equal(once.events, again.events)
        pd.testing.assert_frame_equal(once.picks, again.picks)
