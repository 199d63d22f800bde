"""What becomes of P and S when a part of a picker is silenced: a row for each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.annotate.triggers import Trigger
from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.inside.attribution import measure
from pickflow.inside.network import Network
from pickflow.inside.parts import parts_of
from pickflow.inside.silencing import Part, Silencer
from pickflow.inside.windows import Window
from pickflow.progress import Progress, silent
from pickflow.train.evaluate import phase_scores

Array32 = NDArray[np.float32]

TOLERANCE = "0.3s"
NOTHING = Part(name="", kind="nothing", layer="")
# What the layers gave is kept for so many windows at a time: 3 MB for each of EQTransformer.
_BATCH_SIZE = 20


def sensitivity(network: Network, windows: Sequence[Window], progress: Progress = silent) -> pd.DataFrame:
    """
    Silence every part of a picker in turn.

    Parameters
    ----------
    network : Network
        From `pickflow.inside.network.open_network`.
    windows : sequence of Window
        Events and noise with their truth.
    progress : callable
        Called as ``progress(what, done, total)``.

    Returns
    -------
    DataFrame
        A row for each part (see `pickflow.inside.silencing.Part`), the first with nothing silenced: ``part``, ``kind``,
        ``layer``, ``channels``, and for ``p`` and ``s``, as far as the picker has them

        - ``p_change``: mean over the windows of the largest change of the probability anywhere in them, 0 to 1;
        - ``p_at_arrival``: mean probability at the arrivals;
        - ``p_precision``, ``p_recall``, ``p_f1``: of the picks, 0.3 s, with the picker's threshold;
        - ``p_mae_s``: mean absolute error of the picks within 0.5 s.
    """
    parts = [NOTHING, *parts_of(network)]
    observations_of_parts: list[list[dict[str, Any]]] = [[] for _ in parts]
    n_batches = -(-len(windows) // _BATCH_SIZE)
    for batch in range(n_batches):
        group = windows[batch * _BATCH_SIZE : (batch + 1) * _BATCH_SIZE]
        silencer = Silencer(network, network.inputs(group))
        for index, part in enumerate(parts):
            without = silencer.whole if part is NOTHING else silencer.without(part)
            observations_of_parts[index] += _observations(network, group, silencer.whole, without)
            progress("silenced parts", batch * len(parts) + index + 1, n_batches * len(parts))
    rows = [
        _row(network, part, windows, observations)
        for part, observations in zip(parts, observations_of_parts, strict=True)
    ]
    return pd.DataFrame(rows)


def _observations(
    network: Network, windows: Sequence[Window], whole: Array32, without: Array32
) -> list[dict[str, tuple[float, float, NDArray[np.float64]]]]:
    """For each window and phase: the largest change, the probability at the arrival, the times of the picks in s."""
    changes = np.abs(without - whole)[:, :, network.judged].max(axis=2)
    return [
        {
            phase: (
                float(changes[index, row]),
                measure(network, window, phase, without[index, row])[0],
                pick_times_s(network, phase, without[index, row]),
            )
            for row, phase in enumerate(network.phases)
        }
        for index, window in enumerate(windows)
    ]


def pick_times_s(network: Network, phase: str, curve: Array32) -> NDArray[np.float64]:
    """
    Picks of a window, as the engine makes them of a record, in s since its start.

    Parameters
    ----------
    network : Network
        Has the thresholds, and says which samples are judged.
    phase : str
        Whose picks.
    curve : ndarray, shape (n_samples,)
        Its probability.
    """
    probability = curve[network.judged]
    if not probability.max() > network.thresholds[phase]:
        return np.empty(0)
    trigger = Trigger(network.thresholds[phase])
    picks = [*trigger.feed(network.judged.start, probability), *trigger.flush()]
    return np.array([pick.peak for pick in picks]) / SAMPLING_RATE_HZ


def _row(
    network: Network, part: Part, windows: Sequence[Window], observations: Sequence[dict[str, tuple[float, float, Any]]]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "part": part.name,
        "kind": part.kind,
        "layer": part.layer,
        "channels": ",".join(map(str, part.channels)),
    }
    for phase in network.phases:
        column = phase.lower()
        manual = [_judged_time_s(network, window, phase) for window in windows]
        at_arrivals = [
            window[phase][1] for window, time_s in zip(observations, manual, strict=True) if time_s is not None
        ]
        scores = phase_scores([window[phase][2] for window in observations], manual)
        row |= {
            f"{column}_change": float(np.mean([window[phase][0] for window in observations])),
            f"{column}_at_arrival": float(np.mean(at_arrivals)) if at_arrivals else float("nan"),
            **{f"{column}_{name}": scores[TOLERANCE][name] for name in ("precision", "recall", "f1")},
            f"{column}_mae_s": float("nan") if scores["mae_s"] is None else scores["mae_s"],
        }
    return row


def _judged_time_s(network: Network, window: Window, phase: str) -> float | None:
    at = window.picks.get(phase)
    if at is None or not network.judged.start <= at < network.judged.stop:
        return None
    return at / SAMPLING_RATE_HZ
