"""LSTMs and attention: their products and softmax are in φ, their weights in A and B."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from pickflow.implicit.activations import AttentionMixture, Elementwise, LayerNorm, LstmStep
from pickflow.implicit.builder import Builder, Signal
from pickflow.models.layers import Cell, lstm_cells, parameter


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
        inputs = signal.matrix[step :: signal.n_samples]
        gates = Signal(builder.widened(of_input @ inputs), 4 * n_hidden, 1, name, "weights")
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
    pairs = Elementwise("tanh", unit.size, queries.n_channels)
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
