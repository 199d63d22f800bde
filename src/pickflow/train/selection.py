"""
Which epoch is the best: F1 at a fixed number of picks.

A threshold that suits one epoch does not suit another, so scores at a threshold compare different operating points, and
the loss on the validation part does not tell either. Here every epoch may make the same number of picks of a phase: its
most probable ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pickflow.distillation import logits_of, probabilities_of, soft_label_loss
from pickflow.optimisation import Batch
from pickflow.run.settings.training import Labels, Training
from pickflow.train.record_windows import Drawn

_FLOOR = 1e-4  # probability of the least peak that counts; below it there is no peak to choose
_S_PER_HOUR = 3600.0


class Judge:
    """
    Scores of a picker on windows that stay the same.

    Parameters
    ----------
    batches, drawn : list of Batch, list of Drawn
        The windows, and their arrivals.
    settings : Training
        Tolerance, and number of picks.
    phases : tuple of str
        Phases that the picker learns; those of which the windows have an arrival are scored.
    rate_hz : float
        Sampling rate of the windows.
    blinding : tuple of int
        Samples at the begin and at the end of a window of which neither picks nor arrivals count: annotation does not
        use them either.

    Raises
    ------
    ValueError
        If the windows have no arrival.
    """

    def __init__(
        self,
        batches: list[Batch],
        drawn: list[Drawn],
        settings: Training,
        phases: tuple[str, ...],
        rate_hz: float,
        blinding: tuple[int, int] = (0, 0),
    ):
        self._batches, self._labels, self._learnt = batches, settings.labels, phases
        self._tolerance = settings.optimisation.tolerance_s * rate_hz
        n_samples = drawn[0].samples.shape[-1]
        self._span = slice(blinding[0], n_samples - blinding[1])
        arrivals = [_inside(batch.arrivals, self._span) for batch in drawn]
        hours = sum(map(len, arrivals)) * (self._span.stop - self._span.start) / rate_hz / _S_PER_HOUR
        rate = settings.optimisation.picks_per_hour
        by_phase = {phase: arrivals_of(arrivals, "PS".index(phase)) for phase in phases}
        self._arrivals = {phase: at for phase, at in by_phase.items() if len(at)}
        if not self._arrivals:
            raise ValueError(f"training: {sum(map(len, arrivals))} windows of the validation part hold no arrival")
        self.n_picks = {
            phase: len(at) if rate is None else max(round(rate * hours), 1) for phase, at in self._arrivals.items()
        }

    def __call__(self, model: Any) -> dict[str, float]:
        """
        Judge a picker in evaluation mode.

        Returns
        -------
        dict
            ``validation_loss``; for each phase ``f1_p``, and ``threshold_p``, the probability of its last pick; and
            ``score``, the mean of the F1 of the phases.
        """
        picks: dict[str, list[NDArray[np.float64]]] = {phase: [] for phase in self._arrivals}
        losses, first = [], 0
        labels = list(model.labels)
        with torch.no_grad():
            for batch in self._batches:
                losses.append(_loss(model, batch, self._labels, self._learnt))
                probability = probabilities_of(model, batch.windows)
                for phase in self._arrivals:
                    span_probability = probability[:, labels.index(phase), self._span].float()
                    peaks = peaks_of(span_probability, self._tolerance) + np.array([first, self._span.start, 0])
                    picks[phase].append(peaks)
                first += len(batch.windows)
        n_windows = [len(batch.windows) for batch in self._batches]
        scores: dict[str, float] = {"validation_loss": float(np.average(losses, weights=n_windows))}
        for phase, peaks_of_phase in picks.items():
            f1, threshold = f1_at(
                np.concatenate(peaks_of_phase), self._arrivals[phase], self.n_picks[phase], self._tolerance
            )
            scores |= {f"f1_{phase.lower()}": f1, f"threshold_{phase.lower()}": threshold}
        scores["score"] = float(np.mean([scores[f"f1_{phase.lower()}"] for phase in self._arrivals]))
        return scores


def _loss(model: Any, batch: Batch, labels: Labels, phases: tuple[str, ...]) -> float:
    return training_loss(model, labels, phases)(logits_of(model, batch.windows).float(), batch.probability).item()


def training_loss(model: Any, labels: Labels, phases: tuple[str, ...]) -> Any:
    """
    Loss of a picker, a function of logits and probability.

    Parameters
    ----------
    model : WaveformModel
    labels : Labels
        Weights.
    phases : tuple of str
        Phases of which the data have arrivals: the picker shall not learn that others are not there.
    """
    weights = {"Detection": labels.detection_weight, "P": labels.p_weight, "S": labels.s_weight}
    unknown = set("PS") - set(phases)
    # Without P or S nobody knows how long an earthquake lasts.
    unknown |= {"Detection"} if unknown else set()

    def loss(logits: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        return soft_label_loss(model, logits, probability, weights, labels.arrival_weight, unknown)

    return loss


def _inside(arrivals: NDArray[np.float64], span: slice) -> NDArray[np.float64]:
    """Arrivals, NaN where they are not seen."""
    return np.where((arrivals >= span.start) & (arrivals < span.stop), arrivals, np.nan)


def arrivals_of(arrivals: list[NDArray[np.float64]], row: int) -> NDArray[np.float64]:
    """Window and sample of all arrivals of a phase, from arrays of shape (n, n_events, 2); shape (n_arrivals, 2)."""
    samples = np.concatenate(arrivals)[:, :, row]
    window, _ = positions = np.nonzero(~np.isnan(samples))
    return np.stack([window, samples[positions]], axis=1)


def peaks_of(probability: torch.Tensor, tolerance: float) -> NDArray[np.float64]:
    """
    Peaks of probability: samples that no other within two tolerances exceeds.

    Parameters
    ----------
    probability : Tensor, shape (n, n_samples)
    tolerance : float
        Samples; so far apart, no two peaks are both right about one arrival.

    Returns
    -------
    ndarray, shape (n_peaks, 3)
        Window, sample and probability.
    """
    reach = max(int(2 * tolerance), 1)
    highest = torch.nn.functional.max_pool1d(probability[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    peak = (probability == highest) & (probability > _FLOOR)
    # Of a flat top the first sample counts.
    peak[:, 1:] &= probability[:, 1:] != probability[:, :-1]
    window, sample = np.nonzero(peak.cpu().numpy())
    values = probability.cpu().numpy()[window, sample]
    return np.stack([window, sample, values], axis=1).astype(float)


def f1_at(
    picks: NDArray[np.float64], arrivals: NDArray[np.float64], n_picks: int, tolerance: float
) -> tuple[float, float]:
    """
    F1 of the most probable picks.

    Parameters
    ----------
    picks : ndarray, shape (n, 3)
        Window, sample, probability.
    arrivals : ndarray, shape (n_arrivals, 2)
        Window, sample.
    n_picks : int
        How many picks count.
    tolerance : float
        Samples.

    Returns
    -------
    f1 : float
        2 hits / (picks + arrivals); a hit is an arrival with a pick within the tolerance. With as many picks as
        arrivals it is precision and recall as well. A picker with fewer peaks is not punished beyond what it misses.
    threshold : float
        Probability of the last pick that counts; 1 without any.
    """
    chosen = picks[np.argsort(-picks[:, 2], kind="stable")[:n_picks]]
    by_window: dict[int, list[float]] = {}
    for window, sample, _ in chosen:
        by_window.setdefault(int(window), []).append(sample)
    hits = sum(
        any(abs(sample - at) <= tolerance for sample in by_window.get(int(window), [])) for window, at in arrivals
    )
    return 2 * hits / max(len(chosen) + len(arrivals), 1), float(chosen[-1, 2]) if len(chosen) else 1.0
