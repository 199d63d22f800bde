"""Rows of an implicit model fitted to the states of another: the teacher's rows, or as few as the penalty leaves."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from pickflow.implicit import fit_states, from_network, states_of
from tests.compress_fixture import network_of, windows_of


def small_net(seed=3):
    torch.manual_seed(seed)
    return network_of(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3, stride=2), nn.Tanh()))


def test_rows_fitted_to_states_are_the_teachers_rows():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 400))
    assert np.allclose(implicit.activate(states.pre_activations.T).T, states.states, atol=1e-14)
    fitted = fit_states(implicit, states, 1e-9)
    for name in ("A", "B"):
        assert np.abs(getattr(fitted, name) - getattr(implicit, name)).max() < 1e-6
    wide = fit_states(implicit, states, 1e-3, pattern="earlier")
    assert np.abs(wide.sweep(states.inputs).outputs - states.outputs).max() < 1e-3


def test_the_penalty_removes_weights_and_at_last_all_of_them():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 300))
    counts = []
    for penalty in (1.0, 30.0, 100.0, 1e4):
        fitted = fit_states(implicit, states, penalty)
        counts.append(fitted.A.nnz + (fitted.B[:, :-1] != 0).sum())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] > counts[3] == 0
    # What is left is the intercept: the mean of the teacher's pre-activations.
    assert np.allclose(fitted.B[:, [-1]].toarray()[:, 0], states.pre_activations.mean(axis=0))


def test_sequential_rows_make_up_for_the_rows_before():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 400))
    penalty = np.where(implicit.block_of_row() == 0, 120.0, 1e-6)
    errors = []
    for sequential in (False, True):
        student = fit_states(implicit, states, penalty, sequential=sequential)
        last = student.pre_activations(states.inputs, student.sweep(states.inputs).states)[:, student.blocks[1].rows]
        errors.append(np.square(last - states.pre_activations[:, implicit.blocks[1].rows]).mean())
    assert errors[1] < 0.9 * errors[0]


def test_rows_can_be_solved_side_by_side():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 100))
    with ThreadPoolExecutor(2) as pool:
        parallel = fit_states(implicit, states, 5.0, row_map=pool.map)
    serial = fit_states(implicit, states, 5.0)
    assert np.array_equal(parallel.A.toarray(), serial.A.toarray())
    assert np.array_equal(parallel.B.toarray(), serial.B.toarray())


def test_fixed_rows_stay():
    model = network_of(
        lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 2, 3), nn.Tanh())
    )
    implicit = from_network(model, 14)
    fitted = fit_states(implicit, states_of(implicit, windows_of(implicit, 100)), 1e6)
    assert [bool(implicit.fixed_rows[block.rows].all()) for block in implicit.blocks] == [False, True, False]
    pooling = implicit.blocks[1].rows
    assert np.array_equal(fitted.A[pooling].toarray(), implicit.A[pooling].toarray())
    assert fitted.A[implicit.blocks[2].rows].nnz == 0


def test_too_few_windows_for_a_row_are_counted():
    implicit = from_network(small_net(), 12)
    states = states_of(implicit, windows_of(implicit, 6))
    with pytest.raises(ValueError, match=r"0, row 0: 6 weights .* more than 6 calibration windows, there are 6"):
        fit_states(implicit, states, 1.0)
