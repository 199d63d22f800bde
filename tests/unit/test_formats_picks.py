"""Tables of pickers, and events in GeoJSON: as their programs write them, and what is odd in them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pickflow.io.formats import catalog_tables, convert, parse_bulletin, read_bulletin
from tests.format_samples import EQT_NAMES, SAMPLES, eqt_row, feature, geojson, n_accounted


def read(*lines):
    bulletin = parse_bulletin("\n".join([*lines, ""]).encode(), "file.csv")
    assert bulletin.n_lines == n_accounted(bulletin)
    return bulletin


P_TIME, S_TIME = pd.Timestamp("2024-01-31T23:59:59.625Z"), pd.Timestamp("2024-02-01T00:00:01.375Z")


def test_a_detection_of_eqtransformer_is_a_p_and_an_s_of_no_event():
    bulletin = read(EQT_NAMES, eqt_row(), eqt_row(s=""), eqt_row(p=""))
    assert (bulletin.format, len(bulletin.events)) == ("eqtransformer", 0)
    first = bulletin.picks.iloc[0]
    assert (first.network, first.station, first.channel, first.event_id) == ("OX", "ABCD", "HH", "")
    assert list(bulletin.picks.phase) == ["P", "S", "P", "S"]
    assert list(bulletin.picks.time) == [P_TIME, S_TIME, P_TIME, S_TIME]
    assert list(bulletin.picks.probability) == [0.875, 0.5, 0.875, 0.5]
    assert bulletin.picks.time_uncertainty_s.isna().all()
    assert bulletin.rejected.empty


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (eqt_row(p="soon"), "'soon' is no time"),
        (eqt_row(p_probability="high"), "probability 'high' is no number"),
        (eqt_row() + ",more", "20 columns, but the header names 19"),
        ("ABCD,OX,ABCD", "3 columns, but the header names 19"),
        (eqt_row().replace("ABCD ", "", 1).replace(",ABCD ,", ",,"), "no station"),
    ],
)
def test_an_odd_detection_is_listed_and_its_neighbours_are_read(row, reason):
    bulletin = read(EQT_NAMES, eqt_row(), row, eqt_row())
    assert len(bulletin.picks) == 4
    [(line, message)] = zip(bulletin.rejected.line, bulletin.rejected.reason, strict=True)
    assert (line, reason in message) == (3, True), message


@pytest.mark.parametrize("nothing", ["", "None", "nan", "NaN"])
def test_words_for_nothing_are_no_picks(nothing):
    assert len(read(EQT_NAMES, eqt_row(s="").replace(",,,,3.5", f",{nothing},{nothing},,3.5")).picks) == 1


def test_samples_of_the_old_phasenet_count_from_the_begin_of_the_record():
    names = "fname,begin_time,itp,tp_prob,its,ts_prob"
    row = "data/OX.ABCD..HH.mseed_0,2024-01-31T23:59:00.0,[5962 6062],[0.9 0.5],[6138],[0.75]"
    bulletin = read(names, row, "OX.ABCD..HH.mseed_3000,2024-01-31T23:59:30.0,[],[],[],[]")
    assert bulletin.format == "phasenet-samples"
    first = pd.Timestamp("2024-01-31T23:59:59.62Z")
    times = [first, first + pd.Timedelta(seconds=1), pd.Timestamp("2024-02-01T00:00:01.38Z")]
    assert list(bulletin.picks.time) == times
    assert list(bulletin.picks.probability) == [0.9, 0.5, 0.75]
    assert (bulletin.picks.network[0], bulletin.picks.station[0], bulletin.picks.channel[0]) == ("OX", "ABCD", "HH")
    assert bulletin.rejected.empty


def test_samples_without_the_time_of_the_first_are_no_times():
    with pytest.raises(
        ValueError, match=r"file\.csv: picks of PhaseNet in samples .* phase_time, or add a column begin"
    ):
        read("fname,itp,tp_prob,its,ts_prob", "OX.ABCD..HH.mseed_0,[5962],[0.9],[],[]")


def test_an_odd_window_of_phasenet_is_listed_alone():
    names, begin = "fname,begin_time,itp,tp_prob,its,ts_prob", "2024-01-31T23:59:00"
    rows = [f"OX.ABCD,{begin},[1 2],[0.9],[],[]", f"OX.ABCD,{begin},[x],[0.9],[],[]", f"noname,{begin},[1],[0.9],[],[]"]
    bulletin = read(names, f"OX.ABCD,{begin},[1],[0.9],[],[]", *rows, f"OX.ABCD,{begin},[2],[0.9],[],[]")
    assert (len(bulletin.picks), list(bulletin.rejected.line)) == (2, [3, 4, 5])


TABLES = {
    "PhaseNet": (
        "station_id,begin_time,phase_index,phase_time,phase_score,phase_type,phase_amplitude",
        "OX.ABCD..HH,2024-01-31T23:59:00.000,5962,2024-01-31T23:59:59.625,0.875,P,1.2e-6",
    ),
    "QuakeFlow": (
        "station_id,phase_index,phase_time,phase_score,phase_type,dt_s,phase_polarity",
        "OX.ABCD..HH,5962,2024-01-31T23:59:59.625,0.875,P,0.01,0.5",
    ),
    "SeisBench": (",station,time,probability,phase", "0,OX.ABCD.,2024-01-31 23:59:59.625000+00:00,0.875,P"),
}


@pytest.mark.parametrize("program", TABLES)
def test_tables_with_a_pick_on_each_row_are_read_as_they_are(program):
    bulletin = read(*TABLES[program])
    [pick] = bulletin.picks.to_dict("records")
    assert (bulletin.format, pick["network"], pick["station"], pick["phase"]) == ("table", "OX", "ABCD", "P")
    assert (pick["time"], pick["probability"], pick["event_id"]) == (P_TIME, 0.875, "")


@pytest.mark.parametrize("format", ["eqtransformer", "phasenet-samples"])
def test_picks_without_events_can_be_converted(tmp_path, format):
    (tmp_path / "picks.csv").write_text(SAMPLES[format])
    conversion = convert(tmp_path / "picks.csv", "parquet", tmp_path / "out.parquet")
    assert len(pd.read_parquet(tmp_path / "out.picks.parquet")) == len(conversion.bulletin.picks) > 0
    assert "picks of no event" in conversion.summary
    events, assignments, _ = catalog_tables(conversion.bulletin)
    assert events.empty
    assert assignments.empty


FDSN = (
    "#EventID | Time | Latitude | Longitude | Depth/km | Author | Catalog | Contributor | ContributorID | MagType"
    " | Magnitude | MagAuthor | EventLocationName | EventType",
    "71001|2024-01-31T23:59:57.125|46.5|-13.25|7.5|TEST|||71001|ML|1.5|TEST|Somewhere|earthquake",
    "71002|2024-01-31T23:59:57.125|46.5|-13.25||TEST|||71002|||TEST|Somewhere|earthquake",
)


def test_a_station_may_be_called_nan():
    row = eqt_row(s="nan", s_probability="None").replace("ABCD ", "NAN")
    assert list(read(f"{EQT_NAMES}\n{row}\n").picks.station) == ["NAN"]


def test_the_text_of_fdsn_services_is_a_table():
    bulletin = read(*FDSN)
    first, second = bulletin.events.to_dict("records")
    assert (first["event_id"], first["time"]) == ("71001", pd.Timestamp("2024-01-31T23:59:57.125Z"))
    assert (first["depth_km"], first["magnitude"], first["magnitude_type"]) == (7.5, 1.5, "ML")
    assert np.isnan([second["depth_km"], second["magnitude"]]).all()


def test_a_feature_is_an_event():
    bulletin = read(geojson(feature(gap=110, rms=0.25, magError=None, horizontalError=0.4)))
    [event] = bulletin.events.to_dict("records")
    assert (bulletin.format, event["event_id"]) == ("geojson", "nc71001")
    assert event["time"] == pd.Timestamp("2024-01-31T23:59:57.125Z")
    assert (event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (46.5, -13.25, 7.5)
    assert (event["magnitude"], event["magnitude_type"], event["n_stations"]) == (1.5, "ml", 9)
    assert (event["azimuthal_gap_deg"], event["rms_residual_s"], event["horizontal_uncertainty_km"]) == (
        110.0,
        0.25,
        0.4,
    )
    described = bulletin.descriptions.iloc[0]
    assert (described.event_type, described.place) == ("earthquake", "5 km N of Somewhere")


def test_one_feature_alone_and_features_with_times_as_text_and_depths_beside_are_read():
    assert len(read(json.dumps(feature(), indent=1)).events) == 1
    emsc = feature(time="2024-01-31T23:59:57.1Z", coordinates=(-13.25, 46.5, -7.5), depth=7.5, flynn_region="Alps")
    bulletin = read(geojson(emsc))
    assert (bulletin.events.depth_km[0], bulletin.events.time[0]) == (7.5, pd.Timestamp("2024-01-31T23:59:57.1Z"))


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (feature(time=None), "no time"),
        (feature("x", time=1e300), "year"),
        (feature("x", coordinates=("west", 46.5, 7.5)), "longitude 'west' is no number"),
        (feature(event_id=None), "no id"),
        (feature(), "stands above already"),
        ("text", "no feature with properties"),
        ({"type": "Feature", "properties": None}, "no feature with properties"),
    ],
)
def test_an_odd_feature_is_listed_alone(odd, reason):
    bulletin = read(geojson(feature(), odd, feature("nc71002")))
    assert list(bulletin.events.event_id) == ["nc71001", "nc71002"]
    [(line, message)] = zip(bulletin.rejected.line, bulletin.rejected.reason, strict=True)
    assert (line, reason in message or reason == "year") == (2, True), message


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"mag": "large"}, "mag 'large' is no number, and left out"),
        ({"mag": True}, "mag True is no number, and left out"),
        ({"coordinates": (-13.25, 46.5, "deep")}, "depth 'deep' is no number, and left out"),
        ({"mag": [1], "gap": "wide"}, "mag [1] is no number, and left out; gap 'wide' is no number, and left out"),
    ],
)
def test_a_number_of_a_feature_that_cannot_be_read_costs_the_number_and_not_the_event(odd, reason):
    bulletin = read(geojson(feature(**{"mag": None, "gap": None} | odd)))
    [event] = bulletin.events.to_dict("records")
    assert (event["event_id"], event["n_stations"], event["latitude_deg"]) == ("nc71001", 9, 46.5)
    assert np.isnan([event["magnitude"], event["azimuthal_gap_deg"]]).all()
    assert np.isnan(event["depth_km"]) == ("coordinates" in odd)
    assert (list(bulletin.rejected.kind), list(bulletin.rejected.reason)) == (["value"], [reason])
    assert (bulletin.n_read, bulletin.n_rejected) == (1, 0)


def test_the_identifier_of_a_feature_breaks_no_line():
    bulletin = read(geojson(feature("a\nb")))
    assert list(bulletin.events.event_id) == list(bulletin.descriptions.event_id) == ["a_b"]


@pytest.mark.parametrize("text", ['{"type": "FeatureCollection"', '{"features": 3}', "[" * 100_000])
def test_what_is_no_geojson_is_a_named_error(tmp_path, text):
    (tmp_path / "x.geojson").write_text(text)
    with pytest.raises(ValueError, match=r"x\.geojson: not readable as GeoJSON"):
        read_bulletin(tmp_path / "x.geojson")
