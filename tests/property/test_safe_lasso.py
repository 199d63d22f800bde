"""Lasso and group lasso on random problems: as scikit-learn has them, at a minimum, and without false eliminations."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, MultiTaskLasso

from pickflow.safe import (
    Gram,
    GramAccumulator,
    GroupDesign,
    check_certificate,
    group_penalty_max,
    intercept,
    lasso_penalty_max,
    solve_group_lasso,
    solve_lasso,
)

SEEDS = st.integers(0, 2**32 - 1)
RATIOS = st.floats(1e-4, 1.0).map(lambda x: float(10 ** (-4 * x)))
KINDS = ("independent", "rectified", "duplicates", "dependent", "dead", "units")


def gram_of(features, targets):
    accumulator = GramAccumulator()
    accumulator.add(features, targets)
    return accumulator.result()


def well_conditioned(seed):
    """Features and targets of a sparse model, with four samples or more for each feature."""
    rng = np.random.default_rng(seed)
    n_features, n_targets = int(rng.integers(1, 25)), int(rng.integers(1, 5))
    features = rng.normal(size=(4 * n_features + 20, n_features)) + rng.normal(size=n_features)
    coefficients = rng.normal(size=(n_features, n_targets)) * (rng.random((n_features, n_targets)) < 0.5)
    return features, features @ coefficients + rng.normal(size=(len(features), n_targets))


def hard(seed):
    """Statistics of a problem as they come from nets and from accidents, at any scale."""
    rng = np.random.default_rng(seed)
    m, p, q = int(rng.integers(3, 120)), int(rng.integers(1, 60)), int(rng.integers(1, 6))
    kind = KINDS[rng.integers(len(KINDS))]
    features = rng.normal(size=(m, p))
    if kind == "rectified":
        features = np.maximum(features @ rng.normal(size=(p, p)), 0)
    elif kind == "duplicates":
        features = features[:, rng.integers(0, p, p)]
    elif kind == "dependent":
        rank = max(1, p // 4)
        features = rng.normal(size=(m, rank)) @ rng.normal(size=(rank, p)) + 10.0 ** rng.uniform(-12, 0) * features
    elif kind == "dead":
        features[:, rng.random(p) < 0.3] = 1e3 * rng.normal()
    elif kind == "units":
        features = features * 10.0 ** rng.uniform(-6, 6, p) + 10.0 ** rng.uniform(-3, 3) * rng.normal(size=p)
    deviation = features.std(axis=0)
    unit = np.divide(features, deviation, out=np.zeros_like(features), where=deviation > 1e-9)
    targets = unit @ (rng.normal(size=(p, q)) * (rng.random((p, q)) < 0.4))
    targets += rng.choice([0, 1e-3, 1]) * rng.normal(size=(m, q))
    targets[:, 0] *= rng.random() > 0.1
    scales = 10.0 ** rng.uniform(-12, 12, 2)
    return gram_of(features * scales[0], targets * scales[1]), rng


def quietly(model, features, targets):
    """Fit beyond the tolerance that scikit-learn can confirm in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, targets)


@given(seed=SEEDS, ratio=st.floats(0.005, 1.0))
@settings(max_examples=60, deadline=None)
def test_the_lasso_is_that_of_scikit_learn(seed, ratio):
    features, targets = well_conditioned(seed)
    gram = gram_of(features, targets)
    penalty = ratio * lasso_penalty_max(gram)
    solution = solve_lasso(gram, penalty)
    intercepts = intercept(gram, solution.coefficients)
    for target in range(targets.shape[1]):
        model = Lasso(alpha=penalty[target] / len(features), tol=1e-15, max_iter=5000)
        quietly(model, features, targets[:, target])
        np.testing.assert_allclose(solution.coefficients[:, target], model.coef_, rtol=0, atol=1e-10)
        assert intercepts[target] == pytest.approx(model.intercept_, abs=1e-9)


@given(seed=SEEDS, ratio=st.floats(0.005, 1.0))
@settings(max_examples=40, deadline=None)
def test_groups_of_one_feature_are_the_multi_task_lasso_of_scikit_learn(seed, ratio):
    features, targets = well_conditioned(seed)
    designs = [GroupDesign(gram=gram_of(features, targets), groups=np.arange(features.shape[1]))]
    penalty = ratio * group_penalty_max(designs)
    solution = solve_group_lasso(designs, penalty)
    model = MultiTaskLasso(alpha=penalty / len(features), tol=1e-15, max_iter=5000)
    quietly(model, features, targets)
    np.testing.assert_allclose(solution.coefficients[0], model.coef_.T, rtol=0, atol=1e-10)


@given(seed=SEEDS, ratio=st.floats(0.005, 1.0))
@settings(max_examples=30, deadline=None)
def test_groups_of_one_feature_and_one_target_are_the_lasso(seed, ratio):
    features, targets = well_conditioned(seed)
    gram = gram_of(features, targets[:, :1])
    penalty = ratio * float(lasso_penalty_max(gram)[0])
    groups = solve_group_lasso([GroupDesign(gram=gram, groups=np.arange(features.shape[1]))], penalty)
    np.testing.assert_allclose(groups.coefficients[0], solve_lasso(gram, penalty).coefficients, rtol=0, atol=1e-10)


def by_proximal_gradient(designs, penalties):
    """Group lasso by the plainest method there is: short gradient steps and shrinking, accelerated."""
    n_groups, step = len(penalties), 1 / max(np.linalg.eigvalsh(d.gram.gram)[-1] for d in designs)
    weights = [np.zeros_like(d.gram.cross) for d in designs]
    ahead, momentum = weights, 1.0
    for _ in range(100_000):
        moved = [v + step * (d.gram.cross - d.gram.gram @ v) for v, d in zip(ahead, designs, strict=True)]
        squares = sum(
            np.bincount(d.groups, (w**2).sum(axis=1), minlength=n_groups) for d, w in zip(designs, moved, strict=True)
        )
        shrink = np.maximum(1 - step * penalties / np.maximum(np.sqrt(squares), 1e-300), 0)
        moved = [w * shrink[d.groups, None] for d, w in zip(designs, moved, strict=True)]
        uphill = sum(np.sum((v - w) * (w - old)) for v, w, old in zip(ahead, moved, weights, strict=True)) > 0
        change = max(np.abs(w - old).max() for w, old in zip(moved, weights, strict=True))
        following = 1.0 if uphill else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        factor = 0.0 if uphill else (momentum - 1) / following
        ahead = [w + factor * (w - old) for w, old in zip(moved, weights, strict=True)]
        weights, momentum = moved, following
        if change < 1e-16:
            break
    return weights


@given(seed=SEEDS, ratio=st.floats(0.01, 1.0))
@settings(max_examples=30, deadline=None)
def test_several_designs_agree_with_proximal_gradient_steps(seed, ratio):
    rng = np.random.default_rng(seed)
    n_groups = int(rng.integers(1, 7))
    designs = []
    for part in range(int(rng.integers(1, 4))):
        features, targets = well_conditioned(seed + part)
        groups = rng.integers(0, n_groups, features.shape[1])
        designs.append(GroupDesign(gram=gram_of(features, targets), groups=groups))
    n_groups = 1 + max(int(d.groups.max()) for d in designs)
    weights = rng.uniform(0.5, 2, n_groups)
    penalty = ratio * group_penalty_max(designs, weights)
    solution = solve_group_lasso(designs, penalty, weights=weights)
    expected = by_proximal_gradient(designs, penalty * weights)
    for coefficients, expected_coefficients in zip(solution.coefficients, expected, strict=True):
        np.testing.assert_allclose(coefficients, expected_coefficients, rtol=0, atol=1e-10)


def violations(gram, solution):
    """Distance from the optimality conditions, as a share of λ plus rounding; features and targets of length 1."""
    length, size = np.sqrt(np.diag(gram.gram)), np.sqrt(gram.square)
    scale = np.outer(np.where(length > 0, length, 1), np.where(size > 0, size, 1))
    w, penalty = solution.coefficients, solution.penalty / scale
    gradient = (gram.cross - gram.gram @ w) / scale
    distance = np.where(w != 0, np.abs(gradient - penalty * np.sign(w)), np.abs(gradient) - penalty)
    total = np.sum(np.abs(w) * length[:, None] / np.where(size > 0, size, 1), axis=0)
    return distance / (1e-9 * penalty + 1e-12 * (1 + total))


@given(seed=SEEDS, ratio=RATIOS)
@settings(max_examples=150, deadline=None)
def test_hard_problems_of_any_scale_are_solved_without_false_eliminations(seed, ratio):
    gram, _ = hard(seed)
    solution = solve_lasso(gram, ratio * lasso_penalty_max(gram))
    assert solution.converged
    assert violations(gram, solution).max() <= 1
    assert np.all(solution.duality_gap <= 1e-10 * gram.square)
    assert check_certificate(gram, solution).n_false_eliminations == 0


@given(seed=SEEDS, ratio=RATIOS)
@settings(max_examples=150, deadline=None)
def test_hard_groups_over_several_designs_are_solved_without_false_eliminations(seed, ratio):
    first, rng = hard(seed)
    n_groups = int(rng.integers(1, 12))
    designs = [GroupDesign(gram=first, groups=rng.integers(0, n_groups, first.n_features))]
    for part in range(int(rng.integers(0, 3))):
        gram = comparable(hard(seed + part + 1)[0], first, rng)
        designs.append(GroupDesign(gram=gram, groups=rng.integers(0, n_groups, gram.n_features)))
    solution = solve_group_lasso(designs, ratio * group_penalty_max(designs))
    assert solution.converged
    assert check_certificate(designs, solution).n_false_eliminations == 0
    for design, w in zip(designs, solution.coefficients, strict=True):
        assert not w[~solution.active[design.groups]].any()


def comparable(gram, model_gram, rng):
    """The same statistics with features and targets about as long as those of another design, as in one net."""
    traces = np.trace(gram.gram), np.trace(model_gram.gram)
    features = np.sqrt(traces[1] / traces[0]) if min(traces) > 0 else 1.0
    squares = gram.square.sum(), model_gram.square.sum()
    targets = 10.0 ** rng.uniform(-2, 2) * (np.sqrt(squares[1] / squares[0]) if min(squares) > 0 else 1.0)
    return Gram(
        gram=gram.gram * features**2,
        cross=gram.cross * features,
        square=gram.square,
        n_samples=gram.n_samples,
        feature_mean=gram.feature_mean * features,
        target_mean=gram.target_mean,
    ).rescale(targets)


@given(seed=SEEDS, ratio=RATIOS)
@settings(max_examples=60, deadline=None)
def test_screening_does_not_change_the_solution(seed, ratio):
    features, targets = well_conditioned(seed)
    gram = gram_of(features, targets)
    penalty = ratio * lasso_penalty_max(gram)
    screened, plain = solve_lasso(gram, penalty), solve_lasso(gram, penalty, screen=())
    np.testing.assert_allclose(screened.coefficients, plain.coefficients, rtol=0, atol=1e-10)
    assert plain.screened == {}
    assert not screened.coefficients[screened.screened["safe"] | screened.screened["gap"]].any()


@given(seed=SEEDS, ratio=RATIOS, exponents=st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
@settings(max_examples=40, deadline=None)
def test_units_do_not_matter(seed, ratio, exponents):
    features, targets = well_conditioned(seed)
    units = 2.0 ** exponents[0], 2.0 ** exponents[1]
    gram, scaled = gram_of(features, targets), gram_of(features * units[0], targets * units[1])
    plain = solve_lasso(gram, ratio * lasso_penalty_max(gram))
    scaled_solution = solve_lasso(scaled, ratio * lasso_penalty_max(scaled))
    np.testing.assert_allclose(
        scaled_solution.coefficients * units[0] / units[1], plain.coefficients, rtol=0, atol=1e-11
    )
    np.testing.assert_array_equal(scaled_solution.screened["gap"], plain.screened["gap"])
