"""Students for other runtimes: ONNX in float32, and ONNX whose convolutions compute in 8-bit integers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from pickflow.annotate.backends import export_onnx, onnx_session
from pickflow.io.atomic import write_bytes

ONNX_FILE = "model.onnx"
# Chosen, of one window each: more of them only take longer.
N_QUANTISATION_WINDOWS = 64
# Recurrences, attention and softmax lose their accuracy in 8 bits, convolutions very little.
QUANTISED_OPERATORS = ["Conv", "ConvTranspose"]
# Chosen: percentile of the activations that the integers span, because rare peaks would make all steps coarse.
PERCENTILE = 99.99


def write_onnx(model: Any, folder: Path, windows: torch.Tensor | None) -> float | None:
    """
    Export a picker and compare it with torch.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    folder : Path
        Folder for ``model.onnx``.
    windows : Tensor, shape (n, n_components, in_samples), or None
        Normalised, to compare on; None for no comparison.

    Returns
    -------
    float or None
        Largest difference of a probability.
    """
    content = export_onnx(model)
    write_bytes(folder / ONNX_FILE, content)
    return None if windows is None else largest_difference(model, content, windows)


def quantised(content: bytes, windows: torch.Tensor) -> bytes:
    """
    A network of ONNX with static 8-bit convolutions: activations unsigned, weights signed and scaled by channel.

    Parameters
    ----------
    content : bytes
        The network in float32.
    windows : Tensor, shape (n, n_components, in_samples)
        Normalised; they give the ranges of the activations.

    Returns
    -------
    bytes
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._windows: Iterator[torch.Tensor] = iter(windows[:N_QUANTISATION_WINDOWS])

        def get_next(self) -> dict[str, np.ndarray] | None:
            window = next(self._windows, None)
            return None if window is None else {"windows": window[None].numpy()}

    with TemporaryDirectory() as scratch:
        plain, prepared, small = (Path(scratch) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        write_bytes(plain, content)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(small),
            Windows(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=QUANTISED_OPERATORS,
            nodes_to_exclude=_ends(onnx.load_from_string(content)),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )
        return small.read_bytes()


def _ends(network: Any) -> list[str]:
    """Convolutions at the waveform and at the probabilities: they stay in float32, since errors there are largest."""
    convolutions = [node for node in network.graph.node if node.op_type in QUANTISED_OPERATORS]
    inputs = {name for node in convolutions for name in node.input}
    consumers: dict[str, list[Any]] = {}
    for node in network.graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    return [node.name for node in convolutions if node is convolutions[0] or not _leads_to(node, consumers, inputs)]


def _leads_to(node: Any, consumers: dict[str, list[Any]], inputs: set[str]) -> bool:
    """Whether a later convolution reads the output of a node, directly or through other nodes."""
    queue, visited = list(node.output), set()
    while queue:
        name = queue.pop()
        if name in inputs:
            return True
        if name not in visited:
            visited.add(name)
            queue += [output for consumer in consumers.get(name, ()) for output in consumer.output]
    return False


@torch.inference_mode()
def largest_difference(model: Any, content: bytes, windows: torch.Tensor) -> float:
    """Largest difference of a probability between a network of ONNX and the model that it comes from."""
    session = onnx_session(content)
    difference = 0.0
    for first in range(0, len(windows), 16):
        part = windows[first : first + 16]
        expected = model(part)
        expected = torch.stack(expected, dim=1) if isinstance(expected, tuple) else expected
        probabilities = session.run(None, {"windows": part.numpy()})[0]
        difference = max(difference, float(np.abs(probabilities - expected.numpy()).max()))
    return difference
