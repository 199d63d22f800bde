import numpy as np
import pytest

from pickflow.magnitude.laws import LAWS, law_of
from pickflow.run.settings.magnitude import CustomLaw
from tests.magnitude_fixture import magnitude_params

KM = np.geomspace(10, 150, 50)


@pytest.mark.parametrize("name", LAWS)
def test_one_millimetre_at_100_km_is_magnitude_3(name):
    assert LAWS[name].magnitude(1.0, 100.0) == pytest.approx(3.0, abs=0.003)


@pytest.mark.parametrize("name", LAWS)
def test_the_same_amplitude_farther_away_is_a_larger_event(name):
    assert np.all(np.diff(LAWS[name].magnitude(1.0, KM)) > 0)


@pytest.mark.parametrize("name", LAWS)
def test_ten_times_the_amplitude_is_one_magnitude(name):
    law = LAWS[name]
    assert law.magnitude(10.0, KM) - law.magnitude(1.0, KM) == pytest.approx(np.ones(KM.size))


def test_hutton_and_boore_is_the_iaspei_standard():
    # IASPEI 2013: ML = log10(A) + 1.11 log10(R) + 0.00189 R - 2.09 with A in nm on a seismometer of gain 1.
    standard = np.log10(1e6 / 2080) + 1.11 * np.log10(KM) + 0.00189 * KM - 2.09
    assert LAWS["california"].magnitude(1.0, KM) == pytest.approx(standard, abs=0.002)


def test_absorption_makes_near_events_smaller_in_italy_than_in_california():
    assert LAWS["italy"].magnitude(1.0, 20.0) < LAWS["california"].magnitude(1.0, 20.0) - 0.3


def test_the_curve_of_ne_italy_is_nearly_that_of_california():
    assert LAWS["ne-italy"].magnitude(1.0, KM) == pytest.approx(LAWS["california"].magnitude(1.0, KM), abs=0.02)


def test_outside_its_distances_a_law_says_nothing():
    assert np.isnan(LAWS["ne-italy"].magnitude(1.0, [2.9, 151.0])).all()
    assert np.isfinite(LAWS["ne-italy"].magnitude(1.0, [3.0, 150.0])).all()
    assert np.isnan(LAWS["california"].magnitude(1.0, np.nan))


def test_a_law_of_ones_own():
    custom = CustomLaw(a=2.0, b=0.0, c=2.5, gain=2800.0, damping=0.8, min_distance_km=1.0, max_distance_km=50.0)
    law = law_of(magnitude_params(law="custom", custom=vars(custom)))
    assert law.magnitude(1.0, 10.0) == pytest.approx(0.5)
    assert np.isnan(law.magnitude(1.0, 100.0))
    assert (law.gain, law.damping) == (2800.0, 0.8)


def test_a_custom_law_without_numbers_is_refused():
    with pytest.raises(ValueError, match=r"custom: law is custom: give the numbers of yours"):
        law_of(magnitude_params(law="custom"))


def test_an_unknown_law_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'california', 'italy', 'ne-italy' or 'custom'"):
        law_of(magnitude_params(law="tuscany"))
