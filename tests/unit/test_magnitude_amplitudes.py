"""Amplitudes of a station whose ground motion is known."""

import numpy as np
import obspy
import pytest

from pickflow.magnitude.laws import LAWS
from pickflow.magnitude.measuring import StationRecord
from pickflow.magnitude.responses import ResponseBook
from pickflow.magnitude.wood_anderson import seismometer
from pickflow.quality.clipping import is_clipped_window
from pickflow.synthesize.instruments import INSTRUMENTS
from tests.magnitude_fixture import (
    RATE_HZ,
    SENSITIVITY,
    START,
    derivative,
    displacement_m,
    flat_response,
    inventory_of,
    magnitude_params,
    manifest_row,
    recorded_by,
    stream_of,
    wood_anderson_mm,
)

ONSET_S, END_S = 60.0, 80.0
QUIET = np.random.default_rng(1).normal(0, 20, int(120 * RATE_HZ))


def measured(components, responses, law="california", row=None, **changes):
    """Measurement of the window from `ONSET_S` to `END_S`."""
    book = ResponseBook(inventory_of(responses))
    params = magnitude_params(**changes)
    stream = components if isinstance(components, obspy.Stream) else stream_of(components)
    record = StationRecord(stream, row or manifest_row(), book.of_station("XX", "AAA"), LAWS[law], params)
    return record.measure(START.value + int(ONSET_S * 1e9), START.value + int(END_S * 1e9))


def velocity_counts(frequency_hz=3.0, peak_m=2e-5):
    return SENSITIVITY * derivative(displacement_m(ONSET_S, frequency_hz, peak_m), 1)


def two(counts, east=None, band="HH"):
    return {f"{band}N": counts, f"{band}E": counts if east is None else east}


def flat(band="HH", units="M/S"):
    return {f"{band}{letter}": flat_response(units=units) for letter in "ZNE"}


def test_the_seismometer_magnifies_fast_motion_by_its_gain_and_resonates_by_its_damping():
    high, natural = np.abs(seismometer(np.array([1e3, 1.25]), 2080.0, 0.7))
    assert high == pytest.approx(2080, rel=1e-3)
    assert natural == pytest.approx(2080 / 1.4, rel=1e-6)


@pytest.mark.parametrize("frequency_hz", [1.0, 3.0, 10.0, 20.0])
@pytest.mark.parametrize("law", ["california", "italy"])
def test_the_amplitude_is_that_of_the_seismometers_equation_of_motion(frequency_hz, law):
    displacement = displacement_m(ONSET_S, frequency_hz, 2e-5)
    counts = SENSITIVITY * derivative(displacement, 1)
    amplitude = measured(two(counts + QUIET, counts - QUIET), flat(), law=law)
    expected = wood_anderson_mm(displacement, LAWS[law].gain, LAWS[law].damping)
    # 2 % is 0.009 in magnitude; at 1 Hz the high-pass filter at 0.5 Hz takes its share.
    assert amplitude.amplitude_mm == pytest.approx(expected, rel=0.06 if frequency_hz == 1.0 else 0.02)
    assert amplitude.reason == "flat_response"


@pytest.mark.parametrize("band", INSTRUMENTS)
def test_every_instrument_gives_the_same_amplitude(band):
    displacement = displacement_m(ONSET_S, 2.0, 2e-5)
    counts = recorded_by(band, displacement)
    response = INSTRUMENTS[band].response(RATE_HZ)
    amplitude = measured(two(counts, band=band), {f"{band}N": response, f"{band}E": response})
    assert amplitude.amplitude_mm == pytest.approx(wood_anderson_mm(displacement), rel=0.02)
    assert amplitude.reason == "ok"


def test_an_accelerometer_of_which_only_the_sensitivity_is_known():
    displacement = displacement_m(ONSET_S, 3.0, 2e-5)
    counts = 1e7 * derivative(displacement, 2)
    responses = {f"HN{letter}": flat_response(1e7, "M/S**2") for letter in "NE"}
    amplitude = measured(two(counts, band="HN"), responses)
    assert amplitude.amplitude_mm == pytest.approx(wood_anderson_mm(displacement), rel=0.02)


def test_millimetres_per_second_are_not_metres():
    counts = velocity_counts()
    metres = measured(two(counts), flat())
    small = measured(two(counts), {f"HH{x}": flat_response(SENSITIVITY / 1e3, "mm/s") for x in "NE"})
    assert small.amplitude_mm == pytest.approx(metres.amplitude_mm, rel=1e-5)


def test_the_components_are_averaged_as_magnitudes():
    counts = velocity_counts()
    amplitude_of_equal, amplitude_of_unequal = (
        measured(two(counts), flat()),
        measured(two(counts, 100 * counts), flat()),
    )
    assert amplitude_of_unequal.amplitude_mm == pytest.approx(10 * amplitude_of_equal.amplitude_mm, rel=1e-5)


def test_amplitude_scales_with_the_ground_and_does_not_depend_on_an_offset():
    counts = velocity_counts()
    amplitude, double_amplitude = measured(two(counts), flat()), measured(two(2 * counts + 5e4), flat())
    assert double_amplitude.amplitude_mm == pytest.approx(2 * amplitude.amplitude_mm, rel=1e-4)


def test_the_simulation_puts_nothing_before_the_onset():
    amplitude = measured(two(velocity_counts()), flat())
    assert amplitude.snr_db > 60


def test_microseism_is_filtered_out():
    swell = 5e-7 * np.sin(2 * np.pi * 0.2 * np.arange(QUIET.size) / RATE_HZ)
    noise = SENSITIVITY * derivative(swell, 1)
    clean, noisy = (
        measured(two(velocity_counts(peak_m=1e-7)), flat()),
        measured(two(velocity_counts(peak_m=1e-7) + noise), flat()),
    )
    assert noisy.amplitude_mm == pytest.approx(clean.amplitude_mm, rel=0.05)


def test_a_signal_as_weak_as_the_noise_is_not_measured():
    noise = 1e3 * np.random.default_rng(3).normal(size=QUIET.size)
    amplitude = measured(two(noise), flat())
    assert amplitude.reason == "low_snr"
    assert amplitude.snr_db < 6
    assert np.isnan(amplitude.amplitude_mm)


def test_one_noisy_component_is_enough_to_distrust_the_station():
    noise = 1e7 * np.random.default_rng(3).normal(size=QUIET.size)
    assert measured(two(velocity_counts(), velocity_counts() + noise), flat()).reason == "low_snr"


def test_a_clipped_record_is_not_measured():
    counts = velocity_counts()
    rail = 0.6 * np.abs(counts).max()
    assert measured(two(np.clip(counts, -rail, rail).astype(np.int32)), flat()).reason == "clipped"
    assert measured(two(counts.astype(np.int32)), flat()).reason == "flat_response"


def test_a_window_near_the_level_of_a_clipped_day_is_clipped():
    counts = velocity_counts()
    row = manifest_row(remarks="saturated")
    assert measured(two(counts), flat(), row=row).reason == "clipped"
    larger = counts.copy()
    larger[:100] += 3 * np.abs(counts).max()
    assert measured(two(larger), flat(), row=row).reason == "flat_response"


@pytest.mark.parametrize("missing_s", [(70, 71), (45, 46), (79.5, 80.5)])
def test_a_gap_between_noise_and_end_is_named(missing_s):
    first, last = (int(moment * RATE_HZ) for moment in missing_s)
    stream = stream_of(two(velocity_counts()))
    whole = stream.select(channel="HHE")[0]
    parts = obspy.Stream([stream.select(channel="HHN")[0]])
    for begin, end in ((0, first), (last, whole.stats.npts)):
        piece = whole.copy()
        piece.data = whole.data[begin:end]
        piece.stats.starttime += begin / RATE_HZ
        parts.append(piece)
    # With 10 s of noise a gap before it does no harm: there is less noise to compare with.
    expected = "flat_response" if missing_s == (45, 46) else "gap"
    assert measured(parts, flat()).reason == expected


def test_a_record_that_begins_at_the_onset_is_a_gap():
    stream = stream_of(two(velocity_counts()))
    stream.trim(starttime=obspy.UTCDateTime(START) + ONSET_S - 1)
    assert measured(stream, flat()).reason == "gap"


@pytest.mark.parametrize(
    ("channels", "dips", "reason"),
    [
        (("HHZ",), {}, "one_component"),
        (("HHZ", "HHN"), {}, "one_component"),
        (("EHZ", "EH1", "EH2"), {}, "flat_response"),
        (("EH1", "EH2", "EH3"), {}, "flat_response"),
        (("EHU", "EHV", "EHW"), {"EHU": -35.3, "EHV": -35.3, "EHW": -35.3}, "one_component"),
        (("EHU", "EHV", "EHW"), {}, "one_component"),
        (("EH1", "EH2", "EH3"), {"EH1": 90.0, "EH2": 0.0, "EH3": 0.0}, "flat_response"),
    ],
)
def test_horizontal_components_are_found(channels, dips, reason):
    counts = velocity_counts()
    inventory = inventory_of({code: flat_response() for code in channels})
    for channel in inventory[0][0]:
        channel.dip = dips.get(channel.code, channel.dip if channel.code[-1] == "Z" else None)
    # The vertical of 123 shakes most: it must not be taken for a horizontal.
    tall = {code: counts * (50 if dips.get(code) == 90.0 else 1) for code in channels}
    record = StationRecord(
        stream_of(tall),
        manifest_row(),
        ResponseBook(inventory).of_station("XX", "AAA"),
        LAWS["california"],
        magnitude_params(),
    )
    amplitude = record.measure(START.value + int(ONSET_S * 1e9), START.value + int(END_S * 1e9))
    expected = wood_anderson_mm(displacement_m(ONSET_S, 3.0, 2e-5))
    assert amplitude.reason == reason
    if reason == "flat_response":
        assert amplitude.amplitude_mm == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("response", [None, flat_response(0.0), flat_response(units="PA"), flat_response(units=None)])
def test_without_a_usable_response_there_is_no_amplitude(response):
    assert measured(two(velocity_counts()), {"HHN": response, "HHE": response}).reason == "no_response"


def test_an_epoch_that_has_ended_is_no_response():
    inventory = inventory_of(flat())
    for channel in inventory[0][0]:
        channel.end_date = obspy.UTCDateTime("2025-01-01")
    record = StationRecord(
        stream_of(two(velocity_counts())),
        manifest_row(),
        ResponseBook(inventory).of_station("XX", "AAA"),
        LAWS["california"],
        magnitude_params(),
    )
    assert record.measure(START.value + int(6e10), START.value + int(8e10)).reason == "no_response"


@pytest.mark.parametrize("units", ["NONSENSE", "PA", "V"])
def test_a_response_to_anything_but_motion_is_none(units):
    pressure = INSTRUMENTS["HH"].response(RATE_HZ)
    pressure.instrument_sensitivity.input_units = pressure.response_stages[0].input_units = units
    assert measured(two(velocity_counts()), {"HHN": pressure, "HHE": pressure}).reason == "no_response"


def test_a_response_that_cannot_be_evaluated_falls_back_to_the_sensitivity(monkeypatch):
    broken = INSTRUMENTS["HH"].response(RATE_HZ)

    def fail(*args, **kwargs):
        raise RuntimeError("evalresp says no")

    monkeypatch.setattr(broken, "get_evalresp_response_for_frequencies", fail)
    amplitude = measured(two(velocity_counts()), {"HHN": broken, "HHE": broken})
    assert amplitude.reason == "flat_response"
    assert np.isfinite(amplitude.amplitude_mm)


def test_coarse_counts_are_not_taken_for_clipping():
    wave = np.round(40 * np.sin(2 * np.pi * 0.5 * np.arange(2000) / RATE_HZ)).astype(np.int32)
    assert not is_clipped_window(wave, None)
    assert not is_clipped_window(np.zeros(0, np.int32), None)
    assert not is_clipped_window(np.zeros(100, np.int32), None)


def test_smooth_crests_are_not_taken_for_clipping():
    wave = np.round(30_000 * np.sin(2 * np.pi * 0.3 * np.arange(2000) / RATE_HZ)).astype(np.int32)
    assert not is_clipped_window(wave, None)
    assert is_clipped_window(np.clip(5 * wave, -30_000, 30_000), None)


@pytest.mark.parametrize(("peak_counts", "clipped"), [(7.8e6, False), (8.2e6, True), (1.0e7, True), (3.0e7, False)])
def test_a_record_at_the_rails_of_24_bits_is_clipped_without_flat_tops(peak_counts, clipped):
    wave = np.round(peak_counts * np.sin(2 * np.pi * 1.7 * np.arange(2000) / RATE_HZ)).astype(np.int32)
    assert is_clipped_window(wave, None) == clipped
    assert not is_clipped_window(wave.astype(float), None)
