from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import obspy
import pandas as pd
import pytest
import scipy.fft
import scipy.signal
from obspy import UTCDateTime

from pickflow.io.inventory import read_inventory
from pickflow.io.tables import read_table
from pickflow.run.settings.synthesize import FAULTS, Fault, SynthesizeParams
from pickflow.schemas import EVENTS, TRUTH_PICKS
from pickflow.synthesize import detectable_events, inventory, write_archive
from pickflow.synthesize.events import make_events
from pickflow.synthesize.faults import apply_fault
from pickflow.synthesize.instruments import INSTRUMENTS
from pickflow.synthesize.medium import velocity_model
from pickflow.synthesize.noise import coloured_noise, noise_power_db
from pickflow.synthesize.records import record_station
from pickflow.synthesize.source import corner_frequency_hz, moment_rate_spectrum_nm, radiation_pattern
from pickflow.synthesize.waves import Earthquake, attenuation, ground_motion
from pickflow.synthesize.waves import Path as RayPath
from pickflow.travel_times.layers import travel_time_s


@pytest.fixture(scope="module")
def section():
    """Five minutes around midnight, three stations, four earthquakes."""
    section = SynthesizeParams().model_dump()
    seismicity = section["seismicity"] | {"n_events": 4, "min_spacing_s": 50.0}
    window = {"starttime": "2026-01-15T23:57:30Z", "endtime": "2026-01-16T00:02:30Z", "padding_s": 60}
    return section | window | {"stations": section["stations"][6:9], "seismicity": seismicity, "min_stations": 2}


@pytest.fixture(scope="module")
def params(section):
    return SynthesizeParams(**section)


@pytest.fixture(scope="module")
def folder(params, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_archive(params, folder)
    return folder


def motion(params, magnitude=2.0, distance_km=30.0, kappa_s=0.03):
    path = RayPath(
        distance_km=distance_km,
        azimuth_deg=40.0,
        receiver_depth_km=0.0,
        kappa_s=kappa_s,
        amplification=1.0,
        delay_s={"P": 0.0, "S": 0.0},
    )
    earthquake = Earthquake(
        magnitude=magnitude, depth_km=9.0, strike_deg=70.0, dip_deg=35.0, rake_deg=90.0, stress_drop_mpa=3.0
    )
    return ground_motion(
        earthquake, path, params.layers, params.scattering, 12000, 100.0, 5.0, lambda name: np.random.default_rng(1)
    )


def test_nothing_precedes_the_first_arrival(params):
    wave = motion(params)
    record = scipy.fft.irfft(wave.spectrum, wave.n_samples)
    onset = int((5.0 + wave.onset_s["P"]) * 100)
    assert np.abs(record[:, : onset - 3]).max() < 2e-3 * np.abs(record).max()


def test_arrivals_come_when_the_travel_times_say(params):
    wave = motion(params, distance_km=140.0)
    for phase in ("P", "S"):
        assert wave.onset_s[phase] == pytest.approx(travel_time_s(velocity_model(params.layers), phase, 140.0, 9.0)[()])


def test_a_larger_earthquake_shakes_more_and_a_farther_one_less(params):
    peak = {
        key: np.abs(scipy.fft.irfft(motion(params, *key).spectrum)).max()
        for key in ((1.0, 30.0), (2.0, 30.0), (2.0, 90.0))
    }
    assert peak[2.0, 30.0] > 4 * peak[1.0, 30.0]
    assert peak[2.0, 30.0] > 3 * peak[2.0, 90.0]


def test_peak_velocity_is_of_the_order_that_is_observed(params):
    # A magnitude 2 at 30 km shakes with some micrometres per second.
    assert 3e-7 < np.abs(scipy.fft.irfft(motion(params).spectrum)).max() < 3e-5


def test_source_spectrum_has_the_moment_at_low_and_a_fall_of_two_at_high_frequency():
    moment, corner = 1e12, corner_frequency_hz("S", 1e12, 3.0, 3.4)
    spectrum = np.abs(moment_rate_spectrum_nm(np.array([0.0, corner, 100 * corner]), moment, corner))
    np.testing.assert_allclose(spectrum / moment, [1, 0.5, 1e-4], rtol=1e-3)


def test_attenuation_keeps_the_order_of_cause_and_effect():
    frequency = scipy.fft.rfftfreq(4096, 0.01)
    shifted = attenuation(frequency, 0.1) * np.exp(-2j * np.pi * frequency * 10.0)
    pulse = scipy.fft.irfft(shifted)
    assert np.abs(pulse[:995]).max() < 0.02 * np.abs(pulse).max()
    assert pulse.sum() == pytest.approx(1.0)


def test_p_has_lobes_and_nodes_of_a_double_couple():
    along, between = radiation_pattern(0, 90, 0, 90, 45), radiation_pattern(0, 90, 0, 90, 0)
    assert along[0] == pytest.approx(1.0, abs=0.02)
    assert abs(between[0]) < 0.15
    assert radiation_pattern(0, 90, 0, 90, 135)[0] == pytest.approx(-along[0])


def test_noise_has_the_power_that_was_asked_for():
    instrument = INSTRUMENTS["HH"]
    noise = coloured_noise(400_000, 100.0, 0.5, instrument, np.random.default_rng(0))
    frequency, power = scipy.signal.welch(noise, 100.0, nperseg=4096)
    band = (frequency > 1) & (frequency < 20)
    ground = (
        power[band] / np.abs(instrument.velocity_response(frequency[band])) ** 2 * (2 * np.pi * frequency[band]) ** 2
    )
    assert np.median(10 * np.log10(ground) - noise_power_db(frequency[band], 0.5)) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("band", sorted(INSTRUMENTS))
def test_stationxml_describes_the_response_that_was_applied(band):
    instrument = INSTRUMENTS[band]
    expected, frequency = instrument.response(100.0).get_evalresp_response(0.01, 2000, output="VEL")
    inside = (frequency > 0.05) & (frequency < 40)
    np.testing.assert_allclose(instrument.velocity_response(frequency[inside]), expected[inside], rtol=2e-3)


def test_the_archive_is_complete_and_readable(folder, params):
    events, picks = (
        read_table(folder / "truth_events.parquet", EVENTS),
        read_table(folder / "truth_picks.parquet", TRUTH_PICKS),
    )
    assert len(events) == 4
    assert len(picks) == 4 * 3 * 2
    assert len(obspy.read_events(str(folder / "truth.quakeml"))) == 4
    reference = detectable_events(events, picks, params.min_stations, params.min_snr_db)
    assert 0 < len(obspy.read_events(str(folder / "reference.quakeml"))) == len(reference)
    assert {station.code for station in read_inventory([folder / "stations.xml"])[0]} == {"GRAV", "LAGO", "MONT"}
    paths = sorted((folder / "sds").rglob("*.*.*.*.D.*.*"))
    assert len(paths) == 2 * (3 + 6 + 3)
    trace = obspy.read(str(folder / "sds/2026/SY/GRAV/EHZ.D/SY.GRAV..EHZ.D.2026.016"))[0]
    assert trace.stats.starttime == UTCDateTime(2026, 1, 16)
    assert trace.stats.mseed.encoding == "STEIM2"


def test_days_join_without_a_gap(folder):
    stream = obspy.read(str(folder / "sds/2026/SY/GRAV/EHZ.D/*"))
    stream.merge(method=-1)
    assert len(stream) == 1
    assert stream[0].stats.npts == (300 + 2 * 60) * 100


def test_the_same_parameters_give_the_same_bytes(folder, params, tmp_path):
    write_archive(params, tmp_path)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_a_new_station_changes_nothing_at_the_others(section, params):
    extended_params = SynthesizeParams(**(section | {"stations": SynthesizeParams().stations[5:9]}))
    events = make_events(params)
    site = params.stations[0]
    before, after = (
        record_station(site, events, section_params).stream for section_params in (params, extended_params)
    )
    np.testing.assert_array_equal(before[0].data, after[0].data)


def test_waves_rise_above_the_noise_at_the_times_of_the_truth(folder):
    picks = read_table(folder / "truth_picks.parquet", TRUTH_PICKS)
    best = picks[picks.phase == "P"].sort_values("snr_db").iloc[-1]
    stream = obspy.read(str(folder / f"sds/2026/SY/{best.station}/?HZ.D/*")) + obspy.read(
        str(folder / "sds/2026/SY/GRAV/EHZ.D/*")
    )
    trace = stream.select(station=best.station).merge()[0].filter("bandpass", freqmin=2, freqmax=20)
    time = UTCDateTime(best.time.to_pydatetime())
    before, after = trace.slice(time - 3, time - 0.1).data, trace.slice(time, time + 2).data
    assert np.abs(after).max() > 10 * np.abs(before).max()


def test_an_earthquake_is_detectable_at_enough_stations_only():
    events = pd.DataFrame({"event_id": ["a", "b"]})
    picks = pd.DataFrame(
        {
            "event_id": ["a", "a", "b", "b"],
            "phase": "P",
            "snr_db": [20.0, 20.0, 20.0, 20.0],
            "recorded": [True, True, True, False],
        }
    )
    assert detectable_events(events, picks, 2, 15.0).event_id.tolist() == ["a"]


def test_events_keep_their_distance_in_time(params):
    times = [event.time for event in make_events(params)]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert min(gaps) >= 50
    assert datetime(2026, 1, 15, 23, 59, 54, 200000, tzinfo=UTC) in times


def test_too_many_events_for_the_window_are_refused(section):
    crowded = SynthesizeParams(**(section | {"seismicity": section["seismicity"] | {"n_events": 40}}))
    with pytest.raises(ValueError, match="do not fit"):
        make_events(crowded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"endtime": "2026-01-15T00:00:00Z"}, "endtime must be later"),
        ({"faults": [{"fault": "gap", "station": "SY.NONE"}]}, "SY.NONE"),
        ({"faults": [{"fault": "gremlin", "station": "SY.GRAV"}]}, "faults.0.fault"),
    ],
)
def test_impossible_networks_are_refused(section, change, message):
    with pytest.raises(ValueError, match=message):
        assert SynthesizeParams(**(section | change)).window


START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


@pytest.fixture
def station():
    counts = np.random.default_rng(0).normal(0, 100, (3, 60_000)).astype(np.int32)
    counts[:, 40_000] = 5000
    header = {"network": "SY", "station": "A", "starttime": UTCDateTime(START), "sampling_rate": 100.0}
    return obspy.Stream(
        [obspy.Trace(data, header | {"channel": f"HH{name}"}) for name, data in zip("ZNE", counts, strict=True)]
    )


def spoil(stream, kind, **options):
    fault = Fault(**({"fault": kind, "station": "SY.A"} | options))
    return apply_fault(stream, fault, START, END)


def test_a_gap_takes_samples_away(station):
    gaps = spoil(station, "gap", duration_s=30.0).get_gaps()
    assert [round(gap[6], 2) for gap in gaps] == [30.0] * 3


def test_an_overlap_sends_the_same_samples_twice(station):
    spoilt = spoil(station, "overlap", duration_s=20.0)
    assert len(spoilt) == 6
    whole = spoilt.copy().merge(method=-1)
    assert len(whole) == 3
    np.testing.assert_array_equal(whole.select(channel="HHZ")[0].data, station[0].data)


def test_a_clock_jump_shifts_time_by_a_fraction_of_a_sample(station):
    first, second = spoil(station, "clock_jump").select(channel="HHZ")
    assert second.stats.starttime - first.stats.endtime == pytest.approx(0.01 + 3.373, abs=1e-6)
    np.testing.assert_array_equal(np.concatenate([first.data, second.data]), station[0].data)


def test_a_dead_channel_is_constant(station):
    assert all(np.ptp(trace.data) == 0 for trace in spoil(station, "dead_channel"))


def test_a_wrong_rate_halves_the_samples_under_the_same_code(station):
    spoilt = spoil(station, "wrong_rate")
    assert {(trace.id, trace.stats.sampling_rate, trace.stats.npts) for trace in spoilt} == {
        (trace.id, 50.0, 30_000) for trace in station
    }


def test_one_component_is_left(station):
    assert [trace.stats.channel for trace in spoil(station, "one_component")] == ["HHZ"]


def test_a_second_location_has_the_same_samples(station):
    spoilt = spoil(station, "duplicate_location")
    assert sorted({trace.stats.location for trace in spoilt}) == ["", "10"]
    np.testing.assert_array_equal(spoilt.select(location="10", channel="HHZ")[0].data, station[0].data)


def test_spikes_and_steps_stand_out_and_saturation_cuts_off(station):
    assert np.abs(spoil(station, "spike")[0].data).max() > 15_000
    stepped = spoil(station, "step")[0].data
    assert np.median(stepped[30_000:]) - np.median(stepped[:10_000]) > 5_000
    clipped = np.abs(spoil(station, "saturated", size=0.02)[0].data)
    assert clipped.max() == 100
    assert (clipped == 100).sum() > 1000


@pytest.mark.parametrize("kind", FAULTS)
def test_no_fault_touches_the_record_that_it_is_given(station, kind):
    before = [trace.data.copy() for trace in station]
    assert all(trace.data.dtype == np.int32 for trace in spoil(station, kind))
    for trace, data in zip(station, before, strict=True):
        np.testing.assert_array_equal(trace.data, data)


def test_stationxml_knows_the_second_location(section):
    twice = section | {"faults": [{"fault": "duplicate_location", "station": "SY.GRAV"}]}
    channels = inventory(SynthesizeParams(**twice)).select(station="GRAV")[0][0]
    assert sorted({channel.location_code for channel in channels}) == ["", "10"]
