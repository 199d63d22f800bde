"""The fast mode: a program whose larger convolutions work on 16-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pickflow.kernels.layers import OUTPUT_BLOCK
from pickflow.kernels.library import KINDS, QUANTUM_LIMIT, RECTIFY, TO_INTEGERS
from pickflow.kernels.program import Buffer, Program, View, grow_margins

_LARGEST_SUM = 2**31 - 1
_LARGEST_WEIGHT = 2**15 - 1
_MIN_CHANNELS = 8  # below, the conversion costs as much as it saves

Ranges = dict[Buffer, np.ndarray]


def with_integers(program: Program, ranges: Ranges) -> Program:
    """
    The same program with integers where it pays.

    An activation that convolutions read is kept as integers, as well as in float32 if something else reads it, too.
    What writes it is a convolution that rounds its result at once, or anything else and a conversion after it.

    Parameters
    ----------
    program : Program
        Before its buffers are shared.
    ranges : dict
        Largest size of each channel of each buffer, headroom included: larger ones are cut.

    Returns
    -------
    Program
    """
    fast = program.successor()
    rounding = _Rounding(program, ranges)
    copies = list(rounding.copies.values())
    for row, following in zip(program.operations, [*program.operations[1:], None], strict=True):
        fast.operations.append(rounding.converted(fast, row))
        target = row["views"]["output"]
        unfinished = following is not None and following["views"]["output"] == target
        if target and target.buffer in rounding.copies and not rounding.makes_integers(row) and not unfinished:
            rounding.add_conversion(fast, target)
    buffers = {view.buffer for row in fast.operations for view in row["views"].values() if view}
    fast.buffers = [buffer for buffer in [*program.buffers, *copies] if buffer in buffers]
    return fast


class _Rounding:
    """Which convolutions and buffers of a program work on integers, and how."""

    def __init__(self, program: Program, ranges: Ranges):
        self.steps = {buffer: sizes / QUANTUM_LIMIT for buffer, sizes in ranges.items()}
        views = [view for row in program.operations for view in row["views"].values() if view]
        self._uneven = {view.buffer for view in views if view.first % 2 or view.n_channels % 2}
        rounded = [view.buffer for view in map(self.rounded_input, program.operations) if view]
        self.copies = {buffer: Buffer(buffer.n_channels // 2, buffer.n_samples) for buffer in dict.fromkeys(rounded)}
        self._positive: set[Buffer] = set()
        self._signed: set[Buffer] = set()
        for row in program.operations:
            self._note_signs(row)
        self._read_in_float = {view.buffer for row in program.operations for view in self._float_inputs(row) if view}

    def _note_signs(self, row: dict[str, Any]) -> None:
        """Keep track of buffers that hold nothing negative."""
        source, target = row["views"]["input"], row["views"]["output"]
        rectified = row["kind"] == KINDS.index("conv") and row["flag"] & RECTIFY and row["views"]["second"] is None
        pooled = row["kind"] == KINDS.index("pool") and source.buffer in self._positive
        if target and (rectified or pooled):
            self._positive.add(target.buffer)
        elif target:
            self._signed.add(target.buffer)

    def rounded_input(self, row: dict[str, Any]) -> View | None:
        """Input of a convolution that is to work on integers."""
        view: View | None = row["views"]["input"]
        if row.get("integers") is None or view is None or view.buffer in self._uneven:
            return None
        return view if view.n_channels >= _MIN_CHANNELS else None

    def _float_inputs(self, row: dict[str, Any]) -> list[View | None]:
        views = row["views"]
        worked_on = views["input"] or views["output"]
        return [views["second"], None if self.rounded_input(row) else worked_on]

    def makes_integers(self, row: dict[str, Any]) -> bool:
        """Whether a row becomes a convolution that writes integers."""
        target = row["views"]["output"]
        if self.rounded_input(row) is None or row["views"]["second"] is not None:
            return False
        return target.buffer in self.copies and target.buffer not in self._read_in_float

    def converted(self, fast: Program, row: dict[str, Any]) -> dict[str, Any]:
        """A row of the fast program: the convolution in integers, or the same row."""
        source, target = self.rounded_input(row), row["views"]["output"]
        if source is None:
            return row
        to_integers = self.makes_integers(row)
        positive = source.buffer in self._positive - self._signed
        weights, scales = quantised(row["integers"] * self._steps_of(source)[None, :, None], positive)
        shift = np.asarray(row["shift"])
        if to_integers:
            scales, shift = scales / self._steps_of(target), shift / self._steps_of(target)
            target = self._pairs_of(target)
        changed = {
            "kind": KINDS.index("conv_16"),
            "views": {**row["views"], "input": self._pairs_of(source), "output": target},
            "n_in": source.n_channels // 2,
            "weights": fast.keep(_packed(weights)),
            "bias": fast.keep(np.concatenate([shift, scales])),
            "flag": row["flag"] & RECTIFY | TO_INTEGERS * to_integers,
        }
        grow_margins({**row, **changed})
        return {**row, **changed}

    def add_conversion(self, fast: Program, view: View) -> None:
        """Round what was written in float32."""
        fast.add("quantise", view, self._pairs_of(view), None, 1 / self._steps_of(view))

    def _steps_of(self, view: View) -> np.ndarray:
        return self.steps[view.buffer][view.first : view.first + view.n_channels]

    def _pairs_of(self, view: View) -> View:
        return View(self.copies[view.buffer], view.first // 2, view.n_channels // 2)


def quantised(weights: np.ndarray, positive: bool) -> tuple[np.ndarray, np.ndarray]:
    """
    Weights as integers so small that no sum of products with activations overflows.

    Parameters
    ----------
    weights : ndarray, shape (n_out, n_in, n_taps)
        For activations counted in their steps.
    positive : bool
        Whether no activation is negative: then products of one sign alone make the largest sum.

    Returns
    -------
    integers : ndarray of int64
    scales : ndarray, shape (n_out,)
        What one unit of a sum stands for.
    """
    sizes, above = np.abs(weights), np.maximum(weights, 0).sum(axis=(1, 2))
    totals = sizes.sum(axis=(1, 2))
    if positive:
        totals = np.maximum(above, totals - above)
    # Rounding adds at most a half to every weight.
    largest_total = _LARGEST_SUM / QUANTUM_LIMIT - weights[0].size / 2
    scales = np.maximum(sizes.max(axis=(1, 2), initial=0) / _LARGEST_WEIGHT, totals / largest_total)
    scales = np.where(scales > 0, scales, 1.0)
    return np.rint(weights / scales[:, None, None]).astype(np.int64), scales


def _packed(weights: np.ndarray) -> np.ndarray:
    """As the kernel reads them: blocks of output channels, in each (input pair, tap, output channel), two in one."""
    pairs = (weights[:, 0::2] & 0xFFFF) | (weights[:, 1::2] << 16)
    blocks = [pairs[first : first + OUTPUT_BLOCK] for first in range(0, len(pairs), OUTPUT_BLOCK)]
    return np.concatenate([block.transpose(1, 2, 0).ravel() for block in blocks]).astype(np.uint32).view(np.int32)
