"""Instruments: poles and zeros, their StationXML responses, and the way from ground velocity to counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from obspy.core.inventory import Response
from obspy.core.inventory.response import (
    CoefficientsTypeResponseStage,
    InstrumentSensitivity,
    PolesZerosResponseStage,
)

DIGITIZER_COUNTS_PER_VOLT = 4.0e5  # typical of 24 bits over 40 V peak to peak
FULL_SCALE_COUNTS = 2**23 - 1  # 24 bits
_REFERENCE_HZ = 5.0  # in the flat part of all responses below


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """
    A seismometer with its digitizer.

    Parameters
    ----------
    description : str
        Description in StationXML.
    input_units : str
        ``M/S`` or ``M/S**2``.
    volts_per_unit : float
        Gain of the sensor at 5 Hz.
    poles, zeros : tuple of complex
        In rad/s.
    self_noise_db : tuple of float
        Acceleration power of its own noise at 1 Hz and above, dB of (m/s²)²/Hz, and its rise per decade below 1 Hz.
    """

    description: str
    input_units: str
    volts_per_unit: float
    poles: tuple[complex, ...]
    zeros: tuple[complex, ...]
    self_noise_db: tuple[float, float]

    @property
    def sensitivity(self) -> float:
        """Counts per input unit at 5 Hz."""
        return self.volts_per_unit * DIGITIZER_COUNTS_PER_VOLT

    @property
    def normalization(self) -> float:
        """Factor that makes the poles and zeros 1 at 5 Hz."""
        return 1 / abs(_polynomials(self, np.array([_REFERENCE_HZ]))[0])

    def velocity_response(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Counts per m/s of ground velocity at each frequency; shape of ``frequency_hz``."""
        response = _polynomials(self, frequency_hz) * self.normalization * self.sensitivity
        return response * (2j * np.pi * frequency_hz) if self.input_units == "M/S**2" else response

    def response(self, sampling_rate_hz: float) -> Response:
        """StationXML response: the analogue stage, the digitizer, and the whole sensitivity."""
        return Response(
            instrument_sensitivity=InstrumentSensitivity(self.sensitivity, _REFERENCE_HZ, self.input_units, "COUNTS"),
            response_stages=[
                PolesZerosResponseStage(
                    stage_sequence_number=1,
                    stage_gain=self.volts_per_unit,
                    stage_gain_frequency=_REFERENCE_HZ,
                    input_units=self.input_units,
                    output_units="V",
                    pz_transfer_function_type="LAPLACE (RADIANS/SECOND)",
                    normalization_frequency=_REFERENCE_HZ,
                    zeros=list(self.zeros),
                    poles=list(self.poles),
                    normalization_factor=self.normalization,
                ),
                CoefficientsTypeResponseStage(
                    stage_sequence_number=2,
                    stage_gain=DIGITIZER_COUNTS_PER_VOLT,
                    stage_gain_frequency=_REFERENCE_HZ,
                    input_units="V",
                    output_units="COUNTS",
                    cf_transfer_function_type="DIGITAL",
                    numerator=[1.0],
                    denominator=[],
                    decimation_input_sample_rate=sampling_rate_hz,
                    decimation_factor=1,
                    decimation_offset=0,
                    decimation_delay=0.0,
                    decimation_correction=0.0,
                ),
            ],
        )


def _polynomials(instrument: Instrument, frequency_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
    s = 2j * np.pi * np.asarray(frequency_hz, dtype=float)
    response = np.ones_like(s)
    for zero in instrument.zeros:
        response = response * (s - zero)
    for pole in instrument.poles:
        response = response / (s - pole)
    return response


def _seismometer(description: str, period_s: float, volts_per_unit: float, noise: tuple[float, float]) -> Instrument:
    """Velocity sensor with critical damping of 0.707."""
    omega = 2 * np.pi / period_s * np.sqrt(0.5)
    return Instrument(
        description=description,
        input_units="M/S",
        volts_per_unit=volts_per_unit,
        poles=(complex(-omega, omega), complex(-omega, -omega)),
        zeros=(0j, 0j),
        self_noise_db=noise,
    )


_ACCELEROMETER_POLE = 2 * np.pi * 150 * np.sqrt(0.5)  # chosen: 150 Hz, damping 0.71
INSTRUMENTS = {
    "HH": _seismometer("broadband seismometer, 120 s", 120.0, 1500.0, (-175.0, 10.0)),
    "EH": _seismometer("geophone, 1 Hz", 1.0, 400.0, (-155.0, 30.0)),
    "HN": Instrument(
        description="accelerometer, full scale 2 g",
        input_units="M/S**2",
        volts_per_unit=1.02,
        poles=(complex(-_ACCELEROMETER_POLE, _ACCELEROMETER_POLE), complex(-_ACCELEROMETER_POLE, -_ACCELEROMETER_POLE)),
        zeros=(),
        self_noise_db=(-130.0, 8.0),
    ),
}
