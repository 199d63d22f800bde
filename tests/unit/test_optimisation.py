"""The loop that trains any picker: after a kill, with several processes, and when a loss is no number."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from pickflow.optimisation import Batch, Pace, Processes, optimise, read_checkpoint
from pickflow.optimisation.averaging import WeightAverage
from pickflow.optimisation.clock import Clock, in_order
from pickflow.optimisation.processes import first_node
from pickflow.optimisation.steps import rate_at
from tests.optimisation_fixture import PACE, batches, network, task

ROOT = Path(__file__).parents[2]


def start(folder, kill_at=-1, **environment):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.optimisation_fixture", str(folder), str(kill_at)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})


def weights(folder, rank=0):
    return (folder / f"weights-{rank}").read_bytes()


def paced(**changes):
    return Pace(**{**vars(PACE), **changes})


@pytest.mark.parametrize("kill_at", [5, 8])  # inside an epoch, and at its end
def test_after_kill_9_a_training_ends_with_the_same_bytes(tmp_path, kill_at):
    assert start(tmp_path / "whole").wait() == 0
    assert start(tmp_path / "killed", kill_at).wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/weights-0").exists()
    assert start(tmp_path / "killed").wait() == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    killed, whole = (read_checkpoint(tmp_path / name / "checkpoint", "a") for name in ("killed", "whole"))
    assert killed[1] == whole[1]
    assert [set(state_and_history[0]) for state_and_history in (killed, whole)] == [
        {"model", "best", "optimiser", "average", "epoch"}
    ] * 2
    for group, tensors in whole[0].items():
        assert all(torch.equal(tensor, killed[0][group][name]) for name, tensor in tensors.items()), group


def test_two_processes_have_the_same_weights_and_those_of_one_with_all_windows(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WITHOUT_DROPOUT": "1"}
    processes = [start(tmp_path / "two", RANK=rank, LOCAL_RANK=rank, **shared) for rank in "01"]
    assert [process.wait() for process in processes] == [0, 0]
    assert start(tmp_path / "one", WITHOUT_DROPOUT="1").wait() == 0
    assert weights(tmp_path / "two", 0) == weights(tmp_path / "two", 1)
    weights_alone, weights_together = (safetensors.torch.load(weights(tmp_path / name)) for name in ("one", "two"))
    untrained = network().state_dict()
    for name, tensor in weights_alone.items():
        torch.testing.assert_close(weights_together[name], tensor, rtol=1e-3, atol=2e-5)
    assert (weights_alone["0.weight"] - untrained["0.weight"]).abs().max() > 0.01


def test_the_best_epoch_is_kept_and_patience_ends_the_training():
    scores = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    weights_of_epochs = []

    def judge(model):
        weights_of_epochs.append(model[0].weight.clone())
        return {"score": next(scores)}

    judged_task = task(judge=judge)
    history = optimise(judged_task, paced(n_steps=20, patience=2), None, "")
    assert [entry["score"] for entry in history] == [1.0, 3.0, 2.0, 2.5]
    assert torch.equal(judged_task.model[0].weight, weights_of_epochs[1])
    assert not judged_task.model.training


def test_what_is_judged_and_kept_is_the_average_of_the_weights():
    plain, averaged = task(judge=None), task(judge=None)
    optimise(plain, paced(average_decay=0.0), None, "")
    optimise(averaged, PACE, None, "")
    assert not torch.equal(plain.model[0].weight, averaged.model[0].weight)
    model = network()
    average = WeightAverage(model, 0.5)
    begin = model[0].weight.detach().clone()
    for step, value in ((1, 1.0), (2, 2.0)):
        nn.init.constant_(model[0].weight, value)
        average.update(step)
    # Decays of 2/11 and 3/12: the first steps count more than the setting says.
    expected = 3 / 12 * (2 / 11 * begin + 9 / 11) + 9 / 12 * 2
    with average.applied():
        torch.testing.assert_close(model[0].weight, expected)
    assert (model[0].weight == 2).all()


def test_a_loss_that_is_no_number_names_the_window():
    def spoilt(first, last):
        for batch in batches(first, last):
            batch.windows[2, 0, 5] = np.nan
            yield Batch(windows=batch.windows, probability=batch.probability, names=tuple("abcdefgh"))

    with pytest.raises(ValueError, match=r"window 2 \(c\) of step 0 has samples that are not finite; drop its record"):
        optimise(task(batches=spoilt), PACE, None, "")


def test_weights_that_grow_without_bound_are_named():
    with pytest.raises(ValueError, match="take a smaller learning_rate"):
        optimise(task(), paced(learning_rate=1e30, gradient_norm=None), None, "")


def test_in_bfloat16_a_network_learns_nearly_the_same():
    losses = [
        optimise(task(), paced(bfloat16=bfloat16, dropout=False), None, "")[-1]["training_loss"]
        for bfloat16 in (False, True)
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_the_rate_falls_as_a_stair_where_eqtransformers_authors_let_it():
    pace = paced(n_steps=1000, epoch_steps=10, schedule="stairs", learning_rate=1.0)
    assert [rate_at(pace, 10 * epoch) for epoch in (0, 20, 21, 41, 61, 91)] == [1, 1, 0.1, 0.01, 0.001, 0.0005]
    assert rate_at(paced(schedule="constant"), 10) == PACE.learning_rate


def test_a_batch_is_shared_out_evenly_or_refused():
    shares = [Processes(rank, 2).share(8) for rank in range(2)]
    assert [list(range(8))[share] for share in shares] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ValueError, match="a batch of 6 windows cannot be shared by 2 processes; take a multiple of 4"):
        Processes(0, 2).share(6)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("lrdn[0012-0015,0020],login01", "lrdn0012"), ("a,b", "a"), ("node7", "node7"), ("n[3,5]-ib", "n3-ib")],
)
def test_the_first_node_of_slurms_list_is_the_meeting_point(nodes, first):
    assert first_node(nodes) == first


@pytest.mark.parametrize("n_threads", [0, 1, 3])
def test_batches_come_in_order_from_any_number_of_threads(n_threads):
    def make(number):
        time.sleep(0.002 * (number % 3))
        return number

    assert list(in_order(make, 2, 14, n_threads)) == list(range(2, 14))
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 / number, -2, 3, n_threads))


def test_a_clock_tells_waiting_from_computing(monkeypatch):
    now_s = 0.0

    def after(seconds):
        nonlocal now_s
        now_s += seconds

    def slow():
        for _ in range(3):
            after(6.0)
            yield 0

    monkeypatch.setattr("pickflow.optimisation.clock.time", SimpleNamespace(perf_counter=lambda: now_s))
    clock = Clock()
    for _ in clock.timed(slow()):
        after(2.0)
    assert (clock.waiting_s, clock.computing_s, clock.waiting_share) == (18.0, 6.0, 0.75)
