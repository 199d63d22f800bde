import copy

import numpy as np
import pytest
import seisbench.models
import torch

from pickflow.compress.channels import UnknownArchitectureError, input_axes, narrowed_state, wiring_of
from pickflow.compress.correction import narrowed
from pickflow.compress.costs import costs_of, multiply_adds, n_parameters
from pickflow.compress.rows import (
    InexpressibleLayerError,
    features,
    n_inputs,
    positions_of,
    rows_of,
    set_weights,
    targets,
    weights,
)
from pickflow.compress.states import captured, n_positions
from pickflow.kernels import compile_network, is_available
from pickflow.models.narrowing import resize_to
from tests.compress_fixture import ARCHITECTURES, outputs, picker, some_kept

every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


@every_architecture
def test_every_input_channel_of_a_reader_belongs_to_one_set(name):
    model = picker(name)
    wiring = wiring_of(model)
    for reader in wiring.readers():
        spans = [(first, one.n_channels) for one in wiring.sets for own, first in one.readers if own == reader]
        covered = np.sort(np.concatenate([np.arange(first, first + n) for first, n in spans]))
        assert covered.tolist() == list(range(n_inputs(model.get_submodule(reader))))
    assert sorted(one.name for group in wiring.components() for one in group) == sorted(s.name for s in wiring.sets)


@every_architecture
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_without_channels_that_nobody_reads_gives_the_same(name, seed):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    kept = some_kept(wiring, np.random.default_rng(seed))
    kept[wiring.sets[0].name] = np.array([0])  # a single channel works as well
    deaf = copy.deepcopy(teacher)
    state = deaf.state_dict()
    for one in wiring.sets:
        gone = np.setdiff1d(np.arange(one.n_channels), kept[one.name])
        for reader, first in one.readers:
            for key, axis in input_axes(deaf.get_submodule(reader)):
                state[f"{reader}.{key}"].index_fill_(axis, torch.from_numpy(first + gone), 0.0)
    student = copy.deepcopy(teacher)
    resize_to(student, narrowed_state(deaf, wiring, kept))
    windows = torch.randn(2, 3, teacher.in_samples)
    assert n_parameters(student)[0] < n_parameters(teacher)[0]
    assert torch.allclose(outputs(deaf, windows), outputs(student, windows), atol=1e-5)


@every_architecture
def test_costs_of_a_student_are_known_before_it_is_built(name):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    costs = costs_of(teacher, wiring)
    kept = some_kept(wiring, np.random.default_rng(3))
    widths = {key: own.size for key, own in kept.items()}
    student = narrowed(teacher, wiring, kept)
    assert costs.total({}, "macs") == multiply_adds(teacher)
    assert costs.total(widths, "macs") == pytest.approx(multiply_adds(student))
    assert costs.total(widths, "parameters") == pytest.approx(n_parameters(student)[0])
    first = wiring.sets[0].name
    part = costs.touching([first])
    change = part.share(widths, "macs") - part.share(widths | {first: wiring.sets[0].n_channels}, "macs")
    whole = costs.share(widths, "macs") - costs.share(widths | {first: wiring.sets[0].n_channels}, "macs")
    assert change == pytest.approx(whole)


@pytest.mark.skipif(not is_available(), reason="the kernels were not built")
@every_architecture
def test_kernels_compute_narrow_networks(name):
    teacher = picker(name)
    wiring = wiring_of(teacher)
    student = narrowed(teacher, wiring, some_kept(wiring, np.random.default_rng(5)))
    windows = torch.randn(3, 3, teacher.in_samples)
    found = compile_network(student).predict(windows.numpy())
    assert np.abs(found - outputs(student, windows).numpy()).max() < 1e-4


@every_architecture
def test_rows_give_what_their_layer_gives(name):
    model = picker(name)
    readers = wiring_of(model).readers()
    with torch.no_grad(), captured(model, readers) as found:
        model(torch.randn(2, 3, model.in_samples))
    for reader in readers:
        layer = model.get_submodule(reader)
        given, made = found[reader]
        positions = 0
        for rows in rows_of(reader, layer):
            at = positions_of(rows, n_positions(layer, given, made))
            positions += at.size
            with torch.no_grad():
                wanted = targets(rows, given, made, at).double()
                design = features(rows, given, at).double()
            rest = wanted.numpy() - design.numpy() @ weights(rows)
            assert rest.std(axis=0).max() < 1e-4, reader  # what is left is the bias
        assert positions == n_positions(layer, given, made)


@every_architecture
def test_weights_that_are_read_and_written_are_the_same(name):
    model = picker(name)
    windows = torch.randn(1, 3, model.in_samples)
    before = outputs(model, windows)
    for reader in wiring_of(model).readers():
        layer = model.get_submodule(reader)
        own = rows_of(reader, layer)
        matrices = [weights(rows) for rows in own]
        with torch.no_grad():
            for key, _ in input_axes(layer):
                layer.get_parameter(key).zero_()
        bias = getattr(layer, "bias", None)
        if isinstance(bias, torch.Tensor):
            intercept = bias.detach().double().numpy().copy()
        elif isinstance(layer, torch.nn.LSTM) or hasattr(layer, "cell_f"):
            intercept = np.concatenate([p.detach().double() for key, p in layer.named_parameters() if "bias_ih" in key])
        else:
            intercept = np.zeros(matrices[0].shape[1])
        set_weights(own, matrices, intercept)
    assert torch.allclose(before, outputs(model, windows), atol=1e-6)


def test_what_cannot_be_compressed_is_named():
    with pytest.raises(UnknownArchitectureError, match=r"GPD cannot be compressed.* PhaseNet, PhaseNetLight, EQT"):
        wiring_of(seisbench.models.GPD())
    with pytest.raises(InexpressibleLayerError, match=r"layer context.0: a convolution with groups"):
        rows_of("context.0", torch.nn.Conv1d(4, 4, 3, groups=4))
    with pytest.raises(InexpressibleLayerError, match=r"layer x: MaxPool1d is not a regression"):
        rows_of("x", torch.nn.MaxPool1d(2))


def test_tensors_of_another_network_are_refused():
    model = picker("PhaseNet")
    state = model.state_dict()
    with pytest.raises(RuntimeError, match="Missing key"):
        resize_to(picker("PhaseNet"), {key: value for key, value in state.items() if key != "out.bias"})
    with pytest.raises(RuntimeError, match=r"inc.weight has the shape \(8, 3\)"):
        resize_to(picker("PhaseNet"), state | {"inc.weight": torch.zeros(8, 3)})
