"""What both forms of a picker have in common: students, one after the other, each a function of windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickflow.implicit.experiment.solutions import Setting

Array = NDArray[np.float64]
Predict = Callable[[NDArray[np.float32]], NDArray]


@dataclass(frozen=True, kw_only=True)
class Student:
    """
    A picker with fewer weights.

    Parameters
    ----------
    method : {"teacher", "lasso", "magnitude"}
    setting : Setting
        Of the lasso; for ``magnitude`` of the one that has as many weights.
    refit : bool
        Whether the weights that are left were fitted again, each layer with what the layers before it make now.
    n_weights, n_nonzero : int
        Of the layers that are fitted; constants do not count.
    predict : callable
        From windows, shape (n, 3, n_samples), Z N E in any unit, to probabilities, shape (n, n_labels, n_samples).
    """

    method: str
    setting: Setting
    refit: bool
    n_weights: int
    n_nonzero: int
    predict: Predict

    def columns(self) -> dict[str, Any]:
        """What names it in a table."""
        return {
            "method": self.method,
            **self.setting._asdict(),
            "refit": self.refit,
            "n_weights": self.n_weights,
            "n_nonzero": self.n_nonzero,
        }


TEACHER = Setting("none", "none", 0.0)
