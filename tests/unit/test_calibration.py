"""Responses and sensitivities that contradict one another, or cannot be."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from obspy import UTCDateTime
from obspy.core.inventory import (
    CoefficientsTypeResponseStage,
    InstrumentSensitivity,
    PolesZerosResponseStage,
    Response,
)

from pickflow.calibration import Calibration
from pickflow.download.metadata import channel_epochs, contradictions, sensitivity_of
from pickflow.magnitude.responses import ResponseBook
from tests.waveform_fixture import END, START, channel_of, inventory_of

POLES = [-0.037 + 0.037j, -0.037 - 0.037j]  # a seismometer of 120 s
SENSOR, DIGITIZER = 1200.0, 1e6
TOTAL = SENSOR * DIGITIZER


def first_day(month):
    return UTCDateTime(START.replace(month=month, day=1))


def response(
    sensitivity=TOTAL, gain=SENSOR, factor=1.0, kind="LAPLACE (RADIANS/SECOND)", digitizer=DIGITIZER, output="COUNTS"
):
    sensor = PolesZerosResponseStage(
        1, gain, 1.0, "M/S", "V", kind, normalization_frequency=1.0, zeros=[0j, 0j], poles=POLES,
        normalization_factor=factor,
    )  # fmt: skip
    stages = [sensor]
    if digitizer is not None:
        decimation = {f"decimation_{name}": 0 for name in ("offset", "delay", "correction")}
        decimation |= {"decimation_input_sample_rate": 100.0, "decimation_factor": 1}
        stages.append(
            CoefficientsTypeResponseStage(
                2, digitizer, 1.0, "V", "COUNTS", "DIGITAL", numerator=[1.0], denominator=[], **decimation
            )
        )
    stated = None if sensitivity is None else InstrumentSensitivity(sensitivity, 1.0, "M/S", output)
    return Response(instrument_sensitivity=stated, response_stages=stages)


def spectrum(of):
    channel = channel_of("HHE")
    channel.response = of
    [epoch] = ResponseBook(inventory_of({"AAA": [channel]})).of_station("XA", "AAA")["", "HHE"]
    frequency = np.array([1.0])
    spectrum = epoch.spectrum(frequency)
    return None if spectrum is None else (abs(spectrum[0][0]) / (2 * np.pi), spectrum[1])


def test_a_sound_response_is_taken_and_agrees_with_its_sensitivity():
    assert Calibration(response()).faults == ()
    value, reason = spectrum(response())
    assert value == pytest.approx(TOTAL, rel=1e-3)
    assert reason == "ok"


@pytest.mark.parametrize(
    "wrong",
    [
        response(factor=1e15),
        response(factor=0.1),
        response(gain=SENSOR / 2),
        response(digitizer=1.0),
        response(kind="LAPLACE (HERTZ)", factor=(2 * np.pi) ** 2),
    ],
    ids=["normalization", "normalization missing", "gain", "digitizer of gain 1", "poles in Hz"],
)
def test_where_response_and_sensitivity_disagree_the_sensitivity_is_taken_and_told(wrong):
    value, reason = spectrum(wrong)
    assert value == pytest.approx(TOTAL)
    assert reason == "metadata_mismatch"
    assert "the sensitivity is taken" in Calibration(wrong).faults[0]


@pytest.mark.parametrize("wrong", [response(gain=0.0), response(digitizer=None)], ids=["zero gain", "ends in volts"])
def test_a_response_that_gives_nothing_leaves_the_sensitivity(wrong):
    assert spectrum(wrong) == (pytest.approx(TOTAL), "flat_response")
    assert "cannot be evaluated" in Calibration(wrong).faults[0]


def test_a_negative_sensitivity_is_polarity():
    calibration = Calibration(response(sensitivity=-TOTAL, gain=-SENSOR))
    assert calibration.sensitivity == TOTAL
    assert "polarity" in calibration.faults[0]
    assert spectrum(response(sensitivity=-TOTAL, gain=-SENSOR))[1] == "ok"


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1e300, 1e-30])
def test_a_sensitivity_that_cannot_be_leaves_that_of_the_response(value):
    calibration = Calibration(response(sensitivity=value))
    assert calibration.sensitivity == pytest.approx(TOTAL, rel=1e-3)
    assert "cannot be" in calibration.faults[0]
    assert math.isnan(Calibration(channel_of("HHE", sensitivity=value).response).sensitivity)


def test_a_sensitivity_in_volts_is_none_in_counts():
    calibration = Calibration(response(sensitivity=SENSOR, output="V"))
    assert calibration.sensitivity == pytest.approx(TOTAL, rel=1e-3)
    assert "not in counts" in calibration.faults[0]


def test_a_channel_without_response_is_silent():
    assert math.isnan(Calibration(None).sensitivity)
    assert Calibration(None).faults == ()


def remarks_of(*channels, names=("HHZ", "HHN", "HHE")):
    epochs = channel_epochs(inventory_of({"AAA": channels}), (START, END))
    [listed] = epochs.values()
    return [remark.detail for remark in contradictions(listed, "", dict.fromkeys(names, 100.0), (START, END))]


@pytest.mark.parametrize(("stated_hz", "n_remarks"), [(100.0, 0), (100.04, 0), (99.9, 1), (50.0, 1)])
def test_a_rate_that_is_not_the_one_of_the_inventory_is_told(stated_hz, n_remarks):
    assert len(remarks_of(channel_of("HHZ", rate=stated_hz), names=["HHZ"])) == n_remarks


def test_two_epochs_at_once_that_contradict_are_told_and_the_last_to_begin_counts():
    first = channel_of("HHZ", sensitivity=1e9, start=None)
    second = channel_of("HHZ", sensitivity=4e9, start=first_day(2))
    [remark] = remarks_of(first, second, names=["HHZ"])
    assert "two epochs at once" in remark
    [listed] = channel_epochs(inventory_of({"AAA": [first, second]}), (START, END)).values()
    assert sensitivity_of(listed, "", "HHZ", (START, END)) == 4e9


def test_the_sensitivity_of_the_longer_part_of_a_day_counts():
    change = UTCDateTime(START + timedelta(minutes=1))
    channels = [channel_of("HHZ", end=change), channel_of("HHZ", sensitivity=4e9, start=change)]
    [listed] = channel_epochs(inventory_of({"AAA": channels}), (START, END)).values()
    assert sensitivity_of(listed, "", "HHZ", (START, END)) == 4e9
    assert "changes within the day" in remarks_of(*channels, names=["HHZ"])[0]


def test_components_of_different_sensitivity_are_told():
    remarks = remarks_of(channel_of("HHZ", sensitivity=4e9), channel_of("HHN"), channel_of("HHE"))
    assert [remark for remark in remarks if "differ" in remark]


def test_azimuths_that_contradict_the_code_or_one_another_are_told():
    north = channel_of("HHN")
    north.azimuth = 90.0
    remarks = remarks_of(channel_of("HHZ"), north, channel_of("HHE"))
    assert any("azimuth of 90" in remark for remark in remarks)
    assert any("the same way" in remark for remark in remarks)


def test_an_inverted_epoch_of_a_channel_is_open_and_told():
    [remark] = remarks_of(channel_of("HHZ", start=first_day(2), end=first_day(1)), names=["HHZ"])
    assert "before it begins" in remark


def test_a_sound_sensor_has_no_remarks():
    assert remarks_of(*map(channel_of, ("HHZ", "HHN", "HHE"))) == []


@pytest.mark.parametrize(("units", "order"), [("m/s", 1), ("nm/s", 1), ("M/SEC2", 2), ("M/SEC/SEC", 2), ("m/s²", 2)])
def test_units_of_motion_are_read_in_all_their_spellings(units, order):
    calibration = Calibration(Response(instrument_sensitivity=InstrumentSensitivity(TOTAL, 1.0, units, "COUNTS")))
    assert (calibration.motion.order, calibration.faults) == (order, ())


@pytest.mark.parametrize(
    ("units", "words"), [("PA", "in PA"), ("furlongs/fortnight", "in furlongs"), (None, "not named")]
)
def test_units_that_are_not_read_as_motion_are_told(units, words):
    calibration = Calibration(Response(instrument_sensitivity=InstrumentSensitivity(TOTAL, 1.0, units, "COUNTS")))
    assert math.isnan(calibration.sensitivity)
    assert words in calibration.faults[0]
