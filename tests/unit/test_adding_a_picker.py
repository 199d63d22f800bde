"""The page about adding a picker is true: its code makes a picker that loads, picks, compiles, costs and shrinks."""

import re
import sys
from pathlib import Path

import numpy as np
import obspy
import pytest
import torch

from pickflow.annotate import Picker, PickerOptions
from pickflow.compress.channels import wiring_of
from pickflow.compress.correction import narrowed
from pickflow.compress.costs import costs_of, multiply_adds, n_parameters
from pickflow.kernels import is_available
from pickflow.models import registry
from pickflow.models.cards import write_model
from pickflow.models.loading import describe, load_model, model_class, untrained
from pickflow.run.configuration import ConfigError
from pickflow.run.grid import Candidate, resolve_grid
from pickflow.run.plan import stage_costs
from pickflow.run.settings.train import TrainParams
from pickflow.run.students import resolve_students
from pickflow.train.lessons import new_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with weights of the picker of the page, which is registered while a test runs."""
    file, entry = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-picker.md").read_text(), re.DOTALL)
    (tmp_path / "small_picker.py").write_text(file)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(registry.PICKERS)
    exec(entry, {name: getattr(registry, name) for name in ("PICKERS", "Entry", "Training")})
    torch.manual_seed(0)
    model = model_class("SmallPicker")().eval()
    model.fine_norm.running_mean.uniform_(-0.1, 0.1)
    torch.nn.init.uniform_(model.fine_norm.bias, -0.3, 0.3)
    write_model(tmp_path / "own", model.state_dict(), describe(model, "SmallPicker", "own"))
    yield tmp_path / "own"
    registry.PICKERS.clear()
    registry.PICKERS.update(before)
    sys.modules.pop("small_picker", None)


def test_a_run_knows_it(folder):
    candidates, warnings = resolve_grid(["SmallPicker"], ["own"], [], None, {"SmallPicker/own": str(folder)})
    assert (candidates, warnings) == ([Candidate("SmallPicker", "own")], [])
    (picking,) = [cost for cost in stage_costs(["none"], ["SmallPicker"], [], False) if cost.stage == "pick"]
    assert picking.cpu_s == 2.0
    section = {"target": {"macs": 0.5}, "methods": ["safe"], "int8": False, "teachers": []}
    assert resolve_students(section, candidates) == {candidates[0]: [Candidate("SmallPicker", "own-safe-s50")]}


def test_a_run_trains_it(folder):
    params = TrainParams(model="SmallPicker")
    assert torch.equal(new_model(params, None).out.weight, untrained("SmallPicker", params.seed).out.weight)
    assert registry.PICKERS["SmallPicker"].training is not None


def test_an_entry_with_arguments_is_another_picker_of_the_same_class(folder, tmp_path):
    model = untrained("SmallPicker_long", 0).eval()
    assert (type(model), model.in_samples, model.norm) == (model_class("SmallPicker"), 2000, "peak")
    write_model(tmp_path / "long", model.state_dict(), describe(model, "SmallPicker_long", "long"))
    again = load_model(tmp_path / "long")
    assert (again.in_samples, again.norm) == (2000, "peak")
    files = {"SmallPicker_long/long": str(tmp_path / "long")}
    candidates, _ = resolve_grid(["SmallPicker_long"], ["long"], [], None, files)
    assert candidates == [Candidate("SmallPicker_long", "long")]
    with pytest.raises(ConfigError, match="cannot be compressed"):
        resolve_students({"target": {"macs": 0.5}, "methods": ["safe"], "int8": False, "teachers": []}, candidates)
    assert model_class("SmallPicker_long").__name__ in registry.compressible_classes()


def test_it_picks_through_the_engine(folder):
    model = load_model(folder)
    rng = np.random.default_rng(0)
    stream = obspy.Stream(
        obspy.Trace(rng.normal(size=6000), {"sampling_rate": 100.0, "channel": f"HH{letter}", "station": "AAA"})
        for letter in "ZNE"
    )
    picks = {}
    for backend in ("auto", "torch"):
        picker = Picker(model, PickerOptions(p_threshold=0.36, s_threshold=0.36, backend=backend))
        assert picker.backend == ("torch" if backend == "torch" else "kernels" if is_available() else "onnxruntime")
        picks[backend] = [(pick.phase, pick.time_ns) for pick in picker.pick(stream)[0]]
    assert picks["auto"] == picks["torch"]
    assert picks["auto"]


def test_it_has_costs_and_becomes_narrower(folder):
    model = load_model(folder)
    wiring = wiring_of(model)
    assert {channel_set.name: [name for name, _ in channel_set.readers] for channel_set in wiring.sets} == {
        "fine": ["down", "out"],
        "down": ["inner", "up"],
        "up": ["out"],
    }
    costs = costs_of(model, wiring)
    assert costs.total({}, "macs") == 1000 * 3 * 8 * 7 + 250 * (8 * 16 * 8 + 16 * 16 * 5 + 16 * 8 * 4) + 1000 * 16 * 3
    selection = {"fine": np.array([0, 2, 5]), "down": np.arange(0, 16, 2), "up": np.array([1])}
    student = narrowed(model, wiring, selection)
    widths = {name: channels.size for name, channels in selection.items()}
    assert costs.total(widths, "macs") == pytest.approx(multiply_adds(student))
    assert costs.total(widths, "parameters") == pytest.approx(n_parameters(student)[0])
    assert student(torch.zeros(1, 3, 1000)).shape == (1, 3, 1000)


def test_the_registry_and_the_classes_agree():
    assert all(issubclass(model_class(name), torch.nn.Module) for name in registry.PICKERS)
    assert [TrainParams(model=name).model for name in registry.trainable()] == registry.trainable()
