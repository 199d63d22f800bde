"""From a model of torch to a network of compiled kernels."""

from __future__ import annotations

import ctypes
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

    def predict_record(
        self, samples: Sequence[np.ndarray | None], starts: np.ndarray, normalisation: Normalisation | None = None
    ) -> np.ndarray:
        """
        Outputs of the model for windows of a record, cut and normalised on the way.

        Each component of a window loses its mean, and the window is divided by a power of two near its peak, so that
        the small constants in a normalisation are small in any unit.

        Parameters
        ----------
        samples : sequence of ndarray or None
            Record of each component in the model's order, all of one length and of one type (float32, float64 or int32;
            others are copied as float64); None where the component is missing: zeros.
        starts : ndarray of int64, shape (n_windows,)
            First sample of each window.
        normalisation : Normalisation or None
            The model's own unless given.

        Returns
        -------
        ndarray of float32, shape (n_windows, n_labels, out_samples)

        Raises
        ------
        ValueError
            If components and starts do not fit the model and one another.
        """
        starts = np.ascontiguousarray(starts, dtype=np.int64)
        records = _as_one_type(samples)
        self._check_record(records, starts)
        chosen = normalisation or self.normalisation
        taper = chosen.taper()
        pointers = (ctypes.c_void_p * len(records))(*(x.ctypes.data if x is not None else None for x in records))
        job = library.Job(
            samples=ctypes.addressof(pointers),
            starts=starts.ctypes.data,
            type=library.SAMPLE_TYPES.index(next(x.dtype for x in records if x is not None)),
            n_windows=len(starts),
            scale=library.SCALES.index(chosen.scale),
            detrend=int(chosen.detrend),
            taper=taper.ctypes.data,
            n_taper=len(taper),
        )
        return self._run(job)

    def _check_record(self, records: list[np.ndarray | None], starts: np.ndarray) -> None:
        n_components, in_samples = self.window_shape
        lengths = {x.size for x in records if x is not None}
        if len(records) != n_components or len(lengths) != 1:
            raise ValueError(
                f"{len(records)} components of {sorted(lengths)} samples; the model needs {n_components} of one length"
            )
        last = min(lengths) - in_samples
        if starts.size and not 0 <= starts.min() <= starts.max() <= last:
            raise ValueError(f"windows start at {starts.min()} to {starts.max()}; the record allows 0 to {last}")

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


def _as_one_type(samples: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """Contiguous records of a type that the kernels read; float64 if they differ."""
    types = {np.asarray(x).dtype for x in samples if x is not None}
    common = types.pop() if len(types) == 1 else np.dtype(np.float64)
    chosen = common if common in library.SAMPLE_TYPES else np.dtype(np.float64)
    return [None if x is None else np.ascontiguousarray(x, dtype=chosen) for x in samples]


def _aligned(numbers: np.ndarray) -> np.ndarray:
    """A copy that starts on a cache line."""
    room = np.zeros(numbers.nbytes + _ALIGNMENT, dtype=np.uint8)
    skip = -room.ctypes.data % _ALIGNMENT
    copy = room[skip : skip + numbers.nbytes].view(numbers.dtype)
    copy[:] = numbers
    return copy
