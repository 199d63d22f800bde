"""Curves that stand for arrivals, and the labels of any picker made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pickflow.run.settings.training import CODA

Array32 = NDArray[np.float32]

_REACH = 5  # standard deviations after which a gaussian is zero
_KNOWN = ("N", "P", "S", "Detection")


def arrival_curves(arrivals: NDArray[np.float64], n_samples: int, shape: str, width_samples: float) -> Array32:
    """
    Probability of P and S around arrivals.

    Parameters
    ----------
    arrivals : ndarray, shape (n, n_events, 2)
        Sample of P and of S of each earthquake in each window, also outside of it; NaN where there is none.
    n_samples : int
        Length of a window.
    shape : {"gaussian", "triangle", "box"}
    width_samples : float
        Standard deviation of the gaussian, half of the triangle's base or of the box's width.

    Returns
    -------
    ndarray, shape (n, 2, n_samples)
        The largest of the curves, where several overlap.
    """
    curves = np.zeros((len(arrivals), 2, n_samples), dtype=np.float32)
    reach = width_samples * (_REACH if shape == "gaussian" else 1)
    inside = (arrivals > -reach) & (arrivals < n_samples + reach)  # never for NaN
    for window, event, phase in zip(*np.nonzero(inside), strict=True):
        at = arrivals[window, event, phase]
        first, last = max(int(at - reach), 0), min(int(at + reach) + 1, n_samples)
        part = curves[window, phase, first:last]
        np.maximum(part, _height((np.arange(first, last) - at) / width_samples, shape), out=part)
    return curves


def _height(distance: NDArray[np.float64], shape: str) -> Array32:
    """Height of a curve of width 1."""
    if shape == "gaussian":
        return np.exp(-0.5 * distance**2).astype(np.float32)
    distance = np.abs(distance)
    return (np.maximum(1 - distance, 0) if shape == "triangle" else (distance <= 1)).astype(np.float32)


def bells(picks: Mapping[str, float], n_samples: int, sigma_samples: float) -> Array32:
    """Probability of P and S around the picks of one window, as bells of height 1, shape (2, n_samples)."""
    arrivals = np.array([[[picks.get(phase, np.nan) for phase in "PS"]]])
    return arrival_curves(arrivals, n_samples, "gaussian", sigma_samples)[0]


def duration(picks: Mapping[str, float], n_samples: int, factor: float = CODA) -> tuple[float, float] | None:
    """
    First and last sample (excluded) of the earthquake in a record; None without any arrival.

    It lasts from P to S + factor (S - P). One whose P nobody has labelled begins with the record, one without S ends
    with it.
    """
    if not picks:
        return None
    begin, s = picks.get("P", 0.0), picks.get("S", np.inf)
    end = s + factor * (s - begin) if begin <= s < np.inf else np.inf
    return begin, min(end, float(n_samples))


def detection(p: Array32, s: Array32) -> Array32:
    """
    Where earthquakes are: 1 from P to S + 1.4 (S - P), as in Mousavi et al. (2020), and 0 elsewhere.

    Parameters
    ----------
    p, s : ndarray, shape (n_samples,)
        Probabilities. An arrival is the peak of a stretch above one half; P belongs to the first S after it.

    Returns
    -------
    ndarray, shape (n_samples,)
        An earthquake whose P is not in the window begins with the window, one whose S is not ends with it.
    """
    label = np.zeros_like(p)
    p_at, s_at = peaks(p, 0.5), peaks(s, 0.5)
    for begin in p_at:
        later = s_at[s_at > begin]
        end = later[0] + CODA * (later[0] - begin) if later.size else p.size
        label[begin : int(end)] = 1
    if s_at.size and not (p_at < s_at[0]).any():
        label[: int(s_at[0] * (1 + CODA))] = 1
    return label


def peaks(probability: Array32, threshold: float) -> NDArray[np.int64]:
    """Sample of the maximum of each stretch above a threshold."""
    above = np.concatenate([[0], (probability >= threshold).astype(int), [0]])
    edges = np.flatnonzero(np.diff(above)).reshape(-1, 2)
    return np.array([first + int(np.argmax(probability[first:last])) for first, last in edges], dtype=np.int64)


def picker_labels(phases: Array32, boxes: Array32, labels: Sequence[str]) -> Array32:
    """
    Probability of each label of a picker.

    Parameters
    ----------
    phases : ndarray, shape (n, 2, n_samples)
        Of P and S.
    boxes : ndarray, shape (n, n_samples)
        1 where earthquakes last.
    labels : sequence of str
        N, P and S, which share one probability, or Detection, P and S, which do not; in any order.

    Returns
    -------
    ndarray, shape (n, n_labels, n_samples)

    Raises
    ------
    ValueError
        If there is another label.
    """
    if unknown := [label for label in labels if label not in _KNOWN]:
        raise ValueError(f"training: no labels {', '.join(unknown)} can be made; known are {', '.join(_KNOWN)}")
    rows = {"P": phases[:, 0], "S": phases[:, 1], "Detection": boxes}
    if "N" in labels:
        rows |= dict(zip("NPS", with_noise_label(phases).transpose(1, 0, 2), strict=True))
    return np.stack([rows[label] for label in labels], axis=1)


def as_labels(phases: Array32, labels: Sequence[str]) -> Array32:
    """`picker_labels` where of the earthquakes only the probability of P and S is known."""
    boxes = np.stack([detection(*pair) for pair in phases]) if "Detection" in labels else phases[:, 0]
    return picker_labels(phases, boxes, labels)


def with_noise_label(phases: Array32) -> Array32:
    """Put the probability of noise before those of P and S, shape (n, 3, n_samples)."""
    total = phases.sum(axis=1, keepdims=True)
    phases = phases / np.maximum(total, 1.0)
    return np.concatenate([1 - phases.sum(axis=1, keepdims=True), phases], axis=1)
