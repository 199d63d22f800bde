"""HYPOINVERSE, VELEST, locations of HypoDD, ZMAP: what each column becomes, and what is odd in them."""

from __future__ import annotations

import io

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.io.formats import parse_bulletin
from tests.format_samples import ARC_END, ARC_SHADOW, VELEST_EVENT, ZMAP, arc_event, arc_station, n_accounted, reloc


def read(*lines, name="file"):
    bulletin = parse_bulletin("\n".join([*lines, ""]).encode(), name)
    assert bulletin.n_lines == n_accounted(bulletin)
    return bulletin


def reasons(bulletin):
    return dict(zip(bulletin.rejected.line, bulletin.rejected.reason, strict=True))


S = (" 6138", "ES", "2", "  12")


def test_a_header_of_hypoinverse_becomes_an_event():
    bulletin = read(arc_event(), ARC_END)
    [event] = bulletin.events.to_dict("records")
    assert (bulletin.format, event["event_id"]) == ("hypoinverse", "71001")
    assert event["time"] == pd.Timestamp("2024-01-31T23:59:57.12Z")
    assert (event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (46.5, 13.25, 7.5)
    assert (event["n_picks"], event["n_s"], event["azimuthal_gap_deg"], event["rms_residual_s"]) == (4, 1, 110.0, 0.25)
    assert (event["horizontal_uncertainty_km"], event["depth_uncertainty_km"]) == (0.4, 1.5)
    assert (event["magnitude"], event["magnitude_type"], event["n_magnitude_stations"]) == (2.4, "ML", 7)


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("46 3000", " 13E1500", (46.5, 13.25)),
        ("46N3000", " 13 1500", (46.5, -13.25)),
        ("46S3000", "118W1500", (-46.5, -118.25)),
        (" 6s3000", "  3e1500", (-6.5, 3.25)),
        ("46 30.0", " 13 15.0", (46.5, -13.25)),
    ],
)
def test_blank_letters_are_north_and_west(latitude, longitude, place):
    event = read(arc_event(latitude=latitude, longitude=longitude)).events.iloc[0]
    assert (event.latitude_deg, event.longitude_deg) == place


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"preferred": "D180  50"}, (1.8, "Md")),
        ({"preferred": "   0   0", "amplitude": ("210", "  30")}, (2.1, "Mx")),
        ({"preferred": "        ", "duration": ("150", "  40")}, (1.5, "Md")),
        ({"preferred": "   0   0"}, None),
    ],
)
def test_magnitudes_without_readings_are_none(sizes, expected):
    event = read(arc_event(**sizes)).events.iloc[0]
    assert (event.magnitude, event.magnitude_type) == expected if expected else np.isnan(event.magnitude)


def test_errors_of_99_km_are_unknown_and_headers_without_an_identifier_are_named_by_their_time():
    event = read(arc_event(erh="9900", erz="9999", event_id="          ")).events.iloc[0]
    assert np.isnan([event.horizontal_uncertainty_km, event.depth_uncertainty_km]).all()
    assert event.event_id == "20240131T235957.12"


def test_a_station_line_of_hypoinverse_is_a_p_and_an_s():
    bulletin = read(arc_event(), ARC_SHADOW, arc_station(s=S, coda="  24"), ARC_SHADOW, ARC_END, ARC_SHADOW)
    p, s = bulletin.picks.to_dict("records")
    codes = ("OX", "ABCD", "00", "HHZ")
    assert tuple(p[name] for name in ("network", "station", "location", "channel")) == codes
    assert (p["time"], s["time"]) == tuple(pd.to_datetime(["2024-01-31T23:59:59.62Z", "2024-02-01T00:00:01.38Z"]))
    assert (p["onset"], p["polarity"], p["weight"], p["residual_s"]) == ("i", "U", 0.75, -0.3)
    assert (s["onset"], s["polarity"], s["weight"], s["residual_s"]) == ("e", "", 0.5, 0.12)
    assert (p["phase"], p["phase_hint"], s["phase"], s["phase_hint"]) == ("P", "P", "S", "S")
    assert (p["distance_km"], p["azimuth_deg"], p["coda_s"], p["event_id"]) == (16.5, 90.0, 24.0, "71001")
    assert bulletin.n_headers == 4
    assert bulletin.rejected.empty


@pytest.mark.parametrize(("code", "weight"), [("0", 1.0), (" ", 1.0), ("3", 0.25), ("4", 0.0), ("5", 0.0), ("9", 0.0)])
def test_codes_from_4_on_are_no_weight(code, weight):
    assert list(read(arc_event(), arc_station(p=("IP", "U", code, " 5962", " -30"))).picks.weight) == [weight]


def test_a_station_may_have_an_s_alone_or_no_remark():
    silent = ("  ", " ", " ", "    0", "   0")
    bulletin = read(arc_event(), arc_station(silent, S), arc_station(("  ", " ", "0", " 5962", "   0"), station="EFG"))
    assert list(zip(bulletin.picks.station, bulletin.picks.phase, strict=True)) == [("ABCD", "S"), ("EFG", "P")]
    refracted = read(arc_event(), arc_station(("Pn", " ", "0", " 5962", "   0"))).picks.iloc[0]
    assert (refracted.phase_hint, refracted.onset) == ("Pn", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (arc_station(p=("IP", "U", "x", " 5962", " -30")), "weight 'x'"),
        (arc_station(p=("IP", "U", "1", " 59x2", " -30")), "seconds of P '59x2' in columns 30-34"),
        (arc_station(p=("IP", "U", "1", "     ", " -30")), "no seconds of P"),
        (arc_station(p=("PP", " ", "0", " 5962", " -30")), "phase 'PP' is neither P nor S"),
        (arc_station(minute="202413312359"), "month must be in 1..12"),
        ("what is this", "neither an event, a phase nor an end"),
    ],
)
def test_an_odd_station_line_is_listed_and_its_neighbours_are_read(line, reason):
    bulletin = read(arc_event(), arc_station(station="ONE"), line, arc_station(station="TWO"), ARC_END)
    assert list(bulletin.picks.station) == ["ONE", "TWO"]
    [(number, message)] = reasons(bulletin).items()
    assert (number, reason in message) == (3, True), message


def test_what_is_wrong_with_p_does_not_cost_s():
    bulletin = read(arc_event(), arc_station(("IP", "U", "x", " 5962", " -30"), S))
    assert (list(bulletin.picks.phase), list(bulletin.rejected.line)) == (["S"], [2])


def test_phases_below_a_header_that_cannot_be_read_are_listed_and_the_next_event_is_read():
    broken = arc_event(clock="202413312359")
    bulletin = read(broken, arc_station(), ARC_END, arc_event(), arc_station(), ARC_END)
    assert (len(bulletin.events), len(bulletin.picks)) == (1, 1)
    assert list(bulletin.rejected.line) == [1, 2]


def test_a_summary_is_a_catalog_without_picks():
    bulletin = read(arc_event(), arc_event(event_id="     71002"))
    assert (list(bulletin.events.event_id), len(bulletin.picks)) == (["71001", "71002"], 0)


PHASES = "ABCDP0  2.50ABCDS1  4.25 EFGP4  3.00HIJ s2 -0.10KLMNP   1.00OPQRP3  1.50"


def test_velest_events_have_six_phases_on_a_line():
    bulletin = read(VELEST_EVENT, PHASES, "STUVP0  9.99", "")
    [event] = bulletin.events.to_dict("records")
    assert (bulletin.format, event["event_id"]) == ("velest", "20240131T235957.12")
    assert event["time"] == pd.Timestamp("2024-01-31T23:59:57.12Z")
    assert (event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (46.5, 13.25, 7.5)
    assert event["magnitude"] == 1.5
    assert list(bulletin.picks.station) == ["ABCD", "ABCD", "EFG", "HIJ", "KLMN", "OPQR", "STUV"]
    assert list(bulletin.picks.phase) == ["P", "S", "P", "S", "P", "P", "P"]
    assert list(bulletin.picks.weight) == [1.0, 0.75, 0.0, 0.5, 1.0, 0.25, 1.0]
    assert bulletin.picks.time[1] == pd.Timestamp("2024-02-01T00:00:01.37Z")
    assert bulletin.rejected.empty


@pytest.mark.parametrize(
    ("line", "station"),
    [
        ("  ABCD    P   0     2.50", "ABCD"),
        ("  ABCDEF  P   0     2.50", "ABCDEF"),
        ("  ABCD  P   0     2.50", "ABCD"),
        ("ABCDEFP0  2.50GHIJKLS0  4.25", "ABCDEF"),
    ],
)
def test_velest_has_one_phase_on_a_line_too_and_stations_of_six_letters(line, station):
    pick = read(VELEST_EVENT, line).picks.iloc[0]
    assert (pick.station, pick.phase, pick.weight) == (station, "P", 1.0)
    assert pick.time == pd.Timestamp("2024-01-31T23:59:59.62Z")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("46.5000N  13.2500E", (46.5, 13.25)),
        ("46.5000N  13.2500W", (46.5, -13.25)),
        ("46.5000S 121.2500 ", (-46.5, -121.25)),
        (" 6.5000s   3.2500e", (-6.5, 3.25)),
    ],
)
def test_longitudes_of_velest_are_west_without_a_letter(place, expected):
    event = read(VELEST_EVENT.replace("46.5000N  13.2500E", place)).events.iloc[0]
    assert (event.latitude_deg, event.longitude_deg) == expected


def test_years_of_velest_turn_at_1970_and_seconds_may_be_60():
    late = VELEST_EVENT.replace("240131 2359 57.12", "700131 2359 60.00")
    bulletin = read(VELEST_EVENT.replace("240131", "691231"), late)
    times = ["1970-02-01T00:00:00Z", "2069-12-31T23:59:57.12Z"]
    assert list(bulletin.events.time) == [pd.Timestamp(time) for time in times]


def test_gap_and_rms_that_velest_writes_are_read_and_other_numbers_are_not():
    assert read(VELEST_EVENT + "     73      0.25  EVID: 71001").events.iloc[0].azimuthal_gap_deg == 73.0
    named = read(VELEST_EVENT + "     73      0.25  EVID: 71001").events.iloc[0]
    assert (named.rms_residual_s, named.event_id) == (0.25, "71001")
    assert np.isnan(read(VELEST_EVENT + " 1").events.azimuthal_gap_deg[0])
    assert np.isnan(read(VELEST_EVENT + "     73  0.0 0.03  1.0  1.0").events.rms_residual_s[0])


def test_a_magnitude_that_is_0_everywhere_is_unknown():
    nothing = VELEST_EVENT.replace("1.50", "0.00")
    assert read(nothing, nothing).events.magnitude.isna().all()
    assert list(read(nothing, VELEST_EVENT).events.magnitude) == [0.0, 1.5]


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        ("ABCDX0  2.50", "phase 'X' is neither P nor S"),
        ("ABCD-0  2.50", "phase '-' is neither P nor S"),
        ("ABCDP0 999.9", "beyond 600 s"),
        ("ABCDP0******", "travel time '******' is no number"),
        ("ABCDPx  2.50", "weight 'x'"),
    ],
)
def test_an_odd_phase_of_velest_is_listed_and_its_neighbours_are_read(chunk, reason):
    bulletin = read(VELEST_EVENT, f"ONE P0  2.50{chunk}TWO P0  3.50", "", VELEST_EVENT)
    assert (list(bulletin.picks.station), len(bulletin.events)) == (["ONE", "TWO"], 2)
    [(number, message)] = reasons(bulletin).items()
    assert (number, reason in message) == (2, True), message


def test_an_empty_line_among_the_phases_costs_none_and_9999_ends_the_file():
    bulletin = read(VELEST_EVENT, "ONE P0  2.50", "", "TWO P0  3.50", " 9999", "LATEP0  1.00")
    assert list(bulletin.picks.station) == ["ONE", "TWO"]
    assert list(bulletin.rejected.line) == [6]


def test_obspy_writes_what_we_read(tmp_path):
    origin = obspy.core.event.Origin(time=obspy.UTCDateTime("2024-01-31T23:59:57.12"), latitude=-46.5, longitude=-13.25)
    origin.depth = 7500.0
    pick = obspy.core.event.Pick(time=origin.time + 2.5, phase_hint="Pg")
    pick.waveform_id = obspy.core.event.WaveformStreamID("OX", "ABCD")
    event = obspy.core.event.Event(origins=[origin], picks=[pick], preferred_origin_id=origin.resource_id)
    event.magnitudes.append(obspy.core.event.Magnitude(mag=1.5))
    event.preferred_magnitude_id = event.magnitudes[0].resource_id
    obspy.core.event.Catalog([event]).write(str(tmp_path / "x.cnv"), format="CNV")
    bulletin = parse_bulletin((tmp_path / "x.cnv").read_bytes(), "x")
    [ours] = bulletin.events.to_dict("records")
    assert (ours["latitude_deg"], ours["longitude_deg"], ours["depth_km"]) == (-46.5, -13.25, 7.5)
    assert (bulletin.format, ours["magnitude"]) == ("velest", 1.5)
    assert bulletin.picks.time[0].value == pick.time.ns


def test_locations_of_hypodd_are_read():
    bulletin = read(
        reloc(), reloc("18", time="2024 2 1 0 0 60.000", magnitude="-9.0", errors="0.0 0.0 0.0", rms="0.02 -9.0")
    )
    first, second = bulletin.events.to_dict("records")
    assert (bulletin.format, first["event_id"], first["time"]) == (
        "hypodd-reloc",
        "17",
        pd.Timestamp("2024-01-31T23:59:57.12Z"),
    )
    assert (first["latitude_deg"], first["longitude_deg"], first["depth_km"]) == (46.5, -13.25, 7.5)
    assert (first["horizontal_uncertainty_km"], first["depth_uncertainty_km"]) == (0.06, 0.15)
    assert (first["magnitude"], first["rms_residual_s"], first["n_picks"]) == (1.5, 0.125, 0)
    assert (second["time"], second["rms_residual_s"]) == (pd.Timestamp("2024-02-01T00:01:00Z"), 0.02)
    unknown = ("magnitude", "horizontal_uncertainty_km", "depth_uncertainty_km")
    assert all(np.isnan(second[name]) for name in unknown)


def test_locations_before_hypodd_moved_them_have_18_columns():
    words = reloc().split()
    assert list(read(" ".join([*words[:17], "1"])).events.event_id) == ["17"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (reloc("18").replace("7.500", "NaN"), "place 'NaN' is no number"),
        (reloc("18", time="2024 13 1 0 0 0.0"), "month must be in 1..12"),
        (reloc("18") + " 5", "25 columns"),
        (reloc("18").replace("46.500000", "46.x"), "place '46.x' is no number"),
    ],
)
def test_an_odd_location_is_listed_alone(line, reason):
    bulletin = read(reloc(), line, reloc("19"))
    assert list(bulletin.events.event_id) == ["17", "19"]
    assert reason in reasons(bulletin)[2]


def test_errors_that_did_not_fit_are_unknown():
    assert np.isnan(read(reloc(errors="******* ******* *******")).events.horizontal_uncertainty_km[0])


def test_zmap_rows_are_events():
    bulletin = read("12.5 -46.5 2024.0847 1 31 1.5 7.5 23 59 57.12 0.4 1.5 0.2", ZMAP.strip())
    first, second = bulletin.events.to_dict("records")
    assert (bulletin.format, first["time"]) == ("zmap", pd.Timestamp("2024-01-31T23:59:57.12Z"))
    assert (first["latitude_deg"], first["longitude_deg"], first["depth_km"], first["magnitude"]) == (
        -46.5,
        12.5,
        7.5,
        1.5,
    )
    assert (first["horizontal_uncertainty_km"], first["depth_uncertainty_km"], first["magnitude_uncertainty"]) == (
        0.4,
        1.5,
        0.2,
    )
    assert (second["event_id"], second["magnitude_type"]) == ("20240131T235957.12-2", None)


@pytest.mark.parametrize(
    ("row", "time"),
    [
        ("10 46 2024 1 31 1.5 7.5 23 59", "2024-01-31T23:59:00Z"),
        ("10 46 2024.0 1 1 1.5 7.5 0 0 60", "2024-01-01T00:01:00Z"),
        ("10 46 2024.5 NaN NaN 1.5 7.5 NaN NaN NaN", "2024-07-02T00:00:00Z"),
        ("1.0e+01 4.6e+01 2.024e+03 1.0e+00 3.1e+01 1.5 7.5 2.3e+01 5.9e+01 5.712e+01", "2024-01-31T23:59:57.12Z"),
        ("10,46,2024,1,31,1.5,7.5,23,59,57.12", "2024-01-31T23:59:57.12Z"),
        ("10 46 2024 1 31 1.5 7.5 NaN NaN NaN", "2024-01-31T00:00:00Z"),
    ],
)
def test_the_date_of_zmap_counts_and_the_year_with_decimals_only_without_it(row, time):
    assert read(row).events.time[0] == pd.Timestamp(time)


def test_a_year_with_decimals_that_is_rounded_up_is_still_the_old_one():
    rows = ["10 46 2025.0000 12 31 1.5 7.5 23 50 0", "10 46 2024.9986 12 31 1.5 7.5 12 0 0"]
    assert list(read(*rows).events.time.dt.year) == [2024, 2024]
    assert list(read(rows[0].replace(".0000", "")).events.time.dt.year) == [2025]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("10 46 2024 13 31 1.5 7.5 23 59", "month must be in 1..12"),
        ("10 46 2024.9 1 31 1.5 7.5 23 59", "contradict each other"),
        ("10 46 2024 NaN NaN 1.5 7.5 23 59", "without a month and a day"),
        ("10 46 NaN 1 31 1.5 7.5 23 59", "no year"),
        ("10 46 2024 1 31 1.5", "6 columns"),
        ("10 46 2024 1 31 large 7.5 23 59", "words that are no numbers"),
        ("10 96 2024 1 31 1.5 7.5 23 59", "latitude_deg 96"),
    ],
)
def test_an_odd_row_of_zmap_is_listed_alone(row, reason):
    bulletin = read(ZMAP.strip(), row, ZMAP.strip())
    assert len(bulletin.events[bulletin.events.latitude_deg.notna()]) == 2
    assert reason in reasons(bulletin)[2]


def test_nan_and_nines_of_zmap_are_unknown():
    event = read("10 46 2024 1 31 NaN NaN 23 59 57", ZMAP.strip()).events.iloc[0]
    assert np.isnan([event.magnitude, event.depth_km]).all()
    event = read("10 46 2024 1 31 -99 999 23 59 57", ZMAP.strip()).events.iloc[0]
    assert np.isnan([event.magnitude, event.depth_km]).all()


def test_obspy_reads_the_same_from_zmap():
    text = ZMAP.replace("2024.0847", "2024")
    [event] = obspy.read_events(io.BytesIO(text.encode()), format="ZMAP")
    ours = read(text.strip()).events.iloc[0]
    assert (event.origins[0].time.ns, event.origins[0].depth / 1000) == (ours.time.value, ours.depth_km)
    assert (event.origins[0].longitude, event.magnitudes[0].mag) == (ours.longitude_deg, ours.magnitude)
