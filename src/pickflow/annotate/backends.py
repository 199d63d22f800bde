"""Backends that compute a model's probabilities: torch (CPU and GPU), ONNX Runtime, or pickflow's own kernels."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import seisbench.models
import torch

from pickflow.annotate.cutting import Cut, centre
from pickflow.annotate.operators import with_operators
from pickflow.io.atomic import StorageError, write_bytes
from pickflow.kernels import Network, UnsupportedNetwork, is_available
from pickflow.kernels.compilation import compile_network
from pickflow.provenance import sha256_of_bytes

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "kernels", "onnxruntime", "torch")
MODES = ("exact", "fast")
# Measured with benchmarks/picking.py: larger batches leave the processor's cache, smaller ones pay for the calls.
CPU_BATCH = {"kernels": 32, "onnxruntime": 16, "torch": 16}
GPU_BATCH = 1024  # chosen: fills a GPU; a batch of three components takes 37 MB
# Largest difference of probabilities that reordered float32 sums explain; the fast mode rounds to 15 bits.
SELF_CHECK_TOLERANCE = {"exact": 2e-4, "fast": 0.1}
EXPORT_VERSION = 2  # to be raised when `export_onnx` makes another network of a model: cached ones are then left alone
N_SELF_CHECK_WINDOWS = 2  # chosen: more than one, so that the order of windows is compared too


class Backend(Protocol):
    """Computes probabilities of windows."""

    name: str
    batch_size: int

    def predict(self, cuts: Sequence[Cut]) -> np.ndarray:
        """
        Probabilities of windows.

        Parameters
        ----------
        cuts : sequence of Cut
            Samples as they were recorded.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels, in_samples)
        """


class BackendRefusedError(ValueError):
    """A backend cannot compute a model; the message says why."""


class TorchBackend:
    """
    The model's own `annotate_batch_pre`, `forward` and `annotate_batch_post`, on its own device.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    """

    name = "torch"

    def __init__(self, model: seisbench.models.WaveformModel):
        self._model = model
        self._device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self.batch_size = CPU_BATCH[self.name] if self._device.type == "cpu" else GPU_BATCH
        # Blinding is left to the stack.
        self._arguments = {**model.default_args, "blinding": (0, 0)}

    @torch.inference_mode()
    def predict(self, cuts: Sequence[Cut]) -> np.ndarray:
        """See `Backend`."""
        batch = torch.from_numpy(centre(cuts, self._model.in_samples))
        if self._device.type != "cpu":
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        inputs = self._model.annotate_batch_pre(batch, argdict=self._arguments)
        inputs, piggyback = inputs if isinstance(inputs, tuple) else (inputs, None)
        probabilities = self._model.annotate_batch_post(
            self._model(inputs), piggyback=piggyback, argdict=self._arguments
        )
        return probabilities.transpose(-1, -2).cpu().numpy()


class OnnxBackend:
    """
    A network in ONNX Runtime behind the model's own `annotate_batch_pre`.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    session : onnxruntime.InferenceSession
        Of its export.
    """

    name = "onnxruntime"

    def __init__(self, model: seisbench.models.WaveformModel, session: Any):
        self.batch_size = CPU_BATCH[self.name]
        self._model, self._session = model, session
        self._entry = session.get_inputs()[0].name

    @torch.inference_mode()
    def predict(self, cuts: Sequence[Cut]) -> np.ndarray:
        """See `Backend`."""
        windows = torch.from_numpy(centre(cuts, self._model.in_samples))
        inputs = self._model.annotate_batch_pre(windows, argdict=self._model.default_args)
        if isinstance(inputs, tuple):
            raise BackendRefusedError("the model passes data around its network")
        return self._session.run(None, {self._entry: inputs.numpy()})[0]


class KernelBackend:
    """
    A network as pickflow's own kernels, which also centre and normalise.

    Parameters
    ----------
    network : Network
        Compiled.
    """

    name = "kernels"

    def __init__(self, network: Network):
        self.batch_size = CPU_BATCH[self.name]
        self._network = network

    def predict(self, cuts: Sequence[Cut]) -> np.ndarray:
        """See `Backend`."""
        return self._network.predict_cuts(cuts)


def choose_backend(
    model: seisbench.models.WaveformModel, name: str = "auto", mode: str = "exact", cache: Path | None = None
) -> Backend:
    """
    Backend for a model: the one named, or the fastest that can compute it.

    Every compiled network is compared with torch on random windows before it is used. A quantised picker has one
    backend, the network that came with it.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode, on its device.
    name : {"auto", "kernels", "onnxruntime", "torch"}
        ``auto`` takes torch on a GPU, and on a CPU the first of the kernels, ONNX Runtime and torch that can.
    mode : {"exact", "fast"}
        ``fast`` lets the kernels compute convolutions in 16-bit integers; the others have no such mode.
    cache : Path or None
        Folder for exported networks.

    Raises
    ------
    ValueError
        If the name is unknown.
    BackendRefusedError
        If the backend that was named cannot compute the model.
    """
    if name not in BACKENDS or mode not in MODES:
        raise ValueError(f"backend {name!r} in mode {mode!r}: known are {', '.join(BACKENDS)}; {', '.join(MODES)}")
    quantised: Path | None = getattr(model, "quantised_network", None)
    if quantised is not None:
        return OnnxBackend(model, onnx_session(quantised.read_bytes()))
    reference = TorchBackend(model)
    on_cpu = next(model.parameters()).device.type == "cpu"
    if name == "torch" or (name == "auto" and not on_cpu):
        backend: Backend = reference
    elif not on_cpu:
        raise BackendRefusedError(f"pick.backend {name} computes on the CPU, and the job has a GPU; take torch or auto")
    else:
        backend = _first_capable(model, name, mode, cache, reference)
    if mode == "fast" and backend.name != "kernels":
        logger.warning("%s: only the kernels have the mode fast; %s computes exactly", model.name, backend.name)
    return backend


def _first_capable(
    model: seisbench.models.WaveformModel, name: str, mode: str, cache: Path | None, reference: Backend
) -> Backend:
    makers: dict[str, Callable[[], Backend]] = {
        "kernels": lambda: _kernels(model, mode),
        "onnxruntime": lambda: _onnxruntime(model, cache),
    }
    for candidate in makers if name == "auto" else [name]:
        try:
            return _checked(makers[candidate](), reference, model, mode)
        except BackendRefusedError as error:
            if name != "auto":
                raise BackendRefusedError(
                    f"pick.backend {name} cannot compute {model.name}: {error}; take auto"
                ) from error
            logger.info("%s: not with %s: %s", model.name, candidate, error)
    return reference


def _checked(backend: Backend, reference: Backend, model: seisbench.models.WaveformModel, mode: str) -> Backend:
    rng = np.random.default_rng(0)
    shape = (N_SELF_CHECK_WINDOWS, len(model.component_order), model.in_samples)
    windows = rng.normal(size=shape)
    windows[:, :, model.in_samples // 2 :] *= 10.0
    cuts = [tuple(window) for window in windows]
    expected, probabilities = reference.predict(cuts), backend.predict(cuts)
    if expected.shape != probabilities.shape:
        raise BackendRefusedError(f"it gives the shape {probabilities.shape}, torch {expected.shape}")
    difference = float(np.abs(expected - probabilities).max())
    logger.info("%s with %s, %s: probabilities within %.2g of torch's", model.name, backend.name, mode, difference)
    if not difference <= SELF_CHECK_TOLERANCE[mode if backend.name == "kernels" else "exact"]:
        raise BackendRefusedError(f"its probabilities differ from torch's by {difference:.2g}")
    return backend


def _kernels(model: seisbench.models.WaveformModel, mode: str) -> Backend:
    if not is_available():
        raise BackendRefusedError("the kernels were not built; install pickflow where there is a C compiler")
    try:
        return KernelBackend(compile_network(model, mode=mode))
    except UnsupportedNetwork as error:
        raise BackendRefusedError(str(error)) from error


def _onnxruntime(model: seisbench.models.WaveformModel, cache: Path | None) -> Backend:
    path = cache / f"model.{network_digest(model)[:16]}.onnx" if cache else None
    try:
        session = _cached_session(path) or onnx_session(_export_to(path, model))
    except Exception as error:  # exporters and runtimes raise bare exceptions of many kinds
        first_line = str(error).strip().partition("\n")[0]
        raise BackendRefusedError(f"it cannot be exported to ONNX ({type(error).__name__}: {first_line})") from error
    return OnnxBackend(model, session)


def onnx_session(content: bytes) -> Any:
    """Session of ONNX Runtime on the CPU, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread a process: stations run side by side.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _cached_session(path: Path | None) -> Any:
    """Session of an earlier export; None if there is none or it is damaged."""
    if path is None or not path.exists():
        return None
    try:
        return onnx_session(path.read_bytes())
    except Exception as error:  # exported again, with a warning
        logger.warning("%s is damaged and is exported again (%s)", path, type(error).__name__)
        return None


def _export_to(path: Path | None, model: seisbench.models.WaveformModel) -> bytes:
    content = export_onnx(model)
    if path is not None:
        try:
            write_bytes(path, content)
        except StorageError as error:  # the folder of another user's run may be read-only
            logger.warning("the exported network is not stored: %s", error)
    return content


def network_digest(model: seisbench.models.WaveformModel) -> str:
    """Digest of what an export depends on: its version, class, versions, names and values of all tensors."""
    state = model.state_dict()
    versions = f"{EXPORT_VERSION} {torch.__version__} {seisbench.__version__}"
    text = f"{type(model).__name__} {versions} {sorted(state)}".encode()
    return sha256_of_bytes(text + b"".join(state[name].cpu().numpy().tobytes() for name in sorted(state)))


def export_onnx(model: seisbench.models.WaveformModel) -> bytes:
    """
    A picker as ONNX with any number of windows: ``windows`` (normalised) to ``probabilities``, both label by label.

    Raises
    ------
    RuntimeError
        If torch cannot export it.
    """

    class Labelled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = with_operators(model)

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            outputs: Any = self.network(windows)
            return torch.stack(outputs, dim=1) if isinstance(outputs, tuple) else outputs

    example = torch.zeros(2, len(model.component_order), model.in_samples)
    target = io.BytesIO()
    with warnings.catch_warnings():
        # Loops over time may become constants, because the window's length is fixed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Labelled().eval(),
            (example,),
            target,  # type: ignore[arg-type]
            input_names=["windows"],
            output_names=["probabilities"],
            dynamic_axes={"windows": {0: "n"}, "probabilities": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    return target.getvalue()
