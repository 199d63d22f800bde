"""
Lasso and group lasso of one layer from its Gram matrix, against scikit-learn, celer and skglm; prints one JSON line.

The layer is as large as PhaseNet's largest: 128 channels with 7 taps (p = 896), 128 output rows, 50,000 samples, and a
path of 10 penalties. Its inputs are made here: two rectified layers over smooth noise, so that channels and taps are
correlated.

Examples
--------
    python benchmarks/lasso.py
    python benchmarks/lasso.py --rows 16 --n 10000 --rows-timed 1
    PYTHONPATH=libraries python benchmarks/lasso.py   # after pip install --target libraries --no-deps celer skglm

The others solve row by row, on `--rows-timed` rows; their time for all rows is scaled up from these. They stop at a gap
of `--tolerance` times the squared target, ours at 1e-10. Times are CPU seconds on one thread, and the compilation by
numba is left out on all sides. A library that is not installed is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from pickflow.safe import (
    Gram,
    GramAccumulator,
    GroupDesign,
    check_certificate,
    group_path,
    lasso_path,
    lasso_penalty_max,
)

BATCH = 5000
N_REPEATS = 3  # the fastest counts


def main() -> int:
    options = parse(sys.argv[1:])
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        print(json.dumps(rounded(measure(options)), sort_keys=True))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    features, targets = layer(options)
    ratios = np.geomspace(1, options.smallest, options.path + 1)[1:]
    compile_first(features[:200, :14], targets[:200, :2])
    gram_s, gram = timed(lambda: gram_of(features, targets))
    own_rows = rows_of_ours(gram, ratios, gram_s)
    return {
        "benchmark": "lasso",
        "n_samples": options.n,
        "n_features": features.shape[1],
        "n_rows": options.rows,
        "ratios": [round(float(ratio), 4) for ratio in ratios],
        "clock": "CPU seconds on one thread",
        "condition_of_correlation": condition(gram),
        "gram_s": gram_s,
        "rows": {key: value for key, value in own_rows.items() if key != "coefficients"},
        "groups": groups_of_ours(gram, ratios, options.taps),
        "others": peers(features, targets, gram, ratios, own_rows, options),
    }


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000, help="samples (default: %(default)s)")
    parser.add_argument("--channels", type=int, default=128, help="input channels (default: %(default)s)")
    parser.add_argument("--taps", type=int, default=7, help="taps of each channel (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=128, help="output rows (default: %(default)s)")
    parser.add_argument("--path", type=int, default=10, help="penalties on the path (default: %(default)s)")
    parser.add_argument("--smallest", type=float, default=0.01, help="last λ/λ_max (default: %(default)s)")
    parser.add_argument("--rows-timed", type=int, default=2, help="rows that the others solve (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="tolerance of the others (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the layer (default: %(default)s)")
    options = parser.parse_args(arguments)
    if min(options.n, options.channels, options.taps, options.rows, options.path, options.rows_timed) < 1:
        parser.error("numbers of samples, channels, taps, rows and penalties must be positive")
    if options.channels * options.taps < 14 or options.n < 200 or options.rows < 2:
        parser.error("a layer has at least 14 features, 200 samples and 2 rows")
    return options


def layer(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of a deep convolution, (n, channels * taps) with a channel's taps together, and outputs (n, rows)."""
    rng = np.random.default_rng(options.seed)
    n = options.n + options.taps - 1
    n_latent = max(options.channels // 4, 1)
    decay = rng.uniform(0.3, 0.95, n_latent)
    noise = rng.normal(size=(n, n_latent)) * np.sqrt(1 - decay**2)
    states = np.column_stack([lfilter([1.0], [1.0, -a], x) for a, x in zip(decay, noise.T, strict=True)])
    for _ in range(2):
        mixing = rng.normal(size=(states.shape[1], options.channels)) / np.sqrt(states.shape[1])
        states = (states - states.mean(axis=0)) @ mixing
        states += 0.3 * states.std() * rng.normal(size=states.shape) + 0.3 * rng.normal(size=options.channels)
        states = np.maximum(states, 0)
    windows = np.lib.stride_tricks.sliding_window_view(states, options.taps, axis=0)
    features = np.asfortranarray(windows.reshape(options.n, -1))
    kernel = rng.normal(size=(features.shape[1], options.rows)) * rng.gamma(0.5, size=(features.shape[1], options.rows))
    targets = features @ kernel
    targets += 0.05 * targets.std(axis=0) * rng.normal(size=targets.shape)
    return features, targets


def gram_of(features: np.ndarray, targets: np.ndarray) -> Gram:
    accumulator = GramAccumulator()
    for begin in range(0, len(features), BATCH):
        accumulator.add(features[begin : begin + BATCH], targets[begin : begin + BATCH])
    return accumulator.result()


def compile_first(features: np.ndarray, targets: np.ndarray) -> None:
    gram = gram_of(features, targets)
    lasso_path(gram, [0.5])
    group_path([GroupDesign(gram=gram, groups=np.arange(14) // 7)], [0.5])


def condition(gram: Gram) -> float:
    length = np.sqrt(np.diag(gram.gram))
    values = np.linalg.eigvalsh(gram.gram / np.outer(length, length))
    return float(values[-1] / values[0])


def rows_of_ours(gram: Gram, ratios: np.ndarray, gram_s: float) -> dict[str, Any]:
    screened_s, screened = timed(lambda: lasso_path(gram, list(ratios)), N_REPEATS)
    plain_s, plain = timed(lambda: lasso_path(gram, list(ratios), screen=()), N_REPEATS)
    largest = max(float(np.abs(s.coefficients).max()) for s in plain)
    return {
        "screened_s": screened_s,
        "unscreened_s": plain_s,
        "with_gram_s": gram_s + screened_s,
        "largest_difference": max(
            float(np.abs(s.coefficients - u.coefficients).max()) for s, u in zip(screened, plain, strict=True)
        ),
        "largest_coefficient": largest,
        "n_false_eliminations": sum(
            int(np.sum(mask & (u.coefficients != 0)))
            for s, u in zip(screened, plain, strict=True)
            for mask in s.screened.values()
        ),
        "largest_gap_share": max(float(np.max(s.duality_gap / gram.square)) for s in screened),
        "converged": all(s.converged for s in screened),
        "share_of_zeros": [float(np.mean(s.coefficients == 0)) for s in screened],
        "share_screened": {rule: [float(s.screened[rule].mean()) for s in screened] for rule in ("safe", "gap")},
        "coefficients": [s.coefficients for s in screened],
    }


def groups_of_ours(gram: Gram, ratios: np.ndarray, taps: int) -> dict[str, Any]:
    designs = [GroupDesign(gram=gram, groups=np.arange(gram.n_features) // taps)]
    screened_s, screened = timed(lambda: group_path(designs, list(ratios)))
    plain_s, _ = timed(lambda: group_path(designs, list(ratios), screen=()))
    checks = [check_certificate(designs, solution) for solution in screened]
    return {
        "screened_s": screened_s,
        "unscreened_s": plain_s,
        "largest_difference": max(check.largest_difference for check in checks),
        "n_false_eliminations": sum(check.n_false_eliminations for check in checks),
        "converged": all(s.converged for s in screened),
        "share_of_zeros": [float(np.mean(~s.active)) for s in screened],
        "share_screened": {rule: [float(s.screened[rule].mean()) for s in screened] for rule in ("safe", "gap")},
    }


def peers(
    features: np.ndarray,
    targets: np.ndarray,
    gram: Gram,
    ratios: np.ndarray,
    own_rows: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Each library's path for a few rows on the raw matrix and, where it can, with a Gram matrix made for each row."""
    features -= gram.feature_mean
    targets = targets - gram.target_mean
    largest = lasso_penalty_max(gram)
    small = np.asfortranarray(features[:200, :14] - features[:200, :14].mean(axis=0))
    small_target = targets[:200, :1] - targets[:200, :1].mean(axis=0)
    small_gram = gram_of(small, small_target)
    results: dict[str, Any] = {}
    for name, (load, shared_gram) in COMPETITORS.items():
        try:
            path = load(options.tolerance)
        except ImportError as missing:
            results[name] = f"left out: {missing}"
            continue
        seconds, difference = 0.0, 0.0
        n_timed = min(options.rows_timed, options.rows)
        path(small, small_target[:, 0], lasso_penalty_max(small_gram) * ratios[:2] / 200, small_gram)
        for row in range(n_timed):
            row_gram = gram.select(np.arange(gram.n_features), [row])
            alphas = largest[row] * ratios / len(features)
            seconds_spent, solution = timed(partial(path, features, targets[:, row], alphas, row_gram))
            seconds += seconds_spent / n_timed
            expected = np.column_stack([coefficients[:, row] for coefficients in own_rows["coefficients"]])
            difference = max(difference, float(np.abs(solution - expected).max()))
        total = seconds * options.rows + (own_rows["with_gram_s"] - own_rows["screened_s"] if shared_gram else 0.0)
        results[name] = {
            "rows_timed": n_timed,
            "seconds_per_row": seconds,
            "seconds_all_rows": total,
            "times_ours": total / own_rows["with_gram_s"],
            "largest_difference": difference,
        }
    return results


Path = Callable[[np.ndarray, np.ndarray, np.ndarray, Gram], np.ndarray]


def with_scikit_learn(precompute: bool | str) -> Callable[[float], Path]:
    def load(tolerance: float) -> Path:
        from sklearn.linear_model import lasso_path as path

        def solve(features: np.ndarray, z: np.ndarray, alphas: np.ndarray, gram: Gram) -> np.ndarray:
            settings = {"alphas": alphas, "tol": tolerance, "max_iter": 100_000, "copy_X": False}
            if precompute == "shared":
                return path(features, z, precompute=gram.gram, Xy=gram.cross[:, 0], **settings)[1]
            return path(features, z, precompute=precompute, **settings)[1]

        return solve

    return load


def with_celer(tolerance: float) -> Path:
    from celer import celer_path

    return lambda features, z, alphas, gram: celer_path(features, z, "lasso", alphas=alphas, tol=tolerance)[1]


def with_skglm(has_gram: bool) -> Callable[[float], Path]:
    def load(tolerance: float) -> Path:
        from skglm.datafits import Quadratic, QuadraticHessian
        from skglm.penalties import L1
        from skglm.solvers import AndersonCD

        def solve(features: np.ndarray, z: np.ndarray, alphas: np.ndarray, gram: Gram) -> np.ndarray:
            # It stops by the violation of the optimality conditions, not by the gap.
            solver = AndersonCD(tol=tolerance * alphas[0], max_iter=1000, fit_intercept=False, warm_start=True)
            if has_gram:
                matrix, rhs = np.asfortranarray(gram.gram / len(z)), -gram.cross[:, 0] / len(z)
                return solver.path(matrix, rhs, QuadraticHessian(), L1(1.0), alphas=alphas)[1]
            return solver.path(features, z, Quadratic(), L1(1.0), alphas=alphas)[1]

        return solve

    return load


# How to load it, and whether it is given a Gram matrix that is computed once for all rows.
COMPETITORS: dict[str, tuple[Callable[[float], Path], bool]] = {
    "scikit-learn": (with_scikit_learn(False), False),
    "scikit-learn, its Gram matrix for each row": (with_scikit_learn(True), False),
    "scikit-learn, our Gram matrix": (with_scikit_learn("shared"), True),
    "celer": (with_celer, False),
    "skglm": (with_skglm(False), False),
    "skglm, our Gram matrix": (with_skglm(True), True),
}


def timed(work: Callable[[], Any], n_repeats: int = 1) -> tuple[float, Any]:
    """CPU seconds of the fastest of some repetitions, and the result."""
    seconds = []
    for _ in range(n_repeats):
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return min(seconds), result


def rounded(value: Any) -> Any:
    """Floats with four significant digits, at any depth."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
