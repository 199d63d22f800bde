"""A network as a list of operations on buffers, built once from a model and run for every block of windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pickflow.kernels.library import KINDS, OPERATION

_LINE = 16  # float32 in a cache line


class UnsupportedNetwork(ValueError):  # noqa: N818 (callers fall back on it, so it is not called an error)
    """A model that the kernels cannot express; the message says why."""


def require(condition: bool, expected: str) -> None:
    """Refuse a model that is not as expected."""
    if not condition:
        raise UnsupportedNetwork(f"the kernels expect {expected}")


@dataclass(eq=False)
class Buffer:
    """Channels of one length; margins of zeros grow to what its readers need."""

    n_channels: int
    n_samples: int
    left: int = 0
    right: int = 0
    offset: int = 0
    pitch: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and samples."""
        return self.n_channels, self.n_samples


@dataclass(frozen=True)
class View:
    """Some neighbouring channels of a buffer: a concatenation is two views of one buffer."""

    buffer: Buffer
    first: int
    n_channels: int

    @property
    def n_samples(self) -> int:
        """Samples of each channel."""
        return self.buffer.n_samples

    def moved(self, buffer: Buffer) -> View:
        """The same channels of another buffer."""
        return View(buffer, self.first, self.n_channels)

    def channels(self, first: int, n_channels: int) -> View:
        """Channels of this view, counted within it."""
        assert first + n_channels <= self.n_channels
        return View(self.buffer, self.first + first, n_channels)


@dataclass
class Program:
    """
    Operations in order, with their buffers and numbers.

    Attributes
    ----------
    multiply_adds : int
        Of all convolutions and recurrences, per window.
    saved_multiply_adds : int
        What the model does beyond them, as it repeats samples before it convolves.
    operations : list of dict
        Fields of `OPERATION`, with ``views`` for the operands; ``integers`` marks convolutions that bear rounding.
    buffers : list of Buffer
    """

    multiply_adds: int = 0
    saved_multiply_adds: int = 0
    operations: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    _numbers: list[np.ndarray] = field(default_factory=list)
    _n_numbers: int = 0

    def buffer(self, n_channels: int, n_samples: int) -> View:
        """All of a new buffer."""
        self.buffers.append(Buffer(n_channels, n_samples))
        return View(self.buffers[-1], 0, n_channels)

    def add(
        self,
        kind: str,
        source: View | None,
        target: View | None,
        second: View | None = None,
        weights: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        scratch: View | None = None,
        **fields: Any,
    ) -> None:
        """
        One operation.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        source, target, second, scratch : View or None
            Operands, and room to work in.
        weights, bias : ndarray or None
            Numbers of the operation, flattened as the kernel reads them.
        **fields
            Further fields of `OPERATION`.
        """
        view = target or source
        assert view is not None
        row = {
            "kind": KINDS.index(kind),
            "views": {"input": source, "output": target, "second": second, "scratch": scratch},
            "n_in": source.n_channels if source else 0,
            "n_out": view.n_channels,
            "n_samples": view.n_samples,
            "weights": self.keep(weights),
            "bias": self.keep(bias),
            "epsilon": 0.0,
            **fields,
        }
        self.operations.append(row)
        if kind in ("conv", "depthwise"):
            grow_margins(row)
            n_in = 1 if kind == "depthwise" else row["n_in"]
            self.multiply_adds += n_in * row["n_out"] * row["taps"] * row["n_samples"]

    def successor(self) -> Program:
        """A program without operations, for the same buffers and numbers."""
        numbers = list(self._numbers)
        counts = (self.multiply_adds, self.saved_multiply_adds)
        return Program(*counts, buffers=self.buffers, _numbers=numbers, _n_numbers=self._n_numbers)

    def keep(self, numbers: np.ndarray | None) -> int:
        """Offset of numbers, each array at the start of a cache line; integers of 32 bits stay what they are."""
        if numbers is None:
            return -1
        offset = self._n_numbers
        integers = numbers.dtype == np.int32
        flat = numbers.ravel().view(np.float32) if integers else np.asarray(numbers, dtype=np.float32).ravel()
        padded = np.zeros(-(-flat.size // _LINE) * _LINE, dtype=np.float32)
        padded[: flat.size] = flat
        self._numbers.append(padded)
        self._n_numbers += padded.size
        return offset

    @property
    def numbers(self) -> np.ndarray:
        """All numbers, float32, as the offsets of the operations count them."""
        return np.concatenate([np.zeros(0, np.float32), *self._numbers])

    def share_buffers(self) -> None:
        """Put what is not needed at the same time into one buffer, so that more of it stays in the caches."""
        touched = [{view.buffer for view in row["views"].values() if view} for row in self.operations]
        last = {buffer: index for index, buffers in enumerate(touched) for buffer in buffers}
        # Filling the margin of a buffer with anything but zeros spoils it for others.
        peak_buffers = {
            row["views"]["output"].buffer for row in self.operations if row["kind"] == KINDS.index("unit_peak")
        }
        places: dict[Buffer, Buffer] = {}
        free: list[Buffer] = []
        for index, row in enumerate(self.operations):
            for buffer in dict.fromkeys(view.buffer for view in row["views"].values() if view):
                if buffer not in places:
                    place = next((x for x in free if x.shape == buffer.shape and buffer not in peak_buffers), buffer)
                    free = [x for x in free if x is not place]
                    place.left, place.right = max(place.left, buffer.left), max(place.right, buffer.right)
                    places[buffer] = place
            free += [places[x] for x in places if last[x] == index and x not in peak_buffers]
            row["views"] = {name: view and view.moved(places[view.buffer]) for name, view in row["views"].items()}
        self.buffers = list(dict.fromkeys(places.values()))

    def assemble(self, lanes: int) -> tuple[np.ndarray, np.ndarray, int]:
        """
        Lay out the buffers.

        Parameters
        ----------
        lanes : int
            Windows per block.

        Returns
        -------
        operations : ndarray of `OPERATION`
        numbers : ndarray of float32
        arena_size : int
            In float32.
        """
        per_line = max(_LINE // lanes, 1)
        end = 0
        for buffer in self.buffers:
            lines = -(-(buffer.left + buffer.n_samples + buffer.right) // per_line)
            # An odd number of cache lines between channels spreads them over all sets of the cache.
            buffer.pitch = (lines + 1 - lines % 2) * per_line
            buffer.offset = end + buffer.left
            end += buffer.pitch * buffer.n_channels
        table = np.zeros(len(self.operations), dtype=OPERATION)
        for entry, operation in zip(table, self.operations, strict=True):
            for name, value in operation.items():
                if name in (OPERATION.names or ()):
                    entry[name] = value
            for name, view in operation["views"].items():
                entry[name] = view.buffer.offset + view.first * view.buffer.pitch if view else -1
                if name != "scratch":
                    entry[f"{name}_pitch"] = view.buffer.pitch if view else 0
        return table, self.numbers, end * lanes


def grow_margins(row: dict[str, Any]) -> None:
    """Give the input of a convolution the margins that it reads."""
    buffer = row["views"]["input"].buffer
    last = row["start"] + (row["n_samples"] - 1) * row["stride"] + max(row["taps"] - 1, 0) * row["dilation"]
    buffer.left = max(buffer.left, -row["start"])
    buffer.right = max(buffer.right, last + 1 - buffer.n_samples)
