"""Station corrections: they are found, they help events that they were not made of, and few residuals count little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.locate.corrections import correction_s, estimate_corrections
from tests.locate_fixture import NO_CORRECTIONS, errors_km, locate, locate_params, make_catalog, square_of_stations


def delays_of(stations, seed=3):
    generator = np.random.default_rng(seed)
    names = [(station, phase) for station in stations.station for phase in "PS"]
    return dict(zip(names, generator.normal(0, 0.3, len(names)), strict=True))


@pytest.fixture(scope="module")
def delayed():
    stations = square_of_stations()
    generator = np.random.default_rng(6)
    origins = np.column_stack([generator.uniform(-30, 30, (120, 2)), generator.uniform(4, 15, 120)])
    return make_catalog(origins, stations, error_s=0.05, delays=delays_of(stations))


def test_delays_of_stations_are_found(delayed):
    corrections = locate(delayed).corrections
    delays = delays_of(delayed.stations)
    true = np.array([delays[key] for key in zip(corrections.station, corrections.phase, strict=True)])
    true -= true[corrections.phase == "P"].mean()
    assert len(corrections) == 32
    assert np.corrcoef(true, corrections.correction_s)[0, 1] > 0.95
    assert np.abs(true - corrections.correction_s).mean() < 0.1


def test_corrections_bring_origins_nearer_to_the_truth(delayed):
    with_them, without = (
        errors_km(locate(delayed, **changes).events, delayed.truth) for changes in ({}, NO_CORRECTIONS)
    )
    assert with_them.horizontal.median() < 0.6 * without.horizontal.median()
    assert with_them.depth.abs().median() < 0.8 * without.depth.abs().median()


def test_corrections_help_events_that_they_were_not_made_of(delayed):
    even, odd = (delayed.only(delayed.events.event_id.iloc[start::2]) for start in (0, 1))
    corrections = locate(even).corrections
    late = pd.to_timedelta(correction_s(delayed.picks, corrections), unit="s")
    corrected = odd.__class__(
        odd.events, odd.assignments, odd.picks.assign(time=odd.picks.time - late), odd.stations, odd.truth
    )
    before, after = (locate(catalog, **NO_CORRECTIONS) for catalog in (odd, corrected))
    assert after.assignments.residual_s.abs().median() < 0.5 * before.assignments.residual_s.abs().median()
    assert (
        errors_km(after.events, odd.truth).horizontal.median() < errors_km(before.events, odd.truth).horizontal.median()
    )


def test_few_events_give_no_corrections(delayed):
    few = delayed.only(delayed.events.event_id.iloc[:29])
    located = locate(few)
    assert located.corrections.empty
    pd.testing.assert_frame_equal(located.events, locate(few, **NO_CORRECTIONS).events)
    assert len(locate(few, corrections={"min_events": 20}).corrections)


def picks_of(**counts):
    rows = [("SY", name[:-2], name[-1]) for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame(rows, columns=["network", "station", "phase"])


def test_a_correction_is_a_damped_median_and_p_has_none_on_average():
    picks = picks_of(A_P=20, B_P=20, A_S=20, C_P=4)
    residual = np.repeat([0.5, -0.1, 0.8, 9.0], [20, 20, 20, 4])
    residual[0] = 50.0
    corrections = estimate_corrections(picks, residual, np.ones(64), locate_params().corrections)
    share, mean = 20 / 25, 0.2 * 20 / 25
    assert list(zip(corrections.station, corrections.phase, strict=True)) == [("A", "P"), ("A", "S"), ("B", "P")]
    np.testing.assert_allclose(corrections.correction_s, np.array([0.5, 0.8, -0.1]) * share - mean, atol=1e-4)
    np.testing.assert_allclose(corrections.mad_s, 0, atol=1e-4)
    assert list(corrections.n_picks) == [20, 20, 20]


def test_residuals_without_weight_do_not_count():
    residual, weight = np.repeat([0.1, 5.0], 10), np.repeat([1.0, 1e-6], 10)
    corrections = estimate_corrections(picks_of(A_S=20), residual, weight, locate_params().corrections)
    assert corrections.correction_s.iloc[0] == pytest.approx(0.1 * 20 / 25, abs=1e-3)


def test_stations_without_a_correction_get_none():
    picks = picks_of(A_P=1, Z_S=1)
    corrections = estimate_corrections(picks_of(A_P=9), np.full(9, 0.1), np.ones(9), locate_params().corrections)
    np.testing.assert_array_equal(correction_s(picks, corrections), [0.0, 0.0])
    np.testing.assert_array_equal(correction_s(picks, corrections.assign(correction_s=0.3)), [0.3, 0.0])
