"""Layers as regressions: what their rows give, and the same as the literal form of pickflow.implicit."""

import copy

import numpy as np
import pytest
import torch

from pickflow.compress.channels import wiring_of
from pickflow.compress.rows import (
    InexpressibleLayerError,
    features,
    positions_of,
    rows_of,
    set_weights,
    targets,
    weights,
)
from pickflow.compress.states import capture, n_positions
from pickflow.models.layers import UnsupportedLayerError, input_axes, is_recurrent
from tests.compress_fixture import ARCHITECTURES, bias_of, picker
from tests.layer_regressions import layer_samples, lstm_gates

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


def states_of(model, n_windows=2):
    """Layers that read channels, with what they are given and give."""
    readers = wiring_of(model).readers()
    with torch.no_grad(), capture(model, readers) as states:
        model(torch.randn(n_windows, 3, model.in_samples))
    return {name: (model.get_submodule(name), *states[name]) for name in readers}


@every_architecture
def test_rows_give_what_their_layer_gives(name):
    for reader, (layer, inputs, layer_outputs) in states_of(picker(name)).items():
        n_made, covered = n_positions(layer, inputs, layer_outputs), []
        for rows in rows_of(reader, layer):
            at = positions_of(rows, n_made)
            covered.append(at)
            with torch.no_grad():
                expected = targets(rows, inputs, layer_outputs, at).double().numpy()
                row_outputs = features(rows, inputs, at).double().numpy() @ weights(rows) + bias_of(layer)
            assert np.abs(row_outputs - expected).max() < 1e-4 * max(1.0, np.abs(expected).max()), reader
        assert np.sort(np.concatenate(covered)).tolist() == list(range(n_made))


@every_architecture
def test_rows_are_the_regressions_of_the_implicit_model(name):
    for reader, (layer, layer_inputs, layer_outputs) in states_of(picker(name), n_windows=1).items():
        if isinstance(layer, torch.nn.GRU):
            with pytest.raises(UnsupportedLayerError, match="GRU"):
                lstm_gates(layer, layer_inputs.permute(1, 2, 0).numpy().astype(float))
            continue
        if isinstance(layer, torch.nn.Linear):
            inputs, layer_outputs = layer_inputs.numpy(), layer_outputs.numpy()
        elif is_recurrent(layer):
            inputs = layer_inputs.permute(1, 2, 0).numpy()
            layer_outputs = lstm_gates(layer, inputs.astype(float))
        else:
            inputs, layer_outputs = layer_inputs.numpy(), layer_outputs.numpy()
        reference = layer_samples(layer, inputs, layer_outputs)
        for rows in rows_of(reader, layer):
            at = positions_of(rows, n_positions(layer, layer_inputs, torch.from_numpy(layer_outputs)))
            # Phases are counted by taps here, by output positions there; gates of both directions are one problem here.
            problem = reference[at[0]] if isinstance(layer, torch.nn.ConvTranspose1d) else reference[0]
            row_features = features(rows, layer_inputs, at).numpy()
            assert np.array_equal(row_features, problem.features[:, : row_features.shape[1]].astype(np.float32)), reader
            weight = next(iter(problem.places.items()))
            places = layer.get_parameter(weight[0]).detach().double().numpy().ravel()[weight[1]]
            assert np.array_equal(weights(rows)[:, : places.shape[1]], places), reader
            if not is_recurrent(layer):
                with torch.no_grad():
                    assert np.array_equal(
                        targets(rows, layer_inputs, torch.from_numpy(layer_outputs), at).numpy(), problem.targets
                    )


@every_architecture
def test_weights_that_are_read_and_written_are_the_same(name):
    model = picker(name)
    before = copy.deepcopy(model.state_dict())
    for reader in wiring_of(model).readers():
        layer = model.get_submodule(reader)
        layer_rows = rows_of(reader, layer)
        matrices, bias = [weights(rows) for rows in layer_rows], bias_of(layer)
        with torch.no_grad():
            for key, parameter in layer.named_parameters():
                if key in dict(input_axes(layer)) or key == "bias" or "bias_ih" in key:
                    parameter.zero_()
        remainder = set_weights(layer_rows, matrices, bias)
        assert not remainder.any()
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_an_intercept_without_a_place_is_given_back():
    layer = torch.nn.Conv1d(2, 3, 5, bias=False)
    rows = rows_of("x", layer)
    assert set_weights(rows, [weights(rows[0])], np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0]
    model = picker("EQTransformer")
    lstm = model.bi_lstm_stack.members[0].lstm
    rows = rows_of("lstm", lstm)
    intercept = np.arange(float(weights(rows[0]).shape[1]))
    assert not set_weights(rows, [weights(rows[0])], intercept).any()
    assert bias_of(lstm).tolist() == intercept.tolist()


def test_layers_that_are_no_regression_are_named():
    with pytest.raises(InexpressibleLayerError, match=r"layer context.0: a convolution with groups"):
        rows_of("context.0", torch.nn.Conv1d(4, 4, 3, groups=4))
    with pytest.raises(InexpressibleLayerError, match=r"layer up: a transposed convolution with dilation or groups"):
        rows_of("up", torch.nn.ConvTranspose1d(4, 4, 3, dilation=2))
    with pytest.raises(InexpressibleLayerError, match=r"layer x: MaxPool1d is not a regression"):
        rows_of("x", torch.nn.MaxPool1d(2))
