"""From an archive whose clocks are off to picks and events: times are those of the records."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.associate import associate
from pickflow.download import download_day, requested_stations
from pickflow.io.tables import conform
from pickflow.io.waveforms import read_stream
from pickflow.pick import pick_stream
from pickflow.schemas import STATIONS
from pickflow.travel_times.layers import homogeneous
from pickflow.windows import ONE_DAY, parse_time
from tests.association_fixture import associate_params
from tests.property.test_annotate_invariants import picker, samples
from tests.waveform_fixture import download_params, inventory_of, write_sds

DAY = parse_time("2026-01-15")
MIDNIGHT = obspy.UTCDateTime(DAY)
NS = 10**9
STRONG = 0.5  # weaker ones come and go where a window lies a sample further
HALF_SPACE_KM_S = (6.0, 3.45)


pytestmark = pytest.mark.slow


def record(n_samples, places):
    """Quiet noise with six minutes of earthquakes at some places, three rows."""
    quiet = samples()[:, :1900]
    rows = np.stack([np.resize(row, n_samples) for row in quiet])
    for place in places:
        rows[:, place : place + samples().shape[1]] = samples()[:, : n_samples - place]
    return rows


def traces(rows, rate_hz, starttime, station="AAA"):
    header = {"network": "XA", "station": station, "sampling_rate": rate_hz, "starttime": starttime}
    return [obspy.Trace(row, {**header, "channel": f"HH{letter}"}) for letter, row in zip("ZNE", rows, strict=False)]


def picks_of_day(day, window, inventory, folder):
    """Picks of all stations of an archive, by the stages."""
    params = download_params(source="sds", path="sds", stations=["XA.*"])
    manifest = download_day(f"{day:%F}", window, requested_stations(inventory, params), inventory, params, folder)
    picks = []
    for row in manifest.itertuples():
        stream = read_stream(folder / f"XA.{row.station}.mseed")
        picks.append(pick_stream(stream, picker(), window, drop_artefacts=False).picks)
    return pd.concat(picks), manifest


def expected_picks(rows, rate_hz):
    """Phases and exact times of the samples of the strong picks in a record stamped with 100 Hz."""
    picks = picker().pick(obspy.Stream(traces(rows, 100.0, MIDNIGHT)))[0]
    strong = [pick for pick in picks if pick.probability > STRONG]
    return [(pick.phase, exact_ns((pick.time_ns - MIDNIGHT.ns) // 10**7, rate_hz)) for pick in strong]


def exact_ns(number, rate_hz):
    return MIDNIGHT.ns + Fraction(number) * NS / Fraction(rate_hz)


def errors_ns(picks, expected):
    """Distance of the nearest pick of the phase from each time that is expected."""
    times_ns = {phase: group.time.astype("int64").to_numpy() for phase, group in picks.groupby("phase")}
    return [float(min(abs(int(ours) - time_ns) for ours in times_ns[phase])) for phase, time_ns in expected]


def test_a_day_of_a_slow_clock_and_its_midnight(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rate_hz = 99.98
    n_day = int(86_400 * rate_hz) + 1
    rows = record(n_day + 40_000, [60_000, n_day // 2, n_day - 80_000, n_day - 17_000])[:1]
    parts = (rows[:, :n_day], 0), (rows[:, n_day:], n_day)
    for part, first in parts:
        write_sds(traces(part, rate_hz, obspy.UTCDateTime(ns=round(exact_ns(first, rate_hz)))), "sds")
    inventory = inventory_of(["AAA"])
    end = DAY + ONE_DAY
    first_day, _ = picks_of_day(DAY, (DAY, end), inventory, tmp_path / "first")
    second_day, _ = picks_of_day(end, (end, end + timedelta(minutes=6)), inventory, tmp_path / "second")
    expected = expected_picks(rows, rate_hz)
    assert len(expected) >= 20
    assert abs((pd.concat([first_day, second_day]).probability > STRONG).sum() - len(expected)) <= 1
    midnight_ns = pd.Timestamp(end).value
    assert max(errors_ns(first_day, [arrival for arrival in expected if arrival[1] < midnight_ns])) <= 5_000_000
    # From midnight on windows are counted anew, which moves a pick by a sample at most.
    assert max(errors_ns(second_day, [arrival for arrival in expected if arrival[1] >= midnight_ns])) <= 15_000_000


def test_a_clock_that_only_the_time_stamps_show(tmp_path, monkeypatch):
    """Records that state 100 Hz, each with the time stamp of a clock of 99.98 Hz."""
    monkeypatch.chdir(tmp_path)
    rate_hz, n_record = 99.98, 1000
    rows = record(40 * 60 * 100, [170_000])[:1]
    for first in range(0, rows.shape[1], n_record):
        start = obspy.UTCDateTime(ns=round(exact_ns(first, rate_hz)))
        write_sds(traces(rows[:, first : first + n_record], 100.0, start, f"P{first:06d}"), "parts")
    content = b""
    for path in sorted(Path("parts").rglob("*.D.*.015")):
        stream = obspy.read(str(path))
        stream[0].stats.station = "AAA"
        stream.write("part.mseed", format="MSEED")
        content += Path("part.mseed").read_bytes()
    target = Path("sds/2026/XA/AAA/HHZ.D/XA.AAA..HHZ.D.2026.015")
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    window = (DAY, DAY + timedelta(minutes=45))
    picks, manifest = picks_of_day(DAY, window, inventory_of(["AAA"]), tmp_path / "out")
    expected = expected_picks(rows, rate_hz)
    assert len(expected) >= 5
    assert max(errors_ns(picks, expected)) <= 5_000_000
    assert manifest.sampling_rate_hz[0] == pytest.approx(rate_hz, abs=1e-4)


@pytest.mark.nightly
def test_clocks_of_all_kinds_agree_on_an_event(tmp_path, monkeypatch):
    """Stations on a circle around an epicentre, all with the record of that distance at the same time."""
    monkeypatch.chdir(tmp_path)
    rates_hz = {"A": 99.98, "B": 100.04, "C": 99.999, "D": 100.0, "E": 99.95, "F": 100.00001}
    p_sample, s_sample, p_s = 13_198, 13_758, 1500  # of a record's six minutes; seconds since midnight
    for station, rate_hz in rates_hz.items():
        place = round(p_s * rate_hz) - p_sample
        write_sds(traces(record(place + 36_000, [place]), rate_hz, MIDNIGHT, station), "sds")
    inventory = inventory_of(list(rates_hz))
    window = (DAY, DAY + timedelta(minutes=30))
    picks, _ = picks_of_day(DAY, window, inventory, tmp_path / "out")
    arrivals_s = (picks.time - pd.Timestamp(DAY)).dt.total_seconds()
    first = picks[(picks.phase == "P") & ((arrivals_s - p_s).abs() < 0.1)]
    assert first.station.nunique() == len(rates_hz)
    assert np.ptp(first.time.astype("int64")) <= 21_000_000  # a sample, and the rounding of places to samples

    distance_km = (s_sample - p_sample) / 100 / (1 / HALF_SPACE_KM_S[1] - 1 / HALF_SPACE_KM_S[0])
    azimuths = np.radians(60.0 * np.arange(len(rates_hz)))
    reach_deg = np.sqrt(distance_km**2 - 8.0**2) / 111.195
    stations = pd.DataFrame({"network": "XA", "station": list(rates_hz), "elevation_m": 0.0})
    stations["latitude_deg"] = 46.0 + reach_deg * np.cos(azimuths)
    stations["longitude_deg"] = 13.0 + reach_deg * np.sin(azimuths) / np.cos(np.radians(46.0))
    model = homogeneous(*HALF_SPACE_KM_S)
    events, _ = associate(picks, conform(stations, STATIONS), model, associate_params(), "pyocto", window)
    origin = pd.Timestamp(DAY) + pd.Timedelta(seconds=p_s - distance_km / HALF_SPACE_KM_S[0])
    (event,) = events[(events.time - origin).abs() < pd.Timedelta(seconds=1)].itertuples()
    assert np.hypot(event.latitude_deg - 46.0, event.longitude_deg - 13.0) < 0.03
