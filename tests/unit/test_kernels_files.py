"""A compiled network travels as a file and needs neither torch nor SeisBench where it arrives."""

import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import seisbench.models as sbm
import torch

from pickflow.kernels import is_available, library
from pickflow.kernels.compilation import compile_network
from pickflow.kernels.files import read_network, write_network
from pickflow.kernels.library import lane_choices

pytestmark = pytest.mark.skipif(not is_available(), reason="the kernels are not built: no C compiler at installation")

ELSEWHERE = """
import sys
for name in ("torch", "seisbench", "obspy", "scipy", "pandas"):
    sys.modules[name] = None  # an import of it fails
import numpy
from pickflow.kernels.files import read_network
network, about = read_network(sys.argv[1])
cuts = [list(window) for window in numpy.load(sys.argv[2])]
numpy.save(sys.argv[3], network.predict_cuts(cuts))
print(about["labels"], sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return sbm.EQTransformer(in_samples=600, lstm_blocks=1).eval()


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).standard_normal((5, 3, 600))


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_it_computes_the_same_without_torch(model, windows, mode, tmp_path):
    network = compile_network(model, mode)
    write_network(tmp_path / "picker.npz", network, {"labels": "DPS"})
    np.save(tmp_path / "windows.npy", windows)
    paths = [tmp_path / name for name in ("picker.npz", "windows.npy", "outputs.npy")]
    process = subprocess.run([sys.executable, "-c", ELSEWHERE, *paths], capture_output=True, text=True, check=True)
    expected = network.predict_cuts([list(window) for window in windows])
    assert np.array_equal(np.load(paths[2]), expected)
    assert expected.std() > 1e-3
    assert process.stdout.startswith("DPS")
    assert {"numpy", "pickflow"} <= set(process.stdout.replace("'", " ").split())


@pytest.mark.parametrize("lanes", lane_choices())
def test_one_file_serves_every_processor(model, windows, lanes, tmp_path):
    write_network(tmp_path / "picker.npz", compile_network(model), {})
    network, _ = read_network(tmp_path / "picker.npz", lanes)
    expected = compile_network(model, lanes=lanes)
    assert np.array_equal(network.predict(windows), expected.predict(windows))
    assert network.flops_per_window == expected.flops_per_window
    assert network.model_flops_per_window == expected.model_flops_per_window


def test_the_same_network_gives_the_same_bytes(model, tmp_path):
    for name in ("one", "two"):
        write_network(tmp_path / name, compile_network(model), {"labels": "DPS"})
    write_network(tmp_path / "again", read_network(tmp_path / "one")[0], {"labels": "DPS"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "again").read_bytes()


def test_a_file_that_cannot_be_used_says_so(model, tmp_path, monkeypatch):
    path = tmp_path / "picker.npz"
    write_network(path, compile_network(model), {})
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"absent\.npz: no compiled network that runs here"):
        read_network(tmp_path / "absent.npz")
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 30):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with suppress(ValueError):  # any other error fails the test; some bytes of an archive are never read
            read_network(tmp_path / "damaged.npz")
    (tmp_path / "short.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="short.npz"):
        read_network(tmp_path / "short.npz")
    monkeypatch.setattr(library, "facts", lambda: {"Op": 0})
    with pytest.raises(ValueError, match="compile the picker again"):
        read_network(path)
