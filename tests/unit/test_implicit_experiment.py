"""The experiment with implicit models: what its steps must do, and what would show that one does nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn

from pickflow.datasets.records import Record
from pickflow.implicit import ImplicitModel, UnsupportedLayerError, blocks_of, fit_states, from_network, states_of
from pickflow.implicit.activations import Elementwise
from pickflow.implicit.experiment import data, run
from pickflow.implicit.experiment.data import WindowSet, labelled_windows, set_names, synthetic_windows
from pickflow.implicit.experiment.layers import LayeredPicker
from pickflow.implicit.experiment.narrow import train_narrow
from pickflow.implicit.experiment.page import make_page
from pickflow.implicit.experiment.perturbation import KINDS, perturb
from pickflow.implicit.experiment.scores import PHASES, arrivals_of, choose_thresholds, counts, f1_of, picks_of, score
from pickflow.implicit.experiment.solutions import largest_masks
from pickflow.implicit.experiment.whole import WholePicker, inputs_of
from pickflow.implicit.scaling import rescale
from pickflow.models.cards import write_model
from pickflow.models.network import PickflowNet
from pickflow.run.settings.implicit import ImplicitParams

N_SAMPLES = 64
LEVELS = {"noise": 0.5, "gain": 1.0, "dropout": 0.2, "gap_s": 0.1}
PARAMS = ImplicitParams(
    whole_samples=N_SAMPLES,
    n_calibration=56,
    n_development=8,
    n_test=12,
    ratios=(0.1, 1e-7),
    perturbed_ratio=1e-7,
    perturbations={"noise": (0.0, 0.5), "gain": (), "dropout": (), "gap_s": ()},
    checked_share=0.5,
    n_draws=50,
    narrow={"channels": (2, 4, 4, 4), "steps": 2, "batch_size": 4, "n_signals": 4},
)


def silent(message, n_done, total):
    """Report nothing."""


def vivid_picker():
    """A narrow picker whose every layer matters, with a bound of A that it breaks."""
    torch.manual_seed(0)
    model = PickflowNet(channels=(2, 4, 4, 4))
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
            module.weight.data *= 2.0
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.normal_(module.bias, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def windows():
    return synthetic_windows("calibration", PARAMS.n_calibration, N_SAMPLES, (10.0, 40.0), 0)


@pytest.fixture(scope="module", params=[WholePicker, LayeredPicker])
def picker(request, windows):
    model = vivid_picker()
    calibration = windows
    if request.param is LayeredPicker:
        model.in_samples = N_SAMPLES
    return request.param(model, calibration, PARAMS, silent)


@pytest.fixture(scope="module")
def students(picker):
    return list(picker.students())


def chosen(students, **columns):
    """The student with these columns."""
    (student,) = [student for student in students if columns.items() <= student.columns().items()]
    return student


def test_the_teacher_comes_first_with_all_its_weights(students):
    assert students[0].method == "teacher"
    assert students[0].n_nonzero == max(student.n_nonzero for student in students)


@pytest.mark.parametrize("refit", [False, True])
def test_almost_no_penalty_reproduces_the_teacher(refit, students, windows):
    student = chosen(students, method="lasso", penalty="element", bound="none", ratio=1e-7, refit=refit)
    # The refit has a ridge of 1e-5.
    tolerance = 0.02 if refit else 1e-3
    expected = students[0].predict(windows.samples)
    assert np.abs(student.predict(windows.samples) - expected).max() < tolerance
    assert np.ptp(expected, axis=0).max() > 0.05, "these windows make no difference"


def test_a_large_penalty_removes_weights_and_changes_probabilities(students, windows):
    small, large = (chosen(students, method="lasso", penalty="element", bound="none", refit=False, ratio=ratio)
                    for ratio in (1e-7, 0.1))  # fmt: skip
    assert large.n_nonzero < 0.8 * small.n_nonzero
    assert np.abs(large.predict(windows.samples) - students[0].predict(windows.samples)).max() > 0.01


def test_a_refit_is_nearer_to_the_teacher_than_the_solution_as_it_is(students, windows):
    expected = students[0].predict(windows.samples)
    errors = [
        np.abs(chosen(students, method="lasso", penalty="element", bound="none", ratio=0.1, refit=refit)
               .predict(windows.samples) - expected).mean()
        for refit in (False, True)
    ]  # fmt: skip
    assert errors[1] < errors[0]


def test_pruned_students_have_as_many_weights_as_sparse_ones(students):
    for ratio in PARAMS.ratios:
        sparse_one = chosen(students, method="lasso", penalty="element", bound="none", ratio=ratio, refit=False)
        for refit in (False, True):
            assert chosen(students, method="magnitude", ratio=ratio, refit=refit).n_nonzero == sparse_one.n_nonzero


def test_the_bound_holds_where_it_is_imposed_and_costs_something(picker, students, windows):
    bound = picker.bound()
    assert bound["norm"] > 1.5
    assert bound["norm_of_student"] <= bound["kappa"] * (1 + 1e-9)
    limited = chosen(students, bound="everywhere")
    assert np.abs(limited.predict(windows.samples) - students[0].predict(windows.samples)).max() > 0.01


def test_states_in_other_units_keep_the_bound_and_the_outputs(picker):
    if picker.form == "layers":
        pytest.skip("only an implicit model has states to scale")
    bound = picker.bound()
    assert bound["condition"] == "triangular"
    assert bound["rescaled_norm"] <= bound["kappa"] * (1 + 1e-9)
    assert bound["rescaled_difference"] < 1e-9


def test_nothing_that_was_eliminated_is_needed(picker):
    rows = picker.account.rows()
    assert sum(row["n_checked"] for row in rows) > 0
    assert sum(row["n_false"] for row in rows) == 0
    assert sum(row["n_screened_gap"] for row in rows) > 0
    assert all(row["n_screened_gap"] <= row["n_zero"] for row in rows)


def test_the_study_scores_a_perturbation_of_nothing_as_no_perturbation(tmp_path):
    model, card = train_narrow(PARAMS, None, silent)
    write_model(tmp_path, model.state_dict(), card)
    findings = run.study_picker(tmp_path, "whole", PARAMS.changed(penalties=("element",)), silent)
    scores = findings.scores
    key = ["method", "penalty", "bound", "refit", "ratio", "phase"]
    nothing = scores[(scores.perturbation == "noise") & (scores.level == 0.0)].set_index(key)
    plain = scores[scores.perturbation == "none"].set_index(key).loc[nothing.index]
    assert len(nothing) == 10
    for column in ("f1", "f1_low", "n_picks", "difference", "agreement"):
        assert (nothing[column] == plain[column]).all()
    teacher = scores[scores.method == "teacher"]
    assert (teacher.agreement == 1.0).all()
    assert (teacher[["difference", "difference_low", "difference_high"]] == 0.0).all(axis=None)
    pages = [make_page("test", scores, findings.fits, [findings.certificate], {"stage": "implicit"}) for _ in range(2)]
    assert pages[0] == pages[1]
    assert pages[0].sparsity.startswith(b"\x89PNG")
    assert "0 false eliminations" in pages[0].html


def test_training_gives_the_same_weights_twice_and_after_a_kill(tmp_path):
    first, _ = train_narrow(PARAMS, None, silent)
    checkpoint = tmp_path / "checkpoint.safetensors"
    second, _ = train_narrow(PARAMS, checkpoint, silent)
    resumed, _ = train_narrow(PARAMS, checkpoint, silent)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
        assert torch.equal(tensor, resumed.state_dict()[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_perturbation_changes_samples_and_not_arrivals(kind, windows):
    changed = perturb(windows, kind, LEVELS[kind], 0)
    assert perturb(windows, kind, 0.0, 0) is windows
    assert changed.arrivals == windows.arrivals
    assert (changed.samples != windows.samples).any(axis=(1, 2)).mean() > 0.1
    assert np.array_equal(changed.samples, perturb(windows, kind, LEVELS[kind], 0).samples)


def test_noise_has_the_level_asked_for(windows):
    added = perturb(windows, "noise", 0.5, 0).samples - windows.samples
    assert added.std(axis=(1, 2)) / windows.samples.std(axis=(1, 2)) == pytest.approx(0.5, rel=1e-3)


def test_a_gap_covers_no_arrival():
    samples = np.random.default_rng(0).normal(size=(20, 3, 800)).astype(np.float32)
    windows = WindowSet(name="test", samples=samples, arrivals=({"P": 150.0, "S": 260.0},) * 20,
                        window_names=tuple(map(str, range(20))))  # fmt: skip
    changed = perturb(windows, "gap_s", 1.0, 0).samples
    covered = (changed == 0).all(axis=1)
    assert (covered.sum(axis=1) == 100).all()
    assert not covered[:, [150, 260]].any()


def test_an_unknown_perturbation_is_named(windows):
    with pytest.raises(ValueError, match="perturbation 'hail' is unknown; known are noise"):
        perturb(windows, "hail", 1.0, 0)


def test_parts_have_windows_of_their_own():
    first, again, calibration_windows = (
        synthetic_windows(part, 3, 128, (10.0, 40.0), 0) for part in ("test", "test", "calibration")
    )
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, calibration_windows.samples)


def windows_of_records(records, monkeypatch, left_out=()):
    account = pd.DataFrame(left_out, columns=["name", "reason", "detail"])
    monkeypatch.setattr(data, "open_dataset", lambda _: SimpleNamespace(read=lambda: records, left_out=account))
    return labelled_windows("anywhere", "mine", 256, 0)


def test_a_window_does_not_depend_on_the_order_of_records_nor_on_which_there_are(monkeypatch):
    samples = np.random.default_rng(0).normal(size=(6, 3, 900)).astype(np.float32)
    records = [
        Record(name=f"r{index}", dataset="x", station="A.B", part="test", samples=samples[index], picks={"P": 500})
        for index in range(6)
    ]
    first, turned, fewer = (
        perturb(windows_of_records(subset, monkeypatch), "gain", 1.0, 0)
        for subset in (records, records[::-1], records[2:])
    )
    assert first.window_names == turned.window_names == tuple(f"r{index}" for index in range(6))
    assert np.array_equal(first.samples, turned.samples)
    assert first.arrivals == turned.arrivals
    assert np.array_equal(first.samples[2:], fewer.samples)
    assert len({arrivals["P"] for arrivals in first.arrivals}) > 1


def test_labelled_records_that_cannot_be_used_are_in_the_certificate_and_on_the_page(tmp_path, monkeypatch):
    samples = np.random.default_rng(0).normal(size=(12, 3, 900)).astype(np.float32)
    records = [
        Record(name=f"r{index}", dataset="x", station="A.B", part="test", samples=samples[index], picks={"P": 500})
        for index in range(12)
    ]
    windows_of_records(records, monkeypatch, [("r12", "no_signal", "900 samples"), ("r13", "no_signal", "")])
    model, card = train_narrow(PARAMS, None, silent)
    write_model(tmp_path, model.state_dict(), card)
    params = PARAMS.changed(
        penalties=("element",), ratios=(0.1,), perturbed_ratio=0.1, labelled=("sets/mine", "others/mine")
    )
    findings = run.study_picker(tmp_path, "whole", params, silent)
    assert set(findings.scores.data) == {"synthetic", "sets/mine", "others/mine"}
    left_out = findings.certificate["left_out"]
    assert left_out[0] == {"data": "sets/mine", "name": "r12", "reason": "no_signal", "detail": "900 samples"}
    assert [(row["data"], row["name"]) for row in left_out[1:]] == [
        ("sets/mine", "r13"), ("others/mine", "r12"), ("others/mine", "r13"),
    ]  # fmt: skip
    page = make_page("test", findings.scores, findings.fits, [findings.certificate], {"stage": "implicit"})
    assert "others/mine: 2 × no_signal; sets/mine: 2 × no_signal." in page.html


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ([], []),
        (["/data/a", "/data/b/"], ["a", "b"]),
        (["/data/one/a", "/data/two/a"], ["one/a", "two/a"]),
        (["/data/synthetic"], ["data/synthetic"]),
    ],
)
def test_labelled_sets_have_names_of_their_own(folders, names):
    assert set_names(folders) == names


@pytest.mark.parametrize("folders", [["/data/a", "/data/a/"], ["synthetic"]])
def test_sets_that_cannot_be_told_apart_are_refused(folders):
    with pytest.raises(ValueError, match=r"implicit.labelled: another set is called"):
        set_names(folders)


def test_windows_of_labelled_records_hold_their_arrivals(monkeypatch):
    long, short = np.zeros((3, 900), np.float32), np.zeros((3, 100), np.float32)
    long[:, 500], long[:, 620], short[:, 40] = 1.0, 2.0, 1.0
    records = [
        Record(name="a", dataset="x", station="A.B", part="test", samples=long, picks={"P": 500, "S": 620}),
        Record(name="b", dataset="x", station="A.B", part="test", samples=short, picks={"P": 40}),
    ]

    windows = windows_of_records(records, monkeypatch)
    assert windows.samples.shape == (2, 3, 256)
    assert windows.samples[0, 0, int(windows.arrivals[0]["P"])] == 1.0
    assert windows.samples[0, 0, int(windows.arrivals[0]["S"])] == 2.0
    assert windows.samples[1, 0, int(windows.arrivals[1]["P"])] == 1.0


def test_picks_are_scored_against_arrivals():
    probabilities = np.zeros((4, 3, 400))
    probabilities[0, 1, 100], probabilities[1, 1, 220], probabilities[2, 1, 50] = 0.9, 0.8, 0.3
    arrivals = [{"P": 110.0}, {"P": 100.0}, {}, {"P": 300.0}]
    assert choose_thresholds(probabilities, "NPS", arrivals)["P"] == pytest.approx(0.85)
    picks = picks_of(probabilities, "NPS", {"P": 0.5, "S": 0.5})
    counts_of_windows = counts(picks["P"], arrivals_of(arrivals)["P"])
    assert counts_of_windows.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 0], [0, 0, 1]]
    assert f1_of(counts_of_windows.sum(axis=0)) == pytest.approx(0.4)


def test_a_difference_that_is_none_says_so():
    rng = np.random.default_rng(0)
    counts_of_windows = np.stack([rng.random(200) < 0.6, np.ones(200), np.ones(200)], axis=1).astype(float)
    worse_counts = counts_of_windows.copy()
    worse_counts[:100, 0] = 0.0
    equal_score, worse_score = (
        score(counts_of_windows, counts_of_windows, 200, 0),
        score(worse_counts, counts_of_windows, 200, 0),
    )
    assert equal_score.difference_low == equal_score.difference == equal_score.difference_high == 0.0
    assert equal_score.f1_low < equal_score.f1 < equal_score.f1_high
    assert worse_score.difference_high < 0


def test_magnitude_keeps_the_largest_of_each_layer():
    weights = [np.array([[1.0, -8.0], [2.0, 3.0]]), np.array([[100.0], [300.0]])]
    masks = largest_masks(weights, ["first", "second"], 2)
    assert masks[0].tolist() == [[False, True], [False, False]]
    assert masks[1].tolist() == [[False], [True]]


def test_a_picker_without_a_form_is_refused_by_the_name_of_its_layer(windows):
    model = vivid_picker()
    model.last = nn.Sequential(model.last, nn.GELU())
    with pytest.raises(UnsupportedLayerError, match="GELU"):
        WholePicker(model, windows, PARAMS, silent)


def test_a_length_that_does_not_fit_is_said():
    with pytest.raises(ValueError, match="PickflowNet does not fit 100 samples"):
        WholePicker(vivid_picker(), synthetic_windows("calibration", 8, 100, (10.0, 40.0), 0), PARAMS, silent)


def test_too_few_windows_are_said(windows):
    few = WindowSet(name="few", samples=windows.samples[:10], arrivals=windows.arrivals[:10],
                    window_names=windows.window_names[:10])  # fmt: skip
    with pytest.raises(ValueError, match=r"more than \d+ calibration windows, there are 10"):
        WholePicker(vivid_picker(), few, PARAMS, silent)


def test_rows_with_a_bound_everywhere_keep_it(windows):
    model = vivid_picker()
    implicit = from_network(model, N_SAMPLES)
    states = states_of(implicit, inputs_of(model, windows.samples))
    fitted = fit_states(implicit, states, 1e-3, kappa=0.9, bound="everywhere")
    weighted = ~implicit.fixed_rows
    assert np.abs(implicit.A).sum(axis=1)[weighted].max() > 1.5
    constants = np.array([block.activation.lipschitz for block in implicit.blocks])[implicit.block_of_row()]
    assert (constants * np.abs(fitted.A).sum(axis=1))[weighted].max() <= 0.9 * (1 + 1e-6)
    with pytest.raises(ValueError, match="kappa = nan"):
        fit_states(implicit, states, 1e-3, bound="everywhere")


def two_blocks(A, function):
    """A model of two blocks of two states."""
    return ImplicitModel(
        A=sparse.csr_array(A),
        B=sparse.csr_array(np.ones((4, 3))),
        C=sparse.csr_array(np.eye(4)[2:]),
        D=sparse.csr_array((2, 3)),
        blocks=blocks_of([(function, Elementwise(function, 2)), ("relu", Elementwise("relu", 2))]),
        input_shape=(2,),
        output_shape=(2,),
        fixed_rows=np.zeros(4, dtype=bool),
    )


def test_what_cannot_be_scaled_is_named():
    A = np.zeros((4, 4))
    A[2:, :2] = 7.0
    scaled = rescale(two_blocks(A, "relu"), 0.5)
    assert np.abs(scaled.A).sum(axis=1).max() == pytest.approx(0.5)
    windows = np.random.default_rng(0).normal(size=(5, 2))
    assert scaled.sweep(windows).outputs == pytest.approx(two_blocks(A, "relu").sweep(windows).outputs)
    with pytest.raises(ValueError, match="tanh: Elementwise is not homogeneous"):
        rescale(two_blocks(A, "tanh"), 0.5)
    with pytest.raises(ValueError, match="the model has feedback"):
        rescale(two_blocks(A + A.T, "relu"), 0.5)
    assert set(PHASES) == {"P", "S"}
