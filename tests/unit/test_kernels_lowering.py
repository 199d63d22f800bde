"""Networks that nobody has built yet: steps in any order compile to what torch computes, or are refused by name."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pickflow.kernels import UnsupportedNetwork, is_available
from pickflow.kernels.compilation import compile_network
from tests.network_fixture import N_SAMPLES, STEPS, Any, network_of

pytestmark = pytest.mark.skipif(not is_available(), reason="the kernels are not built: no C compiler at installation")


@pytest.mark.parametrize("name", STEPS)
def test_any_order_of_steps_has_the_models_value(name):
    model = network_of(STEPS[name])
    windows = np.random.default_rng(0).standard_normal((5, 3, N_SAMPLES)).astype(np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(windows)).numpy()
    assert expected.std() > 1e-2
    exact = compile_network(model)
    assert exact.predict(windows).shape == expected.shape
    assert np.abs(exact.predict(windows) - expected).max() < 1e-5
    assert np.abs(compile_network(model, "fast").predict(windows) - expected).max() < 0.01


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (lambda net, x: torch.tanh(net.narrow(x)), "tanh"),
        (lambda net, x: net.narrow(x) * 2.0, "mul"),
        (lambda net, x: x.flip(-1), "flip"),
        (lambda net, x: functional.pad(net.narrow(x), (1, 1), value=1.0)[..., 1:-1], "zeros where something is padded"),
        (lambda net, x: functional.max_pool1d(x, 3, stride=1), "max_pool1d of other arguments"),
        (lambda net, x: net.narrow(functional.interpolate(x, scale_factor=2, mode="linear"))[..., ::2], "interpolate"),
    ],
)
def test_a_step_without_a_kernel_is_named(steps, reason):
    with pytest.raises(UnsupportedNetwork, match=f"class Any: .*{reason}"):
        compile_network(network_of(steps))


def failing(net, x):
    raise RuntimeError("no such window")


def test_a_network_that_fails_at_its_own_windows_is_named():
    with pytest.raises(UnsupportedNetwork, match=f"class Any: Any does not fit {N_SAMPLES} samples .*no such window"):
        compile_network(network_of(failing))


def test_a_fault_of_the_kernels_is_no_fault_of_the_network(monkeypatch):
    def lower(program, graph):
        raise KeyError("left")

    monkeypatch.setattr("pickflow.kernels.compilation.Lowering", lower)
    with pytest.raises(KeyError, match="left"):
        compile_network(network_of(lambda net, x: x))


def test_an_own_preparation_of_windows_has_no_kernel():
    class Own(Any):
        def annotate_batch_pre(self, batch, argdict):
            return batch / 2

    with pytest.raises(UnsupportedNetwork, match="a preparation of windows"):
        compile_network(Own(lambda net, x: x).eval())
