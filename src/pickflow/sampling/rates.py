"""Sampling rates: plausible ones, equality but for the error of a clock, and conversion."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

# Nominal and measured rates are the same within this: clocks are off by less, the nominal rates of digitizers differ
# by more. A window that is a thousandth longer or shorter than its own is the same to a picker.
RATE_TOLERANCE = 2e-3
# Chosen: from long-period channels to laboratories; other rates are damaged headers.
PLAUSIBLE_HZ = (0.5, 50_000.0)


def is_plausible(rate_hz: float) -> bool:
    """Whether a sampling rate can be true; NaN, zero and negative ones cannot."""
    return PLAUSIBLE_HZ[0] <= rate_hz <= PLAUSIBLE_HZ[1]


def rate_problem(name: str, rate_hz: float) -> str:
    """Message on a channel whose rate is not `is_plausible`."""
    lowest, highest = PLAUSIBLE_HZ
    return f"{name}: a sampling rate of {rate_hz:g} Hz is not possible (known are {lowest:g} to {highest:g} Hz)"


def same_rate(first_hz: float, second_hz: float, tolerance: float = RATE_TOLERANCE) -> bool:
    """Whether two sampling rates are the same but for the error of a clock."""
    return abs(first_hz - second_hz) <= tolerance * max(abs(first_hz), abs(second_hz))


@lru_cache(maxsize=1024)
def conversion(old_rate_hz: float, new_rate_hz: float) -> Fraction:
    """
    Simplest fraction that makes one sampling rate the same as another.

    Parameters
    ----------
    old_rate_hz, new_rate_hz : float
        Plausible rates.

    Returns
    -------
    Fraction
        New samples for each old one: 1 for 99.98 to 100 Hz, 2 for 50 or 49.99 to 100 Hz. The new samples have the rate
        ``old_rate_hz`` times the fraction exactly, which is the `same_rate` as ``new_rate_hz``.
    """
    exact = Fraction(new_rate_hz) / Fraction(old_rate_hz)
    margin = exact * Fraction(RATE_TOLERANCE) * Fraction(999, 1000)
    return _simplest_between(exact - margin, exact + margin)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Fraction of the smallest denominator in an interval of positive numbers, by continued fractions."""
    whole = -(-low.numerator // low.denominator)
    if whole <= high:
        return Fraction(whole)
    floor = whole - 1
    return floor + 1 / _simplest_between(1 / (high - floor), 1 / (low - floor))
