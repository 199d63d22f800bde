"""Shares of components and samples in a pick add up to the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pickflow.inside.attribution import N_SEGMENTS, attribute, measure, shapley_values
from tests.compress_fixture import look


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shapley_values_add_up_to_the_whole_without_nothing(values):
    shares = shapley_values(np.array(values))
    assert shares.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


def test_shapley_values_of_games_that_are_known():
    assert shapley_values(np.array([0, 0, 0, 0, 0, 0, 0, 1.0])) == pytest.approx([1 / 3] * 3)  # all are needed
    assert shapley_values(np.array([0, 1, 0, 1, 0, 1, 0, 1.0])) == pytest.approx([1, 0, 0])  # the first alone counts
    # The glove game of Shapley: one left glove, two right ones.
    assert shapley_values(np.array([0, 0, 0, 1, 0, 1, 0, 1.0])) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@pytest.mark.parametrize("name", ["PhaseNet", "PickflowNet"])
def test_shares_of_components_and_of_samples_add_up_for_networks_that_scale_windows_or_not(name):
    network, windows, inputs = look(name)
    for window, window_input in zip(windows, inputs, strict=True):
        curves = network.probabilities(torch.stack([window_input, torch.zeros_like(window_input)]))
        for row, share in enumerate(attribute(network, window, window_input)):
            whole, nothing = (measure(network, window, share.phase, curve[row]) for curve in curves)
            assert share.probability.sum() == pytest.approx(whole[0] - nothing[0], abs=1e-5)
            assert share.segments.shape == (N_SEGMENTS,)
            assert share.segments.sum() == pytest.approx(whole[0] - nothing[0], abs=1e-5)
            if window.picks:
                assert share.time_error_s.sum() == pytest.approx(whole[1] - nothing[1], abs=1e-5)


def test_a_component_that_is_absent_has_no_share():
    network, windows, _ = look("PhaseNet")
    windows[0].samples[1] = 0
    inputs = network.inputs(windows[:1])
    for share in attribute(network, windows[0], inputs[0]):
        assert share.probability[1] == 0
        assert np.abs(share.probability[[0, 2]]).max() > 0
