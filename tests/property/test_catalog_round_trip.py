"""Catalogs: what is written is read again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pickflow.comparison.sources import read_reference
from pickflow.io.formats import read_bulletin, write_csv
from pickflow.io.quakeml import write_quakeml
from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS
from pickflow.windows import parse_time

ZERO = pd.Timestamp("2026-01-15T00:00:00Z")
EVER = (parse_time("2026-01-14"), parse_time("2026-01-17"))
codes = st.text("ABCXYZ019", min_size=1, max_size=5)
several = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def catalogs(draw):
    """Up to three events with up to four picks each."""
    events, assignments, picks = [], [], []
    for index in range(draw(st.integers(0, 3))):
        stations = draw(st.lists(st.tuples(codes, codes), max_size=4, unique=True))
        origin_us = draw(st.integers(0, 86_400_000_000))
        has_magnitude = draw(st.booleans())
        events.append(
            {
                "event_id": f"e{index}",
                "time": ZERO + pd.Timedelta(microseconds=origin_us),
                "latitude_deg": draw(st.floats(-90, 90)),
                "longitude_deg": draw(st.floats(-180, 180)),
                "depth_km": draw(st.floats(0, 700)),
                "n_picks": len(stations),
                "n_p": len(stations),
                "n_s": 0,
                "n_stations": len(stations),
                "rms_residual_s": draw(st.floats(0, 5)),
                "azimuthal_gap_deg": draw(st.floats(0, 360)),
                "magnitude": draw(st.floats(-2, 9)) if has_magnitude else np.nan,
                "magnitude_type": draw(st.sampled_from(["ML", "Mw", None])) if has_magnitude else None,
            }
        )
        for number, (network, station) in enumerate(stations):
            pick_id = f"p{index}{number}"
            time = ZERO + pd.Timedelta(microseconds=origin_us + draw(st.integers(0, 60_000_000)))
            location, uncertainty_s = draw(st.sampled_from(["", "00"])), draw(st.sampled_from([np.nan, 0.005, 0.1234]))
            picks.append((pick_id, network, station, location, "HH", "P", time, time, time, 0.5, uncertainty_s))
            residual, distance = draw(st.floats(-2, 2)), draw(st.floats(0, 500))
            assignments.append((f"e{index}", pick_id, residual, distance, draw(st.floats(0, 359.9))))
    pick_table = pd.DataFrame(picks, columns=PICKS.schema.names[:11]).reindex(columns=PICKS.schema.names)
    return (
        conform(pd.DataFrame(events), EVENTS),
        conform(pd.DataFrame(assignments, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS),
        conform(pick_table, PICKS),
    )


@several
@given(catalogs())
def test_csv_gives_the_same_table_again(tmp_path, tables):
    write_csv(tables[0], tmp_path / "catalog.csv")
    pd.testing.assert_frame_equal(read_bulletin(tmp_path / "catalog.csv", "table").events, tables[0], check_exact=True)


@several
@given(catalogs())
def test_quakeml_is_valid_and_gives_the_same_events_and_picks_again(tmp_path, tables):
    events, assignments, picks = tables
    write_quakeml(events, assignments, picks, tmp_path / "catalog.quakeml")
    again = read_reference(tmp_path / "catalog.quakeml", *EVER)
    pd.testing.assert_frame_equal(again.events, events, check_exact=False, rtol=1e-12, atol=1e-9)
    expected = assignments.merge(picks, on="pick_id").reindex(columns=again.picks.columns)
    expected = expected.assign(phase_hint=expected.phase, polarity="", onset="")
    order = ["event_id", "network", "station", "phase", "time"]
    pd.testing.assert_frame_equal(
        again.picks.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True),
        check_dtype=False,
    )  # fmt: skip


@several
@given(catalogs())
def test_the_same_catalog_gives_the_same_bytes(tmp_path, tables):
    events, assignments, picks = tables
    write_quakeml(events, assignments, picks, tmp_path / "first.quakeml")
    mixed = [table.sample(frac=1, random_state=1) for table in (assignments, picks)]
    write_quakeml(events, *mixed, tmp_path / "second.quakeml")
    assert (tmp_path / "first.quakeml").read_bytes() == (tmp_path / "second.quakeml").read_bytes()
