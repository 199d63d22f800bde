"""A student learns its teacher's probabilities, after a kill too."""

import warnings

import numpy as np
import pytest
import seisbench.models as sbm
import torch

from pickflow.distillation import (
    DistillParams,
    cross_entropy,
    distill,
    filter_windows,
    is_softmax,
    logits_of,
    normalised,
    soft_label_loss,
    teacher_of,
)
from pickflow.models.network import PickflowNet
from pickflow.optimisation import learning_rate

PARAMS = DistillParams(steps=4, batch_size=2, learning_rate=1e-3, weight_decay=0.01, seed=3, checkpoint_steps=2)


class KillError(Exception):
    """Stands for kill -9."""


def quiet(n_done, total, loss):
    pass


def draw(rng, n):
    windows = rng.normal(size=(n, 3, 3001)).astype(np.float32)
    windows[:, :, 1500:] *= 10
    return windows


def answer(windows):
    """A teacher that finds P and S in the middle, whatever it is given."""
    probabilities = np.zeros((len(windows), 3, windows.shape[-1]), np.float32)
    time = np.arange(windows.shape[-1])
    probabilities[:, 1] = np.exp(-0.5 * ((time - 1500) / 10) ** 2)
    probabilities[:, 2] = np.exp(-0.5 * ((time - 1700) / 10) ** 2)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    return probabilities


def student(seed=0):
    torch.manual_seed(seed)
    return sbm.PhaseNet(phases="NPS")


def run(model, params=PARAMS, **options):
    options = {"checkpoint": None, "fingerprint": "f", "progress": quiet} | options
    return distill(model, answer, draw, params, **options)


def test_a_killed_distillation_goes_on_to_the_same_weights(tmp_path):
    def kill(n_done, total, loss):
        if n_done == 3:
            raise KillError

    whole, resumed = student(), student()
    history = run(whole, checkpoint=tmp_path / "whole.safetensors")
    with pytest.raises(KillError):
        run(resumed, checkpoint=tmp_path / "killed.safetensors", progress=kill)
    resumed = student(seed=1)  # everything that matters comes from the checkpoint
    calls = []
    assert run(resumed, checkpoint=tmp_path / "killed.safetensors", progress=lambda *c: calls.append(c)) == history
    assert [n_done for n_done, _, _ in calls] == [3, 4]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_checkpoint_of_another_distillation_is_ignored(tmp_path):
    calls = []
    for fingerprint in ("a", "b"):
        run(student(), checkpoint=tmp_path / "c", fingerprint=fingerprint, progress=lambda *call: calls.append(call))
    assert len(calls) == 8


def test_the_student_comes_nearer_to_its_teacher():
    model = student()
    windows = draw(np.random.default_rng(9), 4)

    def distance():
        with torch.no_grad():
            return soft_label_loss(
                model, logits_of(model, normalised(model, windows)), torch.from_numpy(answer(windows))
            )

    before = distance()
    history = run(
        model, DistillParams(steps=60, batch_size=4, learning_rate=0.01, weight_decay=0.0, seed=1, checkpoint_steps=20)
    )
    assert distance() < 0.7 * before
    assert [entry["step"] for entry in history] == [20, 40, 60]
    assert history[-1]["loss"] < history[0]["loss"]


def test_masked_weights_stay_zero():
    model = student()
    mask = (torch.arange(model.inc.weight.numel()).reshape(model.inc.weight.shape) % 3 > 0).float()
    run(model, masks={"inc.weight": mask})
    assert (model.inc.weight[mask == 0] == 0).all()
    assert (model.inc.weight[mask == 1] != 0).all()


def test_a_mask_must_fit_a_parameter():
    with pytest.raises(ValueError, match=r"'inc.wrong': the student has no such parameter"):
        run(student(), masks={"inc.wrong": torch.ones(3)})
    with pytest.raises(ValueError, match="it has the shape"):
        run(student(), masks={"inc.weight": torch.ones(3)})


@pytest.mark.parametrize("train_norms", [True, False])
def test_normalisations_follow_the_windows_only_on_request(train_norms):
    model = student()
    before = model.in_bn.running_mean.clone()
    params = DistillParams(steps=2, batch_size=2, learning_rate=1e-3, weight_decay=0.0, seed=0, train_norms=train_norms)
    run(model, params)
    assert torch.equal(before, model.in_bn.running_mean) is not train_norms
    assert not model.training


@pytest.mark.parametrize("change", [{"phases": "PSN"}, {"phases": "NPS", "component_order": "ENZ"}])
def test_labels_and_components_must_be_the_teachers(change):
    teacher = teacher_of(sbm.PhaseNet(**change).eval())
    with pytest.raises(ValueError, match="in the teacher's order"):
        distill(student(), teacher, draw, PARAMS, checkpoint=None, fingerprint="f", progress=quiet)


def test_probabilities_must_have_the_students_shape():
    with pytest.raises(ValueError, match=r"\(2, 3, 3000\)"):
        distill(student(), lambda w: answer(w)[..., 1:], draw, PARAMS, checkpoint=None, fingerprint="f", progress=quiet)


def test_a_window_that_is_not_finite_is_named():
    def spoilt(rng, n):
        windows = draw(rng, n)
        windows[1, 0, 5] = np.nan
        return windows

    with pytest.raises(ValueError, match="window 1 of step 0"):
        distill(student(), answer, spoilt, PARAMS, checkpoint=None, fingerprint="f", progress=quiet)


@pytest.mark.parametrize("name", ["PhaseNet", "EQTransformer"])
def test_a_teacher_gives_what_its_model_gives(name):
    torch.manual_seed(0)
    model = getattr(sbm, name)().eval()
    windows = np.random.default_rng(0).normal(size=(3, 3, model.in_samples)).astype(np.float32)
    with torch.no_grad():
        logits = logits_of(model, normalised(model, windows))
        expected = torch.softmax(logits, dim=1) if is_softmax(model) else torch.sigmoid(logits)
    np.testing.assert_allclose(teacher_of(model)(windows), expected.numpy(), atol=2e-5)


def test_exclusive_labels_are_told_from_independent_ones():
    assert is_softmax(PickflowNet())
    assert is_softmax(sbm.PhaseNetLight(phases="NPS"))
    assert not is_softmax(sbm.EQTransformer())
    assert not is_softmax(sbm.VariableLengthPhaseNet(in_samples=3001, output_activation="sigmoid"))


def test_both_losses_are_least_for_the_teachers_probability():
    probability = torch.rand(2, 3, 50, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    eqtransformer, phasenet = sbm.EQTransformer(), sbm.PhaseNet(phases="NPS")
    for model, labels in (
        (eqtransformer, probability),
        (phasenet, probability / probability.sum(dim=1, keepdim=True)),
    ):
        right = torch.logit(labels) if model is eqtransformer else torch.log(labels)
        right.requires_grad_()
        loss = soft_label_loss(model, right, labels)
        loss.backward()
        assert right.grad.abs().max() < 1e-7
        assert soft_label_loss(model, right.detach() + torch.randn(right.shape) * 0.3, labels) > loss


def test_cross_entropy_is_least_for_the_right_answer():
    probability = torch.tensor([[[1.0], [0.0], [0.0]]])
    right, wrong = torch.tensor([[[5.0], [0.0], [0.0]]]), torch.tensor([[[0.0], [5.0], [0.0]]])
    assert cross_entropy(right, probability) < cross_entropy(wrong, probability)


@pytest.mark.parametrize("n_steps", [100, 2000, 16_000])
def test_learning_rate_warms_up_and_ends_near_zero(n_steps):
    rates = [learning_rate(step, n_steps, 1.0) for step in range(n_steps)]
    assert rates[0] <= 0.1
    assert max(rates) > 0.95
    assert np.argmax(rates) <= min(200, n_steps // 10)
    assert rates[-1] < 0.02


def test_windows_are_filtered_as_the_model_filters_records():
    band = {"freqmin": 1, "freqmax": 45, "corners": 2, "zerophase": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sbm.EQTransformer(filter_args=["bandpass"], filter_kwargs=band)
    time_s = np.arange(6000) / 100
    slow, fast = np.sin(2 * np.pi * 0.1 * time_s), np.sin(2 * np.pi * 10 * time_s)
    windows = np.tile((5 * slow + fast).astype(np.float32), (2, 3, 1))
    filtered_windows = filter_windows(model, windows)
    assert filtered_windows.shape == windows.shape
    np.testing.assert_allclose(filtered_windows[1, 2, 500:-500], fast[500:-500], atol=0.06)
    assert filter_windows(sbm.EQTransformer(), windows) is windows
