"""Lasso and group lasso from Gram matrices: solutions, paths, limits, and arguments that are refused."""

import numpy as np
import pytest

from pickflow.safe import (
    GroupDesign,
    check_certificate,
    debias,
    group_path,
    group_penalty_max,
    intercept,
    lasso_path,
    lasso_penalty_max,
    relative_residual,
    solve_group_lasso,
    solve_lasso,
    solve_lasso_limited,
)
from tests.compress_fixture import gram_of, sparse_samples


@pytest.fixture
def rng():
    return np.random.default_rng(20240501)


@pytest.fixture
def sparse(rng):
    return sparse_samples(rng)


def test_the_support_of_a_sparse_model_is_found_and_debiased(sparse):
    gram = gram_of(*sparse)
    solution = solve_lasso(gram, 0.05 * lasso_penalty_max(gram))
    assert solution.converged
    support = solution.coefficients != 0
    np.testing.assert_array_equal(support[:3], True)
    coefficients = debias(gram, support)
    np.testing.assert_allclose(coefficients[:3], [[2, -1], [1, 1], [-3, 0.5]], atol=0.03)
    np.testing.assert_array_equal(coefficients[~support], 0)
    np.testing.assert_allclose(intercept(gram, coefficients), 7, atol=0.2)


def test_debiasing_is_least_squares_with_a_free_intercept(sparse):
    features, targets = sparse
    gram, support = gram_of(features, targets), np.arange(12) < 4
    coefficients = debias(gram, support, ridge=0.0)
    design = np.column_stack([features[:, :4], np.ones(200)])
    expected = np.linalg.lstsq(design, targets, rcond=None)[0]
    np.testing.assert_allclose(coefficients[:4], expected[:4], rtol=1e-9)
    np.testing.assert_allclose(intercept(gram, coefficients), expected[4], rtol=1e-9)
    residuals = targets - features @ coefficients - intercept(gram, coefficients)
    assert relative_residual(gram, coefficients) == pytest.approx(
        residuals.var(axis=0).sum() / targets.var(axis=0).sum()
    )


def test_debiasing_the_same_support_for_each_target_is_debiasing_for_all(sparse):
    gram, support = gram_of(*sparse), np.arange(12) % 2 == 0
    np.testing.assert_allclose(debias(gram, support), debias(gram, np.column_stack([support, support])), rtol=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 1e-8])
def test_debiasing_survives_dead_and_collinear_features(rng, ridge):
    features = rng.normal(size=(40, 4))
    features[:, 3], features[:, 2] = 5.0, features[:, 0]
    targets = features[:, :1] * 2
    gram = gram_of(features, targets)
    coefficients = debias(gram, np.ones(4, dtype=bool), ridge)
    assert relative_residual(gram, coefficients) < 1e-12
    np.testing.assert_array_equal(coefficients[3], 0)


def test_nothing_is_left_of_targets_that_do_not_vary(sparse):
    gram = gram_of(sparse[0], np.full((200, 2), 4.0))
    assert relative_residual(gram, np.zeros((12, 2))) == 0
    assert relative_residual([gram, gram_of(*sparse)], [np.zeros((12, 2))] * 2) == 1


def test_from_the_largest_penalty_on_all_is_zero_and_below_it_is_not(sparse):
    gram = gram_of(*sparse)
    at, below = lasso_path(gram, [1.0, 0.99])
    assert not at.coefficients.any()
    assert below.coefficients.any(axis=0).all()
    designs = [GroupDesign(gram=gram, groups=np.arange(12) // 3)]
    assert not solve_group_lasso(designs, group_penalty_max(designs)).active.any()
    assert solve_group_lasso(designs, 0.99 * group_penalty_max(designs)).active.sum() == 1


def test_a_path_is_what_each_penalty_gives_alone(sparse):
    gram, ratios = gram_of(*sparse), [0.5, 0.1, 0.01]
    designs = [GroupDesign(gram=gram, groups=np.arange(12) // 3)]
    for ratio, lasso, group in zip(ratios, lasso_path(gram, ratios), group_path(designs, ratios), strict=True):
        alone = solve_lasso(gram, ratio * lasso_penalty_max(gram))
        np.testing.assert_allclose(lasso.coefficients, alone.coefficients, atol=1e-12)
        alone_group = solve_group_lasso(designs, ratio * group_penalty_max(designs))
        np.testing.assert_allclose(group.coefficients[0], alone_group.coefficients[0], atol=1e-11)


def test_a_penalty_may_differ_by_target_and_by_feature(sparse):
    gram = gram_of(*sparse)
    by_target = solve_lasso(gram, [10.0, 30.0])
    for target, penalty in enumerate([10.0, 30.0]):
        alone = solve_lasso(gram.select(np.arange(12), [target]), penalty)
        np.testing.assert_allclose(by_target.coefficients[:, target], alone.coefficients[:, 0], atol=1e-13)
    heavy = np.full((12, 2), 10.0)
    heavy[0] = 1e6
    coefficients = solve_lasso(gram, heavy).coefficients
    np.testing.assert_array_equal(coefficients[0], 0)
    assert coefficients[1].all()


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.nan, np.inf, [1.0, 0.0]])
def test_penalties_that_are_not_positive_are_refused(sparse, penalty):
    with pytest.raises(ValueError, match=r"penalty of target \d, feature 0 is .*expected a positive number"):
        solve_lasso(gram_of(*sparse), penalty)


def test_other_bad_arguments_are_refused_by_name(sparse):
    gram = gram_of(*sparse)
    designs = [GroupDesign(gram=gram, groups=np.arange(12))]
    with pytest.raises(ValueError, match=r"penalty has shape \(3,\)"):
        solve_lasso(gram, np.ones(3))
    with pytest.raises(ValueError, match=r"start has shape \(2, 12\)"):
        solve_lasso(gram, 1.0, start=np.zeros((2, 12)))
    with pytest.raises(ValueError, match="screening rule 'strong' is unknown; use safe, gap"):
        solve_lasso(gram, 1.0, screen=["strong"])
    with pytest.raises(ValueError, match="ratio 2 of the largest penalty"):
        lasso_path(gram, [2.0])
    with pytest.raises(ValueError, match="limited has shape"):
        solve_lasso_limited(gram, 1.0, np.ones(2, dtype=bool), 0.5)
    with pytest.raises(ValueError, match="limit of the sum of coefficients is 0"):
        solve_lasso_limited(gram, 1.0, np.ones(12, dtype=bool), 0.0)
    with pytest.raises(ValueError, match="no design"):
        solve_group_lasso([], 1.0)
    with pytest.raises(ValueError, match="the penalty is 0, expected a positive number"):
        solve_group_lasso(designs, 0.0)
    with pytest.raises(ValueError, match="weight of group 3 is 0"):
        solve_group_lasso(designs, 1.0, weights=np.where(np.arange(12) == 3, 0.0, 1.0))
    with pytest.raises(ValueError, match="an integer for each of 12 features"):
        GroupDesign(gram=gram, groups=np.zeros(12))
    with pytest.raises(ValueError, match="feature 2 has group -1"):
        GroupDesign(gram=gram, groups=np.where(np.arange(12) == 2, -1, 0))
    with pytest.raises(ValueError, match="support has shape"):
        debias(gram, np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="a LassoSolution is checked with its Gram"):
        check_certificate(designs, solve_lasso(gram, 1.0))


def test_targets_with_nothing_to_fit_get_zeros_at_any_penalty(sparse):
    features, targets = sparse
    targets[:, 0] = 3.0
    gram = gram_of(features, targets)
    solution = lasso_path(gram, [0.1])[0]
    assert solution.converged
    assert not solution.coefficients[:, 0].any()
    assert solution.coefficients[:, 1].any()
    assert solution.screened["gap"][:, 0].all()
    empty = [GroupDesign(gram=gram.select(np.arange(12), [0]), groups=np.arange(12) // 2)]
    for group_solution in group_path(empty, [0.5]):
        assert group_solution.converged
        assert not group_solution.active.any()
        assert check_certificate(empty, group_solution).n_false_eliminations == 0


def test_a_sum_of_coefficients_is_limited_by_raising_its_penalty_only(sparse):
    gram, limited = gram_of(*sparse), np.arange(12) < 2
    free = solve_lasso(gram, 5.0)
    solution, nu = solve_lasso_limited(gram, 5.0, limited, 2.5)
    sums = np.abs(solution.coefficients[limited]).sum(axis=0)
    assert np.abs(free.coefficients[limited, 0]).sum() > 2.5
    assert sums[0] == pytest.approx(2.5, rel=1e-9)
    assert sums[0] <= 2.5
    assert nu[0] > 0
    # The second target keeps within the limit by itself.
    assert nu[1] == 0
    np.testing.assert_allclose(solution.coefficients[:, 1], free.coefficients[:, 1], atol=1e-12)
    by_hand = solve_lasso(gram, 5.0 + np.outer(limited, nu))
    np.testing.assert_allclose(solution.coefficients, by_hand.coefficients, atol=1e-12)


def test_no_sum_on_the_limit_has_a_smaller_objective(sparse):
    """The raised penalty solves the problem with the constraint: nearby points within the limit are no better."""
    features, targets = sparse
    gram, limited = gram_of(features, targets), np.arange(12) < 2
    best = solve_lasso_limited(gram, 5.0, limited, 2.5)[0].coefficients[:, 0]

    def objective(w):
        return 0.5 * w @ gram.gram @ w - gram.cross[:, 0] @ w + 5.0 * np.abs(w).sum()

    rng = np.random.default_rng(1)
    for size in (1e-1, 1e-2, 1e-4):
        for _ in range(50):
            neighbour = best + size * rng.normal(size=12)
            neighbour[limited] *= min(1, 2.5 / np.abs(neighbour[limited]).sum())
            assert objective(neighbour) > objective(best)


def test_a_channel_stays_until_every_consumer_drops_it(rng):
    channels = rng.normal(size=(300, 4))
    early, late = channels[:, [0, 1, 2]], channels[:, [1, 2, 3]]
    designs = [
        GroupDesign(gram=gram_of(early, early @ [[1.0], [0.0], [2.0]]), groups=np.array([0, 1, 2])),
        GroupDesign(gram=gram_of(late, late @ [[0.0], [0.0], [1.5]]), groups=np.array([1, 2, 3])),
    ]
    solution = solve_group_lasso(designs, 0.1 * group_penalty_max(designs))
    np.testing.assert_array_equal(solution.active, [True, False, True, True])
    # Channel 2 is needed by the first design only; alone, the second would drop it.
    assert not solve_group_lasso(designs[1:], 0.1 * group_penalty_max(designs[1:])).active[2]


def test_a_heavier_group_is_dropped_first(rng):
    features = rng.normal(size=(300, 2))
    designs = [GroupDesign(gram=gram_of(features, features.sum(axis=1, keepdims=True)), groups=np.array([0, 1]))]
    penalty = 0.5 * group_penalty_max(designs)
    np.testing.assert_array_equal(solve_group_lasso(designs, penalty).active, True)
    np.testing.assert_array_equal(solve_group_lasso(designs, penalty, weights=[1, 10]).active, [True, False])


def test_groups_may_be_empty_or_lie_anywhere(rng):
    features, targets = rng.normal(size=(100, 6)), rng.normal(size=(100, 2))
    gram = gram_of(features, targets)
    scattered = np.array([4, 0, 4, 2, 0, 2])
    order = np.argsort(scattered, kind="stable")
    sorted_gram = gram_of(features[:, order], targets)
    for ratio in (0.9, 0.2):
        design, sorted_design = (
            [GroupDesign(gram=gram, groups=scattered)],
            [GroupDesign(gram=sorted_gram, groups=scattered[order])],
        )
        penalty = ratio * group_penalty_max(design)
        solution, expected = solve_group_lasso(design, penalty), solve_group_lasso(sorted_design, penalty)
        np.testing.assert_allclose(solution.coefficients[0][order], expected.coefficients[0], atol=1e-12)
        assert not solution.active[[1, 3]].any()
        assert solution.screened["gap"][[1, 3]].all()


def test_a_solution_that_was_given_up_says_so(rng):
    features = np.maximum(rng.normal(size=(300, 60)) @ rng.normal(size=(60, 60)), 0)
    gram = gram_of(features, features @ rng.normal(size=(60, 1)))
    assert not solve_lasso(gram, 1e-3 * lasso_penalty_max(gram), max_sweeps=2).converged
    designs = [GroupDesign(gram=gram, groups=np.arange(60) // 2)]
    assert not solve_group_lasso(designs, 1e-3 * group_penalty_max(designs), max_sweeps=1).converged


def test_the_same_problem_gives_the_same_bytes(sparse):
    gram = gram_of(*sparse)
    first, second = (solve_lasso(gram, 10.0).coefficients.tobytes() for _ in range(2))
    assert first == second
