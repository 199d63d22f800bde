"""From channels to a student: screened paths, budgets, and layers that are fitted to their teacher's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pickflow.compress.channels import wiring_of
from pickflow.compress.correction import correct, narrowed, row_scales, sensitivity
from pickflow.compress.costs import costs_of, multiply_adds, n_parameters
from pickflow.compress.magnitude import by_magnitude, weight_sizes
from pickflow.compress.rows import rows_of, weights
from pickflow.compress.selection import choose, make_problem, selection_of, solve_path, supports_of
from pickflow.compress.states import collect
from pickflow.compress.teacher import layers_of, probe
from pickflow.distillation import probabilities_of
from tests.compress_fixture import calibration, outputs, picker


@pytest.fixture(scope="module")
def small():
    """PickflowNet on noise, with its statistics."""
    model = picker("PickflowNet")
    wiring = wiring_of(model)
    windows = calibration(model, 8)
    layers, unreadable = layers_of(model, wiring)
    assert not unreadable
    return model, wiring, windows, collect(model, layers, windows)


@pytest.fixture(scope="module")
def paths(small):
    model, wiring, _, statistics = small
    scales = row_scales(model, wiring)
    problems = [make_problem(sets, statistics, scales) for sets in wiring.components()]
    return [solve_path(problem, "group", 8, check=True) for problem in problems]


def test_a_layer_whose_inputs_are_whole_keeps_its_weights(small):
    model, wiring, windows, statistics = small
    channel_set = wiring.sets[-1]
    selection = {channel_set.name: np.arange(channel_set.n_channels)}
    student = narrowed(model, wiring, selection)
    before = student.state_dict()["last.convolution.weight"].clone()
    correct(student, wiring, {**selection, wiring.sets[0].name: np.arange(8)}, statistics, windows)
    assert torch.equal(before, student.state_dict()["last.convolution.weight"])  # nothing narrowed, nothing fitted
    lost = {wiring.sets[1].name: np.arange(wiring.sets[1].n_channels - 1)}
    student = narrowed(model, wiring, lost)
    correct(student, wiring, lost, statistics, windows)
    assert not torch.equal(before, student.state_dict()["last.convolution.weight"])


@pytest.mark.parametrize(
    ("name", "n_windows"), [("PickflowNet", 8), ("PhaseNetLight", 16), ("EQTransformer-conservative", 6), ("GRU", 12)]
)
def test_correction_brings_a_narrow_network_back_to_its_teacher(name, n_windows):
    model = picker(name)
    wiring, windows = wiring_of(model), calibration(model, n_windows)
    statistics = collect(model, layers_of(model, wiring)[0], windows)
    selection = {
        channel_set.name: np.arange(max(1, channel_set.n_channels // 4), channel_set.n_channels)
        for channel_set in wiring.sets
    }
    plain, student = narrowed(model, wiring, selection), narrowed(model, wiring, selection)
    assert correct(student, wiring, selection, statistics, windows) == {}
    expected = outputs(model, windows.windows)
    error, corrected = (
        float(((outputs(network, windows.windows) - expected) ** 2).mean()) for network in (plain, student)
    )
    assert 0 < corrected < 0.6 * error


def test_all_channels_give_the_teacher_again(small):
    model, wiring, windows, statistics = small
    student = narrowed(model, wiring, {})
    supports = {
        name: [np.ones(gram.cross.shape, bool) for gram in statistic.grams] for name, statistic in statistics.items()
    }
    masks = correct(student, wiring, {}, statistics, windows, supports)
    assert all(mask.all() for mask in masks.values())
    # Measured: 8e-5; the probabilities' own deviation is 0.026.
    assert torch.allclose(outputs(model, windows.windows), outputs(student, windows.windows), atol=4e-4)
    # The first layer has far more samples than coefficients; others share their targets among features that repeat.
    name = "down.0.convolution"
    for row, again in zip(
        rows_of(name, model.down[0].convolution), rows_of(name, student.down[0].convolution), strict=True
    ):
        assert np.abs(weights(row) - weights(again)).max() < 1e-3 * np.abs(weights(row)).max()


def test_certificates_hold_and_errors_fall_along_the_path(paths):
    for path in paths:
        errors = [point.error for point in path.points]
        assert errors[-1] < errors[0] < 1.01
        assert all(point.n_false == 0 for point in path.points)
        assert max(point.largest_difference for point in path.points) < 1e-3
        assert path.points[0].screened["gap"] > 0


@pytest.mark.parametrize("budget", [{"macs": 0.5}, {"parameters": 0.4}, {"macs": 0.6, "parameters": 0.3}])
def test_a_budget_is_kept(small, paths, budget):
    model, wiring, _, _ = small
    costs = costs_of(model, wiring)
    selection = selection_of(paths, choose(paths, [1.0] * len(paths), costs, budget))
    student = narrowed(model, wiring, selection)
    spent = {"macs": multiply_adds(student) / multiply_adds(model)}
    spent["parameters"] = n_parameters(student)[0] / n_parameters(model)[0]
    assert all(spent[measure] <= share for measure, share in budget.items())
    assert all(channels.size for channels in selection.values())
    by_size = by_magnitude(wiring, weight_sizes(model, wiring), costs, budget)
    widths = {name: channels.size for name, channels in by_size.items()}
    assert min(widths.values()) >= 1
    assert all(costs.share(widths, measure) <= share for measure, share in budget.items())


def test_the_baseline_keeps_the_channels_with_the_largest_filters(small):
    model, wiring, _, _ = small
    sizes = weight_sizes(model, wiring)
    selection = by_magnitude(wiring, sizes, costs_of(model, wiring), {"macs": 0.5})
    assert any(
        channels.size < channel_set.n_channels
        for channel_set, channels in zip(wiring.sets, selection.values(), strict=True)
    )
    for channel_set in wiring.sets:
        complement = np.setdiff1d(np.arange(channel_set.n_channels), selection[channel_set.name])
        assert sizes[channel_set.name][selection[channel_set.name]].min() >= sizes[channel_set.name][complement].max(
            initial=0.0
        )
    single = wiring.sets[-1]
    sizes_of_single = model.get_submodule(single.writers[0]).weight.detach().abs().mean(dim=(1, 2)).numpy()
    assert np.allclose(sizes[single.name], sizes_of_single / sizes_of_single.mean(), rtol=1e-5)


def test_a_budget_that_cannot_be_kept_names_a_layer(small, paths):
    model, wiring, _, _ = small
    with pytest.raises(ValueError, match=r"compress.target macs 0.0001: .* would empty layer \w+"):
        choose(paths, [1.0] * len(paths), costs_of(model, wiring), {"macs": 0.0001})
    with pytest.raises(ValueError, match=r"compress.target parameters 0.0001: .* would empty layer \w+"):
        choose(paths, [1.0] * len(paths), costs_of(model, wiring), {"macs": 0.9, "parameters": 0.0001})
    with pytest.raises(ValueError, match=r"target macs 0.001: one channel everywhere leaves 0.01\d+; layer \S+ costs"):
        by_magnitude(wiring, weight_sizes(model, wiring), costs_of(model, wiring), {"macs": 0.001})
    with pytest.raises(
        ValueError, match=r"every penalty of the path empties layer stem.convolution; raise compress.n_"
    ):
        choose(
            [replace(paths[0], points=(emptied(paths[0].points[0]),))], [1.0], costs_of(model, wiring), {"macs": 0.5}
        )


def emptied(point):
    """A point of a path that leaves no channel."""
    return replace(point, active=np.zeros_like(point.active))


def test_a_larger_budget_loses_no_more(small, paths):
    model, wiring, _, _ = small
    costs = costs_of(model, wiring)
    sensitivities = [3.0, 1.0, 2.0, 1.0, 5.0]
    lost = []
    for share in (0.3, 0.5, 0.8):
        chosen = choose(paths, sensitivities, costs, {"macs": share})
        lost.append(sum(s * p.points[i].error for s, p, i in zip(sensitivities, paths, chosen, strict=True)))
    assert lost[0] >= lost[1] >= lost[2]


def test_sensitivity_is_of_the_picks(small, paths):
    model, wiring, windows, statistics = small
    examples = windows.windows[:2]
    with torch.no_grad():
        examples_and_outputs = examples, probabilities_of(model, examples)
    assert all(probe(path, model, wiring, statistics, examples_and_outputs) > 0 for path in paths)
    channel_set = wiring.sets[0]
    lost = [
        sensitivity(model, wiring, {channel_set.name: np.arange(n)}, statistics, *examples_and_outputs)
        for n in (channel_set.n_channels, 4, 1)
    ]
    assert lost[0] < 0.01 * lost[1] < 0.01 * lost[2]


def test_single_weights_that_were_eliminated_stay_zero(small):
    model, wiring, windows, statistics = small
    scales = row_scales(model, wiring)
    problems = [make_problem(sets, statistics, scales) for sets in wiring.components()]
    element = [solve_path(problem, "element", 6, check=True) for problem in problems]
    assert all(point.n_false == 0 for path in element for point in path.points)
    chosen = [len(path.points) // 2 for path in element]
    selection = selection_of(element, chosen)
    student = narrowed(model, wiring, selection)
    masks = correct(student, wiring, selection, statistics, windows, supports_of(element, chosen))
    parameters = dict(student.named_parameters())
    assert masks
    for name, mask in masks.items():
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert not parameters[name][mask == 0].any()
    total, nonzero = n_parameters(student)
    assert nonzero < total


def test_a_window_that_is_not_finite_is_named(small):
    model, wiring, windows, _ = small
    layers, _ = layers_of(model, wiring)
    broken = windows.windows.clone()
    broken[3, 1, 5] = torch.nan
    with pytest.raises(ValueError, match=r"layer down.0.\S+ are not finite in window XA.A03 2024-03-05T10:00:03"):
        collect(model, layers, replace(windows, windows=broken))


def test_too_few_windows_say_how_many_are_needed():
    model = picker("PhaseNet")
    wiring = wiring_of(model)
    layers = {"up_branch.0.2": rows_of("up_branch.0.2", model.get_submodule("up_branch.0.2"))}
    assert wiring.readers()
    with pytest.raises(ValueError, match=r"layer up_branch.0.2 has 896 .* it needs at least 20: raise compress.n_w"):
        collect(model, layers, calibration(model, 2))
    assert collect(model, layers, calibration(model, 20))["up_branch.0.2"].grams[0].n_samples >= 896
