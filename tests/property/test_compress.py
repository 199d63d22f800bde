"""Compression on random layers, widths, records and budgets."""

import copy
from functools import cache

import numpy as np
import obspy
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pickflow.annotate.segments import NS_PER_S, make_segments
from pickflow.compress.channels import ChannelSet, narrowed_state, wiring_of
from pickflow.compress.costs import Costs, LayerCost, Term, costs_of, multiply_adds, n_parameters
from pickflow.compress.rows import features, positions_of, rows_of, set_weights, weights
from pickflow.compress.scores import n_matches
from pickflow.compress.selection import Path, Point, choose, selection_of
from pickflow.compress.windows import BLOCK_S, Record, calibrate, is_test, make_source
from pickflow.models.narrowing import resize_to
from tests.compress_fixture import deaf_to, outputs, picker
from tests.layer_regressions import layer_samples

SEEDS = st.integers(0, 2**32 - 1)
RATE_HZ = 100


@given(
    seed=SEEDS,
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 7)),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 5), st.just("same")),
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=60, deadline=None)
def test_rows_of_any_convolution_are_its_regression(seed, shape, stride, dilation, padding):
    torch.manual_seed(seed)
    layer = torch.nn.Conv1d(
        *shape, stride=1 if padding == "same" else stride, dilation=dilation, padding=padding, bias=False
    )
    check_rows(layer, torch.randn(2, shape[0], 25))


@given(
    seed=SEEDS,
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 8)),
    stride=st.integers(1, 5),
    padding=st.integers(0, 3),
    output_padding=st.integers(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_rows_of_any_transposed_convolution_are_its_regressions(seed, shape, stride, padding, output_padding):
    assume(output_padding < stride)
    torch.manual_seed(seed)
    layer = torch.nn.ConvTranspose1d(*shape, stride=stride, padding=padding, output_padding=output_padding, bias=False)
    check_rows(layer, torch.randn(2, shape[0], 9))


def check_rows(layer, inputs):
    """Rows give what the layer gives, are those of the implicit model, and can be written back."""
    with torch.no_grad():
        layer_outputs = layer(inputs)
    layer_rows = rows_of("layer", layer)
    row_outputs = torch.zeros_like(layer_outputs)
    transposed = isinstance(layer, torch.nn.ConvTranspose1d)
    reference = layer_samples(layer, inputs.numpy(), layer_outputs.numpy())
    for rows in layer_rows:
        at = positions_of(rows, layer_outputs.shape[-1])
        if not at.size:
            continue
        design = features(rows, inputs, at)
        by_rows = (design.numpy() @ weights(rows)).reshape(len(inputs), at.size, -1)
        row_outputs[:, :, at] = torch.from_numpy(by_rows).float().transpose(1, 2)
        problem = reference[at[0] if transposed else 0]
        assert np.array_equal(design.numpy(), problem.features.astype(np.float32))
    assert torch.allclose(row_outputs, layer_outputs, atol=1e-5)
    again = copy.deepcopy(layer)
    with torch.no_grad():
        again.weight.zero_()
    set_weights(rows_of("layer", again), [weights(rows) for rows in layer_rows], np.zeros(layer.out_channels))
    assert torch.equal(again.weight, layer.weight)


@cache
def teacher_of(name):
    """A picker, its channels and its costs."""
    model = picker(name)
    wiring = wiring_of(model)
    return model, wiring, costs_of(model, wiring)


@given(name=st.sampled_from(["PhaseNet", "PhaseNetLight", "EQTransformer", "PickflowNet"]), seed=SEEDS)
@settings(max_examples=24, deadline=None)
def test_channels_that_nobody_reads_can_go_at_any_width(name, seed):
    teacher, wiring, costs = teacher_of(name)
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.05, 1.0)
    selection = {}
    for channel_set in wiring.sets:
        selection[channel_set.name] = np.flatnonzero(rng.random(channel_set.n_channels) < share)
        if not selection[channel_set.name].size:
            selection[channel_set.name] = np.array([rng.integers(channel_set.n_channels)])
    deaf = deaf_to(teacher, wiring, selection)
    student = copy.deepcopy(teacher)
    resize_to(student, narrowed_state(deaf, wiring, selection))
    windows = torch.from_numpy(rng.normal(size=(1, 3, teacher.in_samples)).astype(np.float32))
    assert (outputs(deaf, windows) - outputs(student, windows)).abs().max() < 1e-5
    widths = {key: channels.size for key, channels in selection.items()}
    assert round(costs.total(widths, "macs")) == multiply_adds(student)
    assert round(costs.total(widths, "parameters")) == n_parameters(student)[0]


@given(
    start_s=st.integers(0, 4 * BLOCK_S),
    offset_ns=st.sampled_from([0, 1, 5_000_000, 999_999_999]),
    pieces=st.lists(st.tuples(st.integers(10, 1500), st.integers(1, 400)), min_size=1, max_size=4),
    seed=SEEDS,
)
@settings(max_examples=40, deadline=None)
def test_no_window_of_a_fit_touches_a_block_that_judges(start_s, offset_ns, pieces, seed):
    rng = np.random.default_rng(seed)
    begin_ns = (1_709_632_800 + start_s) * NS_PER_S + offset_ns
    stream, at_ns = obspy.Stream(), begin_ns
    for seconds, gap_s in pieces:
        for letter in "ZNE":
            header = {"network": "XA", "station": "AAA", "channel": f"HH{letter}", "sampling_rate": RATE_HZ}
            samples = rng.normal(size=seconds * RATE_HZ).astype(np.float32)
            stream.append(obspy.Trace(samples, header | {"starttime": obspy.UTCDateTime(ns=at_ns)}))
        at_ns += (seconds + gap_s) * NS_PER_S
    times = np.sort(rng.integers(begin_ns, at_ns, 60))
    segments = tuple(make_segments(stream, "ZNE", RATE_HZ)[0])
    record = Record(name="XA.AAA day", stream=stream, segments=segments, pick_times_ns=times)
    model = teacher_of("PickflowNet")[0]
    try:
        source = make_source([record], model)
    except ValueError:
        assume(False)
    drawn = calibrate(source, model, 20, 0.6, 4.0, seed)
    inside = {(int(r), int(s), int(start)) for r, s, start in source.places}
    inside |= {draw(rng) for draw in (source.around_arrival, source.at_random) for _ in range(40)}
    for _, number, first in inside:
        window = segments[number]
        assert 0 <= first <= window.n_samples - model.in_samples
        assert not any(is_test(window.time_ns(first + index)) for index in range(0, model.in_samples, 100))
        assert not is_test(window.time_ns(first + model.in_samples - 1))
    for name, near in zip(drawn.names, drawn.near_arrival, strict=True):
        begin = obspy.UTCDateTime(name.split()[1]).ns
        samples = np.round((times - begin) * RATE_HZ / NS_PER_S)
        expected = np.zeros_like(near)
        for index in samples[(samples >= 0) & (samples < near.size)].astype(int):
            expected[max(index - RATE_HZ, 0) : index + RATE_HZ + 1] = True
        # Names have microseconds: a pick may lie a sample beside.
        assert np.count_nonzero(expected != near) <= 2 * np.count_nonzero(np.diff(expected, prepend=0, append=0))


TIMES = st.lists(st.integers(0, 20), max_size=7).map(sorted)


@given(left=TIMES, right=TIMES, reach=st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_matching_finds_the_most_pairs(left, right, reach):
    step_ns = NS_PER_S // 10
    n_pairs = n_matches(np.array(left, np.int64) * step_ns, np.array(right, np.int64) * step_ns, reach / 10)
    assert n_pairs == most_pairs(left, right, reach)


def most_pairs(left, right, reach):
    """Largest number of pairs, by augmenting paths (Kuhn's algorithm)."""
    partner = {}

    def place(row, visited):
        for index, time in enumerate(right):
            if abs(time - left[row]) <= reach and index not in visited:
                visited.add(index)
                if index not in partner or place(partner[index], visited):
                    partner[index] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(left)))


def random_problem(seed):
    """Paths of a chain of layers and what the layers cost."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 30, rng.integers(1, 6))
    sets = [
        ChannelSet(name=f"l{i}", n_channels=int(n), writers=(), carriers=(), readers=()) for i, n in enumerate(widths)
    ]
    layers = []
    for index in range(len(sets) + 1):
        reads = (sets[index - 1].name,) if index else ()
        writes = sets[index].name if index < len(sets) else None
        terms = {
            m: [Term(int(rng.integers(1, 10_000)), bool(reads), writes is not None)] for m in ("macs", "parameters")
        }
        n_read, n_written = int(widths[index - 1]) if reads else 1, int(widths[index]) if writes else 1
        layers.append(
            LayerCost(name=f"l{index}", terms=terms, reads=reads, n_read=n_read, writes=writes, n_written=n_written)
        )
    paths = []
    for channel_set in sets:
        counts = np.unique(rng.integers(0, channel_set.n_channels + 1, 12))
        counts = np.union1d(counts, [1])
        errors = np.sort(rng.random(counts.size))[::-1]
        points = tuple(
            Point(
                ratio=1.0, active=np.arange(channel_set.n_channels) < n, supports=None, error=float(e), n_features=1,
                screened={}, duality_gap=0.0, n_false=None, largest_difference=None,
            )
            for n, e in zip(counts, errors, strict=True)
        )  # fmt: skip
        paths.append(Path(sets=((channel_set.name, channel_set.n_channels),), readers=(), points=points))
    costs = Costs(layers=tuple(layers), widths={channel_set.name: channel_set.n_channels for channel_set in sets})
    return paths, list(10 ** rng.uniform(-2, 2, len(paths))), costs


def spent(paths, chosen, costs, measure):
    return costs.share({name: channels.size for name, channels in selection_of(paths, chosen).items()}, measure)


def lost(paths, chosen, sensitivity):
    return sum(s * p.points[index].error for s, p, index in zip(sensitivity, paths, chosen, strict=True))


@given(seed=SEEDS, macs=st.floats(0.01, 1.0), parameters=st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_a_budget_is_kept_or_refused(seed, macs, parameters):
    paths, sensitivity, costs = random_problem(seed)
    budget = {"macs": macs, "parameters": parameters}
    least = [next(i for i, point in enumerate(path.points) if point.active.any()) for path in paths]
    possible = all(spent(paths, least, costs, measure) <= share for measure, share in budget.items())
    if not possible:
        with pytest.raises(ValueError, match=r"the largest penalties that empty no layer leave .* empty layer l\d"):
            choose(paths, sensitivity, costs, budget)
        return
    chosen = choose(paths, sensitivity, costs, budget)
    # Shares are compared as quotients: a rounding is no excess.
    assert all(spent(paths, chosen, costs, measure) <= share * (1 + 1e-12) for measure, share in budget.items())
    assert all(channels.size for channels in selection_of(paths, chosen).values())


@given(seed=SEEDS, share=st.floats(0.05, 1.0))
@settings(max_examples=60, deadline=None)
def test_what_is_left_of_a_budget_buys_nothing_more(seed, share):
    paths, sensitivity, costs = random_problem(seed)
    try:
        chosen = choose(paths, sensitivity, costs, {"macs": share})
    except ValueError:
        assume(False)
    for number, path in enumerate(paths):
        for index in range(len(path.points)):
            better = [*chosen[:number], index, *chosen[number + 1 :]]
            if index > chosen[number] and spent(paths, better, costs, "macs") <= share:
                assert path.points[index].error >= path.points[chosen[number]].error
    assert lost(paths, choose(paths, sensitivity, costs, {"macs": 1.0}), sensitivity) <= lost(
        paths, chosen, sensitivity
    )
