"""Windows of records: every change has its own probability, and labels stay where the arrivals are."""

from dataclasses import replace

import numpy as np
import pytest
import seisbench.models as sbm

from pickflow.models.loading import untrained
from pickflow.optimisation import Processes
from pickflow.run.settings.training import Augmentation, Labels
from pickflow.train.augmentation import (
    FAULTS,
    SLOPES,
    add_faults,
    draw,
    gaps,
    kept_components,
    noise_tapes,
    noise_windows,
    resample,
)
from pickflow.train.labels import arrival_curves, duration, picker_labels
from pickflow.train.record_windows import RecordWindows
from pickflow.train.shelf import Shelf
from tests.training_fixture import Reader, set_of, spike_record, spikes, unchanged

N_SAMPLES = 3001
EVERYTHING = Augmentation(
    noise=0.5,
    real_noise=0.5,
    polarity=0.5,
    rotation=0.5,
    amplitude=0.5,
    jitter=0.5,
    second_event=0.6,
    gap=0.3,
    fault=0.5,
)


def source(dataset, augmentation, model=None, batch_size=8, **options):
    model = model or sbm.PhaseNet(phases="NPS")
    return RecordWindows(model, dataset, augmentation, Labels(), batch_size=batch_size, seed=3, **options)


def test_without_changes_a_window_is_the_begin_of_its_record():
    dataset = set_of(spike_record(0, 4000, noise=0.1, P=800, S=1400))
    (record,) = dataset.read()
    drawn = source(dataset, unchanged(), batch_size=2).draw(0)
    np.testing.assert_array_equal(drawn.samples[0], record.samples[:, :N_SAMPLES])
    assert drawn.arrivals[0, 0].tolist() == [800, 1400]
    assert np.isnan(drawn.arrivals[0, 1]).all()
    assert drawn.probability[0, 1].argmax() == 800
    assert drawn.names == ("r0", "r0")


@pytest.mark.parametrize("n_samples", [2000, 3001, 9000])  # shorter than the window, as long, longer
@pytest.mark.parametrize(
    "changes",
    [{"shift": 1}, {"polarity": 1}, {"amplitude": 1}, {"jitter": 1, "jitter_share": 0.01}, {"second_event": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_labels_are_where_the_arrivals_are(n_samples, changes):
    drawn = source(spikes(32, n_samples), unchanged(**{"shift": 1, "around_arrivals": 1, **changes}), batch_size=32)
    n_arrivals = 0
    for step in range(2):
        windows = drawn.draw(step)
        for window, arrivals in zip(windows.samples, windows.arrivals, strict=True):
            for component, row in ((0, 0), (1, 1)):  # P is a spike on Z, S one on the horizontals
                at = arrivals[:, row][~np.isnan(arrivals[:, row])]
                n_arrivals += at.size
                spike_samples = np.flatnonzero(np.abs(window[component]) > 0.05)
                assert all(np.abs(spike_samples - arrival).min() <= 1 for arrival in at)
                assert all(np.abs(at - sample).min() <= 3 for sample in spike_samples)
    assert n_arrivals > 60


def test_a_record_as_long_as_the_window_is_rolled():
    drawn = source(spikes(8, 3001, phases="P"), unchanged(shift=1), batch_size=8).draw(0)
    assert ((drawn.samples[:, 0] > 0.5).sum(axis=1) == 1).all()
    assert len(set(drawn.arrivals[:, 0, 0].tolist())) == 8


def test_a_rolled_earthquake_lasts_on_both_sides():
    model = sbm.EQTransformer(in_samples=3001)
    drawn = source(set_of(spike_record(0, P=1000, S=1500)), unchanged(shift=1), model, batch_size=64).draw(0)
    lengths = drawn.probability[:, 0].sum(axis=1)
    assert set(lengths.tolist()) == {1200.0}  # 500 samples from P to S, and 700 more
    for box, arrivals in zip(drawn.probability[:, 0], drawn.arrivals[:, 0], strict=True):
        assert box[int(arrivals[0])] == 1
        assert box[int(arrivals[0]) - 1] == 0


def test_another_earthquake_brings_its_arrivals_and_its_share_of_the_peak():
    changes = unchanged(second_event=1, second_least=0.25, second_most=0.2500001)
    drawn = source(spikes(8), changes).draw(0)
    assert (~np.isnan(drawn.arrivals[:, 1, 0])).all()
    for window, arrivals in zip(drawn.samples, drawn.arrivals, strict=True):
        assert window[0, int(arrivals[1, 0])] in (pytest.approx(0.25, abs=1e-3), pytest.approx(1.25, abs=2e-3))
    noise = set_of(spike_record(0, noise=0.1), spike_record(1, P=100, S=300))
    drawn = source(noise, changes, batch_size=2).draw(0)
    assert np.isnan(drawn.arrivals[:, 1]).all()  # nothing is laid over noise, nor noise over an earthquake


def test_a_gap_is_zero_and_takes_its_arrivals_away():
    drawn = source(spikes(32, noise=0.1), unchanged(gap=1), batch_size=32).draw(0)
    n_gone = 0
    for window, arrivals, probability in zip(drawn.samples, drawn.arrivals, drawn.probability, strict=True):
        empty = ~window.any(axis=0)
        assert 99 <= empty.sum() <= N_SAMPLES // 2
        n_gone += np.isnan(arrivals[0]).sum()
        visible_arrivals = arrivals[0][~np.isnan(arrivals[0])].astype(int)
        assert not empty[visible_arrivals].any()
        assert (probability[1:].max() > 0.99) == (visible_arrivals.size > 0)
    assert n_gone > 0


def test_at_least_one_of_the_components_that_are_there_is_kept():
    draws = draw(unchanged(dropped_component=1), 300, np.random.default_rng(0))
    alive = np.random.default_rng(1).random((300, 3)) < 0.6
    mask = kept_components(alive, draws).astype(bool)
    n_alive, n_left = alive.sum(axis=1), (alive & mask).sum(axis=1)
    assert (n_left[n_alive > 0] >= 1).all()
    assert (n_left[n_alive > 1] < n_alive[n_alive > 1]).all()


@pytest.mark.parametrize("name", ["polarity", "gap", "dropped_component", "second_event", "noise", "rotation", "fault"])
def test_every_change_happens_with_its_own_probability(name):
    draws = draw(unchanged(**{name: 0.25}), 4000, np.random.default_rng(0))
    happens = {
        "polarity": draws.gains[:, 0] < 0,
        "gap": np.diff(gaps(draws, 3000))[:, 0] > 0,
        "dropped_component": draws.n_dropped > 0,
        "second_event": draws.second > 0,
        "noise": draws.noise > 0,
        "rotation": draws.angle != 0,
        "fault": draws.fault >= 0,
    }
    assert happens.pop(name).mean() == pytest.approx(0.25, abs=0.03)
    assert not any(is_changed.any() for is_changed in happens.values())


def test_noise_has_the_level_and_the_colour_that_was_drawn():
    tapes = noise_tapes(1)
    for slope, tape in zip(SLOPES, tapes, strict=True):
        np.testing.assert_allclose(tape.std(axis=1), 1, rtol=1e-4)
        power = (np.abs(np.fft.rfft(tape)) ** 2).mean(axis=0)
        low, high = power[600:1200].mean(), power[60_000:120_000].mean()
        assert np.log(low / high) / np.log(100) == pytest.approx(slope, abs=0.1)
    changes = unchanged(noise=1, noise_least=0.1, noise_most=0.1000001)
    drawn = source(spikes(64), changes, batch_size=64).draw(0)
    assert np.median(drawn.samples.std(axis=2)) == pytest.approx(0.1, rel=0.15)


def test_real_noise_comes_from_noise_or_from_before_p_and_missing_components_stay_missing():
    quiet, loud = spike_record(0, noise=0.01), spike_record(1, 8000, noise=0.02, P=4000)
    (of_noise, before_p) = noise_windows([quiet, loud], 4000)
    assert of_noise.shape == before_p.shape == (3, 4000)
    assert before_p.max() < 10  # the spike would be 50
    lone_record = spike_record(2, P=1000)
    drawn = source(set_of(lone_record, quiet), unchanged(real_noise=1), batch_size=2).draw(0)
    window = drawn.samples[drawn.names.index("r2")]
    assert window[0].std() > 0.005
    assert not window[1:].any()


def test_rotation_keeps_the_horizontal_motion():
    dataset = set_of(spike_record(0, noise=0.3, P=700, S=1500))
    still, turned = (source(dataset, unchanged(rotation=chance), batch_size=2).draw(0).samples for chance in (0, 1))
    np.testing.assert_array_equal(still[:, 0], turned[:, 0])
    np.testing.assert_allclose((still[:, 1:] ** 2).sum(axis=1), (turned[:, 1:] ** 2).sum(axis=1), rtol=1e-4, atol=1e-6)
    assert np.abs(still[:, 1:] - turned[:, 1:]).max() > 0.1


def test_interpolation_keeps_a_smooth_wave():
    wave = np.sin(np.arange(1000) * 0.3)[None].astype(np.float32)
    np.testing.assert_allclose(resample(wave, 0.99, 1000)[0, 5:-5], np.sin(np.arange(5, 995) * 0.297), atol=2e-3)


@pytest.mark.parametrize(("phases", "order"), [("NPS", "ZNE"), ("PSN", "ENZ")])
def test_components_and_labels_come_in_the_pickers_order(phases, order):
    model = sbm.PhaseNet(phases=phases, component_order=order)
    drawn = source(set_of(spike_record(0, P=800, S=1400)), unchanged(), model, batch_size=2).draw(0)
    assert drawn.samples[0, order.index("Z"), 800] > 0.99
    assert drawn.probability[0, phases.index("P"), 800] == 1
    assert drawn.probability[0, phases.index("S"), 1400] == 1
    np.testing.assert_allclose(drawn.probability.sum(axis=1), 1, atol=1e-6)


def test_soft_labels_are_taken_as_they_are():
    record = spike_record(0, P=800, S=1400)
    soft = np.zeros((2, 3001), np.float32)
    soft[0, 780:820], soft[1, 1395:1405] = 0.7, 0.6
    record = type(record)(**{**vars(record), "probability": soft})
    drawn = source(set_of(record), unchanged(), sbm.EQTransformer(in_samples=3001), batch_size=2).draw(0)
    np.testing.assert_array_equal(drawn.probability[0, 1:], soft)
    assert drawn.probability[0, 0, 800] == 1


def test_an_earthquake_with_soft_labels_and_one_with_manual_picks_are_both_labelled():
    soft_record, manual_record = spike_record(0, P=800), spike_record(1, P=900)
    soft = np.zeros((2, 3001), np.float32)
    soft[0, 800] = 0.7
    soft_record = replace(soft_record, probability=soft)
    changes = unchanged(second_event=1, second_least=0.5)
    drawn = source(set_of(soft_record, manual_record), changes, batch_size=2).draw(0)
    for window, arrivals, name in zip(drawn.probability, drawn.arrivals, drawn.names, strict=True):
        samples = (
            {"r0": arrivals[0, 0], "r1": arrivals[1, 0]}
            if name == "r0"
            else {"r0": arrivals[1, 0], "r1": arrivals[0, 0]}
        )
        assert window[1, round(samples["r0"])] == pytest.approx(0.7, abs=0.01)
        assert window[1, round(samples["r1"])] == pytest.approx(1, abs=0.01)


def test_a_picker_of_one_component_takes_the_first_that_is_there():
    vertical, horizontal = spike_record(0, P=800, S=1400), spike_record(1, P=800, S=1400)
    horizontal.samples[0] = 0
    model = untrained("PickflowNetSmallZ", 1)
    drawn = source(set_of(vertical, horizontal), unchanged(), model, batch_size=2).draw(0)
    assert drawn.samples.shape == (2, 1, model.in_samples)
    peaks = dict(zip(drawn.names, np.abs(drawn.samples[:, 0]).argmax(axis=1), strict=True))
    assert peaks == {"r0": 800, "r1": 1400}


@pytest.mark.parametrize("fault", range(len(FAULTS)))
def test_a_fault_changes_what_is_there_and_nothing_else(fault):
    window = np.random.default_rng(1).normal(size=(3, 3000)).astype(np.float32)
    window[2] = 0
    draws = draw(unchanged(fault=1), 4, np.random.default_rng(0))
    draws.fault[:] = [fault, fault, fault, -1]
    windows = np.stack([window] * 4)
    add_faults(windows, draws)
    assert all((spoilt[:2] != window[:2]).any() for spoilt in windows[:3])
    assert not windows[:, 2].any()
    np.testing.assert_array_equal(windows[3], window)
    assert np.isfinite(windows).all()


def test_a_batch_is_the_same_whoever_makes_it():
    dataset = spikes(12, noise=0.1)
    whole = source(dataset, EVERYTHING).draw(5)
    halves = [source(dataset, EVERYTHING, processes=Processes(rank, 2)).draw(5) for rank in range(2)]
    for name in ("samples", "arrivals", "probability"):
        together = np.concatenate([getattr(half, name) for half in halves])
        np.testing.assert_array_equal(getattr(whole, name), together)
    threaded = list(source(dataset, EVERYTHING, threads=3).batches(4, 7))
    for batch, threaded_batch in zip(source(dataset, EVERYTHING).batches(4, 7), threaded, strict=True):
        assert (batch.windows == threaded_batch.windows).all()
        assert (batch.probability == threaded_batch.probability).all()


def test_another_step_and_another_seed_give_other_windows():
    windows = source(spikes(8, 9000, noise=0.1), EVERYTHING)
    assert not np.array_equal(windows.draw(0).samples, windows.draw(1).samples)


@pytest.mark.parametrize("memory_gb", [1, 1.7e-3])
def test_every_record_is_taken_once_before_any_is_taken_again(memory_gb):
    dataset = Reader(spikes(200, 1500))
    shelf = Shelf(dataset, 1, memory_gb)
    for cycle in range(2):
        names = [record.name for record in shelf.records(range(200 * cycle, 200 * cycle + 200))]
        assert sorted(names) == sorted(f"r{index}" for index in range(200))
        assert names != sorted(names)
    largest_reading = max(map(len, dataset.readings))
    assert largest_reading == (200 if memory_gb == 1 else 64)
    assert len(dataset.readings) == (1 if memory_gb == 1 else 8)


def test_another_record_stands_for_one_that_cannot_be_read():
    dataset = set_of(*(spike_record(index, P=500, S=900) for index in range(4)))
    names = [record.name for record in Shelf(Reader(dataset, ["r1"]), 1, 1).records(range(4))]
    assert len(names) == 4
    assert set(names) == {"r0", "r2", "r3"}
    with pytest.raises(ValueError, match="none of 4 records of spikes can be read, such as r0"):
        Shelf(Reader(dataset, ["r0", "r1", "r2", "r3"]), 1, 1).records([0])


@pytest.mark.parametrize(
    ("part", "message"),
    [("none of them", "spikes has no record"), ("train", "none of the 1 records of spikes has an arrival")],
)
def test_a_set_without_records_or_arrivals_is_refused(part, message):
    with pytest.raises(ValueError, match=message):
        source(set_of(spike_record(0, noise=1)).select(part=part), unchanged())


@pytest.mark.parametrize(
    ("shape", "at_width", "beyond"), [("gaussian", 0.6065, 0.1353), ("triangle", 0, 0), ("box", 1, 0)]
)
def test_curves_have_the_width_that_is_asked_for(shape, at_width, beyond):
    curve = arrival_curves(np.array([[[500.0, np.nan]]]), 1000, shape, 10.0)[0]
    assert curve[0].argmax() == (490 if shape == "box" else 500)
    assert curve[0, 500] == 1
    np.testing.assert_allclose(curve[0, [490, 510]], at_width, atol=1e-4)
    np.testing.assert_allclose(curve[0, [480, 520]], beyond, atol=1e-4)
    assert not curve[1].any()


def test_an_earthquake_with_unlabelled_phases_lasts_from_the_begin_or_to_the_end():
    assert duration({"P": 1000, "S": 1500}, 4000) == (1000, 2200)
    assert duration({"P": 1000}, 4000) == (1000, 4000)
    assert duration({"S": 1000}, 4000) == (0, 2400)
    assert duration({"P": 1000, "S": 3000}, 4000) == (1000, 4000)
    assert duration({}, 4000) is None


def test_labels_that_cannot_be_made_are_named():
    with pytest.raises(ValueError, match="no labels Pg, Sn can be made; known are N, P, S, Detection"):
        picker_labels(np.zeros((1, 2, 5), np.float32), np.zeros((1, 5), np.float32), ["N", "Pg", "Sn"])
