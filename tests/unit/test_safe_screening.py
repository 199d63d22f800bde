"""Screening and its certificate: each rule at its bound, and what a rule drops in error is counted."""

import numpy as np
import pytest

from pickflow.safe import (
    GroupDesign,
    check_certificate,
    group_penalty_max,
    lasso_penalty_max,
    solve_group_lasso,
    solve_lasso,
)
from pickflow.safe.screening import dual_scale, duality_gap, gap_rule, safe_rule
from tests.compress_fixture import gram_of, sparse_samples


@pytest.fixture
def rng():
    return np.random.default_rng(20240501)


@pytest.fixture
def sparse(rng):
    return sparse_samples(rng)


def test_rounding_in_the_gap_never_screens_a_feature_at_its_bound():
    """At the solution the gap is rounding, and a support feature may be a few units in the last place below λ."""
    strength, penalty = np.array([[1e-3 * (1 - 1e-14), 1e-4]]), np.full((1, 2), 1e-3)
    for gap in (0.0, -1e-16):
        screened = gap_rule(strength, np.ones(2), penalty, np.ones((1, 1)), np.array([[gap]]))
        np.testing.assert_array_equal(screened, [[False, True]])
    at_maximum = safe_rule(np.array([[1.0, 0.5]]), np.ones(2), np.full((1, 2), 1.0))
    np.testing.assert_array_equal(at_maximum, [[False, True]])


def test_each_rule_is_sharp_at_its_bound():
    """λ = 0.5 of λ_max = 1 and ‖z‖ = 1: SAFE drops below 0.5 − 0.5 ‖ψ‖, GAP below (0.5 − ‖ψ‖ √(2 gap)) / α."""
    length, penalty = np.array([1.0, 0.3, 0.3]), np.full((1, 3), 0.5)
    screened = safe_rule(np.array([[1.0, 0.35 - 1e-9, 0.35 + 1e-9]]), length, penalty)
    np.testing.assert_array_equal(screened, [[False, True, False]])
    strength = np.array([[0.6, 0.55 - 1e-9, 0.55 + 1e-9]])
    screened = gap_rule(strength, length, penalty, np.array([[0.8]]), np.array([[0.02]]))
    np.testing.assert_array_equal(screened, [[False, True, False]])


def test_a_start_is_corrected_where_screening_proves_it_wrong(sparse):
    """So near the solution that only screening can tell."""
    gram = gram_of(*sparse)
    designs = [GroupDesign(gram=gram, groups=np.arange(12))]
    rows = solve_lasso(gram, 30.0)
    again = solve_lasso(gram, 30.0, start=rows.coefficients + 1e-13)
    assert rows.screened["gap"].any()
    assert not again.coefficients[rows.screened["gap"]].any()
    np.testing.assert_allclose(again.coefficients, rows.coefficients, atol=1e-12)
    groups = solve_group_lasso(designs, 30.0)
    again = solve_group_lasso(designs, 30.0, start=[groups.coefficients[0] + 1e-13])
    assert groups.screened["gap"].any()
    np.testing.assert_array_equal(again.active, groups.active)


def test_screening_follows_the_formulas(sparse):
    gram = gram_of(*sparse)
    largest = lasso_penalty_max(gram)
    solution = solve_lasso(gram, 0.9 * largest)
    length, size = np.sqrt(np.diag(gram.gram)), np.sqrt(gram.square)
    bound = 0.9 * largest - np.outer(length, size) * 0.1
    expected = np.abs(gram.cross) < bound
    assert expected.any()
    np.testing.assert_array_equal(solution.screened["safe"], expected)


def test_the_gap_bounds_the_distance_from_the_minimum(rng):
    features, z = rng.normal(size=(40, 8)), rng.normal(size=40)
    gram = gram_of(features, z[:, None])
    penalty, s = 5.0, gram.square[0]

    def objective(w):
        return 0.5 * (s - 2 * gram.cross[:, 0] @ w + w @ gram.gram @ w) + penalty * np.abs(w).sum()

    minimum = objective(solve_lasso(gram, penalty).coefficients[:, 0])
    for _ in range(20):
        w = rng.normal(size=8) * rng.choice([0.01, 0.1, 1])
        q = gram.cross[:, 0] - gram.gram @ w
        alpha = dual_scale(np.abs(q)[None], np.full((1, 8), penalty))[0, 0]
        gap = duality_gap(s, gram.cross[:, 0] @ w, q @ w, penalty * np.abs(w).sum(), alpha)
        assert gap >= objective(w) - minimum - 1e-9
        assert gap > 0


def test_a_false_elimination_is_counted(sparse):
    gram = gram_of(*sparse)
    solution = solve_lasso(gram, 0.1 * lasso_penalty_max(gram))
    assert check_certificate(gram, solution).n_false_eliminations == 0
    solution.screened["gap"][0, :] = True
    assert check_certificate(gram, solution).n_false_eliminations == 2
    designs = [GroupDesign(gram=gram, groups=np.arange(12))]
    solution_of_groups = solve_group_lasso(designs, 0.1 * group_penalty_max(designs))
    assert check_certificate(designs, solution_of_groups).n_false_eliminations == 0
    solution_of_groups.screened["safe"][0] = True
    assert check_certificate(designs, solution_of_groups).n_false_eliminations == 1
