"""A picker without one of its parts: silence is silence, and leaves no trace."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import seisbench.models
import torch

from pickflow.compress.channels import narrowed_state, wiring_of
from pickflow.inside.network import open_network
from pickflow.inside.parts import parts_of
from pickflow.inside.recording import record
from pickflow.inside.sensitivity import sensitivity
from pickflow.inside.silencing import Part, Place, Silencer
from pickflow.inside.windows import synthetic_windows
from pickflow.models.loading import build, load_model
from pickflow.models.narrowing import resize_to
from tests.compress_fixture import ATTENTIVE, BUNDLED, PICKERS, look, picker


def part_named(network, name):
    return next(part for part in parts_of(network) if part.name == name)


def changes(silencer, part):
    """Largest change of the probability in each window, of each phase."""
    return np.abs(silencer.without(part) - silencer.whole).max(axis=2)


@pytest.mark.parametrize("name", PICKERS)
def test_without_its_first_layer_a_picker_says_something_else_everywhere(name):
    network, _, inputs = look(name)
    silencer = Silencer(network, inputs)
    assert changes(silencer, part_named(network, network.layers[0].name)).min() > 1e-3


@pytest.mark.parametrize("name", PICKERS)
def test_silent_channels_are_those_of_a_network_that_does_not_have_them(name):
    """Of each set of channels, the narrower network of the compression says the same."""
    network, _, inputs = look(name)
    silencer, wiring = Silencer(network, inputs), wiring_of(network.model)
    parts = {part.layer: part for part in parts_of(network) if part.kind == "channels"}
    sets = [
        channel_set for channel_set in wiring.sets if channel_set.name in parts
    ]  # the others are of detections alone
    effects = []
    for channel_set in sets[:: max(len(sets) // 6, 1)]:
        part = parts[channel_set.name]
        selection = {channel_set.name: np.setdiff1d(np.arange(channel_set.n_channels), part.channels)}
        narrow = copy.deepcopy(network.model)
        resize_to(narrow, narrowed_state(network.model, wiring, selection))
        output = narrow(inputs)
        output = torch.stack(output, dim=1) if isinstance(output, tuple) else output
        expected = output[:, list(network.rows)].detach().numpy()
        np.testing.assert_allclose(silencer.without(part), expected, atol=2e-5)
        effects.append(np.abs(expected - silencer.whole).max())
    assert np.median(effects) > 1e-4


@pytest.mark.parametrize("name", ATTENTIVE)
def test_a_silent_state_is_read_by_nobody(name):
    network, _, inputs = look(name)
    silencer = Silencer(network, inputs)
    part = next(part for part in parts_of(network) if part.kind == "states" and part.layer == "pick_lstms.0")
    deaf = copy.deepcopy(network.model)
    matrix = next(value for key, value in deaf.pick_lstms[0].named_parameters() if "weight_hh" in key)
    matrix.data[:, list(part.channels)] = 0
    attention = deaf.pick_attentions[0]
    attention.register_forward_pre_hook(
        lambda module, arguments: (arguments[0].index_fill(1, torch.tensor(part.channels), 0.0),)
    )
    with torch.no_grad():
        expected = torch.stack(deaf(inputs), dim=1)[:, list(network.rows)].numpy()
    np.testing.assert_allclose(silencer.without(part), expected, atol=1e-6)
    before = network.model.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in picker(name).state_dict().items())


def test_a_silent_residual_block_is_passed_by():
    network, _, inputs = look("EQTransformer")
    part = part_named(network, "res_cnn_stack.members.3")
    assert part.kind == "block"
    passed = copy.deepcopy(network.model)
    passed.res_cnn_stack.members[3] = torch.nn.Identity()
    with torch.no_grad():
        expected = torch.stack(passed(inputs), dim=1)[:, list(network.rows)].numpy()
    np.testing.assert_allclose(Silencer(network, inputs).without(part), expected, atol=1e-6)


def test_what_is_behind_one_phase_does_not_change_the_other():
    network, _, inputs = look("EQTransformer")
    change = changes(Silencer(network, inputs), part_named(network, "pick_attentions.0"))
    assert change[:, 0].min() > 1e-4
    assert not change[:, 1].any()


@pytest.mark.parametrize(
    "name", ["GRU", "2LSTM", "Vanilla", "LEQNet", "OBSTransformer", "BasicPhaseAE", "VariableLengthPhaseNet"]
)
def test_a_part_of_each_kind_of_any_picker_can_be_silenced(name):
    torch.manual_seed(0)
    network = open_network(build(name))
    inputs = network.inputs(synthetic_windows(1, 0, network.model.in_samples))
    silencer = Silencer(network, inputs)
    first_of_kind = {part.kind: part for part in reversed(parts_of(network))}
    recurrent = any(layer.kind in ("LSTM", "GRU") for layer in network.layers)
    attentive = any(layer.kind == "SeqSelfAttention" for layer in network.layers)
    assert {"component", "layer", "channels"} <= set(first_of_kind)
    assert ("states" in first_of_kind, "attention" in first_of_kind) == (recurrent, attentive)
    for kind, part in first_of_kind.items():
        curves = silencer.without(part)
        assert np.isfinite(curves).all()
        assert kind not in ("component", "layer") or np.abs(curves - silencer.whole).max() > 0
    assert set(record(network, inputs).features) == {layer.key for layer in network.layers}


def test_silencing_leaves_no_trace():
    network, _, inputs = look("EQTransformer")
    before = network.probabilities(inputs)
    silencer = Silencer(network, inputs)
    for part in parts_of(network)[::17]:
        silencer.without(part)
    assert np.array_equal(network.probabilities(inputs), before)
    assert np.array_equal(silencer.without(Part(name="", kind="nothing", layer="")), before)


def test_a_network_that_overwrites_what_its_layers_gave_is_silenced_all_the_same():
    class Overwriting(seisbench.models.PhaseNetLight):
        def forward(self, x, logits=False):
            first = self.inc(x)
            first += 1.0
            return super().forward(x + first[:, :3, : x.shape[2]], logits=logits)

    torch.manual_seed(0)
    network = open_network(Overwriting())
    inputs = network.inputs(synthetic_windows(1, 1, network.model.in_samples))
    silencer = Silencer(network, inputs)
    assert np.array_equal(silencer.whole, network.probabilities(inputs))
    part = Part(name="component Z", kind="component", layer="", zeros=(Place(module="", channels=(0,)),))
    silent = inputs.clone()
    silent[:, 0] = 0
    assert np.array_equal(silencer.without(part), network.probabilities(silent))


def test_a_dead_channel_is_not_missed_and_a_living_one_is():
    model = picker("PhaseNetLight")
    norm = open_network(model).layers[0].norm
    for parameter in (model.get_submodule(norm).weight, model.get_submodule(norm).bias):
        parameter.data[3] = 0
    network = open_network(model)
    table = sensitivity(network, synthetic_windows(1, 1, model.in_samples)).set_index("part")
    name = network.layers[0].name
    assert table.loc[f"{name} channels 3", ["p_change", "s_change"]].eq(0).all()
    assert table.loc[f"{name} channels 2", ["p_change", "s_change"]].gt(0).all()
    assert table.iloc[0].kind == "nothing"


def test_the_bundled_picker_needs_its_vertical_component_for_p():
    network = open_network(load_model(BUNDLED))
    table = sensitivity(network, synthetic_windows(6, 2, network.model.in_samples)).set_index("part")
    whole = table.iloc[0]
    assert whole.p_f1 > 0.7
    assert table.loc["component Z", "p_at_arrival"] < whole.p_at_arrival - 0.05
    assert table.loc[network.layers[0].name, ["p_f1", "s_f1"]].eq(0).all()
