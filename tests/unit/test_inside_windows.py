"""The windows that pickers are looked into with: made, of a set or of a run; and pickers that cannot be looked into."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
import seisbench.models

from pickflow.datasets.reading import open_dataset
from pickflow.inside.network import open_network
from pickflow.inside.sources import Source, choose_windows, run_windows
from pickflow.inside.windows import labelled_windows, named_windows, synthetic_windows
from pickflow.io.tables import read_table
from pickflow.schemas import EVENTS
from tests.dataset_fixture import write_labelled_set
from tests.viewer_fixture import CATALOG, write_run


def test_synthetic_windows_are_the_same_every_time_and_hold_their_arrivals():
    first, again = (synthetic_windows(4, 2, 3001, seed=5) for _ in range(2))
    assert [window.name for window in first] == [window.name for window in again]
    for window, same_window in zip(first, again, strict=True):
        assert np.array_equal(window.samples, same_window.samples)
    for window in first[:4]:
        assert 0 < window.picks["P"] < window.picks["S"] < 3001
    assert not any(window.picks for window in first[4:])
    assert np.array_equal(synthetic_windows(1, 0, 3001, seed=5)[0].samples, first[0].samples)
    assert not np.array_equal(synthetic_windows(1, 0, 3001, seed=6)[0].samples, first[0].samples)


@pytest.fixture
def labelled(tmp_path):
    return write_labelled_set(tmp_path / "small_set")


def test_windows_of_a_set_are_cut_around_the_arrivals(labelled):
    first, second, quiet = labelled_windows(open_dataset(labelled), 2, 1, 3001)
    with h5py.File(labelled / "waveforms.hdf5") as file:
        vertical = file["data/first"][2]
    assert first.picks["S"] - first.picks["P"] == 300
    begin = 4000 - round(first.picks["P"])
    assert np.corrcoef(first.samples[0], vertical[begin : begin + 3001])[0, 1] > 0.999
    assert second.picks == {"P": 100}
    assert (quiet.kind, quiet.picks) == ("noise", {})


def test_noise_that_a_set_lacks_comes_from_the_generator_and_the_sentence_says_so(labelled):
    choice = choose_windows(Source(data=open_dataset(labelled)), 3001, 9)
    assert sum(window.name.startswith("synthetic noise") for window in choice.trials) == 2
    assert "Noise that it lacks" in choice.sentence


def test_a_trace_that_is_not_in_the_set_is_named_with_the_nearest_one(labelled):
    dataset = open_dataset(labelled)
    assert [window.name for window in named_windows(dataset, ["quiet", "first"], 3001)] == ["quiet", "first"]
    with pytest.raises(ValueError, match=r"'fist' is not in .*small_set, which has 3; did you mean 'first'\?"):
        named_windows(dataset, ["fist"], 3001)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("inside") / "friuli")


def test_windows_of_a_run_are_those_of_the_event_first_and_noise(results):
    events = read_table(results / "catalog" / CATALOG / "catalog.parquet", EVENTS).sort_values("time")
    for event in events.event_id[:2]:
        windows = run_windows(Source(results=results, event=event), 3, 2, 3001)
        assert [window.kind for window in windows] == ["event"] * 3 + ["noise"] * 2
        assert windows[0].name.endswith(event)
        for window in windows[:3]:
            assert all(0 <= at < 3001 for at in window.picks.values())
        power = windows[0].samples.astype(float).std(axis=0)
        first = round(min(windows[0].picks.values()))
        assert power[first : first + 200].mean() > power[: first - 50].mean()
    choice = choose_windows(Source(results=results), 3001, 9)
    assert (len(choice.examples), len(choice.trials)) == (4, 9)
    assert "Windows of the run friuli; the picks of its catalog count as truth" in choice.sentence


def test_an_event_that_a_run_does_not_have_is_named(results):
    with pytest.raises(ValueError, match="did you mean"):
        run_windows(Source(results=results, event="x0123"), 1, 0, 3001)
    with pytest.raises(ValueError, match="catalog 'none/x' is not in"):
        run_windows(Source(results=results, catalog="none/x"), 1, 0, 3001)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: seisbench.models.GPD(), "GPD cannot be looked into: it gives one point for a window"),
        (lambda: seisbench.models.CRED(), "CRED cannot be looked into: its labels are Detection, with neither P nor S"),
        (lambda: seisbench.models.DKPN(), "DKPN cannot be looked into: its components are ZNEIM"),
        (lambda: seisbench.models.PhaseNet(sampling_rate=50), "PhaseNet cannot be looked into: it takes 50 Hz"),
    ],
)
def test_a_picker_that_cannot_be_looked_into_is_named(model, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        open_network(model())


@pytest.mark.parametrize(
    ("error", "is_refusal"), [(RuntimeError("sizes differ"), True), (AttributeError("a slip of the pen"), False)]
)
def test_a_picker_that_fails_at_its_own_windows_is_named_and_a_fault_of_the_code_is_not(error, is_refusal):
    class Failing(seisbench.models.PhaseNet):
        def forward(self, x, logits=False):
            raise error

    words = r"Failing does not fit 3001 samples \(RuntimeError: sizes differ\)" if is_refusal else "a slip of the pen"
    with pytest.raises(ValueError if is_refusal else AttributeError, match=words):
        open_network(Failing())
