"""Implicit models with feedback: when they have one answer, how they are made to, and rows fitted in a loop."""

import numpy as np
import pytest
from scipy import sparse

from pickflow.implicit import ImplicitModel, NotConvergedError, blocks_of, fit_states, states_of
from pickflow.implicit.activations import Elementwise, LayerNorm


def loop(A, functions=("tanh",), n_inputs=2, seed=0):
    """A model with feedback: dense A, as many blocks of equal size as functions."""
    generator = np.random.default_rng(seed)
    n_states = len(A)
    size = n_states // len(functions)
    return ImplicitModel(
        A=sparse.csr_array(A),
        B=sparse.csr_array(generator.standard_normal((n_states, n_inputs + 1))),
        C=sparse.csr_array(generator.standard_normal((3, n_states))),
        D=sparse.csr_array(generator.standard_normal((3, n_inputs + 1))),
        blocks=blocks_of((function, Elementwise(function, size)) for function in functions),
        input_shape=(n_inputs,),
        output_shape=(3,),
        fixed_rows=np.zeros(n_states, dtype=bool),
    )


def test_a_loop_is_well_posed_only_below_one():
    A = np.random.default_rng(0).standard_normal((8, 8))
    A /= np.abs(A).sum(axis=1).max()
    model = loop(0.9 * A)
    assert model.is_well_posed(0.95).condition == "contraction"
    assert model.is_well_posed(0.95).norm == pytest.approx(0.9)
    assert not model.is_well_posed(0.8)
    # The sigmoid is four times as flat.
    assert loop(3.6 * A, ("sigmoid",)).is_well_posed(0.95)
    assert not loop(3.6 * A).is_well_posed(0.95)
    with pytest.raises(ValueError, match="kappa = 1"):
        model.is_well_posed(1.0)


def test_only_entries_that_close_a_loop_are_limited():
    A = np.zeros((6, 6))
    A[:2, 2:4], A[2:4, :2], A[4:, :4] = 0.4, 0.4, 9.0
    model = loop(A, ("tanh", "tanh", "relu"))
    assert model.order is None
    assert model.is_well_posed(0.9).norm == pytest.approx(0.8)
    projected = model.project(0.5)
    assert np.array_equal(projected.A[4:].toarray(), A[4:])
    assert projected.is_well_posed(0.5).norm == pytest.approx(0.5)
    assert np.allclose(projected.A[:2, 2:4].toarray(), 0.25)


def test_blocks_in_any_order_are_still_triangular():
    A = np.zeros((6, 6))
    A[:2, 4:], A[4:, 2:4] = 30.0, 20.0
    model = loop(A, ("identity", "tanh", "relu"))
    assert model.order == (1, 2, 0)
    assert (model.depth, model.is_well_posed().condition) == (3, "triangular")
    windows = np.random.default_rng(0).standard_normal((5, 2))
    swept = model.sweep(windows)
    assert np.array_equal(swept.states, model.infer(windows).states)
    assert np.array_equal(model.project(0.1).A.toarray(), A)
    assert np.linalg.matrix_power(np.abs(A), 3).max() == 0 < np.linalg.matrix_power(np.abs(A), 2).max()


def test_what_does_not_converge_is_said_and_projection_helps():
    A = 3.0 * np.random.default_rng(1).standard_normal((8, 8))
    model = loop(A, ("relu",))
    windows = np.random.default_rng(2).standard_normal((5, 2))
    with pytest.raises(NotConvergedError, match=r"passes: the last one changed a state by"):
        model.infer(windows)
    with pytest.raises(ValueError, match="use infer"):
        model.sweep(windows)
    projected = model.project(0.7)
    solution = projected.infer(windows)
    u = projected.with_constant(windows)
    residual = projected.activate(projected.A @ solution.states.T + projected.B @ u) - solution.states.T
    assert np.abs(residual).max() < 1e-11
    assert np.abs(solution.states).max() > 0.1


def test_a_loop_through_a_block_without_a_bound_is_refused():
    model = loop(np.eye(4))
    block = LayerNorm(np.ones(4), np.zeros(4), 1, 1e-5)
    broken = ImplicitModel(**{**vars_of(model), "blocks": blocks_of([("norm1", block)])})
    assert broken.is_well_posed().norm == np.inf
    with pytest.raises(ValueError, match="norm1: LayerNorm has no Lipschitz constant"):
        broken.project(0.5)


def vars_of(model):
    names = ("A", "B", "C", "D", "blocks", "input_shape", "output_shape", "fixed_rows")
    return {name: getattr(model, name) for name in names}


def test_shapes_that_do_not_fit_are_said():
    with pytest.raises(ValueError, match=r"B has shape \(4, 2\)"):
        ImplicitModel(**{**vars_of(loop(np.eye(4))), "B": sparse.csr_array((4, 2))})


def test_rows_in_a_loop_keep_within_kappa():
    generator = np.random.default_rng(5)
    A = generator.standard_normal((6, 6))
    teacher = loop(0.95 * A / np.abs(A).sum(axis=1, keepdims=True))
    states = states_of(teacher, generator.standard_normal((300, 2)))
    fitted = fit_states(teacher, states, 1e-6, kappa=0.5)
    norms = np.abs(fitted.A).sum(axis=1)
    assert norms.max() <= 0.5 * (1 + 1e-9)
    assert norms.max() > 0.499
    assert fitted.infer(states.inputs).n_passes > 2
    free = fit_states(teacher, states, 1e-6, kappa=0.99)
    assert np.abs(free.infer(states.inputs).outputs - states.outputs).max() < 1e-5
    with pytest.raises(ValueError, match="kappa is None"):
        fit_states(teacher, states, 1.0)
