"""A day: which windows, and a row with a reason for every event and station with an arrival."""

import numpy as np
import pandas as pd
import pytest

from pickflow.io.waveforms import write_stream
from pickflow.magnitude import Catalog, amplitudes_of_day
from pickflow.magnitude.windows import arrival_windows
from pickflow.schemas import AMPLITUDE_REASONS
from pickflow.travel_times.layers import homogeneous, travel_time_s
from tests.magnitude_fixture import (
    DAY,
    SENSITIVITY,
    START,
    arrivals_of,
    derivative,
    displacement_m,
    events_of,
    flat_response,
    inventory_of,
    magnitude_params,
    manifest_row,
    stations_of,
    stream_of,
    wood_anderson_mm,
)
from tests.waveform_fixture import with_digests

MODEL = homogeneous(6.1, 3.5)
# At the station, 30 km from the epicentre and 10 km above the hypocentre.
P_S, S_S = (float(travel_time_s(MODEL, phase, 30.014, 10.0)) for phase in "PS")
SECOND = pd.Timedelta(seconds=1)


def windows_of(events, arrivals, stations=None, day=DAY, **changes):
    picks, assignments = arrivals_of(*arrivals)
    stations = stations_of("AAA") if stations is None else stations
    return arrival_windows(events, assignments, picks, stations, MODEL, day, magnitude_params(**changes))


def seconds(value_ns, since=START):
    return (value_ns - since.value) / 1e9


def test_the_window_ends_after_the_s_wave_by_s_minus_p():
    time = START + 60 * SECOND
    arrivals = [("a", "AAA", "P", time + 5 * SECOND), ("a", "AAA", "S", time + 13 * SECOND)]
    row = windows_of(events_of(a=time), arrivals).iloc[0]
    assert seconds(row.p_ns, time) == pytest.approx(5, abs=1e-6)
    assert seconds(row.end_ns, time) == pytest.approx(13 + 8, abs=1e-6)
    assert row.hypocentral_distance_km == pytest.approx(np.hypot(30.0, 10), abs=0.1)


@pytest.mark.parametrize(("s_minus_p", "after"), [(2, 5), (8, 8), (90, 60)])
def test_the_length_after_s_is_bounded(s_minus_p, after):
    arrivals = [("a", "AAA", "P", START), ("a", "AAA", "S", START + s_minus_p * SECOND)]
    row = windows_of(events_of(a=START - 5 * SECOND), arrivals).iloc[0]
    assert seconds(row.end_ns) == pytest.approx(s_minus_p + after, abs=1e-6)


@pytest.mark.parametrize("phase", ["P", "S"])
def test_an_arrival_that_was_not_picked_is_predicted(phase):
    picked = START + (P_S if phase == "P" else S_S) * SECOND
    row = windows_of(events_of(a=START), [("a", "AAA", phase, picked)]).iloc[0]
    assert seconds(row.p_ns) == pytest.approx(P_S, abs=0.02)
    assert seconds(row.s_ns) == pytest.approx(S_S, abs=0.02)


@pytest.mark.parametrize(("later_s", "reason"), [(1, "overlapping"), (6, "overlapping"), (7, "cut"), (13, "ok")])
def test_the_next_event_ends_the_window(later_s, reason):
    events = events_of(a=START, b=START + later_s * SECOND)
    rows = windows_of(events, [("a", "AAA", "P", START + P_S * SECOND)], window_factor=2.0, min_window_s=5)
    assert list(rows.event_id) == ["a"]
    assert rows.reason[0] == reason
    planned = S_S + 2 * (S_S - P_S)
    assert seconds(rows.end_ns[0]) == pytest.approx(min(planned, later_s + P_S - 0.5), abs=0.02)


def test_a_station_without_coordinates_keeps_its_row():
    stations = stations_of("AAA", "BBB")
    stations.loc[stations.station == "BBB", ["latitude_deg", "longitude_deg", "elevation_m"]] = np.nan
    arrivals = [("a", station, "P", START + P_S * SECOND) for station in ("AAA", "BBB")]
    rows = windows_of(events_of(a=START), arrivals, stations).set_index("station")
    assert rows.reason.to_dict() == {"AAA": "ok", "BBB": "no_coordinates"}


def test_every_event_belongs_to_the_day_of_its_origin():
    midnight = pd.Timestamp("2026-01-16T00:00:00Z")
    events = events_of(before=midnight - SECOND / 1000, after=midnight)
    arrivals = [(name, "AAA", "P", midnight + P_S * SECOND) for name in ("before", "after")]
    first, second = (windows_of(events, arrivals, day=day) for day in (DAY, "2026-01-16"))
    assert (list(first.event_id), list(second.event_id)) == (["before"], ["after"])
    # The window of the first is cut by the second, although that belongs to another day.
    assert first.reason[0] == second.reason[0] == "overlapping"


@pytest.mark.parametrize(("earlier_s", "reason"), [(1, "overlapping"), (5, "overlapping"), (8, "ok")])
def test_the_s_waves_of_an_earlier_event_must_have_passed(earlier_s, reason):
    events = events_of(a=START, b=START - earlier_s * SECOND)
    rows = windows_of(events, [("a", "AAA", "P", START + P_S * SECOND)])
    # Both events are as far away: S of the earlier one comes S-P after its P.
    assert (earlier_s < S_S - P_S + 2) == (reason == "overlapping")
    assert rows.reason[0] == reason


def test_a_large_event_long_ago_is_not_hidden_by_a_small_one_in_between():
    near, far = START + 60 * SECOND, START + 30 * SECOND
    events = events_of(a=near, small=near - 20 * SECOND, big=far)
    arrivals = [
        ("a", "AAA", "P", near + P_S * SECOND),
        ("big", "AAA", "P", far),
        ("big", "AAA", "S", near + (P_S + 3) * SECOND),
    ]
    rows = windows_of(events, arrivals).set_index("event_id")
    assert rows.reason["a"] == "overlapping"


def test_a_day_without_events_has_no_windows():
    assert windows_of(events_of(a=START), [("a", "AAA", "P", START)], day="2026-01-20").empty


# A day with all that can happen.
STATIONS = {
    "GOOD": "flat_response",
    "BLIND": "no_response",
    "NOISY": "low_snr",
    "RAIL": "clipped",
    "HOLE": "gap",
    "ONEZ": "one_component",
    "DEAD": "no_waveform",
    "GONE": "no_waveform",
    "NOWH": "no_coordinates",
}
ORIGIN_S = 50.0
ORIGIN = START + ORIGIN_S * SECOND


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Folder, manifest, inventory and catalog of a day on which each station has another fate."""
    folder = tmp_path_factory.mktemp("waveforms")
    displacement = displacement_m(ORIGIN_S + S_S, 3.0, 2e-5)
    counts = SENSITIVITY * derivative(displacement, 1)
    noise = 1e5 * np.random.default_rng(0).normal(size=counts.size)
    inventory = inventory_of({}, "GOOD")
    for name in STATIONS:
        responses = {f"HH{letter}": None if name == "BLIND" else flat_response() for letter in "ZNE"}
        inventory += inventory_of(responses, name)
        shape = np.clip(counts, -0.5 * counts.max(), 0.5 * counts.max()) if name == "RAIL" else counts
        shape = shape + (10 * noise if name == "NOISY" else 0)
        letters = "Z" if name == "ONEZ" else "ZNE"
        stream = stream_of({f"HH{letter}": shape.astype(np.int32) for letter in letters}, name)
        if name == "HOLE":
            stream.trim(endtime=stream[0].stats.starttime + ORIGIN_S + S_S + 1)
        if name not in ("DEAD", "GONE"):
            write_stream(stream, folder / f"XX.{name}.mseed")
    rows = [manifest_row(name, usable=name != "DEAD") for name in STATIONS if name != "GONE"]
    manifest = with_digests(pd.DataFrame(rows), folder)
    stations = stations_of(*STATIONS)
    stations.loc[stations.station == "NOWH", ["latitude_deg", "longitude_deg"]] = np.nan
    picks, assignments = arrivals_of(*(("a", name, "P", ORIGIN + P_S * SECOND) for name in STATIONS))
    catalog = Catalog(events=events_of(a=ORIGIN), assignments=assignments, picks=picks, stations=stations, model=MODEL)
    return {"catalog": catalog, "waveforms": folder, "manifest": manifest, "inventory": inventory, "day": DAY}


def test_every_station_with_an_arrival_has_a_row_and_a_reason(day):
    table = amplitudes_of_day(**day, params=magnitude_params()).set_index("station")
    assert table.reason.to_dict() == STATIONS
    assert set(table.reason) <= set(AMPLITUDE_REASONS)
    sized = table.magnitude.notna()
    assert (sized == table.reason.map(lambda reason: AMPLITUDE_REASONS[reason].usable)).all()


def test_the_magnitude_is_that_of_the_law(day):
    row = amplitudes_of_day(**day, params=magnitude_params()).set_index("station").loc["GOOD"]
    expected = wood_anderson_mm(displacement_m(ORIGIN_S + S_S, 3.0, 2e-5))
    distance = row.hypocentral_distance_km
    assert row.amplitude_mm == pytest.approx(expected, rel=0.02)
    assert row.magnitude == pytest.approx(
        np.log10(row.amplitude_mm) + 1.11 * np.log10(distance / 100) + 0.00189 * (distance - 100) + 3, abs=1e-3
    )


def test_beyond_the_laws_distances_the_amplitude_stays(day):
    custom = {"a": 1.0, "b": 0.0, "c": 3.0, "gain": 2080.0, "damping": 0.7, "min_distance_km": 0.0}
    params = magnitude_params(law="custom", custom=custom | {"max_distance_km": 20.0})
    row = amplitudes_of_day(**day, params=params).set_index("station").loc["GOOD"]
    assert row.reason == "distance"
    assert np.isnan(row.magnitude)
    assert row.amplitude_mm > 0


def test_the_order_of_rows_and_workers_does_not_matter(day):
    def backwards(function, items):
        return list(map(function, list(items)[::-1]))

    catalog = day["catalog"]
    shuffled = Catalog(
        events=catalog.events,
        assignments=catalog.assignments.sample(frac=1, random_state=0),
        picks=catalog.picks.sample(frac=1, random_state=0),
        stations=catalog.stations[::-1],
        model=MODEL,
    )
    expected = amplitudes_of_day(**day, params=magnitude_params())
    again = amplitudes_of_day(**(day | {"catalog": shuffled}), params=magnitude_params(), station_map=backwards)
    pd.testing.assert_frame_equal(again, expected)


def test_a_day_without_events_is_an_empty_table(day):
    assert amplitudes_of_day(**(day | {"day": "2026-01-20"}), params=magnitude_params()).empty


def test_an_unknown_law_is_refused_before_any_waveform_is_read(day):
    with pytest.raises(ValueError, match="law\n  Input should be 'california', 'italy'"):
        amplitudes_of_day(**day, params=magnitude_params(law="tuscany"))
