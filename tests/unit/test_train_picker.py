"""Any picker learns from any data set, and goes on after a kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import seisbench.models as sbm
import torch

from pickflow.datasets.memory import join
from pickflow.datasets.provenance import sets_of_weights, touched
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.synthetic import write_stand_in
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.optimisation import Batch, Clock
from pickflow.run.settings.training import NO_CHANGES, Augmentation, Labels
from pickflow.train.picker import fingerprint, make_judge, train_picker
from pickflow.train.reading import LABELLED_SETS
from pickflow.train.record_windows import RecordWindows
from pickflow.train.selection import Judge, arrivals_of, f1_at, peaks_of, training_loss
from pickflow.train.together import train_together
from tests.training_fixture import OPTIMISATION, TRAINING, both_parts, set_of, spike_record, spikes

ROOT = Path(__file__).parents[2]


def settings(**changes):
    return TRAINING.changed(optimisation=OPTIMISATION.changed(**changes))


def start(folder, kill_at=-1):
    command = [sys.executable, "-m", "tests.training_fixture", str(folder), str(kill_at)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def test_a_picker_is_written_with_its_card_its_history_and_its_curves(tmp_path):
    clock = Clock()
    card = train_picker("PhaseNet", both_parts(), settings(), 1, tmp_path, clock=clock)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.json", "curves.png", "history.json", "model.safetensors",
    ]  # fmt: skip
    assert card == read_card(tmp_path)
    history = json.loads((tmp_path / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1, 2]
    best = max(history, key=lambda entry: entry["score"])
    assert card["epoch"] == best["epoch"]
    assert card["thresholds"] == {phase: round(best[f"threshold_{phase.lower()}"], 4) for phase in "PS"}
    assert card["training_data"]["counts"] == {"train event": 8, "validation event": 6}
    (described,) = card["training_sets"]
    assert (described["name"], described["n_records"]) == ("spikes", 14)
    model = load_model(tmp_path)
    assert model.default_args["P_threshold"] == card["thresholds"]["P"]
    assert 0 < clock.waiting_share < 1


def test_a_card_names_the_teachers_and_what_they_know(tmp_path):
    short = settings(epochs=1, steps_per_epoch=1)
    card = train_picker("PhaseNet", both_parts(), short, 1, tmp_path, weights="lab-1", teachers=["PhaseNet/volpick"])
    assert (card["weights"], card["teacher"]) == ("lab-1", "PhaseNet/volpick")
    assert card["training_sets"][0]["name"] == "spikes"
    assert card["training_sets"][1:] == sets_of_weights("PhaseNet", "volpick") != []


def test_another_label_or_teacher_begins_another_training():
    records = both_parts().read()
    moved = replace(records[0], picks={"P": 301.0, "S": 700.0})
    soft = [replace(records[0], probability=np.full((2, 3001), level, np.float32)) for level in (0.2, 0.3)]
    variants = [(set_of(first, *records[1:]), ()) for first in (records[0], moved, *soft)]
    variants += [(set_of(*records), (teacher,)) for teacher in ("PhaseNet/stead", "PhaseNet/volpick")]
    marks = {fingerprint("PhaseNet", {}, dataset, TRAINING, 1, teachers, 1) for dataset, teachers in variants}
    assert len(marks) == len(variants)


def test_after_kill_9_a_picker_has_the_same_bytes(tmp_path):
    assert start(tmp_path / "whole") == 0
    assert start(tmp_path / "killed", 3) == -signal.SIGKILL
    assert not (tmp_path / "killed/card.json").exists()
    assert start(tmp_path / "killed") == 0
    for name in ("model.safetensors", "card.json", "history.json", "curves.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


def test_two_processes_train_what_one_would_but_for_rounding(tmp_path):
    training_settings = settings(epochs=1, steps_per_epoch=2, dropout=False, average_decay=0.0)
    card_alone, card_together = (
        train_together(
            "PhaseNetLight",
            both_parts(),
            training_settings.changed(optimisation=optimisation),
            1,
            tmp_path / str(optimisation.processes),
        )
        for optimisation in (training_settings.optimisation, training_settings.optimisation.changed(processes=2))
    )
    assert card_alone["sha256"] != card_together["sha256"]
    (first,), (second,) = (json.loads((tmp_path / n / "history.json").read_text()) for n in "12")
    assert second["training_loss"] == pytest.approx(first["training_loss"], rel=1e-4)
    # The first steps of Adam go by the sign of a gradient, which is rounding where a bias has no effect.
    assert second["validation_loss"] == pytest.approx(first["validation_loss"], rel=0.02)


def test_a_batch_that_cannot_be_shared_is_refused_before_any_step(tmp_path):
    with pytest.raises(ValueError, match="a batch of 6 windows cannot be shared by 2 processes"):
        train_together("PhaseNet", both_parts(), settings(batch_size=6, processes=2), 1, tmp_path)


@pytest.mark.parametrize("name", ["PhaseNetLight", "PickflowNet", "LEQNet", "GRU", "EQTransformer"])
def test_every_kind_of_picker_is_trained_through_the_same_door(name, tmp_path):
    training_settings = settings(epochs=1, steps_per_epoch=1, batch_size=2, validation_windows=2)
    card = train_picker(name, both_parts(n_samples=6000), training_settings, 1, tmp_path)
    assert card["model"] == name
    assert load_model(tmp_path).labels == card["labels"] or list(load_model(tmp_path).labels) == card["labels"]


def test_the_normalisation_is_a_setting(tmp_path):
    training_settings = settings(epochs=1, steps_per_epoch=1, normalisation="peak")
    assert train_picker("PhaseNet", both_parts(), training_settings, 1, tmp_path)["model_args"]["norm"] == "peak"


def test_a_picker_learns_where_spikes_are(tmp_path):
    training_settings = settings(
        epochs=6, steps_per_epoch=12, batch_size=8, learning_rate=0.01, average_decay=0.9, dropout=False
    )
    train_picker("PhaseNet", both_parts(), training_settings, 1, tmp_path)
    history = json.loads((tmp_path / "history.json").read_text())
    assert max(entry["score"] for entry in history) > 0.7
    assert history[-1]["training_loss"] < 0.5 * history[0]["training_loss"]


def test_a_set_without_s_teaches_p_alone(tmp_path):
    card = train_picker("PhaseNet", both_parts(phases="P"), settings(epochs=1), 1, tmp_path)
    assert list(card["thresholds"]) == ["P"]
    assert "f1_s" not in json.loads((tmp_path / "history.json").read_text())[0]


@pytest.mark.parametrize(("model", "unknown"), [("EQTransformer", [0, 2]), ("PhaseNet", [2])])
def test_of_a_phase_without_labels_nothing_is_learnt(model, unknown):
    picker = sbm.EQTransformer() if model == "EQTransformer" else sbm.PhaseNet(phases="NPS")
    logits = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0))
    probability = torch.softmax(logits.flip(0), dim=1)
    shifted = logits.clone()
    if model == "PhaseNet":  # probability moved from noise to S
        noise = torch.logaddexp(logits[:, 0], logits[:, 2])
        shifted[:, 0], shifted[:, 2] = noise - 0.7, noise + np.log(1 - np.exp(-0.7))
    else:
        shifted[:, unknown] += 3
    alone = training_loss(picker, Labels(), ("P",))
    torch.testing.assert_close(alone(logits, probability), alone(shifted, probability))
    all_phases = training_loss(picker, Labels(), ("P", "S"))
    assert abs(all_phases(logits, probability) - all_phases(shifted, probability)) > 1e-3


def test_weights_of_the_loss_are_settings():
    logits, probability = torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)
    loss = training_loss(sbm.EQTransformer(), Labels(detection_weight=0.1, p_weight=0.2, s_weight=0.3), ("P", "S"))
    assert loss(logits, probability).item() == pytest.approx(0.6 * np.log(2), rel=1e-6)
    near = training_loss(sbm.EQTransformer(), Labels(arrival_weight=10), ("P", "S"))
    probability_of_one = torch.ones(1, 3, 4)
    assert near(logits, probability_of_one).item() == pytest.approx((0.05 + 11 * 0.95) * np.log(2), rel=1e-6)


def test_f1_is_that_of_the_most_probable_picks():
    picks = np.array([[0, 100, 0.9], [0, 500, 0.8], [1, 210, 0.7], [1, 900, 0.2]])
    arrivals = np.array([[0.0, 110.0], [1.0, 200.0]])
    assert f1_at(picks, arrivals, 2, 30) == (0.5, 0.8)
    assert f1_at(picks, arrivals, 3, 30) == (pytest.approx(0.8), 0.7)
    assert f1_at(picks, arrivals, 9, 30) == (pytest.approx(4 / 6), 0.2)
    assert f1_at(picks, arrivals, 2, 5)[0] == 0
    assert f1_at(picks[:0], arrivals, 2, 30) == (0.0, 1.0)


def test_a_score_does_not_depend_on_the_level_of_the_probabilities():
    rng = np.random.default_rng(0)
    picks = np.column_stack([rng.integers(0, 9, 60), rng.integers(0, 900, 60), rng.random(60)])
    arrivals = np.column_stack([rng.integers(0, 9, 30), rng.integers(0, 900, 30)]).astype(float)
    squared = picks * [1, 1, 0] + np.column_stack([np.zeros((60, 2)), picks[:, 2] ** 3])
    assert f1_at(picks, arrivals, 30, 50)[0] == f1_at(squared, arrivals, 30, 50)[0] > 0


def test_peaks_are_single_and_apart():
    probability = torch.zeros(2, 300)
    probability[0, [50, 60, 250]] = torch.tensor([0.5, 0.9, 0.4])
    probability[1, 100:104] = 0.3
    np.testing.assert_allclose(peaks_of(probability, 30), [[0, 60, 0.9], [0, 250, 0.4], [1, 100, 0.3]], rtol=1e-6)


def test_arrivals_of_all_events_of_a_window_count():
    arrivals = [np.array([[[10.0, 20.0], [np.nan, 50.0]]]), np.array([[[np.nan, np.nan], [30.0, np.nan]]])]
    assert arrivals_of(arrivals, 0).tolist() == [[0, 10], [1, 30]]
    assert arrivals_of(arrivals, 1).tolist() == [[0, 20], [0, 50]]


def test_a_picker_that_is_right_scores_one():
    class Truth(torch.nn.Module):
        labels, sampling_rate, in_samples, component_order = "NPS", 100.0, 3001, "ZNE"
        default_args: dict = {}  # noqa: RUF012
        _annotate_args: dict = {}  # noqa: RUF012

        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

        def annotate_batch_pre(self, batch, argdict):
            return batch

        def forward(self, x, logits=False):
            return 20 * torch.stack([torch.full_like(x[:, 0], 0.5), x[:, 0], x[:, 1]], dim=1) * self.gain

    judge = make_judge(Truth(), spikes(6), settings(), 1, ("P", "S"))
    scores = judge(Truth())
    assert scores["f1_p"] == scores["f1_s"] == scores["score"] == 1
    assert judge.n_picks == {"P": 6, "S": 6}
    assert make_judge(Truth(), spikes(103), settings(validation_windows=200), 1, ("P", "S")).n_picks["P"] == 103
    few = make_judge(Truth(), spikes(6), settings(picks_per_hour=60), 1, ("P", "S"))
    assert few.n_picks == {"P": 3, "S": 3}  # in six windows of half a minute
    assert few(Truth())["f1_p"] == pytest.approx(2 * 3 / (3 + 6))


def test_every_validation_window_is_drawn_once_and_counts_alike(monkeypatch):
    steps, names, draw = [], [], RecordWindows.draw

    def noted_draw(windows, step):
        steps.append(step)
        return draw(windows, step)

    def loss(model, batch, *_):
        """Of a window the number of its record."""
        names.extend(batch.names)
        return np.mean([int(name[1:]) for name in batch.names])

    monkeypatch.setattr(RecordWindows, "draw", noted_draw)
    monkeypatch.setattr("pickflow.train.selection._loss", loss)
    model = sbm.PhaseNet(phases="NPS").eval()
    judge = make_judge(model, spikes(53), settings(validation_windows=53), 1, ("P", "S"))
    assert steps == [0, 1]
    assert judge(model)["validation_loss"] == pytest.approx(26)
    assert sorted(names) == sorted(f"r{index}" for index in range(53))


def test_a_validation_part_without_arrivals_is_refused(tmp_path):
    late = spike_record(0, 9000, part="validation", P=8999)  # its one window lies elsewhere
    dataset = set_of(*both_parts().select(part="train").read(), late)
    with pytest.raises(ValueError, match="1 windows of the validation part hold no arrival"):
        train_picker("PhaseNet", dataset, settings(), 3, tmp_path)


def test_blinded_samples_count_neither_for_nor_against_a_picker():
    """A picker that finds every arrival, and something at both ends of each window."""

    class Edges(torch.nn.Module):
        labels = "NPS"

        def forward(self, x, logits=False):
            p, s = x[:, 0].clone(), x[:, 1].clone()
            p[:, [10, -10]], s[:, [80, -80]] = 2, 2
            return 20 * torch.stack([torch.full_like(p, 0.5), p, s], dim=1)

    windows = RecordWindows(sbm.PhaseNet(phases="NPS"), spikes(6), NO_CHANGES, Labels(), batch_size=6, seed=2)
    drawn = windows.draw(0)
    batch = Batch(windows=torch.from_numpy(drawn.samples), probability=torch.from_numpy(drawn.probability))
    seeing, blinded = (
        Judge([batch], [drawn], TRAINING, ("P", "S"), 100.0, blinding) for blinding in ((0, 0), (500, 500))
    )
    assert seeing(Edges())["score"] < 0.5
    assert blinded(Edges())["score"] == 1
    assert blinded.n_picks["P"] < seeing.n_picks["P"]


def test_a_set_without_a_validation_part_is_refused(tmp_path):
    message = "of 8 records of spikes none is in the part validation; take more records"
    with pytest.raises(ValueError, match=message):
        train_picker("PhaseNet", both_parts().select(part="train"), settings(), 1, tmp_path)


def test_memory_is_flat_over_epochs(tmp_path):
    resident_mb = []

    def measure(entry):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident_mb.append(pages * os.sysconf("SC_PAGESIZE") / 2**20)

    training_settings = settings(epochs=14, steps_per_epoch=3, patience=None, threads=1)
    train_picker("PhaseNet", both_parts(), training_settings, 1, tmp_path, on_epoch=measure)
    # Of one epoch's windows alone, 0.9 MB would stay each time, and 12 of them.
    assert max(resident_mb[9:]) - max(resident_mb[2:5]) < 5


def test_a_folder_in_seisbenchs_format_trains_a_variant(tmp_path):
    write_stand_in(tmp_path / "set", 40, 8)
    dataset = open_dataset(tmp_path / "set")
    training_settings = settings(epochs=1, steps_per_epoch=1).changed(augmentation=Augmentation(real_noise=1.0))
    card = train_together("Vanilla", dataset, training_settings, 1, tmp_path / "picker")
    assert sum(card["training_data"]["counts"].values()) == len(dataset)
    remarks = touched(card, dataset.table)
    assert (remarks[dataset.table.part == "train"] != "").all()
    assert (remarks[dataset.table.part == "test"] == "").all()


def test_real_sets_train_a_picker_together(shared, tmp_path):
    sets = [open_dataset(shared / "data/labelled" / name, name) for name in LABELLED_SETS]
    training_settings = settings(epochs=1, steps_per_epoch=2, batch_size=8, normalisation="peak")
    card = train_together("PhaseNet", join("real", sets), training_settings, 1, tmp_path)
    assert [training_set["name"] for training_set in card["training_sets"]] == list(LABELLED_SETS)
    (entry,) = json.loads((tmp_path / "history.json").read_text())
    assert np.isfinite([entry["training_loss"], entry["validation_loss"]]).all()
