"""Records as a picker may get them: the vertical alone, and windows that end soon after an arrival."""

import numpy as np
import pytest

from pickflow.datasets.records import Record
from pickflow.lab.views import is_complete, vertical_alone, window_until

P, S = 700, 1100


@pytest.fixture
def record():
    """Quiet before P, loud after it."""
    samples = np.random.default_rng(0).normal(size=(3, 3000)).astype(np.float32)
    samples[:, :P] *= 0.01
    return Record(name="r", dataset="set", station="XX.A", event="1", part="test", samples=samples,
                  picks={"P": P, "S": S})  # fmt: skip


def shape_of(samples):
    """Without offset and scale, which a window has of its own."""
    centred = samples - samples.mean()
    return centred / centred.std()


@pytest.mark.parametrize("phase", ["P", "S"])
@pytest.mark.parametrize("after_s", [1, 2.5])
def test_a_window_ends_so_long_after_the_arrival_and_has_no_other_label(record, phase, after_s):
    window = window_until(record, phase, after_s, 600)
    assert window.samples.shape == (3, 600)
    assert window.picks == {phase: 600 - 100 * after_s}
    end = record.picks[phase] + int(100 * after_s)
    for row in range(3):
        expected = shape_of(record.samples[row, end - 600 : end])
        assert shape_of(window.samples[row]) == pytest.approx(expected, abs=1e-4)


def test_what_a_record_lacks_before_a_window_is_its_own_noise(record):
    n_missing = 3000 - (P + 100)
    window = window_until(record, "P", 1, 3000)
    assert window.picks == {"P": 2900}
    before, after = window.samples[:, :n_missing], window.samples[:, 2900:]
    assert before.std() < 0.05 * after.std()
    assert before[:, -50:] == pytest.approx(window.samples[:, n_missing + 50 : n_missing : -1], abs=1e-6)  # mirrored
    assert before.std() == pytest.approx(window.samples[:, n_missing:2850].std(), rel=0.1)


def test_nothing_of_what_comes_later_is_in_a_window(record):
    later = record.samples.copy()
    later[:, P + 100 :] *= 1000
    changed = Record(name="r", dataset="set", station="XX.A", event="1", part="test", samples=later, picks=record.picks)
    assert np.array_equal(window_until(record, "P", 1, 3000).samples, window_until(changed, "P", 1, 3000).samples)


@pytest.mark.parametrize(
    ("picks", "phase", "after_s"),
    [({"P": P}, "S", 1), ({"S": S}, "S", 1), ({"P": P, "S": 2950}, "S", 1), ({"P": 200, "S": 400}, "P", 1)],
    ids=["no S", "no P", "ends before the window", "too little noise"],
)
def test_a_record_that_cannot_fill_a_window_gives_none(record, picks, phase, after_s):
    record.picks.clear()
    record.picks.update(picks)
    assert window_until(record, phase, after_s, 3000) is None


def test_windows_of_a_record_have_names_of_their_own(record):
    names = {window_until(record, phase, after_s, 600).name for phase in "PS" for after_s in (1, 2)}
    assert names == {"r/P+1s", "r/P+2s", "r/S+1s", "r/S+2s"}


def test_the_vertical_alone_is_the_vertical(record):
    vertical = vertical_alone(record)
    assert not vertical.samples[1:].any()
    assert shape_of(vertical.samples[0]) == pytest.approx(shape_of(record.samples[0]), abs=1e-4)
    assert is_complete(record)
    assert not is_complete(vertical)
    assert vertical.picks == record.picks
