"""Formats of programs and observatories: what they say is read, what is wrong with them is listed."""

from __future__ import annotations

import logging

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.io.formats import FORMATS, READERS, read_bulletin, write_catalog
from pickflow.io.formats.program_files import hypodd_stations, station_labels
from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, CATALOG_FILE, EVENTS, PICKS
from tests.format_samples import HYPODD, n_accounted

TIME = pd.Timestamp("2024-01-31T23:59:57.125Z")


@pytest.fixture
def read(tmp_path):
    def read(text, name="file.txt", **options):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        return read_bulletin(tmp_path / name, **options)

    return read


def small_catalog(stations=(("OX", "ABCD"), ("NI", "EFG")), **event):
    """An event before midnight, with P and S of each station after it, and a pick of no event."""
    columns = {"event_id": "e1", "time": TIME, "latitude_deg": 46.5, "longitude_deg": 13.25, "depth_km": 7.5}
    columns |= {"n_picks": 2 * len(stations), "n_p": len(stations), "n_s": len(stations), "n_stations": len(stations)}
    columns |= {"rms_residual_s": 0.2, "azimuthal_gap_deg": 120.0, "magnitude": 1.5, "magnitude_type": "ML"} | event
    picks, rows = [], []
    for index, (network, station) in enumerate(stations):
        for phase, delay_s in (("P", 2.5), ("S", 4.25)):
            pick_id = f"{station}{index}{phase}"
            time = TIME + pd.Timedelta(seconds=delay_s + index)
            picks.append((pick_id, network, station, "", "HH", phase, time, time, time, 0.5, 0.1, np.nan, np.nan))
            rows.append(("e1", pick_id, 0.25, 16.5, 90.0))
    picks.append(("alone", "OX", "ABCD", "", "HH", "P", TIME, TIME, TIME, 0.9, np.nan, np.nan, np.nan))
    return (
        conform(pd.DataFrame([dict.fromkeys(EVENTS.schema.names) | columns | {"n_magnitude_stations": 0}]), EVENTS),
        conform(pd.DataFrame(rows, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS),
        conform(pd.DataFrame(picks, columns=PICKS.schema.names), PICKS),
    )


def test_hypodd_events_and_travel_times_are_read_and_broken_lines_listed(read):
    bulletin = read(HYPODD)
    event = bulletin.events.iloc[0]
    assert (bulletin.format, event.event_id, event.time, event.magnitude) == ("hypodd", "17", TIME, 1.5)
    assert (event.horizontal_uncertainty_km, event.n_p, event.n_s) == (0.4, 1, 1)
    assert np.isnan(event.depth_uncertainty_km)
    assert list(bulletin.picks.time) == [TIME + pd.Timedelta(seconds=2.5), TIME + pd.Timedelta(seconds=4.25)]
    assert (list(bulletin.picks.weight), list(bulletin.picks.phase_hint)) == ([1.0, 0.5], ["P", "Sg"])
    assert list(bulletin.rejected.line) == [4, 5, 6, 7]
    assert bulletin.rejected.reason[0] == "phase 'Lg' is neither P nor S"


REAL = """    1 2024 01 31 23:59:57.125   86397.1250   0.2931      46.5000      13.2500       7.5000
OX ABCD P      86399.6250       2.5000   4.5076e-02      -0.1498
OX ABCD S      86401.3750       4.2500   4.5865e-02      -0.1205   1.0000  90.0
OX ABCD S      86401.3750
"""
REAL_CATALOG = (
    "    1 2024 01 31 23:59:57.125 86397.125 0.2931 46.5 13.25 7.5 0.908 0.244 34 18 52\n"
    "    1 2024 02 01 00:59:57.125 3597.125 0.2931 46.5 13.25 7.5 -100.0 0.244 34 18 52 15 88.5\n"
)


def test_events_and_phases_of_real_are_read(read):
    bulletin = read(REAL)
    assert (bulletin.format, bulletin.events.time[0], bulletin.events.event_id[0]) == ("real", TIME, "2024-01-31-1")
    second = bulletin.picks.iloc[1]
    assert (second.network, second.time, second.residual_s) == ("OX", TIME + pd.Timedelta(seconds=4.25), -0.1205)
    assert (second.weight, second.azimuth_deg) == (1.0, 90.0)
    assert list(bulletin.rejected.line) == [4]
    catalog = read(REAL_CATALOG).events
    assert list(catalog.n_picks) == [52, 52]
    assert catalog.magnitude.isna().tolist() == [False, True]
    assert catalog.azimuthal_gap_deg.isna().tolist() == [True, False]


OBS = """PUBLIC_ID smi:local/e1
ABCD   ?    HHZ  i P      U 20240131 2359 59.625 GAU 1.00e-01 -1.00e+00 -1.00e+00 -1.00e+00
ABCD   ?    HHN  ? S      ? 20240131 2359 61.375 GAU 0.00e+00 -1.00e+00 -1.00e+00 -1.00e+00

# another one
EFG    ?    ?    e Pn     D 20240201 001 -0.5 GAU 2.00e-01 -1.00e+00 -1.00e+00 -1.00e+00
EFG    ?    ?    e Pn     D 2024021 0001 -0.5 GAU 2.00e-01 -1.00e+00 -1.00e+00 -1.00e+00
"""


def test_phases_for_nonlinloc_are_events_without_a_place(read):
    bulletin = read(OBS)
    picks = bulletin.picks
    times = ["2024-01-31T23:59:59.625Z", "2024-02-01T00:00:01.375Z", "2024-02-01T00:00:59.5Z"]
    assert list(picks.time) == [pd.Timestamp(time) for time in times]
    assert (list(picks.polarity), list(picks.onset), list(picks.channel)) == (
        ["U", "", "D"],
        ["i", "", "e"],
        ["HHZ", "HHN", ""],
    )
    assert picks.time_uncertainty_s.tolist()[::2] == [0.1, 0.2]
    assert np.isnan(picks.time_uncertainty_s[1])
    assert list(bulletin.events.event_id) == ["e1", "20240201T000059.50"]
    assert bulletin.events.latitude_deg.isna().all()
    assert list(bulletin.rejected.line) == [7]


HYP = """NLLOC "loc.sum" "{status}" "Location completed."
SIGNATURE "x"
GEOGRAPHIC  OT 2024 01 31  23 59 57.125  Lat 46.5 Long 13.25 Depth 7.5
QUALITY  Pmax 1 MFmin 2 MFmax 3 RMS 0.25 Nphs 2 Gap 120.0 Dist 16.5 Mamp -9.9 0 Mdur -9.9 0
STATISTICS  ExpectX 0.1 Y 0.2 Z 7.4  CovXX 0.25 XY 0 XZ 0 YY 0.25 YZ 0 ZZ 4.0 EllAz1 1 Dip1 1 Len1 1
QML_OriginUncertainty  horUnc -1  minHorUnc 0.4  maxHorUnc 0.75  azMaxHorUnc 30
PHASE ID Ins Cmp On Pha FM Date HrMn Sec Err ErrMag Coda Amp Per > TTpred Res Weight
ABCD ? HHZ i P U 20240131 2359 59.6250 GAU 1.00e-01 -1 -1 -1 > 2.5 -0.2500 1.10 1.0 2.0 0.1 16.5 90.0 91.0 92.0 9 0.0
EFG ? HHN e S ? 20240131 2359 61.3750 GAU 1.00e-01 -1 -1 -1 1.0 > 4.5 0.1250 0.90 1.0 2.0 0.1 20.5 180.0 91.0 92.0 9 0.0
broken
END_PHASE
END_NLLOC

"""


def test_locations_of_nonlinloc_are_read_and_those_that_it_rejected_are_set_aside(read):
    bulletin = read(HYP.format(status="LOCATED") + HYP.format(status="REJECTED"))
    [event] = bulletin.events.to_dict("records")
    assert (event["time"], event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (TIME, 46.5, 13.25, 7.5)
    assert (event["rms_residual_s"], event["azimuthal_gap_deg"]) == (0.25, 120.0)
    assert (event["horizontal_uncertainty_km"], event["depth_uncertainty_km"]) == (0.75, 2.0)
    picks = bulletin.picks
    assert (list(picks.residual_s), list(picks.weight)) == ([-0.25, 0.125], [1.1, 0.9])
    assert (list(picks.distance_km), list(picks.azimuth_deg)) == ([16.5, 20.5], [90.0, 180.0])
    assert list(bulletin.rejected.line) == [10]
    assert bulletin.n_set_aside == 4
    assert "NonLinLoc says REJECTED" in list(bulletin.set_aside.reason)
    assert bulletin.n_lines == n_accounted(bulletin)


def test_obspy_reads_the_same_from_a_location_of_nonlinloc(read, tmp_path):
    text = HYP.format(status="LOCATED").replace("broken\n", "").replace("-1 > 2.5", "-1 1.0 > 2.5")
    ours = read(text)
    text = text.replace('"x"', '"x NLLoc:v7 31Jan2024 12h00m00"').replace("Per > TTpred", "Per PriorWt > TTpred")
    quality = "assocPhCt 2  usedPhCt 2  assocStaCt -1  usedStaCt 2  depthPhCt -1  stdErr 0.25  azGap 120  secAzGap 200"
    quality += "  gtLevel -  minDist 16  maxDist 20 medDist 18"
    text = text.replace("END_PHASE", f'END_PHASE\nQML_OriginQuality  {quality}\nCOMMENT ""\nPUBLIC_ID None')
    (tmp_path / "x.hyp").write_text(text)
    [event] = obspy.read_events(str(tmp_path / "x.hyp"), format="NLLOC_HYP")
    assert [arrival.time_residual for arrival in event.origins[0].arrivals] == list(ours.picks.residual_s)
    assert [arrival.azimuth for arrival in event.origins[0].arrivals] == list(ours.picks.azimuth_deg)
    assert [pick.time.ns for pick in event.picks] == [time.value for time in ours.picks.time]


PHASENET = """station_id,begin_time,phase_index,phase_time,phase_score,phase_type,phase_polarity
OX.ABCD..HH,2024-01-31T23:59:00.000,1,2024-01-31T23:59:59.625,0.875,P,
OX.ABCD..HH,2024-01-31T23:59:00.000,1,2024-02-01T00:00:01.375,0.5,S,
OX.ABCD..HH,2024-01-31T23:59:00.000,1,later,0.5,S,
OX.ABCD..HH,2024-01-31T23:59:00.000,1,2024-02-01T00:00:01.375,0.5,Lg,
"""
GAMMA_PICKS = """id,timestamp,prob,amp,type,event_index,gamma_score
OX.ABCD..HH,2024-01-31T23:59:59.625,0.875,1e-6,p,3,1.0
OX.ABCD..HH,2024-01-31T23:59:59.925,0.875,1e-6,p,-1,-1
"""
GAMMA_CATALOG = """time\tmagnitude\tsigma_time\tevent_index\tlongitude\tlatitude\tdepth(m)\tnum_picks
2024-01-31T23:59:57.125\t1.5\t0.2\t3\t13.25\t46.5\t7500\t9
"""
PYOCTO = """event_idx,pick_idx,residual,station,phase,time
0,4,-0.125,OX.ABCD.,P,1706745599.625
"""


def test_tables_of_picks_are_picks_of_no_event(read):
    bulletin = read(PHASENET)
    assert bulletin.events.empty
    first = bulletin.picks.iloc[0]
    assert (first.event_id, first.network, first.station, first.channel) == ("", "OX", "ABCD", "HH")
    assert (first.time, first.phase, first.probability) == (TIME + pd.Timedelta(seconds=2.5), "P", 0.875)
    assert list(bulletin.rejected.line) == [4, 5]


def test_picks_of_gamma_find_their_events_in_the_catalog(read, tmp_path):
    (tmp_path / "catalog.csv").write_text(GAMMA_CATALOG)
    bulletin = read(GAMMA_PICKS, "picks.csv", locations=tmp_path / "catalog.csv")
    [event] = bulletin.events.to_dict("records")
    assert (event["event_id"], event["time"], event["depth_km"], event["n_p"]) == ("3", TIME, 7.5, 1)
    assert list(bulletin.picks.event_id) == ["3", ""]


def test_assignments_of_pyocto_have_times_in_seconds(read):
    pick = read(PYOCTO).picks.iloc[0]
    assert (pick.event_id, pick.network, pick.station, pick.residual_s) == ("0", "OX", "ABCD", -0.125)
    assert pick.time == TIME + pd.Timedelta(seconds=2.5)


def test_rows_that_do_not_fit_a_table_are_listed(read):
    text = "id,time,latitude,longitude\na,2020-01-01,1,2\na,2020-01-02,1,2\nb,2020-01-01,91,2\nc,2020-01-01\n\n"
    bulletin = read(text)
    assert list(bulletin.events.event_id) == ["a"]
    assert list(bulletin.rejected.line) == [3, 4, 5]
    assert bulletin.n_lines == 6 == n_accounted(bulletin)


@pytest.mark.parametrize("name", ["file.txt", "file.quakeml", "file.dat"])
@pytest.mark.parametrize(
    "content", [b"", b" \n\n", b"\x00\xff\x00garbage\n" * 9, b"PAR1cut", b"<html></html>", b"NLLOC \n"]
)
def test_what_is_no_bulletin_is_a_named_error(read, content, name):
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read(content, name)


def test_an_unknown_format_lists_the_known_ones(read):
    with pytest.raises(ValueError, match="Tried by content") as error:
        read("once upon a time\n")
    assert all(key in str(error.value) for key in READERS)
    with pytest.raises(ValueError, match="format 'xls' is none of"):
        read("a\n", format="xls")


def read_or_named_error(path):
    """Number of picks; 0 for an error that names the file."""
    try:
        return len(read_bulletin(path).picks)
    except ValueError as error:
        if str(path) not in str(error):
            raise
        return 0


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"csv", "pyrocko"}))
def test_a_cut_file_loses_its_end_and_nothing_else(tmp_path, format):
    path = tmp_path / "catalog"
    write_catalog(*small_catalog(), path, format)
    content = path.read_bytes()
    for length in range(0, len(content), max(len(content) // 20, 1)):
        path.write_bytes(content[:length])
        assert read_or_named_error(path) <= 4 + (format == "parquet")


def test_events_of_quakeml_without_an_origin_and_picks_of_other_phases_are_kept_or_listed(tmp_path):
    write_catalog(*small_catalog(), tmp_path / "x.xml", "quakeml")
    [event] = catalog = obspy.read_events(str(tmp_path / "x.xml"))
    event.origins[0].arrivals[0].phase = "Lg"
    event.picks[1].waveform_id.station_code = ""
    second_event = obspy.core.event.Event(resource_id="smi:local/e2", picks=[event.picks[2].copy()])
    second_event.picks[0].resource_id = obspy.core.event.ResourceIdentifier("smi:local/p9")
    twin = event.picks[3].copy()
    twin.resource_id = obspy.core.event.ResourceIdentifier("smi:local/twin")
    event.picks.append(twin)
    event.origins[0].arrivals.append(obspy.core.event.Arrival(pick_id=twin.resource_id, phase=twin.phase_hint))
    catalog.append(second_event)
    catalog.write(str(tmp_path / "x.xml"), format="QUAKEML")
    bulletin = read_bulletin(tmp_path / "x.xml")
    assert list(bulletin.events.event_id) == ["e1", "e2"]
    assert bulletin.events.latitude_deg.isna().tolist() == [False, True]
    assert [reason.split()[0] for reason in bulletin.rejected.reason] == ["phase", "no", "the"]
    assert bulletin.n_lines == 2 + 6
    assert len(bulletin.picks) == 3


def test_quakeml_with_an_explosion_says_so(tmp_path):
    events, assignments, picks = small_catalog()
    write_catalog(events.assign(event_type="suspected explosion"), assignments, picks, tmp_path / "x.xml", "quakeml")
    [event] = obspy.read_events(str(tmp_path / "x.xml"))
    assert (event.event_type, event.event_type_certainty) == ("explosion", "suspected")
    assert list(read_bulletin(tmp_path / "x.xml").descriptions.event_type) == ["explosion"]


def test_bad_lines_of_nordic_are_listed(tmp_path):
    write_catalog(*small_catalog(), tmp_path / "x.nordic", "nordic")
    lines = (tmp_path / "x.nordic").read_text().split("\n")
    lines[5] = lines[5].replace("P ", "LG", 1)
    broken = [lines[0].replace(" 2024", " 20x4"), *lines[1:-1]]
    (tmp_path / "x.nordic").write_text("\n".join([*lines, *broken]))
    bulletin = read_bulletin(tmp_path / "x.nordic")
    assert len(bulletin.events) == 1
    assert bulletin.rejected.line.min() == 6
    assert bulletin.n_lines == n_accounted(bulletin)
    assert bulletin.n_read == 1 + len(bulletin.picks)


def test_weights_first_motions_and_onsets_come_through_nordic(tmp_path):
    events, assignments, picks = small_catalog()
    picks = picks[picks.pick_id != "alone"]
    picks = picks.assign(weight=[1.0, 0.75, 0.25, 0.0], polarity=["U", "D", "", "U"], onset=["i", "e", "", "i"])
    write_catalog(events, assignments, picks, tmp_path / "x.nordic", "nordic")
    assert " S   3   24 0 1.375" in (tmp_path / "x.nordic").read_text()
    again = read_bulletin(tmp_path / "x.nordic").picks
    for name in ("weight", "polarity", "onset", "station", "phase"):
        assert list(again[name]) == list(picks[name]), name


def test_stations_of_one_code_get_different_names_and_a_warning_says_which(caplog):
    picks = pd.DataFrame(
        [("OX", "ABC"), ("NI", "ABC"), ("NI", "TOOLONG"), ("OX", "FINE")], columns=["network", "station"]
    )
    with caplog.at_level(logging.WARNING):
        labels = station_labels(picks, "Nordic")
    assert len(set(labels.values())) == 4
    assert max(map(len, labels.values())) <= 5
    assert labels["OX", "FINE"] == "FINE"
    assert f"NI.TOOLONG as {labels['NI', 'TOOLONG']}" in caplog.text
    assert station_labels(picks, "NonLinLoc")["OX", "ABC"] == "OX.ABC"


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    events, assignments, picks = small_catalog()
    with pytest.raises(ValueError, match="format 'xls' cannot be written; known: csv, parquet"):
        write_catalog(events, assignments, picks, tmp_path / "x", "xls")
    for format in sorted(set(FORMATS) - {"csv", "parquet"}):
        with pytest.raises(ValueError, match="of an assignment is not among"):
            write_catalog(events, assignments, picks.iloc[:1], tmp_path / "x", format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_catalog_gives_the_same_bytes_in_every_format(tmp_path, format):
    events, assignments, picks = small_catalog()
    write_catalog(events, assignments, picks, tmp_path / "a", format)
    write_catalog(events, assignments.iloc[::-1], picks.iloc[::-1], tmp_path / "b", format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_format_of_the_workflow_can_be_written():
    assert set(CATALOG_FILE) - {"pyrocko"} <= set(FORMATS)


def test_an_empty_catalog_is_written_in_every_format(tmp_path):
    tables = [conform(pd.DataFrame(), table) for table in (EVENTS, ASSIGNMENTS, PICKS)]
    for format in FORMATS:
        write_catalog(*tables, tmp_path / format, format)
        assert (tmp_path / format).exists()


def test_markers_of_pyrocko_hold_events_phases_and_picks_of_no_event(tmp_path):
    marker = pytest.importorskip("pyrocko.gui.marker")
    write_catalog(*small_catalog(), tmp_path / "x.markers", "pyrocko")
    markers = marker.load_markers(str(tmp_path / "x.markers"))
    events = [item for item in markers if isinstance(item, marker.EventMarker)]
    phases = [item for item in markers if isinstance(item, marker.PhaseMarker)]
    assert (events[0].get_event().name, events[0].get_event().depth) == ("e1", 7500.0)
    assert sorted(item.get_phasename() for item in phases) == ["P", "P", "P", "S", "S"]
    assert sum(item.get_event_hash() is None for item in phases) == 1
    assert min(item.tmin for item in phases) == pytest.approx(TIME.timestamp(), abs=1e-4)


def test_stations_for_hypodd_have_the_names_of_its_phases_and_their_places_then():
    time_of_move = TIME - pd.Timedelta(days=400)
    stations = pd.DataFrame(
        [
            ("OX", "ABCD", -20.0, 13.0, 120.0, None, time_of_move),
            ("OX", "ABCD", 46.0, 13.0, 120.0, time_of_move, None),
            ("NI", "EFG", 46.1, 13.1, np.nan, None, None),
            ("NI", "NOPICK", 46.1, 13.1, 0.0, None, None),
        ],
        columns=["network", "station", "latitude_deg", "longitude_deg", "elevation_m", "starttime", "endtime"],
    )
    lines = hypodd_stations(stations, small_catalog()[2]).split("\n")
    assert [line.split() for line in lines[:-1]] == [
        ["EFG", "46.100000", "13.100000", "0.0"],
        ["ABCD", "46.000000", "13.000000", "120.0"],
    ]
