"""LSTMs and attention: their products and softmax are in φ, their weights in A and B."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from pickflow.implicit.activations import AttentionMixture, Elementwise, LayerNorm, LstmStep
from pickflow.implicit.builder import Builder, Signal, UnsupportedLayerError
from pickflow.implicit.linear import parameter


class Cell:
    """
    One direction of an LSTM.

    Attributes
    ----------
    of_input : ndarray, shape (4 * n_hidden, n_in)
    of_state : ndarray, shape (4 * n_hidden, n_hidden)
    bias : ndarray, shape (4 * n_hidden,)
    gate : {"sigmoid", "hard_sigmoid"}
    backward : bool
        Whether it starts from the last sample.
    """

    def __init__(self, weights: list[Any], gate: str, backward: bool):
        self.of_input, self.of_state, first, second = map(parameter, weights)
        self.bias = first + second
        self.gate = gate
        self.backward = backward

    @property
    def n_hidden(self) -> int:
        """Outputs of this direction."""
        return self.of_state.shape[1]


def lstm_cells(layer: Any, name: str = "") -> list[Cell]:
    """
    Directions of torch's LSTM, or of SeisBench's ``CustomLSTM`` of ``ActivationLSTMCell``.

    Raises
    ------
    UnsupportedLayerError
        If the layer has a form that neither SeisBench's models nor this module know.
    """
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    if hasattr(layer, "cell_f"):
        cells = [layer.cell_f, layer.cell_b] if layer.bidirectional else [layer.cell_f]
        gates = [getattr(cell.gate_activation, "__name__", "unnamed") for cell in cells]
        weights = [[getattr(cell, part) for part in names] for cell in cells]
    else:
        if (layer.num_layers, layer.bias, layer.proj_size) != (1, True, 0):
            raise UnsupportedLayerError(
                f"layer {name or type(layer).__name__} (LSTM) cannot be expressed as an implicit model: only LSTMs "
                "of one layer, with bias, without projection are"
            )
        suffixes = ("_l0", "_l0_reverse") if layer.bidirectional else ("_l0",)
        gates = ["sigmoid"] * len(suffixes)
        weights = [[getattr(layer, part + suffix) for part in names] for suffix in suffixes]
    unknown = set(gates) - {"sigmoid", "hard_sigmoid"}
    if unknown:
        raise UnsupportedLayerError(
            f"layer {name or type(layer).__name__} cannot be expressed as an implicit model: gates of {unknown.pop()}"
        )
    return [Cell(weights[index], gates[index], backward=index == 1) for index in range(len(gates))]


def lstm(builder: Builder, signal: Signal, layer: Any) -> Signal:
    """Outputs of all directions of an LSTM, one block per direction and step."""
    signal = builder.settle(signal)
    name = builder.name(layer)
    directions = []
    for cell in lstm_cells(layer, name):
        builder.require(cell.of_input.shape[1] == signal.n_channels, layer, f"{signal.n_channels} channels come in")
        directions.append(_direction(builder, signal, cell, name))
    return builder.select(np.concatenate(directions), name)


def _direction(builder: Builder, signal: Signal, cell: Cell, name: str) -> np.ndarray:
    """Columns of the outputs of one direction, shape (n_hidden, n_samples)."""
    n_hidden = cell.n_hidden
    of_input, of_state = sparse.csr_array(cell.of_input), sparse.csr_array(cell.of_state)
    fixed = np.repeat([False, True], [4 * n_hidden, n_hidden])
    outputs = np.zeros((n_hidden, signal.n_samples), dtype=np.int64)
    before = None
    steps = range(signal.n_samples)
    for step in reversed(steps) if cell.backward else steps:
        now = signal.matrix[step :: signal.n_samples]
        gates = Signal(builder.widened(of_input @ now), 4 * n_hidden, 1, name, "weights")
        gates = builder.shifted(gates, cell.bias)
        copies = sparse.csr_array((n_hidden, builder.n_columns))
        rows = gates.matrix
        if before is not None:
            hidden, cells = before[:n_hidden], before[n_hidden:]
            rows = rows + of_state @ builder.select(hidden[:, None], name).matrix
            copies = builder.select(cells[:, None], name).matrix
        stacked = sparse.csr_array(sparse.vstack([rows, copies], format="csr"))
        before = builder.append(stacked, LstmStep(n_hidden, cell.gate), f"{name}[{step}]", fixed)
        outputs[:, step] = before[:n_hidden]
    return outputs


def attention(builder: Builder, signal: Signal, layer: Any) -> Signal:
    """SeisBench's ``SeqSelfAttention``: additive, queries and keys from the same signal, which is also the values."""
    signal = builder.settle(signal)
    name, n_samples = builder.name(layer), signal.n_samples
    query_weight, key_weight = parameter(layer.Wt).T, parameter(layer.Wx).T
    queries = builder.settle(builder.matrix(signal, query_weight, layer, layer.bh, f"{name}.Wt"))
    keys = builder.settle(builder.matrix(signal, key_weight, layer, name=f"{name}.Wx"))
    # Unit by unit, query by query, for every key.
    unit, query, key = np.meshgrid(*map(np.arange, (queries.n_channels, n_samples, n_samples)), indexing="ij")
    of_query = builder.widened(queries.matrix)[(unit * n_samples + query).ravel()]
    of_key = builder.widened(keys.matrix)[(unit * n_samples + key).ravel()]
    pairs = Elementwise("tanh", unit.size)
    columns = builder.append(sparse.csr_array(of_query + of_key), pairs, f"{name}.tanh", True)
    hidden = builder.select(columns.reshape(queries.n_channels, n_samples**2), name)
    energies = builder.matrix(hidden, parameter(layer.Wa).T, layer, layer.ba, f"{name}.Wa")
    rows = sparse.vstack([energies.matrix, builder.widened(signal.matrix)], format="csr")
    mixture = AttentionMixture(signal.n_channels, n_samples, layer.eps, layer.attention_width)
    fixed = np.repeat([False, True], [n_samples**2, signal.matrix.shape[0]])
    columns = builder.append(sparse.csr_array(rows), mixture, f"{name}.Wa", fixed)
    return builder.select(columns.reshape(signal.n_channels, n_samples), name)


def layer_norm(builder: Builder, signal: Signal, layer: Any) -> Signal:
    """SeisBench's ``LayerNormalization``: over the channels of each sample."""
    signal = builder.settle(signal)
    gamma, beta = parameter(layer.gamma)[:, 0], parameter(layer.beta)[:, 0]
    block = LayerNorm(gamma, beta, signal.n_samples, layer.eps)
    columns = builder.append(builder.widened(signal.matrix), block, builder.name(layer), True)
    return builder.select(columns.reshape(signal.n_channels, signal.n_samples), builder.name(layer))


def feed_forward(builder: Builder, signal: Signal, layer: Any) -> Signal:
    """SeisBench's ``FeedForward``: two linear layers at each sample, the first one rectified."""
    hidden = builder.activate(builder.linear(signal, layer.lin1), "relu")
    return builder.linear(hidden, layer.lin2)


def transformer(builder: Builder, signal: Signal, layer: Any) -> Signal:
    """EQTransformer's ``Transformer``: attention and feed-forward, each with a residual and a normalisation."""
    attended = builder.add(signal, attention(builder, signal, layer.attention))
    normed = layer_norm(builder, attended, layer.norm1)
    return layer_norm(builder, builder.add(normed, feed_forward(builder, normed, layer.ff)), layer.norm2)
