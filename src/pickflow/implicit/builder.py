"""
Layers of a network as rows of A and B and blocks of φ.

While a model is built, a signal is a sparse matrix over the columns [inputs, 1, states so far]. Linear layers multiply
such matrices; only what φ does to them, or weights that would otherwise multiply other weights, makes states. So each
row of a convolution holds the weights of the layer, each once, and a row that only copies, adds or normalises is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from pickflow.implicit.activations import Activation, Elementwise, MaxPool, Softmax
from pickflow.implicit.linear import conv_matrix, transposed_matrix
from pickflow.implicit.model import ImplicitModel, blocks_of
from pickflow.models.layers import UnsupportedLayerError, conv_padding, norm_terms, parameter


@dataclass(frozen=True, eq=False)
class Signal:
    """
    Channels over time, as a linear function of inputs, constant and states.

    Attributes
    ----------
    matrix : csr_array, shape (n_channels * n_samples, n_columns)
        Rows channel by channel; columns are [inputs, 1, states so far].
    n_channels, n_samples : int
    name : str
        Of the layer that made it.
    kind : {"states", "weights", "fixed"}
        ``states``: each row picks one state or input, or nothing; ``weights``: rows hold weights of a layer, ``fixed``:
        rows only add or normalise.
    """

    matrix: sparse.csr_array
    n_channels: int
    n_samples: int
    name: str
    kind: str


class Builder:
    """
    An implicit model in the making.

    Parameters
    ----------
    n_channels, n_samples : int
        Of the input.
    names : dict
        Names of layers by their id, for errors and for the blocks.
    """

    def __init__(self, n_channels: int, n_samples: int, names: dict[int, str]):
        self._names = names
        self._n_inputs = n_channels * n_samples
        self._n_states = 0
        self._rows: list[sparse.csr_array] = []
        self._fixed: list[np.ndarray] = []
        self._activations: list[tuple[str, Activation]] = []
        self._input_shape = (n_channels, n_samples)
        self.input = self.select(np.arange(self._n_inputs).reshape(n_channels, n_samples), "input")

    @property
    def n_columns(self) -> int:
        """Inputs, constant and states so far."""
        return self._n_inputs + 1 + self._n_states

    def name(self, layer: Any) -> str:
        """Name of a layer in its network, or its class."""
        return self._names.get(id(layer)) or type(layer).__name__

    def require(self, condition: bool, layer: Any, reason: str) -> None:
        """
        Refuse a layer unless a condition holds.

        Raises
        ------
        UnsupportedLayerError
            With the name of the layer.
        """
        if not condition:
            raise UnsupportedLayerError(
                f"layer {self.name(layer)} ({type(layer).__name__}) cannot be expressed as an implicit model: {reason}"
            )

    def append(
        self, matrix: sparse.csr_array, activation: Activation, name: str, fixed: bool | np.ndarray
    ) -> np.ndarray:
        """
        Add a block.

        Parameters
        ----------
        matrix : csr_array, shape (n_rows, n_columns)
            Its rows of A and B.
        activation : Activation
        name : str
        fixed : bool or ndarray of bool, shape (n_rows,)
            Rows that hold no weights.

        Returns
        -------
        ndarray of int, shape (n_states,)
            Columns of its states.
        """
        columns = self.n_columns + np.arange(activation.n_states)
        self._rows.append(matrix)
        self._fixed.append(np.broadcast_to(np.asarray(fixed, dtype=bool), matrix.shape[:1]))
        self._activations.append((name, activation))
        self._n_states += activation.n_states
        return columns

    def select(self, columns: np.ndarray, name: str) -> Signal:
        """Signal of inputs or states, from their columns of shape (n_channels, n_samples)."""
        size = columns.size
        matrix = sparse.csr_array(
            (np.ones(size), columns.ravel(), np.arange(size + 1)), shape=(size, max(self.n_columns, 1))
        )
        n_channels, n_samples = columns.shape
        return Signal(matrix, n_channels, n_samples, name, "states")

    def activate(self, signal: Signal, function: str) -> Signal:
        """Elementwise activation, as states."""
        activation = Elementwise(function, signal.matrix.shape[0], signal.n_channels)
        return self._activated(signal, activation, signal.n_samples)

    def softmax(self, signal: Signal) -> Signal:
        """Softmax over the channels, as states."""
        return self._activated(signal, Softmax(signal.n_channels, signal.n_samples), signal.n_samples)

    def max_pool(self, signal: Signal, layer: Any, function: str = "identity") -> Signal:
        """MaxPool1d of an elementwise activation, as states."""
        size = self.pool_size(layer)
        n_left = 0 if layer.ceil_mode else signal.n_samples % size
        return self.pool(self.crop(signal, 0, n_left), size, function)

    def pool(self, signal: Signal, size: int, function: str) -> Signal:
        """Largest of each group of samples after an elementwise activation, also of a short last one, as states."""
        pooled = MaxPool(signal.n_channels, signal.n_samples, size, function)
        return self._activated(signal, pooled, pooled.n_groups)

    def settle(self, signal: Signal) -> Signal:
        """The same signal as states of its own, if it is not yet states or inputs."""
        return signal if signal.kind == "states" else self.activate(signal, "identity")

    def conv(self, signal: Signal, layer: Any) -> Signal:
        """Conv1d."""
        signal = self._input_of(layer, signal, layer.in_channels)
        self.require(layer.padding_mode == "zeros", layer, f"padding mode {layer.padding_mode}")
        weight, stride, dilation = parameter(layer.weight), layer.stride[0], layer.dilation[0]
        padding = conv_padding(layer)
        n_made = (signal.n_samples + sum(padding) - dilation * (weight.shape[2] - 1) - 1) // stride + 1
        self._long_enough(layer, signal, n_made)
        matrix = conv_matrix(
            weight,
            signal.n_samples,
            n_made,
            start=-padding[0],
            stride=stride,
            dilation=dilation,
            groups=layer.groups,
        )
        return self._weighted(signal, layer, matrix, weight.shape[0], n_made)

    def transposed_conv(self, signal: Signal, layer: Any) -> Signal:
        """ConvTranspose1d."""
        signal = self._input_of(layer, signal, layer.in_channels)
        self.require(layer.groups == 1, layer, "only dense transposed convolutions are")
        weight, stride, dilation = parameter(layer.weight), layer.stride[0], layer.dilation[0]
        padding, output_padding = layer.padding[0], layer.output_padding[0]
        n_made = (signal.n_samples - 1) * stride - 2 * padding + dilation * (weight.shape[2] - 1) + output_padding + 1
        self._long_enough(layer, signal, n_made)
        matrix = transposed_matrix(weight, signal.n_samples, n_made, start=padding, stride=stride, dilation=dilation)
        return self._weighted(signal, layer, matrix, weight.shape[1], n_made)

    def linear(self, signal: Signal, layer: Any) -> Signal:
        """Linear layer over the channels, at each sample."""
        return self.matrix(signal, parameter(layer.weight), layer, layer.bias)

    def matrix(self, signal: Signal, weight: np.ndarray, layer: Any, bias: Any = None, name: str = "") -> Signal:
        """Matrix of shape (n_out, n_in) over the channels, at each sample, with a parameter of torch as bias."""
        signal = self._input_of(layer, signal, weight.shape[1])
        matrix = sparse.kron(sparse.csr_array(weight), sparse.eye_array(signal.n_samples), format="csr") @ signal.matrix
        product = Signal(matrix, len(weight), signal.n_samples, name or self.name(layer), "weights")
        return product if bias is None else self.shifted(product, parameter(bias))

    def norm(self, signal: Signal, layer: Any) -> Signal:
        """BatchNorm1d with its running statistics; folded into the convolution before it."""
        self.require(layer.track_running_stats, layer, "it has no running statistics")
        self.require(layer.num_features == signal.n_channels, layer, f"{signal.n_channels} channels come in")
        scale, shift = norm_terms(layer)
        scaled = sparse.diags_array(np.repeat(scale, signal.n_samples)) @ signal.matrix
        kind, name = ("weights", signal.name) if signal.kind == "weights" else ("fixed", self.name(layer))
        return self.shifted(replace(signal, matrix=sparse.csr_array(scaled), kind=kind, name=name), shift)

    def add(self, first: Signal, second: Signal) -> Signal:
        """Sum of two signals, as states: so that a layer which reads it has each of its weights once in a row."""
        first, second = self.settle(first), self.settle(second)
        if (first.n_channels, first.n_samples) != (second.n_channels, second.n_samples):
            raise ValueError(
                f"{first.name} and {second.name}: sum of {first.n_channels} × {first.n_samples} and "
                f"{second.n_channels} × {second.n_samples} values; this length of window does not fit the network"
            )
        total = sparse.csr_array(self.widened(first.matrix) + self.widened(second.matrix))
        summed = replace(first, matrix=total, name=f"sum with {second.name}", kind="fixed")
        return self.settle(summed)

    def concatenate(self, signals: Sequence[Signal]) -> Signal:
        """Channels of several signals, one after the other."""
        settled = [self.settle(signal) for signal in signals]
        lengths = {signal.n_samples for signal in settled}
        if len(lengths) > 1:
            lengths_of_signals = ", ".join(f"{signal.name} {signal.n_samples}" for signal in settled)
            raise ValueError(
                f"samples to be joined differ ({lengths_of_signals}); this length of window does not fit the network"
            )
        matrix = sparse.vstack([self.widened(signal.matrix) for signal in settled], format="csr")
        n_channels = sum(signal.n_channels for signal in settled)
        name = ", ".join(signal.name for signal in settled)
        return Signal(matrix, n_channels, settled[0].n_samples, name, "states")

    def crop(self, signal: Signal, left: int, right: int) -> Signal:
        """Samples without the first and the last ones."""
        return self.resampled(signal, np.arange(left, signal.n_samples - right))

    def pad(self, signal: Signal, left: int, right: int) -> Signal:
        """Zeros before and after: rows without entries."""
        return self.resampled(signal, np.arange(-left, signal.n_samples + right))

    def upsample(self, signal: Signal, factor: int) -> Signal:
        """Every sample repeated."""
        return self.resampled(signal, np.repeat(np.arange(signal.n_samples), factor))

    def resampled(self, signal: Signal, samples: np.ndarray) -> Signal:
        """Samples in any order; zero for those that do not exist."""
        inside = (samples >= 0) & (samples < signal.n_samples)
        offsets = np.arange(signal.n_channels)[:, None] * signal.n_samples
        picked = np.where(inside, samples + offsets, -1).ravel()
        rows = np.flatnonzero(picked >= 0)
        shape = (len(picked), signal.matrix.shape[0])
        chosen = sparse.csr_array((np.ones(len(rows)), (rows, picked[rows])), shape=shape)
        return replace(signal, matrix=chosen @ signal.matrix, n_samples=len(samples))

    def widened(self, matrix: sparse.csr_array) -> sparse.csr_array:
        """The same matrix with a column for every state so far."""
        return sparse.csr_array(
            (matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], self.n_columns), copy=False
        )

    def model(self, outputs: Signal, output_shape: tuple[int, ...] | None = None) -> ImplicitModel:
        """The model that makes a signal; its shape is that of the signal unless given."""
        n_driving = self._n_inputs + 1
        none = sparse.csr_array((0, self.n_columns))
        rows = sparse.vstack([none, *(self.widened(matrix) for matrix in self._rows)], format="csr")
        out = self.widened(outputs.matrix)
        return ImplicitModel(
            A=sparse.csr_array(rows[:, n_driving:]),
            B=sparse.csr_array(rows[:, :n_driving]),
            C=sparse.csr_array(out[:, n_driving:]),
            D=sparse.csr_array(out[:, :n_driving]),
            blocks=blocks_of(self._activations),
            input_shape=self._input_shape,
            output_shape=output_shape or (outputs.n_channels, outputs.n_samples),
            fixed_rows=np.concatenate([np.zeros(0, dtype=bool), *self._fixed]),
        )

    def _activated(self, signal: Signal, activation: Activation, n_samples: int) -> Signal:
        columns = self.append(signal.matrix, activation, signal.name, signal.kind != "weights")
        return self.select(columns.reshape(signal.n_channels, n_samples), signal.name)

    def _input_of(self, layer: Any, signal: Signal, n_channels: int) -> Signal:
        self.require(n_channels == signal.n_channels, layer, f"{signal.n_channels} channels come in, not {n_channels}")
        return self.settle(signal)

    def pool_size(self, layer: Any) -> int:
        """Samples per group of a MaxPool1d."""
        size = _number(layer.kernel_size)
        plain = (_number(layer.stride), _number(layer.padding), _number(layer.dilation)) == (size, 0, 1)
        self.require(plain, layer, "only pooling of neighbours, without padding, is")
        return size

    def _long_enough(self, layer: Any, signal: Signal, n_made: int) -> None:
        if n_made < 1:
            raise ValueError(f"layer {self.name(layer)}: {signal.n_samples} samples come in, too few; longer windows")

    def _weighted(
        self, signal: Signal, layer: Any, matrix: sparse.csr_array, n_channels: int, n_samples: int
    ) -> Signal:
        product = Signal(sparse.csr_array(matrix @ signal.matrix), n_channels, n_samples, self.name(layer), "weights")
        return product if layer.bias is None else self.shifted(product, parameter(layer.bias))

    def shifted(self, signal: Signal, shift: np.ndarray) -> Signal:
        """Signal plus a constant per channel."""
        size = signal.matrix.shape[0]
        entries = (np.arange(size), np.full(size, self._n_inputs))
        constant = sparse.csr_array((np.repeat(shift, signal.n_samples), entries), shape=signal.matrix.shape)
        return replace(signal, matrix=sparse.csr_array(signal.matrix + constant))


def _number(value: Any) -> int:
    """The number that torch stores as a number or a tuple of one."""
    return int(value[0] if isinstance(value, tuple) else value)
