"""A network of compiled kernels, ready to compute."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from pickflow.kernels import library
from pickflow.kernels.normalisation import Normalisation
from pickflow.kernels.program import Buffer, Program

_ALIGNMENT = 64


class Network:
    """
    A picker as compiled kernels, of one thread.

    Parameters
    ----------
    program : Program
        Complete, from packing to unpacking.
    lanes : int
        Windows per block; batches that are a multiple of it waste nothing.
    window_shape, output_shape : tuple of int
        Components and samples of a window; labels and samples of its output.
    normalisation : Normalisation
        What the model does before its network.

    Attributes
    ----------
    program : Program
    flops_per_window : int
        Two per multiply-add of the convolutions and recurrences.
    model_flops_per_window : int
        The same for the model as it is written; the kernels do less where it repeats samples before a convolution.
    """

    def __init__(
        self,
        program: Program,
        lanes: int,
        window_shape: tuple[int, int],
        output_shape: tuple[int, int],
        normalisation: Normalisation,
    ):
        self.lanes = lanes
        self.flops_per_window = 2 * program.multiply_adds
        self.model_flops_per_window = self.flops_per_window + 2 * program.saved_multiply_adds
        self.window_shape, self.output_shape = window_shape, output_shape
        self.normalisation = normalisation
        self.program = program
        self._operations, self._numbers, arena_size = program.assemble(lanes)
        self._numbers = _aligned(self._numbers)
        self._arena = _aligned(np.zeros(arena_size, dtype=np.float32))
        self._lock = threading.Lock()

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """
        Outputs of the model.

        Parameters
        ----------
        windows : ndarray of float32, shape (n_windows, n_components, in_samples)
            Normalised as the model wants them.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels, out_samples)
            Probabilities.

        Raises
        ------
        ValueError
            If the shape is not the model's.
        """
        windows = np.ascontiguousarray(windows, dtype=np.float32)
        if windows.ndim != 3 or windows.shape[1:] != self.window_shape:
            raise ValueError(f"windows of shape {windows.shape}, the model needs (n, {self.window_shape})")
        return self._run(library.Job(windows=windows.ctypes.data, n_windows=len(windows)))

    def predict_cuts(
        self, cuts: Sequence[Sequence[np.ndarray | None]], normalisation: Normalisation | None = None
    ) -> np.ndarray:
        """
        Outputs of the model for pieces of records, normalised on the way.

        Each component of a window loses its mean, and the window is divided by a power of two near its peak, so that
        the small constants in a normalisation are small in any unit.

        Parameters
        ----------
        cuts : sequence of sequences of (ndarray, shape (in_samples,)) or None
            For each window the samples of each component in the model's order. Those of one type (float32, float64 or
            int32) are read where they are, others are copied as float64; None where a component is missing: zeros.
        normalisation : Normalisation or None
            The model's own unless given.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels, out_samples)

        Raises
        ------
        ValueError
            If components or lengths are not the model's.
        """
        samples = [component for cut in cuts for component in cut]
        n_components, in_samples = self.window_shape
        lengths = {component.size for component in samples if component is not None}
        if any(len(cut) != n_components for cut in cuts) or not lengths <= {in_samples}:
            raise ValueError(
                f"windows of {sorted({len(cut) for cut in cuts})} components and {sorted(lengths)} samples; the model"
                f" needs {n_components} and {in_samples}"
            )
        readable, kind = _as_one_type(samples)
        chosen = normalisation or self.normalisation
        taper = chosen.taper()
        addresses = [0 if x is None else x.__array_interface__["data"][0] for x in readable]
        pointers = np.array(addresses, dtype=np.uintp)
        job = library.Job(
            samples=pointers.ctypes.data,
            type=kind,
            n_windows=len(cuts),
            scale=library.SCALES.index(chosen.scale),
            detrend=int(chosen.detrend),
            taper=taper.ctypes.data,
            n_taper=len(taper),
        )
        return self._run(job)

    def activations(self, buffer: Buffer) -> np.ndarray:
        """
        What a buffer of the program last laid out holds after the last block; of other programs, nonsense.

        Returns
        -------
        ndarray of float32, shape (n_channels, n_samples, lanes)
        """
        vectors = self._arena.reshape(-1, self.lanes)
        starts = buffer.offset + buffer.pitch * np.arange(buffer.n_channels)
        return np.stack([vectors[start : start + buffer.n_samples] for start in starts])

    def _run(self, job: library.Job) -> np.ndarray:
        outputs = np.empty((job.n_windows, *self.output_shape), dtype=np.float32)
        job.outputs = outputs.ctypes.data
        with self._lock:
            library.run(self.lanes, self._operations, self._numbers, self._arena, job)
        return outputs


def _as_one_type(samples: Sequence[np.ndarray | None]) -> tuple[list[np.ndarray | None], int]:
    """Contiguous samples of a type that the kernels read, float64 if they differ; and the number of the type."""
    types = {x.dtype for x in samples if x is not None}
    common = types.pop() if len(types) == 1 else np.dtype(np.float64)
    chosen = common if common in library.SAMPLE_TYPES else np.dtype(np.float64)
    readable = [None if x is None else np.ascontiguousarray(x, dtype=chosen) for x in samples]
    return readable, library.SAMPLE_TYPES.index(chosen)


def _aligned(numbers: np.ndarray) -> np.ndarray:
    """A copy that starts on a cache line."""
    room = np.zeros(numbers.nbytes + _ALIGNMENT, dtype=np.uint8)
    skip = -room.ctypes.data % _ALIGNMENT
    copy = room[skip : skip + numbers.nbytes].view(numbers.dtype)
    copy[:] = numbers
    return copy
