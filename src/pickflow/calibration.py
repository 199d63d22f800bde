"""Counts per unit of ground motion, from the metadata of a channel, and contradictions in these."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from obspy.core.inventory import Response

# Chosen: response and sensitivity contradict one another beyond this factor at the reference frequency.
TOLERATED_FACTOR = 1.5
# Chosen: from data in m/s to the most sensitive sensors and digitizers; values outside are errors.
SENSITIVITIES = (1e-3, 1e20)
# Chosen, where the inventory has no frequency, or 0, as for accelerometers.
REFERENCE_HZ = 1.0
# Chosen: filters of the digitizer cut above this share of the sampling rate.
PASSED_SHARE = 0.4

_METRES = {"M": 1.0, "CM": 1e-2, "MM": 1e-3, "UM": 1e-6, "NM": 1e-9}  # units of StationXML
# Time derivatives of displacement.
_ORDERS = (("",), ("S", "SEC"), ("S**2", "S^2", "(S**2)", "SEC**2", "SEC2", "SEC/SEC", "S/S", "S2", "S²"))
_DERIVATIVES = {unit: order for order, spellings in enumerate(_ORDERS) for unit in spellings}
_OUTPUT = ("DISP", "VEL", "ACC")
# Output of the last stage where the digitizer is missing.
_VOLTS = ("V", "MV", "UV", "VOLT", "VOLTS")

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


class Motion(NamedTuple):
    """Metres of the unit of length of the input, and the order of its time derivative: 0, 1 or 2."""

    metres: float
    order: int


@dataclass(frozen=True)
class Calibration:
    """
    A response of ObsPy, with checks.

    Where response and sensitivity disagree the sensitivity is used, and the response taken as flat: it is a single
    number, which operators check more often than the dozens of a response.

    Parameters
    ----------
    response : Response or None
        None: the inventory has none.
    sampling_rate_hz : float or None
        Of the channel.
    """

    response: Response | None
    sampling_rate_hz: float | None = None

    @property
    def _input_units(self) -> str:
        if self.response is None:
            return ""
        stages = [self.response.instrument_sensitivity, *self.response.response_stages[:1]]
        return next((stage.input_units for stage in stages if stage is not None and stage.input_units), "")

    @cached_property
    def motion(self) -> Motion | None:
        """
        Quantity of the input; None if it is no motion of the ground.

        evalresp takes unknown units as displacement, without a warning.
        """
        length, _, period = self._input_units.upper().replace(" ", "").partition("/")
        return Motion(_METRES[length], _DERIVATIVES[period]) if length in _METRES and period in _DERIVATIVES else None

    @cached_property
    def stated(self) -> float:
        """Sensitivity that is stated, counts per SI unit, with its sign; NaN without a possible one."""
        sensitivity = self.response.instrument_sensitivity if self.response is not None else None
        if sensitivity is None or sensitivity.value is None or self.motion is None:
            return math.nan
        value = float(sensitivity.value) / self.motion.metres
        is_valid = SENSITIVITIES[0] <= abs(value) <= SENSITIVITIES[1] and not _is_voltage(sensitivity.output_units)
        return value if is_valid else math.nan

    @cached_property
    def reference_hz(self) -> float:
        """Frequency at which sensitivity and response are compared."""
        sensitivity = self.response.instrument_sensitivity if self.response is not None else None
        stated_hz = float(getattr(sensitivity, "frequency", None) or 0.0)
        frequency_hz = stated_hz if math.isfinite(stated_hz) and stated_hz > 0 else REFERENCE_HZ
        highest_hz = PASSED_SHARE * self.sampling_rate_hz if self.sampling_rate_hz else frequency_hz
        return min(frequency_hz, highest_hz)

    @cached_property
    def from_stages(self) -> float:
        """Sensitivity of the stages at the reference frequency, counts per SI unit; NaN if they give none."""
        if self.motion is None:
            return math.nan
        spectrum = self.evaluate(np.array([self.reference_hz]), _OUTPUT[self.motion.order])
        return math.nan if spectrum is None else float(abs(spectrum[0]))

    def evaluate(self, frequency_hz: Array, output: str) -> Spectrum | None:
        """Response of the stages; None where they give none, or one with zeros or infinities in it."""
        if self.response is None or not self.response.response_stages:
            return None
        if _is_voltage(self.response.response_stages[-1].output_units):
            return None
        response = self.response
        if math.isnan(self.stated) and response.instrument_sensitivity is not None:
            # evalresp requires a sensitivity but does not use it.
            response = copy.copy(response)
            response.instrument_sensitivity = copy.copy(response.instrument_sensitivity)
            response.instrument_sensitivity.value = 1.0
        try:
            spectrum = response.get_evalresp_response_for_frequencies(
                frequency_hz, output=output, hide_sensitivity_mismatch_warning=True
            )
        except Exception:  # ObsPy and evalresp raise exceptions of many kinds
            return None
        return spectrum if np.all(np.isfinite(spectrum)) and np.all(spectrum != 0) else None

    @cached_property
    def is_contradictory(self) -> bool:
        """Whether response and stated sensitivity are both there and differ."""
        if math.isnan(self.stated) or math.isnan(self.from_stages):
            return False
        factor = self.from_stages / abs(self.stated)
        return not 1 / TOLERATED_FACTOR <= factor <= TOLERATED_FACTOR

    @property
    def sensitivity(self) -> float:
        """Counts per m, m/s or m/s², positive: the stated one, else that of the response; NaN: unknown."""
        return self.from_stages if math.isnan(self.stated) else abs(self.stated)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """Contradictions and impossible values, as sentences."""
        sensitivity = self.response.instrument_sensitivity if self.response is not None else None
        if self.response is None or sensitivity is None:
            return ()
        if self.motion is None:
            return (f"what it measures, in {self._input_units or 'units that are not named'}, is not read as motion",)
        faults = []
        if _is_voltage(sensitivity.output_units):
            faults.append(f"its sensitivity is in {sensitivity.output_units}, not in counts")
        elif math.isnan(self.stated):
            faults.append(f"its sensitivity is {sensitivity.value}, which cannot be")
        elif self.stated < 0:
            faults.append(f"its sensitivity is negative ({self.stated:g}): the sign is taken as polarity")
        stages = self.response.response_stages
        if self.is_contradictory:
            faults.append(
                f"its response gives {self.from_stages:.3g} counts per unit at {self.reference_hz:g} Hz, its"
                f" sensitivity {abs(self.stated):.3g}: the sensitivity is taken"
            )
        elif stages and math.isnan(self.from_stages):
            faults.append("its response cannot be evaluated, or ends in volts")
        return tuple(faults)


def _is_voltage(units: str | None) -> bool:
    return (units or "").strip().upper() in _VOLTS
