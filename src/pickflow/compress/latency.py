"""Time and memory of a picker for a window, measured on the machine of the job, on one thread."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pickflow.annotate.backends import onnx_session
from pickflow.compress.costs import milliseconds
from pickflow.kernels import UnsupportedNetwork, is_available
from pickflow.kernels.compilation import compile_network

BATCHES = (1, 16)  # chosen: one window, and a batch that fills the cache

# As on a small computer: only the network, neither torch nor pickflow.
_ONNX_ALONE = """
import sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"windows": numpy.zeros((1, int(sys.argv[2]), int(sys.argv[3])), numpy.float32)})
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def latency(model: Any, network: Path) -> dict[str, Any]:
    """
    Milliseconds for a window with each runtime, by batch size, and the memory of a process with the network alone.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    network : Path
        Its export to ONNX.

    Returns
    -------
    dict
        ``torch_ms``, ``onnxruntime_ms``, ``kernels_ms`` (None where the kernels do not know the model or the export is
        quantised), each by batch size, and ``peak_mb``. Median of 15 calls; good to a few per cent on a quiet machine.
    """
    session = onnx_session(network.read_bytes())
    quantised = getattr(model, "quantised_network", None) is not None
    result: dict[str, Any] = {
        "torch_ms": None if quantised else _by_batch(model, _with_torch(model)),
        "onnxruntime_ms": _by_batch(model, lambda windows: session.run(None, {"windows": windows})),
        "kernels_ms": None,
        "peak_mb": peak_mb(model, network),
    }
    if is_available() and not quantised:
        with suppress(UnsupportedNetwork):
            result["kernels_ms"] = _by_batch(model, compile_network(model).predict)
    return result


def _with_torch(model: Any) -> Any:
    @torch.inference_mode()
    def predict(windows: np.ndarray) -> Any:
        return model(torch.from_numpy(windows))

    return predict


def _by_batch(model: Any, predict: Any) -> dict[str, float]:
    rng = np.random.default_rng(0)
    shape = (len(model.component_order), model.in_samples)
    return {
        str(n): float(f"{milliseconds(predict, rng.normal(size=(n, *shape)).astype(np.float32)):.3g}") for n in BATCHES
    }


def peak_mb(model: Any, network: Path) -> float:
    """Largest memory of a process that computes one window with ONNX Runtime and nothing else, in MB."""
    arguments = [str(network), str(len(model.component_order)), str(model.in_samples)]
    process = subprocess.run(
        [sys.executable, "-c", _ONNX_ALONE, *arguments], capture_output=True, text=True, check=True
    )
    return round(float(process.stdout), 1)
