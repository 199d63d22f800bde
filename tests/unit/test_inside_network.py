"""The map of a picker, and what its layers make of a window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pickflow.inside.network import open_network
from pickflow.inside.recording import record
from pickflow.models.loading import build
from tests.compress_fixture import ATTENTIVE, PICKERS, look, picker

# The map


def test_the_map_of_phasenet_has_its_skips_and_the_normalisation_behind_each_convolution():
    network = open_network(picker("PhaseNet"))
    layers = {layer.key: layer for layer in network.layers}
    assert layers["inc"].sources == ()
    assert layers["inc"].norm == "in_bn"
    assert layers["inc"].rectified
    assert set(layers["up_branch.3.2"].sources) == {"up_branch.3.0", "down_branch.0.0"}
    assert {layer.labels for layer in network.layers} == {("N", "P", "S")}


def test_each_branch_of_eqtransformer_is_of_its_own_label():
    network = open_network(picker("EQTransformer"))
    labels = {layer.key: layer.labels for layer in network.layers}
    assert labels["encoder.convs.0"] == ("Detection", "P", "S")
    assert labels["decoder_d.convs.3"] == ("Detection",)
    assert labels["pick_attentions.0"] == ("P",)
    assert labels["pick_decoders.1.convs.0"] == ("S",)


def test_a_layer_that_is_used_again_is_on_the_map_again():
    keys = [layer.key for layer in open_network(build("LEQNet")).layers]
    assert len(keys) == len(set(keys))
    assert any(key.endswith(" (2)") for key in keys)


# What layers make of a window


@pytest.mark.parametrize("name", PICKERS)
def test_feature_maps_are_what_the_next_layer_reads(name):
    network, _, inputs = look(name)
    features = record(network, inputs).features
    assert list(features) == [layer.key for layer in network.layers]
    for layer in network.layers:
        assert features[layer.key].shape[0] == len(inputs)
        assert not layer.rectified or features[layer.key].min() >= 0
    first = network.layers[0]
    if name == "PhaseNet":
        model = network.model
        with torch.no_grad():
            expected = torch.relu(model.in_bn(model.inc(inputs))).numpy()
        np.testing.assert_allclose(features[first.key], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ATTENTIVE)
def test_attention_weights_make_the_output_and_their_rows_add_up_to_one(name):
    network, _, inputs = look(name)
    recording = record(network, inputs)
    keys = ["transformer_d0.attention", "transformer_d.attention", "pick_attentions.0", "pick_attentions.1"]
    assert list(recording.attention) == keys
    before = {layer.key: layer.sources for layer in network.layers}
    for key in keys:
        weights = recording.attention[key]
        np.testing.assert_allclose(weights.sum(axis=2), 1.0, atol=1e-4)  # epsilon of the layer: 1e-5
        assert weights.min() >= 0
    # The branches read a recurrence, as it is: weights times its states are the output.
    for key in keys[2:]:
        (source,) = before[key]
        states = recording.features[source].transpose(0, 2, 1)
        output = recording.attention[key] @ states
        np.testing.assert_allclose(recording.features[key], output.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)
        reach = np.abs(np.subtract.outer(*[np.arange(states.shape[1])] * 2))
        assert not recording.attention[key][:, reach > 1].any()
