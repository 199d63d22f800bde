"""Narrow networks: who reads which channels, and what a network without some of them computes and costs."""

import copy

import numpy as np
import pytest
import seisbench.models
import torch

from pickflow.compress.channels import UnknownArchitectureError, narrowed_state, wiring_of
from pickflow.compress.correction import narrowed
from pickflow.compress.costs import costs_of, multiply_adds, n_parameters
from pickflow.kernels import is_available
from pickflow.kernels.compilation import compile_network
from pickflow.models.layers import input_axes, n_inputs
from pickflow.models.narrowing import resize_to
from pickflow.models.registry import PICKERS, Entry
from tests.compress_fixture import ARCHITECTURES, deaf_to, outputs, picker, random_selection
from tests.network_fixture import STEPS, network_of, recurrent

# Networks that keep all channels: a layer is applied twice, or reads the states of a recurrence as well.
WHOLE = ("a layer that is applied twice", "an LSTM that is joined")

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


@every_architecture
def test_every_input_channel_of_a_reader_belongs_to_one_set(name):
    model = picker(name)
    wiring = wiring_of(model)
    for reader in wiring.readers():
        spans = [
            (first, channel_set.n_channels)
            for channel_set in wiring.sets
            for layer, first in channel_set.readers
            if layer == reader
        ]
        covered = np.sort(np.concatenate([np.arange(first, first + n) for first, n in spans]))
        assert covered.tolist() == list(range(n_inputs(model.get_submodule(reader))))
    assert sorted(channel_set.name for group in wiring.components() for channel_set in group) == sorted(
        s.name for s in wiring.sets
    )


@every_architecture
def test_every_layer_writes_one_set_at_most(name):
    wiring = wiring_of(picker(name))
    layers = [layer for channel_set in wiring.sets for layer in (*channel_set.writers, *channel_set.carriers)]
    assert len(set(layers)) == len(layers)
    carried = [layer for channel_set in wiring.sets for layer in channel_set.carriers]
    assert all(type(picker(name).get_submodule(layer)).__name__ in ("BatchNorm1d", "Conv1d") for layer in carried)


@every_architecture
def test_a_channel_that_is_read_at_the_wrong_place_would_be_seen(name):
    teacher = picker(name)
    windows = torch.randn(2, 3, teacher.in_samples)
    expected = outputs(teacher, windows)
    for channel_set in wiring_of(teacher).sets:
        wrong = copy.deepcopy(teacher)
        for reader, first in channel_set.readers:
            for key, axis in input_axes(wrong.get_submodule(reader)):
                weight = wrong.state_dict()[f"{reader}.{key}"]
                span = torch.arange(first, first + channel_set.n_channels)
                weight.index_copy_(axis, span, weight.index_select(axis, span.roll(1)))
        assert (outputs(wrong, windows) - expected).abs().max() > 1e-4, channel_set.name


@every_architecture
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_without_channels_that_nobody_reads_gives_the_same(name, seed):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    selection = random_selection(wiring, np.random.default_rng(seed))
    selection[wiring.sets[0].name] = np.array([0])  # a single channel works as well
    deaf = deaf_to(teacher, wiring, selection)
    student = copy.deepcopy(teacher)
    resize_to(student, narrowed_state(deaf, wiring, selection))
    windows = torch.randn(2, 3, teacher.in_samples)
    assert n_parameters(student)[0] < n_parameters(teacher)[0]
    assert (outputs(deaf, windows) - outputs(teacher, windows)).abs().max() > 1e-4
    assert torch.allclose(outputs(deaf, windows), outputs(student, windows), atol=1e-5)


@every_architecture
def test_one_channel_everywhere_is_a_network(name):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    student = narrowed(
        teacher, wiring, {channel_set.name: np.array([channel_set.n_channels - 1]) for channel_set in wiring.sets}
    )
    windows = torch.randn(2, 3, teacher.in_samples)
    assert outputs(student, windows).shape == outputs(teacher, windows).shape
    assert torch.isfinite(outputs(student, windows)).all()


@every_architecture
def test_costs_of_a_student_are_known_before_it_is_built(name):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    costs = costs_of(teacher, wiring)
    selection = random_selection(wiring, np.random.default_rng(3))
    widths = {key: channels.size for key, channels in selection.items()}
    student = narrowed(teacher, wiring, selection)
    assert costs.total({}, "macs") == multiply_adds(teacher)
    assert costs.total(widths, "macs") == pytest.approx(multiply_adds(student))
    assert costs.total(widths, "parameters") == pytest.approx(n_parameters(student)[0])
    assert costs.share(widths, "macs") == pytest.approx(multiply_adds(student) / multiply_adds(teacher))
    first = wiring.sets[0].name
    part = costs.restricted_to([first])
    change = part.share(widths, "macs") - part.share(widths | {first: wiring.sets[0].n_channels}, "macs")
    whole = costs.share(widths, "macs") - costs.share(widths | {first: wiring.sets[0].n_channels}, "macs")
    assert change == pytest.approx(whole)


@pytest.mark.skipif(not is_available(), reason="the kernels were not built")
@every_architecture
def test_kernels_compute_narrow_networks(name):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    student = narrowed(teacher, wiring, random_selection(wiring, np.random.default_rng(5)))
    windows = torch.randn(3, 3, teacher.in_samples)
    predictions = compile_network(student).predict(windows.numpy())
    assert np.abs(predictions - outputs(student, windows).numpy()).max() < 2e-5


def test_what_cannot_be_compressed_is_named():
    with pytest.raises(UnknownArchitectureError, match=r"GPD cannot be compressed.* PhaseNet, PhaseNetLight, EQT"):
        wiring_of(seisbench.models.GPD())


def test_tensors_of_another_network_are_refused():
    model = picker("PhaseNet")
    state = model.state_dict()
    with pytest.raises(RuntimeError, match="Missing key"):
        resize_to(picker("PhaseNet"), {key: value for key, value in state.items() if key != "out.bias"})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        resize_to(picker("PhaseNet"), state | {"other.weight": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=r"inc.weight has the shape \(8, 3\)"):
        resize_to(picker("PhaseNet"), state | {"inc.weight": torch.zeros(8, 3)})


@pytest.mark.parametrize("name", STEPS)
def test_networks_that_nobody_has_described_lose_only_what_nobody_reads(name, monkeypatch):
    monkeypatch.setitem(PICKERS, "Any", Entry(compress_cpu_s=1.0))
    teacher = network_of(STEPS[name])
    wiring = wiring_of(teacher)
    assert bool(wiring.sets) is (name not in WHOLE)
    selection = random_selection(wiring, np.random.default_rng(0))
    student, deaf = copy.deepcopy(teacher), deaf_to(teacher, wiring, selection)
    resize_to(student, narrowed_state(deaf, wiring, selection))
    windows = torch.randn(2, 3, teacher.in_samples)
    assert torch.allclose(outputs(deaf, windows), outputs(student, windows), atol=1e-5)
    costs, widths = costs_of(teacher, wiring), {key: channels.size for key, channels in selection.items()}
    assert costs.total(widths, "macs") == pytest.approx(multiply_adds(student))
    assert costs.total(widths, "parameters") == pytest.approx(n_parameters(student)[0])


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        (lambda net, x: torch.cat(net.narrow(x).chunk(2, dim=1), dim=1), ["first"]),
        (lambda net, x: net.narrow(x) * torch.arange(8.0)[:, None], ["first"]),
        (lambda net, x: net.narrow(x).flip(1), ["first"]),
        (lambda net, x: torch.sub(net.narrow(x), other=net.short(x)), ["first"]),
        (lambda net, x: net.narrow(x).mT.mT, ["first"]),
        # A layer that is applied twice.
        (lambda net, x: net.narrow(x) - net.narrow(x).mean(dim=1, keepdim=True), []),
    ],
)
def test_channels_that_something_else_reads_stay(steps, names, monkeypatch):
    monkeypatch.setitem(PICKERS, "Any", Entry(compress_cpu_s=1.0))
    assert [channel_set.name for channel_set in wiring_of(network_of(steps)).sets] == names


@pytest.mark.parametrize(
    "steps",
    [
        lambda net, x: net.short(net.narrow(x) + recurrent(net, x)),
        lambda net, x: net.short(recurrent(net, x) + net.narrow(x)),
    ],
)
def test_what_is_derived_from_states_stays_in_whatever_order_they_are_added(steps, monkeypatch):
    monkeypatch.setitem(PICKERS, "Any", Entry(compress_cpu_s=1.0))
    assert [channel_set.name for channel_set in wiring_of(network_of(steps)).sets] == ["first"]
