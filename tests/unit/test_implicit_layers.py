"""The layer form: one problem with all positions as samples is the literal one with rows that share their weights."""

import copy

import numpy as np
import pytest
import torch
from scipy import sparse
from seisbench.models.base import ActivationLSTMCell, CustomLSTM
from torch import nn

from pickflow.implicit import UnsupportedLayerError, from_network, states_of
from pickflow.implicit.builder import Builder
from pickflow.implicit.recurrent import lstm
from pickflow.safe import GramAccumulator, intercept, lasso_penalty_max, solve_lasso
from tests.compress_fixture import network_of, windows_of
from tests.layer_regressions import layer_samples, lstm_gates, weights_of

TOLERANCE = 1e-10


def literal_moments(make_implicit, parameters, rows_of, states, values):
    """
    Gram of the literal rows of one output when they share the weights in ``parameters``.

    Setting one weight to 1 and the others to 0 shows where in [A, B] it stands: its place in every row.
    """
    maps = []
    for parameter, flat in parameters:
        parameter.data.flatten()[flat] = 1.0
        maps.append(sparse.hstack([(moved := make_implicit()).A, moved.B[:, :-1]], format="csr"))
        parameter.data.flatten()[flat] = 0.0
    rows = rows_of(maps[0])
    full = GramAccumulator()
    for row in rows:
        places = sparse.vstack([matrix[[row]] for matrix in maps], format="csr")
        full.add((places @ values.T).T, states.pre_activations[:, [row]])
    return full.result()


def assert_same_problem(layer_gram, literal_gram):
    """Same objective for any weights, and the same solution for a small, a middle and a large penalty."""
    for name in ("gram", "cross", "square"):
        literal, of_layer = getattr(literal_gram, name), getattr(layer_gram, name)
        assert np.abs(literal - of_layer).max() <= 1e-10 * max(1.0, np.abs(literal).max())
    for ratio in (0.02, 0.3, 0.95):
        penalty = ratio * lasso_penalty_max(layer_gram)
        coefficients = solve_lasso(layer_gram, penalty, tolerance=1e-14).coefficients
        expected = solve_lasso(literal_gram, penalty, tolerance=1e-14).coefficients
        assert np.abs(coefficients - expected).max() < 1e-8
        assert np.abs(intercept(layer_gram, coefficients) - intercept(literal_gram, expected)).max() < 1e-8
    assert 0 < np.count_nonzero(expected) < expected.size


def gram_of(problem, target):
    accumulator = GramAccumulator()
    accumulator.add(problem.features, problem.targets[:, [target]])
    return accumulator.result()


def values_of(implicit, states):
    return np.concatenate([states.states, states.inputs.reshape(len(states.inputs), -1)], axis=1)


CONVOLUTIONS = {
    "plain": lambda: nn.Conv1d(3, 2, 3),
    "stride, padding, dilation": lambda: nn.Conv1d(3, 2, 3, stride=2, padding=3, dilation=2),
    "same, even kernel": lambda: nn.Conv1d(3, 2, 4, padding="same"),
    "groups": lambda: nn.Conv1d(3, 6, 3, groups=3, padding=1),
    "transposed": lambda: nn.ConvTranspose1d(3, 2, 7, stride=4, padding=1, output_padding=2),
    "transposed, shorter than its stride": lambda: nn.ConvTranspose1d(3, 2, 2, stride=3),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_layer_form_is_the_literal_one_with_shared_weights(name):
    layer = CONVOLUTIONS[name]()
    model = network_of(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), layer, nn.Tanh()))
    implicit = from_network(model, 12)
    states = states_of(implicit, windows_of(implicit, 60))
    values, block = values_of(implicit, states), implicit.blocks[1]
    x = states.states[:, implicit.blocks[0].states].reshape(60, 3, -1)
    targets = states.pre_activations[:, block.rows].reshape(60, layer.out_channels, -1)
    n_made = targets.shape[2]
    problems = layer_samples(layer, x, targets)
    n_outputs = problems[0].targets.shape[1]
    layer.weight.data.zero_()
    layer.bias.data.zero_()
    for index, problem in enumerate(problems):
        channel, phase = (index * n_outputs, 0) if isinstance(layer, nn.Conv1d) else (0, index)
        step = 1 if isinstance(layer, nn.Conv1d) else layer.stride[0]
        rows = range(block.first_row + channel * n_made + phase, block.first_row + (channel + 1) * n_made, step)
        places = [(layer.weight, flat) for flat in problem.places["weight"][:, 0]]
        if not places:
            assert problem.features.shape[1] == 0
            continue
        literal = literal_moments(lambda: from_network(model, 12), places, lambda _, rows=rows: rows, states, values)
        layer_gram = gram_of(problem, 0)
        assert_same_problem(layer_gram, literal)


@pytest.mark.parametrize("kind", ["LSTM", "hard sigmoids"])
def test_the_gates_of_an_lstm_are_the_literal_rows_with_shared_weights(kind):
    torch.manual_seed(0)
    layer = nn.LSTM(3, 2, bidirectional=True) if kind == "LSTM" else CustomLSTM(ActivationLSTMCell, 3, 2)
    n_samples = 5

    def make_implicit():
        builder = Builder(3, n_samples, {})
        return builder.model(lstm(builder, builder.input, layer))

    implicit = make_implicit()
    windows = windows_of(implicit, 60)
    expected = copy.deepcopy(layer).double()(torch.from_numpy(windows).permute(2, 0, 1))[0].permute(1, 2, 0)
    assert np.abs(implicit.sweep(windows).outputs - expected.detach().numpy()).max() < TOLERANCE
    assert implicit.fixed_rows.tolist() == (8 * [False] + 2 * [True]) * 2 * n_samples
    states = states_of(implicit, windows)
    gates = lstm_gates(layer, windows)
    problems = layer_samples(layer, windows, gates)
    for direction, problem in enumerate(problems):
        blocks = implicit.blocks[direction * n_samples : (direction + 1) * n_samples]
        ordered = blocks if direction == 0 else blocks[::-1]
        for gate in (0, 5):
            rows = [block.first_row + gate for block in ordered]
            gates_of_rows = gates[:, direction * 8 + gate]
            assert np.abs(states.pre_activations[:, rows] - gates_of_rows).max() < TOLERANCE
            zeros = copy.deepcopy(layer)
            for parameter in zeros.parameters():
                parameter.data.zero_()
            layer_gram = gram_of(problem, gate)
            places = [
                (zeros.get_parameter(name), place[gate]) for name, places in problem.places.items() for place in places
            ]
            literal = literal_lstm(zeros, places, rows, states, values_of(implicit, states), n_samples)
            assert_same_problem(layer_gram, literal)


def literal_lstm(layer, places, rows, states, values, n_samples):
    def make_implicit():
        builder = Builder(3, n_samples, {})
        return builder.model(lstm(builder, builder.input, layer))

    return literal_moments(make_implicit, places, lambda _: rows, states, values)


@pytest.mark.parametrize("make", [*CONVOLUTIONS.values(), lambda: nn.Linear(3, 5), lambda: nn.LSTM(3, 2)])
def test_regression_without_a_penalty_gives_the_layer_back(make):
    torch.manual_seed(0)
    layer = make().double()
    inputs = np.random.default_rng(0).standard_normal((80, 7, 3) if isinstance(layer, nn.Linear) else (80, 3, 7))
    with torch.no_grad():
        layer_outputs = None if isinstance(layer, nn.LSTM) else layer(torch.from_numpy(inputs)).numpy()
    targets = lstm_gates(layer, inputs) if layer_outputs is None else layer_outputs
    problems = layer_samples(layer, inputs, targets)
    solved = []
    for problem in problems:
        design = np.concatenate([problem.features, np.ones((len(problem.features), 1))], axis=1)
        solved.append(np.linalg.lstsq(design, problem.targets, rcond=None)[0][:-1])
    for name, weight in weights_of(layer, problems, solved).items():
        assert np.abs(weight - layer.get_parameter(name).detach().numpy()).max() < 1e-10


def test_targets_of_another_shape_are_said():
    with pytest.raises(ValueError, match=r"targets of shape \(2, 4, 7\); these inputs make \(2, 4, 5\)"):
        layer_samples(nn.Conv1d(3, 4, 3), np.zeros((2, 3, 7)), np.zeros((2, 4, 7)))
    with pytest.raises(UnsupportedLayerError, match="GRU"):
        layer_samples(nn.GRU(3, 4), np.zeros((2, 3, 7)), np.zeros((2, 12, 7)))
