"""What holds for every implicit model: projections, bounds, contraction, and layers of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from pickflow.implicit import ImplicitModel, blocks_of, from_network, project_l1
from pickflow.implicit.activations import FUNCTIONS, Elementwise, MaxPool, Softmax
from tests.layer_regressions import layer_samples, weights_of

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, size=st.integers(1, 40), share=st.floats(1e-6, 2.0), scale=st.sampled_from([1e-12, 1.0, 1e12]))
def test_the_projection_is_the_nearest_point_of_the_ball(seed, size, share, scale):
    vector = scale * np.random.default_rng(seed).standard_normal(size)
    radius = share * np.abs(vector).sum()
    nearest = project_l1(vector, radius)
    assert np.abs(nearest).sum() <= radius * (1 + 1e-12)
    if share >= 1:
        assert np.array_equal(nearest, vector)
    # Nearest if and only if no corner of the ball lies in the direction of what is left.
    remainder = vector - nearest
    assert radius * np.abs(remainder).max() - remainder @ nearest <= 1e-9 * scale * radius
    assert np.abs(project_l1(nearest, radius) - nearest).max() <= 1e-12 * scale


def test_ties_and_zeros_are_projected():
    assert np.allclose(project_l1(np.array([2.0, -2.0, 0.0, 2.0]), 3.0), [1.0, -1.0, 0.0, 1.0])


@given(
    seed=seeds,
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    block=st.sampled_from(
        [
            *(Elementwise(function, 12) for function in FUNCTIONS),
            *(MaxPool(2, 6, 4, function) for function in FUNCTIONS),
            Softmax(4, 3),
        ]
    ),
)
def test_no_block_exceeds_its_lipschitz_constant(seed, scale, block):
    generator = np.random.default_rng(seed)
    first = scale * generator.standard_normal((12, 1))
    second = first + generator.choice([1e-4, 1.0, 10.0]) * generator.uniform(-1, 1, (12, 1))
    moved = np.abs(block(first) - block(second)).max()
    assert moved <= block.lipschitz * np.abs(first - second).max() * (1 + 1e-9)


def test_the_lipschitz_constants_are_tight():
    step = np.full((2, 1), 1e-6)
    for function in FUNCTIONS:
        block = Elementwise(function, 2)
        start = np.ones((2, 1)) if function in ("identity", "relu") else -step / 2
        slope = np.abs(block(start + step) - block(start)).max() / 1e-6
        assert slope == pytest.approx(block.lipschitz, rel=1e-6)
    opposite = np.array([[5e-7], [-5e-7]])
    assert np.abs(np.diff([Softmax(2, 1)(sign * opposite) for sign in (-1, 1)], axis=0)).max() == pytest.approx(5e-7)


def model_of(A, functions, generator):
    n_states = len(A)
    return ImplicitModel(
        A=sparse.csr_array(A),
        B=sparse.csr_array(generator.standard_normal((n_states, 4))),
        C=sparse.csr_array(np.eye(n_states)),
        D=sparse.csr_array((n_states, 4)),
        blocks=blocks_of((function, Elementwise(function, n_states // len(functions))) for function in functions),
        input_shape=(3,),
        output_shape=(n_states,),
        fixed_rows=np.zeros(n_states, dtype=bool),
    )


@given(seed=seeds, kappa=st.floats(0.05, 0.95), functions=st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=3))
@settings(max_examples=50)
def test_a_projected_model_contracts_and_converges(seed, kappa, functions):
    generator = np.random.default_rng(seed)
    n_states = 4 * len(functions)
    model = model_of(10 * generator.standard_normal((n_states, n_states)), functions, generator).project(kappa)
    verdict = model.is_well_posed(kappa * (1 + 1e-9))
    assert verdict
    assert verdict.condition == "contraction"
    assert verdict.norm == pytest.approx(kappa, rel=1e-9)
    windows = generator.standard_normal((2, 3))
    driven = model.B @ model.with_constant(windows)
    x, y = generator.standard_normal((2, n_states, 2))
    after = np.abs(model.activate(model.A @ x + driven) - model.activate(model.A @ y + driven)).max()
    assert after <= kappa * np.abs(x - y).max() * (1 + 1e-9)
    states = model.infer(windows, tolerance=1e-13, max_passes=2000).states.T
    assert np.abs(model.activate(model.A @ states + driven) - states).max() <= 1e-11 * max(1, np.abs(states).max())


@given(seed=seeds, n_blocks=st.integers(1, 6))
@settings(max_examples=50)
def test_blocks_may_stand_in_any_order(seed, n_blocks):
    generator = np.random.default_rng(seed)
    functions = list(generator.choice(["relu", "tanh", "sigmoid"], n_blocks))
    A = np.tril(generator.standard_normal((n_blocks, n_blocks)), -1) * (generator.random((n_blocks, n_blocks)) < 0.6)
    A = np.kron(A, generator.standard_normal((2, 2)))
    model = model_of(A, functions, generator)
    order = generator.permutation(n_blocks)
    states = (2 * order[:, None] + np.arange(2)).ravel()
    shuffled = ImplicitModel(
        A=sparse.csr_array(A[np.ix_(states, states)]),
        B=sparse.csr_array(model.B.toarray()[states]),
        C=sparse.csr_array(np.eye(len(A))[:, states]),
        D=model.D,
        blocks=blocks_of((functions[block], Elementwise(functions[block], 2)) for block in order),
        input_shape=(3,),
        output_shape=(len(A),),
        fixed_rows=model.fixed_rows,
    )
    windows = generator.standard_normal((3, 3))
    expected = model.sweep(windows).outputs
    solution = shuffled.infer(windows, tolerance=0.0)
    assert np.abs(solution.outputs - expected).max() < 1e-12 * max(1, np.abs(expected).max())
    assert np.abs(shuffled.sweep(windows).outputs - expected).max() < 1e-12 * max(1, np.abs(expected).max())
    assert solution.n_passes <= shuffled.depth + 1 <= n_blocks + 1


@st.composite
def convolutions(draw):
    """Any Conv1d or ConvTranspose1d, and a length that it can take."""
    groups, transposed = draw(st.integers(1, 3)), draw(st.booleans())
    sizes = {"kernel_size": draw(st.integers(1, 5)), "stride": draw(st.integers(1, 4))}
    n_samples = draw(st.integers(5, 14))
    torch.manual_seed(draw(st.integers(0, 1000)))
    if transposed:
        sizes["output_padding"] = draw(st.integers(0, sizes["stride"] - 1))
        sizes["padding"] = draw(st.integers(0, min(2, sizes["kernel_size"] - 1)))
        return nn.ConvTranspose1d(2, draw(st.integers(1, 3)), **sizes), n_samples
    sizes["dilation"] = draw(st.integers(1, 3))
    sizes["padding"] = draw(st.integers(0, 4))
    if sizes["dilation"] * (sizes["kernel_size"] - 1) >= n_samples + 2 * sizes["padding"]:
        sizes["dilation"] = 1
    return nn.Conv1d(2 * groups, draw(st.integers(1, 2)) * groups, groups=groups, **sizes), n_samples


@given(drawn=convolutions(), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_any_convolution_has_its_rows_and_its_samples(drawn, seed):
    layer, n_samples = drawn
    layer = layer.double().eval()
    inputs = np.random.default_rng(seed).standard_normal((3, layer.in_channels, n_samples))
    with torch.no_grad():
        expected = layer(torch.from_numpy(inputs)).numpy()
    assert np.abs(from_network(nn.Sequential(layer).eval(), n_samples).sweep(inputs).outputs - expected).max() < 1e-12
    problems = layer_samples(layer, inputs, expected)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    per_group = bias.reshape(len(problems), -1) if isinstance(layer, nn.Conv1d) else [bias] * len(problems)
    coefficients = [weight.flat[problem.places["weight"]] for problem in problems]
    for problem, solved, shift in zip(problems, coefficients, per_group, strict=True):
        assert np.abs(problem.features @ solved + shift - problem.targets).max() < 1e-12
    assert sum(problem.targets.size for problem in problems) == expected.size
    rebuilt = weights_of(layer, problems, coefficients)["weight"]
    places = np.concatenate([problem.places["weight"].ravel() for problem in problems])
    assert np.array_equal(rebuilt.flat[places], weight.flat[places])
    assert len(np.unique(places)) == len(places)
