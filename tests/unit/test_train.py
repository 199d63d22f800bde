import json

import numpy as np
import obspy
import pandas as pd
import pytest
import seisbench.models
import torch

from pickflow.datasets.archive import read_continuous
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import Record
from pickflow.datasets.signals import make_noise, make_signal, normalise_noise
from pickflow.datasets.splits import part_of
from pickflow.distillation import teacher_of
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.models.network import IN_SAMPLES
from pickflow.run.settings.train import Shares, TrainParams
from pickflow.train import evaluate, train
from pickflow.train.evaluate import phase_scores, pick_records
from pickflow.train.labels import as_labels, bells, detection, with_noise_label
from pickflow.train.lessons import Lessons, new_model
from pickflow.train.loop import optimise_lessons
from pickflow.train.mixing import Pools, add_signal, augment, draw_batch
from pickflow.train.pools import from_labelled, noise_before
from pickflow.train.reading import LABELLED_SETS, read_teacher


@pytest.fixture(scope="module")
def params():
    return TrainParams(
        model="PickflowNet",
        teacher=None,
        seed=1,
        epochs=2,
        steps_per_epoch=2,
        batch_size=4,
        learning_rate=1e-3,
        weight_decay=0.01,
        label_sigma_s=0.1,
        n_signals=6,
        n_noise=4,
        real_noise_share=0.5,
        shares=Shares(synthetic=0.7, noise=0.3, continuous=0.0, labelled=0.0),
        real_data="synthetic_only",
    )


@pytest.fixture(scope="module")
def pools():
    signals = [make_signal(np.random.default_rng(index)) for index in range(6)]
    noise = [make_noise(np.random.default_rng(index)) for index in range(4)]
    return Pools(signals=signals, noise=noise, real_noise=[], continuous=[], labelled=[])


class FixedPicker:
    """Stands for a model that picks at given times."""

    def __init__(self, picks):
        self.given = picks

    def classify(self, stream, **_):
        from seisbench.util import Pick, PickList

        picks = [
            Pick(
                trace_id="A.B.",
                start_time=stream[0].stats.starttime + at,
                peak_time=stream[0].stats.starttime + at,
                phase=phase,
            )
            for phase, at in self.given
        ]
        return type("Output", (), {"picks": PickList(picks)})()


def record(samples=None, **picks):
    samples = np.random.default_rng(0).normal(size=(3, 6000)).astype(np.float32) if samples is None else samples
    return Record(name="r", dataset="d", station="A.B", part="test", samples=samples, picks=picks)


def test_signals_begin_two_seconds_before_p_and_are_silent_until_then(pools):
    for signal in pools.signals:
        assert signal.picks["P"] == pytest.approx(200)
        assert np.abs(signal.samples[:, :190]).max() < 0.05 * np.abs(signal.samples).max()


def test_synthetic_noise_has_unit_level_on_the_vertical():
    noise = normalise_noise(np.random.default_rng(0).normal(size=(3, 4096)) * 1e-9)
    assert 0.8 < noise[0].std() < 2.0


def test_a_window_holds_the_arrivals_that_its_labels_name(pools):
    rng = np.random.default_rng(3)
    for _ in range(20):
        window, phases = add_signal(
            np.zeros((3, IN_SAMPLES), np.float32), np.zeros((2, IN_SAMPLES), np.float32), pools.signals[0], 10.0, rng
        )
        if phases[0].max() > 0.99 and phases[0, :300].max() == 0:
            onset = int(phases[0].argmax())
            assert np.abs(window[:, : onset - 10]).max() < 0.05 * np.abs(window).max()
            break
    else:
        pytest.fail("no window with P in its middle")


def test_labels_of_each_sample_add_up_to_one(pools, params):
    windows, phases = draw_batch(pools, params, IN_SAMPLES, np.random.default_rng(0))
    probability = as_labels(phases, "NPS")
    assert windows.shape == probability.shape == (4, 3, IN_SAMPLES)
    assert np.isfinite(windows).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    assert probability.min() >= 0


def test_two_certain_labels_at_one_sample_share_it():
    label = with_noise_label(np.ones((1, 2, 4), np.float32))
    np.testing.assert_allclose(label[0, :, 0], [0, 0.5, 0.5])


def test_augmentation_keeps_the_shape_and_never_adds_an_arrival(pools):
    rng = np.random.default_rng(0)
    phases = bells({"P": 1000.0, "S": 1800.0}, IN_SAMPLES, 10.0)
    for _ in range(100):
        window, after = augment(make_noise(rng)[:, :IN_SAMPLES], phases, rng)
        assert window.shape == (3, IN_SAMPLES)
        assert np.isfinite(window).all()
        assert np.all(after <= phases)


def test_noise_before_p_is_extended_without_the_earthquake():
    samples = np.random.default_rng(0).normal(size=(3, 9000)).astype(np.float32)
    samples[:, 3000:] *= 1000
    (noise,) = noise_before(record(samples, P=3000.0), 8000)
    assert noise.shape == (3, 8000)
    assert np.abs(noise).max() < 20
    assert noise_before(record(samples, P=800.0), 8000) == []


def test_scores_count_hits_misses_and_false_picks():
    scores = phase_scores([np.array([10.05, 30.0]), np.array([]), np.array([5.0])], [10.0, 20.0, None])
    assert (scores["n"], scores["n_picks"], scores["false_picks"]) == (2, 3, 2)
    assert scores["0.1s"] == {"precision": pytest.approx(1 / 3), "recall": 0.5, "f1": pytest.approx(0.4)}
    assert scores["mae_s"] == pytest.approx(0.05)


def test_a_picker_that_is_right_scores_one():
    scores = evaluate(FixedPicker([("P", 10.0), ("S", 20.02)]), [record(P=1000.0, S=2000.0)], {"P": 0.3, "S": 0.3})
    assert scores["P"]["0.1s"]["f1"] == scores["S"]["0.1s"]["f1"] == 1.0


def lessons(params, pools):
    return Lessons(model=new_model(params, None), params=params, pools=pools)


def test_a_killed_training_goes_on_to_the_same_weights(params, pools, tmp_path):
    class KillError(Exception):
        pass

    def kill(n_done, total, losses):
        raise KillError

    def quiet(n_done, total, losses):
        pass

    whole, killed, resumed = (lessons(params, pools) for _ in range(3))
    history = optimise_lessons(whole, whole, tmp_path / "whole", "a", quiet)
    with pytest.raises(KillError):
        optimise_lessons(killed, killed, tmp_path / "killed", "a", kill)
    assert optimise_lessons(resumed, resumed, tmp_path / "killed", "a", quiet) == history
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_another_run_is_ignored(params, pools, tmp_path):
    calls = []
    for fingerprint in ("a", "b"):
        lesson = lessons(params.changed(epochs=1), pools)
        optimise_lessons(lesson, lesson, tmp_path, fingerprint, lambda *call: calls.append(call))
    assert len(calls) == 2


def test_an_earthquake_lasts_from_p_until_its_coda_has_gone():
    bell = bells({"P": 1000.0, "S": 1500.0}, 4000, 10.0)
    support = np.flatnonzero(detection(*bell))
    assert (support[0], support[-1]) == (1000, 1500 + 700 - 1)
    assert support.size == 1200


def test_an_earthquake_that_the_window_cuts_reaches_its_edge():
    only_p, only_s = bells({"P": 1000.0}, 4000, 10.0), bells({"S": 1000.0}, 4000, 10.0)
    assert np.flatnonzero(detection(*only_p))[[0, -1]].tolist() == [1000, 3999]
    assert np.flatnonzero(detection(*only_s))[[0, -1]].tolist() == [0, 2399]
    assert not detection(*np.zeros((2, 4000), np.float32)).any()


def test_labels_come_in_the_order_of_the_picker():
    phases = bells({"P": 1000.0, "S": 1500.0}, 4000, 10.0)[None]
    labels = as_labels(phases, ["Detection", "P", "S"])
    np.testing.assert_array_equal(labels[:, 1:], phases)
    np.testing.assert_array_equal(labels[0, 0], detection(*phases[0]))
    assert as_labels(phases, "PSN")[0, :, 1000].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="no labels"):
        as_labels(phases, "NPSX")


@pytest.fixture(scope="module")
def teacher():
    """An untrained EQTransformer that wants to be given filtered records."""
    torch.manual_seed(0)
    band = {"freqmin": 1, "freqmax": 45, "corners": 2, "zerophase": True}
    model = seisbench.models.EQTransformer(
        norm="peak", component_order="ENZ", filter_args=["bandpass"], filter_kwargs=band
    )
    return model.eval()


def test_a_picker_sees_what_its_teacher_sees(params, teacher):
    model = new_model(params.changed(model="LEQNet", teacher="EQTransformer/x"), teacher)
    assert model.get_model_args()["norm"] == "peak"
    for name in ("component_order", "filter_args", "filter_kwargs"):
        assert getattr(model, name) == getattr(teacher, name)


def test_a_teacher_answers_for_the_windows_that_the_picker_gets(params, teacher):
    params_of_leqnet = params.changed(model="LEQNet", teacher="EQTransformer/x", batch_size=2)
    noise = [make_noise(np.random.default_rng(0), 8000)]
    signals = [make_signal(np.random.default_rng(0))]
    lesson = Lessons(
        model=new_model(params_of_leqnet, teacher),
        params=params_of_leqnet,
        pools=Pools(signals=signals, noise=noise, real_noise=[], continuous=[], labelled=[]),
        teacher=teacher_of(teacher),
    )
    windows, probability = lesson.draw(np.random.default_rng(0))
    with torch.no_grad():
        expected = torch.stack(teacher(teacher.annotate_batch_pre(torch.from_numpy(windows), {})), dim=1)
    np.testing.assert_allclose(probability, expected.numpy(), atol=1e-4)
    spectrum = np.abs(np.fft.rfft(windows[..., 500:5500] * np.hanning(5000)))
    assert spectrum[..., 2:15].mean() < 0.2 * spectrum[..., 100:500].mean()  # below 0.3 Hz, and 2 to 10 Hz


def test_a_teacher_of_another_kind_is_refused(params, teacher):
    with pytest.raises(ValueError, match=r"take a teacher with the same, or train.teacher: null"):
        new_model(params.changed(teacher="EQTransformer/x"), teacher)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model": "GPD"}, "'GPD' cannot be trained"), ({"teacher": "EQTransformer"}, "teacher\n.* should match")],
)
def test_unknown_pickers_and_teachers_are_refused(params, change, message):
    with pytest.raises(ValueError, match=message):
        params.changed(**change)


def test_weights_that_the_cache_lacks_are_named(tmp_path):
    with pytest.raises(ValueError, match="no EQTransformer/original"):
        read_teacher(tmp_path, "EQTransformer", "original")


def test_leqnet_learns_from_labels_alone(params, tmp_path):
    params_of_leqnet = params.changed(model="LEQNet", epochs=1, steps_per_epoch=1, batch_size=1)
    train(params_of_leqnet, tmp_path / "absent", tmp_path / "model")
    card = read_card(tmp_path / "model")
    assert (card["model"], card["parent"], card["in_samples"]) == ("LEQNet", None, 6000)
    assert list(load_model(tmp_path / "model").labels) == ["Detection", "P", "S"]


def test_leqnet_learns_from_a_teacher_alone(params, shared, tmp_path):
    params_of_leqnet = params.changed(
        model="LEQNet", teacher="EQTransformer/original_converted", epochs=1, steps_per_epoch=1, batch_size=1
    )
    train(params_of_leqnet, shared, tmp_path / "model")
    card = read_card(tmp_path / "model")
    assert card["teacher"] == "EQTransformer/original_converted"
    assert len(card["parent"]) == 64
    assert "labelled" not in card["training_data"]
    assert load_model(tmp_path / "model").filter_kwargs["freqmax"] == 45


def test_the_engine_and_seisbench_find_the_same_picks_in_labelled_records(shared):
    records = open_dataset(shared / "data/labelled/ncedc154").read(range(12))
    model = read_teacher(shared / "seisbench_cache", "EQTransformer", "original_converted")
    thresholds = {"P": 0.1, "S": 0.1}
    ours = pick_records(model, records, thresholds)
    theirs = pick_records(Classifier(model), records, thresholds)
    assert len(ours) > 12
    key = ["record", "phase", "time_s"]
    pd.testing.assert_frame_equal(
        ours[key].sort_values(key, ignore_index=True), theirs[key].sort_values(key, ignore_index=True)
    )


class Classifier:
    """A model of which only SeisBench's own method is known."""

    def __init__(self, model):
        self.classify = model.classify


def test_training_without_real_data_writes_a_bundle_that_loads(params, tmp_path):
    train(params.changed(epochs=1), tmp_path / "absent", tmp_path / "model")
    card = read_card(tmp_path / "model")
    assert card["training_data"]["real_data"] == "synthetic_only"
    assert card["training_data"]["counts"]["labelled"] == 0
    assert json.loads((tmp_path / "model" / "evaluation.json").read_text())["sha256"] == card["sha256"]
    assert load_model(tmp_path / "model").in_samples == card["in_samples"]


def test_missing_real_data_are_an_error_that_names_the_way_out(params, tmp_path):
    with pytest.raises(ValueError, match="synthetic_only"):
        train(params.changed(real_data="require"), tmp_path / "absent", tmp_path / "model")


def test_parts_are_shared_out_by_name():
    parts = [part_of(f"XX.S{index:03d}") for index in range(1000)]
    assert parts == [part_of(f"XX.S{index:03d}") for index in range(1000)]
    assert 0.6 < parts.count("train") / 1000 < 0.7
    assert parts.count("test") > parts.count("validation") > 100


def test_real_sets_are_read_as_documented(shared):
    records = {name: open_dataset(shared / "data/labelled" / name).read() for name in LABELLED_SETS}
    assert {name: len(records_of_set) for name, records_of_set in records.items()} == {"ncedc154": 154, "stead50": 50}
    # 39 records of the first set have one component only, which is the vertical.
    single = [r for r in records["ncedc154"] if not r.samples[1:].any()]
    assert len(single) == 39
    assert all(r.samples[0].any() for r in single)
    stations = {
        part: {r.station for r in records["ncedc154"] if r.part == part} for part in ("train", "validation", "test")
    }
    assert not stations["train"] & stations["test"]
    label = from_labelled(records["stead50"][0], 10.0)
    assert label.probability[0].argmax() == 700


def test_continuous_records_are_gapless_and_of_three_components(shared):
    records = list(read_continuous(shared / "data/ridgecrest-2019/sds"))
    assert len({record.station for record in records}) == 21
    assert all(record.samples.shape[0] == 3 and np.isfinite(record.samples).all() for record in records)


@pytest.mark.parametrize(("rate_hz", "n_records", "word"), [(100.0, 1, ""), (99.98, 1, ""), (50.0, 0, "50 Hz")])
def test_a_continuous_record_that_cannot_be_learnt_from_is_named(tmp_path, caplog, rate_hz, n_records, word):
    random = np.random.default_rng(0)
    for channel in ("HHZ", "HHN", "HHE"):
        folder = tmp_path / f"2026/XA/AAA/{channel}.D"
        folder.mkdir(parents=True)
        header = {"network": "XA", "station": "AAA", "channel": channel, "sampling_rate": rate_hz}
        samples = random.integers(-1000, 1000, 7000).astype(np.int32)
        obspy.Trace(samples, header).write(str(folder / f"XA.AAA..{channel}.D.2026.016"), format="MSEED")
    assert len(list(read_continuous(tmp_path))) == n_records
    assert word in caplog.text
