"""What a picker costs, for the table of the lab."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch

from pickflow.compress.costs import milliseconds, multiply_adds, n_parameters
from pickflow.kernels import UnsupportedNetwork, is_available
from pickflow.kernels.compilation import compile_network

COLUMNS = ("variant", "n_parameters", "multiply_adds", "remark")


def picker_costs(model: Any) -> dict[str, Any]:
    """
    Parameters and multiply-adds of a picker for one window: the same on every machine.

    Parameters
    ----------
    model : seisbench.models.WaveformModel
        In evaluation mode.

    Returns
    -------
    dict
        ``n_parameters``; ``multiply_adds``, NaN if a layer is not known, with the reason in ``remark``.
    """
    costs: dict[str, Any] = {"n_parameters": n_parameters(model)[0], "multiply_adds": np.nan, "remark": ""}
    try:
        costs["multiply_adds"] = float(multiply_adds(model))
    except ValueError as error:
        costs["remark"] = f"multiply-adds are not known: {error}"
    return costs


def picker_times_ms(model: Any) -> dict[str, float | None]:
    """
    Milliseconds of a picker for one window: they differ between machines and from run to run.

    Parameters
    ----------
    model : seisbench.models.WaveformModel
        In evaluation mode.

    Returns
    -------
    dict
        ``torch_ms`` and ``kernels_ms`` of CPU time on one thread for one window, median of 15 calls; None where the
        kernels do not know the model or are not built.
    """
    windows = np.random.default_rng(0).normal(size=(1, len(model.component_order), model.in_samples))
    windows = windows.astype(np.float32)

    @torch.inference_mode()
    def with_torch(batch: np.ndarray) -> Any:
        return model(torch.from_numpy(batch))

    times_ms = {"torch_ms": milliseconds(with_torch, windows)}
    if is_available():
        with suppress(UnsupportedNetwork):
            times_ms["kernels_ms"] = milliseconds(compile_network(model).predict, windows)
    rounded_ms = {name: float(f"{time_ms:.3g}") for name, time_ms in times_ms.items()}
    return {"torch_ms": None, "kernels_ms": None} | rounded_ms


def costs_table(models: Mapping[str, Any]) -> pd.DataFrame:
    """
    Costs of several pickers, a row for each.

    Parameters
    ----------
    models : mapping of str to WaveformModel
        By variant.
    """
    rows = [{"variant": name, **picker_costs(model)} for name, model in models.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))
