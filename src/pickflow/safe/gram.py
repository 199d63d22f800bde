"""Sufficient statistics of a least-squares problem, gathered in one pass, and quantities derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Deviations of a constant from its own rounded mean are a few units in the last place.
ROUNDING_OF_CONSTANT = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True, kw_only=True, eq=False)
class Gram:
    """
    Centred, weighted sums of m samples of p features ψ and q targets z.

    The means are subtracted, so that the intercept is free and not penalised.

    Parameters
    ----------
    gram : ndarray, shape (p, p)
        Σ ω (ψ − ψ̄)(ψ − ψ̄)ᵀ.
    cross : ndarray, shape (p, q)
        Σ ω (ψ − ψ̄)(z − z̄)ᵀ.
    square : ndarray, shape (q,)
        Σ ω (z − z̄)².
    n_samples : int
        m, the number of samples; the weights ω do not change it.
    feature_mean : ndarray, shape (p,)
        Weighted mean ψ̄.
    target_mean : ndarray, shape (q,)
        Weighted mean z̄.

    Raises
    ------
    ValueError
        Where shapes disagree or a number is not finite.
    """

    gram: Array
    cross: Array
    square: Array
    n_samples: int
    feature_mean: Array
    target_mean: Array

    def __post_init__(self) -> None:
        p, q = self.n_features, self.n_targets
        shapes = {"gram": (p, p), "cross": (p, q), "square": (q,), "feature_mean": (p,), "target_mean": (q,)}
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise ValueError(f"Gram.{name} has shape {values.shape}, expected {shape} for p = {p} and q = {q}")
            check_finite(values, f"Gram.{name}", ("index",) * values.ndim)

    @property
    def n_features(self) -> int:
        """Number of features p."""
        return len(self.feature_mean)

    @property
    def n_targets(self) -> int:
        """Number of targets q."""
        return len(self.target_mean)

    def select(self, features: ArrayLike, targets: ArrayLike | None = None) -> Gram:
        """Statistics of some features and targets only, each given as indices or as a mask."""
        rows = np.arange(self.n_features)[np.asarray(features)]
        columns = np.arange(self.n_targets) if targets is None else np.arange(self.n_targets)[np.asarray(targets)]
        return Gram(
            gram=self.gram[np.ix_(rows, rows)],
            cross=self.cross[np.ix_(rows, columns)],
            square=self.square[columns],
            n_samples=self.n_samples,
            feature_mean=self.feature_mean[rows],
            target_mean=self.target_mean[columns],
        )

    def rescale(self, target_scale: ArrayLike) -> Gram:
        """Statistics of the targets times `target_scale`, shape (q,)."""
        scale = np.broadcast_to(np.asarray(target_scale, dtype=np.float64), (self.n_targets,))
        return Gram(
            gram=self.gram,
            cross=self.cross * scale,
            square=self.square * scale**2,
            n_samples=self.n_samples,
            feature_mean=self.feature_mean,
            target_mean=self.target_mean * scale,
        )


class GramAccumulator:
    """
    Gather a `Gram` from batches of samples in one pass, in float64.

    Every batch is centred by its own mean and then merged (Chan, Golub and LeVeque 1983, equation 2.1), so that large
    means cost no accuracy and `merge` of two accumulators is as good as one.
    """

    def __init__(self) -> None:
        self._sums: Gram | None = None
        self._weight = 0.0

    def add(self, features: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> None:
        """
        Add a batch of samples.

        Parameters
        ----------
        features : array_like, shape (m, p)
        targets : array_like, shape (m, q)
        weights : array_like, shape (m,), optional
            ω of each sample, not negative; 1 where it is left out.

        Raises
        ------
        ValueError
            Where shapes disagree, a weight is negative or a number is not finite; it names sample and feature.
        """
        psi, z = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
        if psi.ndim != 2 or z.ndim != 2 or len(psi) != len(z):
            raise ValueError(f"features {psi.shape} and targets {z.shape} must be (m, p) and (m, q) with the same m")
        check_finite(psi, "features", ("sample", "feature"))
        check_finite(z, "targets", ("sample", "target"))
        omega = np.ones(len(psi)) if weights is None else np.asarray(weights, dtype=np.float64)
        if omega.shape != (len(psi),):
            raise ValueError(f"weights have shape {omega.shape}, expected one for each of {len(psi)} samples")
        check_finite(omega, "weights", ("sample",))
        if np.any(omega < 0):
            raise ValueError(
                f"weight of sample {int(np.argmin(omega))} is {omega.min():g}; weights must not be negative"
            )
        total = float(omega.sum())
        if total > 0:
            self._merge(_sums_of_batch(psi, z, None if weights is None else omega, total), total)

    def merge(self, accumulator: GramAccumulator) -> None:
        """Add the samples of another accumulator."""
        if accumulator._sums is not None:
            self._merge(accumulator._sums, accumulator._weight)

    def result(self) -> Gram:
        """
        Sums of all samples so far; features and targets that are constant up to rounding get exact zeros.

        Raises
        ------
        ValueError
            Before any sample of positive weight.
        """
        if self._sums is None:
            raise ValueError("the Gram matrix has no sample of positive weight; add samples first")
        sums = self._sums
        live = _varies(np.diag(sums.gram), sums.feature_mean, self._weight)
        varies = _varies(sums.square, sums.target_mean, self._weight)
        return Gram(
            gram=sums.gram * np.outer(live, live),
            cross=sums.cross * np.outer(live, varies),
            square=sums.square * varies,
            n_samples=sums.n_samples,
            feature_mean=sums.feature_mean,
            target_mean=sums.target_mean,
        )

    def _merge(self, new: Gram, weight: float) -> None:
        sums = self._sums
        if sums is None:
            self._sums, self._weight = new, weight
            return
        if (sums.n_features, sums.n_targets) != (new.n_features, new.n_targets):
            raise ValueError(
                f"a batch of {new.n_features} features and {new.n_targets} targets does not fit an accumulator of "
                f"{sums.n_features} and {sums.n_targets}; use one accumulator for each layer"
            )
        total = self._weight + weight
        harmonic, share = self._weight * weight / total, weight / total
        features, targets = new.feature_mean - sums.feature_mean, new.target_mean - sums.target_mean
        self._sums = Gram(
            gram=sums.gram + new.gram + harmonic * np.outer(features, features),
            cross=sums.cross + new.cross + harmonic * np.outer(features, targets),
            square=sums.square + new.square + harmonic * targets**2,
            n_samples=sums.n_samples + new.n_samples,
            feature_mean=sums.feature_mean + share * features,
            target_mean=sums.target_mean + share * targets,
        )
        self._weight = total


def debias(gram: Gram, support: ArrayLike, ridge: float = 1e-8) -> Array:
    """
    Least squares on a support: w_S = (G_SS + δI)⁻¹ c_S, without the shrinkage of the penalty.

    Parameters
    ----------
    gram : Gram
    support : array_like of bool, shape (p,) or (p, q)
        Features that may be used, by all targets or by each.
    ridge : float
        δ as a share of the mean diagonal of G_SS.

    Returns
    -------
    coefficients : ndarray, shape (p, q)
        Zero outside of the support and for features that do not vary.
    """
    mask = np.asarray(support, dtype=bool)
    expected = (gram.n_features, gram.n_targets)
    if mask.shape not in (expected, expected[:1]):
        raise ValueError(f"the support has shape {mask.shape}, expected {expected} or {expected[:1]}")
    if not ridge >= 0:
        raise ValueError(f"ridge is {ridge:g}, expected a share that is not negative, such as 1e-8")
    if mask.ndim == 1:
        return _ridge_on(gram, mask, np.arange(gram.n_targets), ridge)
    coefficients = np.zeros(expected)
    patterns, pattern_of_target = np.unique(mask.T, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        targets = np.flatnonzero(pattern_of_target.ravel() == index)
        coefficients[:, targets] = _ridge_on(gram, pattern, targets, ridge)
    return coefficients


def intercept(gram: Gram, coefficients: Array) -> Array:
    """Intercept of each target, z̄ − Wᵀψ̄, shape (q,), for coefficients of shape (p, q)."""
    result: Array = gram.target_mean - coefficients.T @ gram.feature_mean
    return result


def relative_residual(gram: Gram | Sequence[Gram], coefficients: Array | Sequence[Array]) -> float:
    """
    Share of the targets' variance that is left, over all targets together; 0 where the targets do not vary.

    Parameters
    ----------
    gram : Gram, or a sequence of them
    coefficients : ndarray, shape (p, q), or a sequence of them
    """
    designs = [gram] if isinstance(gram, Gram) else list(gram)
    weights = [coefficients] if isinstance(coefficients, np.ndarray) else list(coefficients)
    residual = total = 0.0
    for design, w in zip(designs, weights, strict=True):
        total += float(design.square.sum())
        residual += float(design.square.sum() - np.sum(w * (2 * design.cross - design.gram @ w)))
    return max(residual, 0.0) / total if total > 0 else 0.0


def check_finite(values: Array, name: str, axes: Sequence[str]) -> None:
    """Raise a ValueError that names the first value that is not finite by its place along `axes`."""
    # A sum is finite only if all are, or if it overflows: one pass without a mask for the normal case.
    if np.isfinite(values.sum()):
        return
    indices = np.argwhere(~np.isfinite(values))
    if len(indices):
        position = ", ".join(f"{axis} {index}" for axis, index in zip(axes, indices[0], strict=True))
        value = values[tuple(indices[0])]
        raise ValueError(
            f"{name}: {position} is {value}, and {len(indices)} values in all are not finite; leave them out"
        )


def _sums_of_batch(psi: Array, z: Array, omega: Array | None, total: float) -> Gram:
    shares = np.full(len(psi), 1 / total) if omega is None else omega / total
    feature_mean, target_mean = shares @ psi, shares @ z
    psi, z = psi - feature_mean, z - target_mean
    if omega is not None:
        root = np.sqrt(omega)[:, None]
        psi *= root
        z *= root
    return Gram(
        gram=psi.T @ psi,
        cross=psi.T @ z,
        square=np.einsum("mq,mq->q", z, z),
        n_samples=len(psi),
        feature_mean=feature_mean,
        target_mean=target_mean,
    )


def _varies(sum_of_squares: Array, mean: Array, weight: float) -> Mask:
    result: Mask = sum_of_squares > weight * (ROUNDING_OF_CONSTANT * mean) ** 2
    return result


def _ridge_on(gram: Gram, support: Mask, targets: NDArray[np.intp], ridge: float) -> Array:
    features = np.flatnonzero(support & (np.diag(gram.gram) > 0))
    coefficients = np.zeros((gram.n_features, len(targets)))
    if len(features):
        inner = gram.gram[np.ix_(features, features)]
        delta = ridge * float(np.mean(np.diag(inner)))
        coefficients[features] = _solve_positive(inner, delta, gram.cross[np.ix_(features, targets)])
    return coefficients


def _solve_positive(matrix: Array, delta: float, rhs: Array) -> Array:
    shifted = matrix + delta * np.eye(len(matrix))
    try:
        result: Array = cho_solve(cho_factor(shifted, lower=True), rhs)
    except np.linalg.LinAlgError:
        # Collinear features and no ridge: the solution of least norm is as good as any.
        result = np.linalg.lstsq(shifted, rhs, rcond=None)[0]
    return result
