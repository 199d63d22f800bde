from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from pickflow.report.drawing import envelope
from pickflow.run.settings.report import GatherParams
from pickflow.viewer.choice import choose_events
from pickflow.viewer.gather import Choice
from pickflow.viewer.waveforms import gather_for_event

ORIGIN = pd.Timestamp("2024-03-09T12:00:00Z")
PARAMS = GatherParams(n_best=2, n_worst=1, n_stations=3, margin_s=3.0, context_s=5.0, highpass_hz=1.0)
EVENT = {"event_id": "e1", "time": ORIGIN, "latitude_deg": 46.0, "longitude_deg": 13.0, "depth_km": 8.0}
CHOICE = Choice(kind="best", event=EVENT, note="")
STATIONS = pd.DataFrame(
    {
        "network": "OX",
        "station": ["FAR", "NEAR", "MID", "LOST"],
        "latitude_deg": [46.4, 46.1, 46.2, np.nan],
        "longitude_deg": [13.0, 13.0, 13.0, np.nan],
        "elevation_m": 0.0,
    }
)


def _picks(*rows: tuple[str, str, str, float, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["pick_id", "station", "phase", "after_s", "channel"])
    frame["time"] = ORIGIN + pd.to_timedelta(frame["after_s"], unit="s")
    return frame.assign(network="OX")


PICKS = _picks(
    ("p1", "NEAR", "P", 2.0, "HH"), ("p2", "NEAR", "S", 3.6, "HH"), ("p3", "MID", "P", 4.1, "HH"),
    ("p4", "MID", "P", -0.5, "HH"), ("p5", "NEAR", "P", 900.0, "HH"),
)  # fmt: skip
ASSIGNMENTS = pd.DataFrame(
    {"event_id": ["e1", "e1", "e1", "other"], "pick_id": ["p1", "p2", "p3", "p4"], "residual_s": [0.1, -0.2, 0.0, 0.0]}
)


def _recording(station: str, start: UTCDateTime, length_s: float, band: str = "HH", rate_hz: float = 50.0) -> Stream:
    random = np.random.default_rng(len(station))
    header = {"network": "OX", "station": station, "starttime": start, "sampling_rate": rate_hz}
    samples = random.integers(-1000, 1000, (3, int(length_s * rate_hz))).astype(np.int32)
    return Stream([Trace(row, header | {"channel": f"{band}{code}"}) for row, code in zip(samples, "ENZ", strict=True)])


def _read(network: str, station: str, date: str) -> Stream:
    return _recording(station, UTCDateTime(f"{date}T11:58:00"), 300.0)


def _gather(read=_read, annotate=None, travel_time_s=None, choice=CHOICE, params=PARAMS, picks=PICKS, manual=None):
    return gather_for_event(choice, STATIONS, picks, ASSIGNMENTS, manual, read, annotate, travel_time_s, params)


def test_stations_come_nearest_first_and_those_without_coordinates_are_passed_over():
    assert [station.station for station in _gather().stations] == ["NEAR", "MID", "FAR"]


def test_no_more_stations_than_asked_for_are_shown():
    assert [station.station for station in _gather(params=PARAMS.changed(n_stations=2)).stations] == ["NEAR", "MID"]


@pytest.mark.parametrize("nothing", [None, Stream()])
def test_a_station_without_waveforms_makes_room_for_the_next(nothing):
    gather = _gather(lambda *code: nothing if code[1] == "NEAR" else _read(*code), params=PARAMS.changed(n_stations=2))
    assert [station.station for station in gather.stations] == ["MID", "FAR"]


def test_a_gather_without_any_waveforms_has_no_stations():
    assert _gather(lambda *_: None).stations == ()


def test_every_component_is_there_with_the_vertical_first():
    station = _gather().stations[0]
    assert (station.channel, station.components) == ("HH", "ZEN")
    assert station.waveform.shape == (3, len(station.time_s))
    assert np.isfinite(station.waveform).all()


def test_picks_in_the_window_are_shown_and_only_those_of_the_event_are_assigned():
    near, middle, far = _gather().stations
    assert near.picks == (("P", 2.0, True), ("S", 3.6, True))
    assert middle.picks == (("P", 4.1, True), ("P", -0.5, False))
    assert far.picks == ()


def test_predictions_come_from_residuals_and_elsewhere_from_the_travel_time():
    near, _, far = _gather(travel_time_s=lambda phase, distance_km, depth_km: 7.0 if phase == "P" else 12.0).stations
    assert near.predicted_s == pytest.approx({"P": 1.9, "S": 3.8})
    assert far.predicted_s == {"P": 7.0, "S": 12.0}
    assert _gather().stations[-1].predicted_s == {}


def test_the_window_reaches_beyond_the_s_wave_of_the_farthest_station():
    gather = _gather(travel_time_s=lambda phase, distance_km, depth_km: distance_km / (6.0 if phase == "P" else 3.5))
    assert gather.start_s == -PARAMS.margin_s
    assert gather.end_s == pytest.approx(gather.stations[-1].distance_km / 3.5 + 2 * PARAMS.margin_s)


def test_samples_lie_at_their_own_time():
    def spike(network: str, station: str, date: str) -> Stream:
        samples = np.zeros(15000)
        samples[6500] = 1.0  # 130 s after 11:58:00, so 10 s after the origin
        stream = _recording(station, UTCDateTime(f"{date}T11:58:00"), 300.0)
        for trace in stream:
            trace.data = samples.copy()
        return stream

    station = _gather(spike, params=PARAMS.changed(margin_s=10.0)).stations[0]
    assert station.time_s[np.argmax(np.abs(station.waveform[0]))] == pytest.approx(10.0, abs=0.01)


def test_a_gap_is_nan_and_the_rest_is_shown():
    def with_gap(*code: str) -> Stream:
        stream, hole = _read(*code), UTCDateTime(ORIGIN.isoformat())
        return stream.slice(endtime=hole + 1) + stream.slice(starttime=hole + 2)

    station = _gather(with_gap).stations[0]
    hole = (station.time_s > 1.05) & (station.time_s < 1.95)
    assert np.isnan(station.waveform[:, hole]).all()
    assert np.isfinite(station.waveform[:, station.time_s > 2.1]).all()


def test_pieces_of_a_wandering_clock_are_one_record():
    def wandering(network: str, station: str, date: str) -> Stream:
        first = _recording(station, UTCDateTime(f"{date}T11:58:00"), 120.0)
        second = _recording(station, first[0].stats.endtime + 0.02, 180.0, rate_hz=49.995)
        return first + second

    station = _gather(wandering).stations[0]
    assert np.isfinite(station.waveform[:, np.abs(station.time_s) < 10]).mean() > 0.999


def test_a_station_that_only_recorded_at_another_time_counts_as_missing():
    assert _gather(lambda *code: _recording(code[1], UTCDateTime(f"{code[2]}T01:00:00"), 60.0)).stations == ()


def test_an_event_before_midnight_is_read_from_both_days():
    event = EVENT | {"time": pd.Timestamp("2024-03-09T23:59:57Z")}

    def read(network: str, station: str, date: str) -> Stream:
        midnight = UTCDateTime("2024-03-10")
        return _recording(station, midnight - 100 if date == "2024-03-09" else midnight, 100.0)

    station = _gather(read, choice=replace(CHOICE, event=event)).stations[0]
    assert np.isfinite(station.waveform).all()
    assert station.time_s[-1] > 3.0


def test_the_instrument_that_was_picked_on_is_shown():
    def two_instruments(*code: str) -> Stream:
        start = UTCDateTime(f"{code[2]}T11:58:00")
        return _recording(code[1], start, 300.0, "HN", 100.0) + _recording(code[1], start, 300.0, "HH")

    near, _, far = _gather(two_instruments).stations
    assert (near.channel, far.channel) == ("HH", "HN")


def test_picks_of_the_reference_are_shown_at_their_station_with_or_without_network():
    rows = [("NEAR", "P", 2.1, ""), ("NEAR", "S", 3.5, "OX"), ("MID", "P", 4.0, "XX"), ("NEAR", "P", 900.0, "")]
    manual = pd.DataFrame(rows, columns=["station", "phase", "time_s", "network"])
    manual["time"] = ORIGIN + pd.to_timedelta(manual["time_s"], unit="s")
    near, middle = _gather(manual=manual).stations[:2]
    assert near.manual == (("P", pytest.approx(2.1)), ("S", pytest.approx(3.5)))
    assert middle.manual == ()


def test_probabilities_of_p_and_s_are_told_apart_by_their_channel():
    def annotate(stream: Stream) -> Stream:
        header = {"starttime": UTCDateTime(ORIGIN.isoformat()), "sampling_rate": 100.0}
        levels = {"PhaseNet_N": 0.1, "PhaseNet_P": 0.7, "PhaseNet_S": 0.2}
        return Stream([Trace(np.full(200, level), header | {"channel": name}) for name, level in levels.items()])

    station = _gather(annotate=annotate).stations[0]
    inside = (station.probability_time_s > 0.01) & (station.probability_time_s < 1.98)
    np.testing.assert_allclose(station.probability[:, inside], [[0.7] * inside.sum(), [0.2] * inside.sum()], rtol=1e-6)
    assert np.isnan(station.probability[:, ~inside & (station.probability_time_s > 2.1)]).all()


def _events(**columns: list) -> pd.DataFrame:
    n_events = len(columns["event_id"])
    fixed = {
        "time": [ORIGIN + pd.Timedelta(minutes=index) for index in range(n_events)],
        "magnitude": [np.nan] * n_events,
    }
    return pd.DataFrame(fixed | columns)


CATALOG = _events(event_id=["a", "b", "c", "d"], n_picks=[10, 12, 12, 9], rms_residual_s=[0.1, 0.3, 0.2, 0.1])
REFERENCE = _events(event_id=["r1", "r2", "r3", "r4"], magnitude=[1.0, 2.0, 0.5, 1.7])
MATCHES = pd.DataFrame(
    {
        "reference_id": ["r1", "r2", "r3", "r4", None, None],
        "event_id": ["a", "b", None, None, "c", "d"],
        "time_error_s": [0.1, -1.4, np.nan, np.nan, np.nan, np.nan],
        "epicentral_error_km": [1.0, 1.1, np.nan, np.nan, np.nan, np.nan],
    }
)


def test_the_best_event_has_the_most_picks_and_then_the_smallest_residual():
    choices = choose_events(CATALOG, MATCHES, None, {}, PARAMS)
    assert [(choice.kind, choice.event["event_id"]) for choice in choices] == [("best", "c"), ("best", "b")]


def test_the_worst_of_each_kind_follow():
    choices = choose_events(CATALOG, MATCHES, REFERENCE, {}, PARAMS)[PARAMS.n_best :]
    assert [(choice.kind, choice.event["event_id"]) for choice in choices] == [
        ("largest_error", "b"), ("missed", "r4"), ("unmatched", "c"),
    ]  # fmt: skip


def test_an_event_that_is_not_judged_is_never_shown_as_unmatched():
    judged = MATCHES[~MATCHES["event_id"].isin(["c", "d"])]
    choices = choose_events(CATALOG, judged, REFERENCE, {}, PARAMS)
    assert "unmatched" not in {choice.kind for choice in choices}


def test_what_is_known_about_an_event_is_said_beside_it():
    notes = {choice.kind: choice.note for choice in choose_events(CATALOG, MATCHES, REFERENCE, {"r4": "why"}, PARAMS)}
    assert notes["missed"] == "in the reference, not in this catalog; why"
    assert notes["unmatched"] == "12 picks, and no counterpart in the reference"


def test_an_empty_catalog_still_shows_what_was_missed():
    nothing = MATCHES.dropna(subset=["reference_id"]).assign(
        event_id=None, time_error_s=np.nan, epicentral_error_km=np.nan
    )
    choices = choose_events(CATALOG.head(0), nothing, REFERENCE, {}, PARAMS)
    assert [(choice.kind, choice.event["event_id"]) for choice in choices] == [("missed", "r2")]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 50))
def test_thinning_a_curve_keeps_its_extremes(values, n_columns):
    values = np.array(values)
    step = max(1, len(values) // n_columns)
    covered = values if step <= 2 else values[: len(values) // step * step]
    _, thinned = envelope(np.arange(len(values), dtype=float), values, n_columns)
    assert (thinned.min(), thinned.max()) == (covered.min(), covered.max())
    assert len(thinned) <= 4 * n_columns + 4
