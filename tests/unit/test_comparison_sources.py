"""Reference catalogs in the formats of others, from files and from an event service."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import obspy
import pandas as pd
import pytest

from pickflow.comparison.sources import read_reference
from pickflow.io.quakeml import write_quakeml
from pickflow.io.tables import conform
from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, PICKS
from pickflow.windows import parse_time

EVER = (parse_time("2019-01-01"), parse_time("2027-01-01"))
COMCAT = """time,latitude,longitude,depth,mag,magType,nst,gap,dmin,rms,net,id,place
2019-07-04T17:02:55.340Z,35.7081667,-117.5036667,10.6,3.98,mw,82.0,23.0,0.126,0.16,ci,ci38443095,"11km SW, CA"
2019-07-04T17:09:20.090Z,35.7076667,-117.5013333,,2.49,ml,,,,,ci,ci38443111,"11km SW, CA"
"""
FDSN_TEXT = """#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|MagType|Magnitude|MagAuthor|Place
ci1|2019-07-04T17:02:55.340|35.708|-117.504|10.6|ci|ci|mw|3.98|ci|11km SW
ci2|2019-07-05T17:02:55.340|36.708|-117.504|8.0|ci|ci|ml|2.0|ci|nowhere
"""
SEMICOLONS = """index;event-id;origin_time(UTC);t_err;lat;lon;h_err;depth;v_err;gap;ml;md;place
00001;2024_00001;2024-01-01T03:50:59.050; 0.25;46.8332;10.0805;  0.6;  9.3;  0.6; 94; 1.4; 1.5;GUARDA
"""


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (COMCAT, ("ci38443095", "2019-07-04T17:02:55.340Z", 35.7081667, 10.6, 3.98)),
        (FDSN_TEXT, ("ci1", "2019-07-04T17:02:55.340Z", 35.708, 10.6, 3.98)),
        (SEMICOLONS, ("2024_00001", "2024-01-01T03:50:59.050Z", 46.8332, 9.3, 1.4)),
    ],
    ids=["ComCat CSV", "FDSN text", "semicolons"],
)
def test_tables_of_events_are_read_by_their_header(tmp_path, content, first):
    (tmp_path / "catalog.csv").write_text(content)
    row = read_reference(tmp_path / "catalog.csv", *EVER).events.iloc[0]
    assert (row.event_id, row.time) == (first[0], pd.Timestamp(first[1]))
    assert (row.latitude_deg, row.depth_km, row.magnitude) == pytest.approx(first[2:])


def test_what_a_table_does_not_say_stays_unknown(tmp_path):
    (tmp_path / "catalog.csv").write_text(COMCAT)
    row = read_reference(tmp_path / "catalog.csv", *EVER).events.iloc[1]
    assert pd.isna([row.depth_km, row.azimuthal_gap_deg, row.rms_residual_s]).all()
    assert row.n_stations == 0


def test_time_and_region_are_half_open_and_inclusive(tmp_path):
    (tmp_path / "catalog.txt").write_text(FDSN_TEXT)
    times = [parse_time("2019-07-04T17:02:55.340"), parse_time("2019-07-05T17:02:55.340")]
    assert list(read_reference(tmp_path / "catalog.txt", *times).events.event_id) == ["ci1"]
    region = {"min_latitude_deg": 36, "max_latitude_deg": 37, "min_longitude_deg": 170, "max_longitude_deg": -100}
    assert list(read_reference(tmp_path / "catalog.txt", *EVER, region).events.event_id) == ["ci2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<quakeml>cut", "not readable as QuakeML"),
        ("a,b\n1,2\n", "no column for time; give one called time or origin_time"),
        ("id,time,latitude,longitude\nx,yesterday,1,2\n", "yesterday"),
        ("id,time,latitude,longitude\nx,2020-01-01,north,2\n", "north"),
    ],
)
def test_what_is_no_catalog_is_named(tmp_path, content, message):
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_reference(tmp_path / "bad.csv", *EVER)
    assert "bad.csv" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.csv: No such file"):
        read_reference(tmp_path / "nowhere.csv", *EVER)


def test_an_empty_file_is_named_and_a_header_alone_is_an_empty_catalog(tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty\.txt: the file is empty"):
        read_reference(tmp_path / "empty.txt", *EVER)
    (tmp_path / "empty.txt").write_text("id,time,latitude,longitude\n")
    assert read_reference(tmp_path / "empty.txt", *EVER).events.empty


def test_quakeml_names_stations_residuals_and_quality(tmp_path):
    time = pd.Timestamp("2026-01-15T12:00:00Z")
    event = dict.fromkeys(EVENTS.schema.names) | {"event_id": "e1", "time": time, "latitude_deg": 46.0}
    event |= {"longitude_deg": 13.0, "depth_km": 7.5, "n_picks": 1, "n_p": 0, "n_s": 1, "n_stations": 1}
    event |= {"rms_residual_s": 0.2, "azimuthal_gap_deg": 360.0, "magnitude": float("nan")}
    pick = dict.fromkeys(PICKS.schema.names) | {"pick_id": "p1", "network": "OX", "station": "BAD", "location": "10"}
    pick |= {"channel": "HH", "phase": "S", "time": time, "starttime": time, "endtime": time, "probability": 0.75}
    pick |= {"time_uncertainty_s": 0.06}
    tables = [conform(pd.DataFrame([row]), table) for row, table in ((event, EVENTS), (pick, PICKS))]
    assignments = conform(
        pd.DataFrame([("e1", "p1", -0.2, 111.195, 90.0)], columns=ASSIGNMENTS.schema.names), ASSIGNMENTS
    )
    path = tmp_path / "catalog.quakeml"
    write_quakeml(tables[0], assignments, tables[1], path, agency="OGS", associator="pyocto")
    [read] = obspy.read_events(str(path))
    [arrival] = read.preferred_origin().arrivals
    assert (arrival.phase, arrival.time_residual, arrival.azimuth) == ("S", -0.2, 90.0)
    assert arrival.distance == pytest.approx(1.0)
    assert arrival.pick_id.get_referred_object().waveform_id.get_seed_string() == "OX.BAD.10.HH"
    errors = arrival.pick_id.get_referred_object().time_errors
    assert (errors.uncertainty, errors.confidence_level) == (0.06, 68.0)
    assert read_reference(path, *EVER).picks.time_uncertainty_s.tolist() == [0.06]
    assert read.preferred_origin().quality.azimuthal_gap == 360.0
    assert (read.preferred_origin().depth, read.preferred_origin().quality.used_phase_count) == (7500.0, 1)
    assert read.creation_info.agency_id == "OGS"
    assert read.creation_info.creation_time is None
    with pytest.raises(ValueError, match="pick p1 of an assignment is not among"):
        write_quakeml(tables[0], assignments, tables[1].iloc[:0], path)


def test_a_pick_that_nobody_calibrated_has_no_uncertainty_in_quakeml(tmp_path):
    time = pd.Timestamp("2026-01-15T12:00:00Z")
    event = dict.fromkeys(EVENTS.schema.names) | {"event_id": "e1", "time": time, "latitude_deg": 46.0}
    event |= {"longitude_deg": 13.0, "depth_km": 7.5, "n_picks": 1, "n_p": 1, "n_s": 0, "n_stations": 1}
    pick = {"pick_id": "p1", "network": "OX", "station": "BAD", "location": "", "channel": "HH", "phase": "P"}
    pick |= {"time": time, "starttime": time, "endtime": time, "probability": 0.5, "amplitude_m_s": 0, "snr_db": 0}
    picks = conform(pd.DataFrame([pick]), PICKS)  # a table of before the column existed
    assert picks.time_uncertainty_s.isna().all()
    names = ASSIGNMENTS.schema.names
    assignments = conform(pd.DataFrame([("e1", "p1", 0.1, 10.0, 90.0)], columns=names), ASSIGNMENTS)
    path = tmp_path / "catalog.quakeml"
    write_quakeml(conform(pd.DataFrame([event]), EVENTS), assignments, picks, path)
    assert "<uncertainty>" not in path.read_text()
    assert read_reference(path, *EVER).picks.time_uncertainty_s.isna().all()


def test_quakeml_holds_uncertainties_quality_the_size_of_the_magnitude_and_amplitudes(tmp_path):
    time = pd.Timestamp("2026-01-15T12:00:00Z")
    columns = {"time_uncertainty_s": 0.125, "horizontal_uncertainty_km": 0.75, "depth_uncertainty_km": 1.5}
    columns |= {"quality": "B", "magnitude": 1.25, "magnitude_type": "ML", "magnitude_uncertainty": 0.1}
    event = dict.fromkeys(EVENTS.schema.names, 0) | {
        "event_id": "e1",
        "time": time,
        **columns,
        "n_magnitude_stations": 7,
    }
    events = conform(pd.DataFrame([event]), EVENTS)
    size = (
        ("e1", "OX", "BAD", "", "HH", 2.5, 20.0, 30.0, 1.5, "ok"),
        ("e1", "OX", "TRI", "", "HH", None, 1.0, 9.0, None, "low_snr"),
    )
    amplitudes = pd.DataFrame(size, columns=AMPLITUDES.schema.names)
    path = tmp_path / "catalog.quakeml"
    write_quakeml(
        events, conform(pd.DataFrame(), ASSIGNMENTS), conform(pd.DataFrame(), PICKS), path, amplitudes=amplitudes
    )
    row = read_reference(path, *EVER).events.iloc[0]
    assert {name: row[name] for name in columns} == columns
    assert row.n_magnitude_stations == 7
    [read] = obspy.read_events(str(path))
    [amplitude], [station_magnitude] = read.amplitudes, read.station_magnitudes
    assert (amplitude.generic_amplitude, amplitude.unit, amplitude.snr) == (0.0025, "m", 10.0)
    assert (station_magnitude.mag, station_magnitude.amplitude_id) == (1.5, amplitude.resource_id)


def test_events_whose_quakeml_identifiers_would_be_one_are_refused(tmp_path):
    time = pd.Timestamp("2026-01-15T12:00:00Z")
    rows = [
        dict.fromkeys(EVENTS.schema.names, 0)
        | {"event_id": name, "time": time, "magnitude_type": None, "quality": None}
        for name in ("a b", "a:b")
    ]
    nothing = conform(pd.DataFrame(), ASSIGNMENTS), conform(pd.DataFrame(), PICKS)
    with pytest.raises(ValueError, match="events a b and a:b get the same QuakeML identifier"):
        write_quakeml(conform(pd.DataFrame(rows), EVENTS), *nothing, tmp_path / "catalog.quakeml")


def test_picks_of_a_reference_without_locations_count_as_picks_of_no_event(tmp_path, caplog):
    card = "ABCDiP 1126011512 0 0226" + " " * 39 + "LD" + " " * 12 + "1 g"
    (tmp_path / "week.dat").write_text(card + "\n" + " " * 17 + "1\n")
    bulletin = read_reference(tmp_path / "week.dat", *EVER)
    assert (len(bulletin.events), list(bulletin.picks.event_id)) == (0, [""])
    assert "1 events without an origin are left out" in caplog.text
    region = {"min_latitude_deg": 35, "max_latitude_deg": 36, "min_longitude_deg": -118, "max_longitude_deg": -117}
    assert read_reference(tmp_path / "week.dat", *EVER, region).picks.empty


@pytest.fixture
def event_service():
    """A loopback event service: the status and body of its answer can be set; it remembers what it was asked."""

    class Service(BaseHTTPRequestHandler):
        status, body, requests = [200], FDSN_TEXT, []

        def do_GET(self):
            self.requests.append(urlsplit(self.path))
            self.send_response(self.status.pop(0) if len(self.status) > 1 else self.status[0])
            self.end_headers()
            self.wfile.write(self.body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Service
    server.shutdown()
    server.server_close()


def test_an_event_service_is_asked_for_time_and_region(event_service):
    url, service = event_service
    region = {"min_latitude_deg": 35, "max_latitude_deg": 36, "min_longitude_deg": -118, "max_longitude_deg": -117}
    assert list(read_reference(url, *EVER, region).events.event_id) == ["ci1"]
    query = parse_qs(service.requests[0].query)
    assert service.requests[0].path == "/fdsnws/event/1/query"
    assert (query["minlatitude"], query["starttime"]) == (["35"], ["2019-01-01T00:00:00.000000"])


def test_an_event_service_without_events_gives_an_empty_catalog(event_service):
    url, service = event_service
    service.status, service.body = [204], ""
    assert read_reference(url, *EVER).events.empty


def test_a_busy_event_service_is_asked_again_and_a_refusal_is_told(event_service):
    url, service = event_service
    service.status = [503, 200]
    assert len(read_reference(url, *EVER).events) == 2
    service.status, service.body = [400], "too many events"
    with pytest.raises(ValueError, match="answers 400: too many events"):
        read_reference(url, *EVER)


def test_an_event_service_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("pickflow.comparison.sources._RETRIES", 0)
    with pytest.raises(ValueError, match=r"event service http://127\.0\.0\.1:1/.* does not answer"):
        read_reference("http://127.0.0.1:1", *EVER)


def test_the_reviewed_catalog_of_ridgecrest_is_read(shared):
    window = parse_time("2019-07-04T16:50:10"), parse_time("2019-07-04T18:09:30")
    path = shared / "data" / "ridgecrest-2019" / "catalog_comcat_reviewed.csv"
    assert len(read_reference(path, *window).events) == 117
