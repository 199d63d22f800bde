"""What a picker is taught, and how far it is from it: its windows, its logits and the loss against soft labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel
from torch import Tensor, nn

from pickflow.annotate.backends import choose_backend
from pickflow.annotate.cutting import centre
from pickflow.annotate.filtering import make_filter

Array32 = NDArray[np.float32]

# Of the loss, as in Mousavi et al. (2020); labels of other names count as P does.
LABEL_WEIGHTS = {"Detection": 0.05, "P": 0.40, "S": 0.55}
# One sample in 150 is near an arrival: a sample with probability p counts 1 + 20 p times.
POSITIVE_WEIGHT = 20.0


class Teacher:
    """
    Probabilities of a picker for windows, by the fastest backend that computes it; nothing is blinded.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    """

    def __init__(self, model: WaveformModel):
        self._backend = choose_backend(model)
        self.labels = list(model.labels)
        self.component_order = str(model.component_order)

    def __call__(self, windows: Array32) -> Array32:
        """
        Probabilities.

        Parameters
        ----------
        windows : ndarray, shape (n, n_components, in_samples)
            In any unit. A model that filters records must be given filtered windows; see `filter_windows`.

        Returns
        -------
        ndarray of float32, shape (n, n_labels, in_samples)
        """
        size = self._backend.batch_size
        cuts = [tuple(window) for window in windows]
        batches = [self._backend.predict(cuts[first : first + size]) for first in range(0, len(cuts), size)]
        return np.concatenate(batches)


def teacher_of(model: WaveformModel) -> Teacher:
    """`Teacher` of a model: a function from windows to probabilities that knows its labels."""
    return Teacher(model)


def filter_windows(model: WaveformModel, windows: Array32) -> Array32:
    """
    Windows as a model with a filter sees them in a record; as they are where its weights ask for none.

    Parameters
    ----------
    model : WaveformModel
        Its ``filter_args`` and ``filter_kwargs`` are what its `annotate` does to a record before it cuts windows.
    windows : ndarray, shape (n, n_components, n_samples)
        Not filtered. Both ends of a window ring as those of a record do: the model blinds them.

    Returns
    -------
    ndarray of float32, shape (n, n_components, n_samples)
    """
    apply = make_filter(model.filter_args, model.filter_kwargs)
    if apply is None:
        return windows
    flat = windows.reshape(-1, windows.shape[-1])
    return np.stack([apply(row, model.sampling_rate)[:] for row in flat]).reshape(windows.shape)


def logits_of(model: WaveformModel, windows: Tensor) -> Tensor:
    """
    What a picker computes before its softmax or sigmoids.

    Parameters
    ----------
    model : WaveformModel
        Its ``forward`` takes ``logits``.
    windows : Tensor, shape (n, n_components, in_samples)
        As its `annotate_batch_pre` leaves them.

    Returns
    -------
    Tensor, shape (n, n_labels, n_samples)
    """
    outputs: Any = model(windows, logits=True)
    return torch.stack(outputs, dim=1) if isinstance(outputs, tuple) else outputs


def probabilities_of(model: WaveformModel, windows: Tensor) -> Tensor:
    """What a picker gives for windows as its `annotate_batch_pre` leaves them, shape (n, n_labels, n_samples)."""
    logits = logits_of(model, windows)
    return torch.softmax(logits, dim=1) if is_softmax(model) else torch.sigmoid(logits)


def is_softmax(model: WaveformModel) -> bool:
    """Whether a picker's labels share one probability, noise being one of them; otherwise each has its own."""
    return "N" in list(model.labels) and not isinstance(getattr(model, "output_activation", None), nn.Sigmoid)


def normalised(model: WaveformModel, windows: Array32) -> Tensor:
    """
    Windows as a picker's network takes them: centred, scaled and put through its `annotate_batch_pre`.

    Parameters
    ----------
    model : WaveformModel
    windows : ndarray, shape (n, n_components, in_samples)
        In any unit.

    Returns
    -------
    Tensor, shape (n, n_components, in_samples)
        On the model's device.
    """
    device = next(model.parameters()).device
    centred = torch.from_numpy(centre([tuple(window) for window in windows], windows.shape[-1])).to(device)
    ready = model.annotate_batch_pre(centred, argdict=model.default_args)
    return ready[0] if isinstance(ready, tuple) else ready


def soft_label_loss(
    model: WaveformModel,
    logits: Tensor,
    probability: Tensor,
    weights: Mapping[str, float] = LABEL_WEIGHTS,
    arrival_weight: float = POSITIVE_WEIGHT,
    unknown: Collection[str] = (),
) -> Tensor:
    """
    Distance of a picker from soft labels.

    Parameters
    ----------
    model : WaveformModel
        Says whether its labels are exclusive, and their names.
    logits, probability : Tensor, shape (n, n_labels, n_samples)
    weights : mapping of str to float
        Of independent labels; labels of other names count as P does.
    arrival_weight : float
        Of independent labels, a sample with the probability p counts 1 + this times p.
    unknown : collection of str
        Labels of which nothing is known: whatever the picker says of them costs nothing.

    Returns
    -------
    Tensor, shape ()
        Mean cross entropy for a softmax. For sigmoids the mean of the labels' binary cross entropies, weighted; samples
        near arrivals, which are few, count more.
    """
    labels = list(model.labels)
    if is_softmax(model):
        rows = [row for row, label in enumerate(labels) if label in unknown]
        if rows:
            logits, probability = _with_noise(logits, probability, rows, labels.index("N"))
        return cross_entropy(logits, probability)
    share = torch.tensor([0.0 if label in unknown else weights.get(label, weights["P"]) for label in labels])
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, probability, reduction="none")
    near = torch.ones_like(probability)
    phases = [row for row, label in enumerate(labels) if label != "Detection"]
    near[:, phases] += arrival_weight * probability[:, phases]
    return ((entropy * near).mean(dim=(0, 2)) * share.to(logits.device)).sum()


def _with_noise(logits: Tensor, probability: Tensor, rows: list[int], noise: int) -> tuple[Tensor, Tensor]:
    """Exclusive labels of which some are put together with noise: it is not known which of them it is."""
    together = [noise, *rows]
    remaining_rows = [row for row in range(logits.shape[1]) if row not in together]
    merged = torch.logsumexp(logits[:, together], dim=1, keepdim=True)
    return (
        torch.cat([merged, logits[:, remaining_rows]], dim=1),
        torch.cat([probability[:, together].sum(dim=1, keepdim=True), probability[:, remaining_rows]], dim=1),
    )


def cross_entropy(logits: Tensor, probability: Tensor) -> Tensor:
    """Mean cross entropy against soft labels that share one probability, shapes (n, n_labels, n_samples)."""
    return -(probability * nn.functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
