"""Gram matrices of samples: what is summed, selected and scaled, and samples that are refused."""

import numpy as np
import pytest

from pickflow.safe import Gram, GramAccumulator
from tests.compress_fixture import gram_of


@pytest.fixture
def rng():
    return np.random.default_rng(20240501)


def test_batches_in_any_order_give_the_sums_of_all_samples(rng):
    features, targets, weights = rng.normal(size=(50, 4)) + 1e3, rng.normal(size=(50, 2)) - 5, rng.random(50)
    first, second = GramAccumulator(), GramAccumulator()
    first.add(features[40:], targets[40:], weights[40:])
    second.add(features[:7], targets[:7], weights[:7])
    second.add(features[7:40], targets[7:40], weights[7:40])
    first.merge(second)
    statistics = first.result()
    psi = features - np.average(features, axis=0, weights=weights)
    z = targets - np.average(targets, axis=0, weights=weights)
    np.testing.assert_allclose(statistics.gram, psi.T @ (psi * weights[:, None]), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(statistics.cross, psi.T @ (z * weights[:, None]), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(statistics.square, np.sum(z**2 * weights[:, None], axis=0), rtol=1e-12)
    assert statistics.n_samples == 50


def test_samples_of_weight_zero_do_not_count(rng):
    features, targets = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    weights = np.repeat([1.0, 0.0], 10)
    statistics = gram_of(features, targets, weights)
    np.testing.assert_allclose(statistics.gram, gram_of(features[:10], targets[:10]).gram, rtol=1e-12, atol=1e-13)


def test_a_batch_without_weight_changes_nothing(rng):
    accumulator = GramAccumulator()
    accumulator.add(rng.normal(size=(5, 2)), rng.normal(size=(5, 1)))
    before = accumulator.result().gram
    accumulator.add(rng.normal(size=(5, 2)), rng.normal(size=(5, 1)), np.zeros(5))
    np.testing.assert_array_equal(accumulator.result().gram, before)


def test_what_is_constant_up_to_rounding_is_exactly_zero(rng):
    features, targets = rng.normal(size=(31, 3)), rng.normal(size=(31, 2))
    features[:, 1], targets[:, 0] = 0.1, 1e9 / 3
    accumulator = GramAccumulator()
    for batch in np.array_split(np.arange(31), 4):
        accumulator.add(features[batch], targets[batch])
    statistics = accumulator.result()
    assert not statistics.gram[1].any()
    assert not statistics.gram[:, 1].any()
    assert not statistics.cross[1].any()
    assert not statistics.cross[:, 0].any()
    assert statistics.square[0] == 0
    assert statistics.gram[0, 0] > 0


def test_selected_statistics_are_those_of_the_selected_columns(rng):
    features, targets = rng.normal(size=(30, 5)), rng.normal(size=(30, 3))
    mask = np.array([True, False, True, False, True])
    selection, expected = gram_of(features, targets).select(mask, [2]), gram_of(features[:, mask], targets[:, [2]])
    np.testing.assert_allclose(selection.gram, expected.gram, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(selection.cross, expected.cross, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(selection.feature_mean, expected.feature_mean)


def test_scaled_statistics_are_those_of_scaled_targets(rng):
    features, targets, scale = rng.normal(size=(30, 5)), rng.normal(size=(30, 2)), np.array([3.0, 0.25])
    scaled_gram, expected = gram_of(features, targets).rescale(scale), gram_of(features, targets * scale)
    for name in ("gram", "cross", "square", "target_mean"):
        np.testing.assert_allclose(getattr(scaled_gram, name), getattr(expected, name), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": (4, 1, np.nan)}, r"features: sample 4, feature 1 is nan.*1 values in all"),
        ({"targets": (0, 1, np.inf)}, r"targets: sample 0, target 1 is inf"),
        ({"weights": (3, None, np.nan)}, r"weights: sample 3 is nan"),
        ({"weights": (3, None, -1.0)}, r"weight of sample 3 is -1"),
    ],
)
def test_samples_that_are_no_numbers_are_named(rng, change, message):
    arrays = {"features": rng.normal(size=(9, 2)), "targets": rng.normal(size=(9, 2)), "weights": np.ones(9)}
    ((name, (sample, column, value)),) = change.items()
    arrays[name][(sample,) if column is None else (sample, column)] = value
    with pytest.raises(ValueError, match=message):
        GramAccumulator().add(arrays["features"], arrays["targets"], arrays["weights"])


def test_batches_that_do_not_fit_are_refused(rng):
    accumulator = GramAccumulator()
    with pytest.raises(ValueError, match="no sample of positive weight"):
        accumulator.result()
    with pytest.raises(ValueError, match="with the same m"):
        accumulator.add(np.ones((3, 2)), np.ones((4, 1)))
    with pytest.raises(ValueError, match="one for each of 3 samples"):
        accumulator.add(np.ones((3, 2)), np.ones((3, 1)), np.ones(2))
    accumulator.add(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="a batch of 5 features and 1 targets does not fit an accumulator of 2 and 1"):
        accumulator.add(np.ones((3, 5)), np.ones((3, 1)))


def test_a_gram_of_wrong_shape_or_with_nan_is_refused():
    parts = {"cross": np.zeros((2, 1)), "square": np.zeros(1), "feature_mean": np.zeros(2), "target_mean": np.zeros(1)}
    with pytest.raises(ValueError, match=r"Gram.gram has shape \(3, 3\), expected \(2, 2\)"):
        Gram(gram=np.eye(3), n_samples=1, **parts)
    with pytest.raises(ValueError, match=r"Gram.gram: index 0, index 1 is nan"):
        Gram(gram=np.array([[1, np.nan], [0, 1]]), n_samples=1, **parts)
