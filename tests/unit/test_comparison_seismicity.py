"""Completeness, b-value and the ratio of velocities: known answers from made-up catalogs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.comparison.seismicity import frequency_magnitude, wadati


def magnitudes(random, b, n, least=1.0):
    return np.round(least - 0.05 + random.exponential(1 / (b * np.log(10)), n), 1)


@pytest.mark.parametrize("b", [0.7, 1.0, 1.4])
def test_the_b_value_of_a_complete_catalog_is_found_within_its_uncertainty(b):
    pulls = []
    for seed in range(30):
        law = frequency_magnitude(magnitudes(np.random.default_rng(seed), b, 3000))
        pulls.append((law.b - b) / law.b_uncertainty)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(30)
    assert 0.6 < np.std(pulls) < 1.5


def test_the_uncertainty_is_that_of_shi_and_bolt():
    law = frequency_magnitude(magnitudes(np.random.default_rng(1), 1.0, 5000))
    # For a long catalog it tends to b / sqrt(n).
    assert law.b_uncertainty == pytest.approx(law.b / np.sqrt(law.n_complete), rel=0.1)


def test_completeness_is_the_fullest_bin_and_two_more():
    random = np.random.default_rng(2)
    all_of_them = magnitudes(random, 1.0, 20000, least=0.0)
    detected_magnitudes = all_of_them[random.random(20000) < np.clip((all_of_them - 0.2) / 0.8, 0, 1)]
    law = frequency_magnitude(detected_magnitudes)
    fullest = law.magnitudes[np.argmax(law.n)]
    assert law.completeness == pytest.approx(fullest + 0.2)
    assert law.n_complete == (detected_magnitudes >= law.completeness - 0.01).sum()


def test_the_line_goes_through_the_number_of_complete_events():
    law = frequency_magnitude(magnitudes(np.random.default_rng(4), 1.0, 2000))
    assert 10 ** (law.a - law.b * law.completeness) == pytest.approx(law.n_complete)


def test_few_or_equal_magnitudes_have_no_b_value():
    assert np.isnan(frequency_magnitude(np.array([1.0, 1.2, 1.4])).b)
    assert frequency_magnitude(np.array([1.0])).n_complete == 0
    assert frequency_magnitude(np.array([np.nan])) is None
    assert frequency_magnitude(np.array([])) is None


def test_magnitudes_on_a_bins_edge_do_not_depend_on_rounding():
    steps = np.arange(-10, 40)
    assert frequency_magnitude(steps / 10).n.tolist() == [1] * 50
    assert frequency_magnitude(0.1 * steps).n.tolist() == [1] * 50


def arrivals(random, vp_vs, n_events, noise_s, wrong=0.0):
    rows = []
    for event in range(n_events):
        for station, p_s in enumerate(random.uniform(2, 15, 8)):
            late = random.uniform(-3, 3) if random.random() < wrong else 0.0
            seen_p, seen_s = p_s + random.normal(0, noise_s), vp_vs * p_s + random.normal(0, noise_s) + late
            rows.append((f"e{event:03d}", "SY", f"S{station}", seen_p + 0.7, seen_s - seen_p))
    return pd.DataFrame(rows, columns=["event_id", "network", "station", "p_s", "s_minus_p_s"])


def test_vp_vs_does_not_depend_on_the_origin_time_and_survives_wrong_picks():
    table, (ratio, uncertainty) = wadati(arrivals(np.random.default_rng(5), 1.73, 60, 0.05, wrong=0.15))
    assert ratio == pytest.approx(1.73, abs=0.005)
    assert abs(ratio - 1.73) < 5 * uncertainty
    assert table.vp_vs.median() == pytest.approx(1.73, abs=0.02)


def test_exact_times_give_the_exact_ratio():
    table, (ratio, uncertainty) = wadati(arrivals(np.random.default_rng(6), 1.8, 3, 0.0))
    assert ratio == pytest.approx(1.8, abs=1e-9)
    assert uncertainty < 1e-9
    assert np.allclose(table.vp_vs, 1.8)


def test_events_with_too_few_stations_have_no_ratio():
    all_arrivals = arrivals(np.random.default_rng(7), 1.73, 2, 0.0)
    few = all_arrivals.groupby("event_id").head(3)
    table, (ratio, _) = wadati(few)
    assert table.empty
    assert np.isnan(ratio)
    assert wadati(all_arrivals.head(0))[0].empty
