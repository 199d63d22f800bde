"""
Training of EQTransformer and PhaseNet: ours against SeisBench's generator and a plain loop of torch.

Prints a table of seconds per 1,000 windows, data and step apart, and the share of its time that our network waits for
windows. All sides have the same records, batch size and optimiser, one thread, and processes of their own; times are
CPU seconds after a first batch. The augmentations of "ours" are those of the generator; "ours, all" has the defaults of
our training as well: a second earthquake, gains, rotation, polarity and real noise.

Examples
--------
python benchmarks/training.py
python benchmarks/training.py --models PhaseNet --windows 1000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHIFT, NOISE, DROPPED, GAP = 0.99, 0.3, 0.5, 0.2  # probabilities, those of the EarthML studies
SIGMA_SAMPLES = 10
N_RECORDS, N_SAMPLES = 200, 6000
# Side: what makes windows, whether layers are in their faster forms, whether the allocator is told to keep memory.
SIDES = {
    "SeisBench's generator, plain torch": ("seisbench", False, False),
    "the same, allocator set": ("seisbench", False, True),
    "ours": ("ours", True, False),
    "ours, allocator set": ("ours", True, True),
    "ours, all, allocator set": ("all", True, True),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["EQTransformer", "PhaseNet"])
    parser.add_argument("--windows", type=int, default=256, help="windows that are timed")
    parser.add_argument("--batch", type=int, default=32, help="windows per step")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="of our network")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def changes(everything: bool) -> Any:
    from pickflow.run.settings.training import Augmentation

    extra = {"second_event": 0.6, "amplitude": 0.5, "rotation": 0.5, "polarity": 0.5, "real_noise": 0.3}
    basic = {"shift": SHIFT, "noise": NOISE, "dropped_component": DROPPED, "gap": GAP, "second_event": 0.0}
    return Augmentation(**{**basic, **(extra if everything else {})})


def seisbench_loader(model: Any, folder: str, batch_size: int) -> Any:
    """SeisBench's pipeline: all records in memory, its augmentations and labels, torch's loader."""
    import numpy as np
    import seisbench.data
    import seisbench.generate as sbg
    from seisbench.util import worker_seeding
    from torch.utils.data import DataLoader

    dataset = seisbench.data.WaveformDataset(
        folder, sampling_rate=100, component_order=model.component_order, cache="full"
    )
    dataset.preload_waveforms()
    generator = sbg.GenericGenerator(dataset)
    columns = {"trace_p_arrival_sample": "P", "trace_s_arrival_sample": "S"}
    independent = "Detection" in list(model.labels)
    phases = "PSN" if independent else "".join(model.labels)

    def sometimes(change: Any, probability: float) -> Any:
        return sbg.OneOf([change, sbg.NullAugmentation()], [probability, 1 - probability])

    labels = [sbg.ProbabilisticLabeller(label_columns=columns, model_labels=phases, sigma=SIGMA_SAMPLES, dim=0)]
    keys = ["X", "y"]
    if independent:
        labels.append(sbg.DetectionLabeller(*columns, key=("X", "y_detection")))
        keys.append("y_detection")
    if model.in_samples == N_SAMPLES:
        steps = [*labels, sometimes(sbg.RandomArrayRotation(keys), SHIFT)]
    else:
        n = model.in_samples
        around = sbg.WindowAroundSample(
            list(columns), samples_before=n, windowlen=2 * n, selection="random", strategy="pad"
        )
        steps = [sometimes(around, 2 / 3), sbg.RandomWindow(windowlen=n, strategy="pad"), *labels]
    steps += [
        sometimes(sbg.GaussianNoise(), NOISE),
        sometimes(sbg.ChannelDropout(), DROPPED),
        sometimes(sbg.AddGap(), GAP),
        sbg.Normalize(demean_axis=-1, amp_norm_axis=-1, amp_norm_type=model.norm),
        *(sbg.ChangeDtype(np.float32, key) for key in keys),
    ]
    generator.add_augmentations(steps)
    return DataLoader(generator, batch_size=batch_size, shuffle=True, worker_init_fn=worker_seeding)


def seisbench_batches(model: Any, folder: str, batch_size: int) -> Any:
    """Endless windows and probabilities of SeisBench's pipeline."""
    import torch

    loader = seisbench_loader(model, folder, batch_size)
    while True:
        for batch in loader:
            labels = batch["y"]
            if "y_detection" in batch:
                labels = torch.cat([batch["y_detection"], labels[:, :2]], dim=1)
            if len(labels) == batch_size:
                yield batch["X"], labels


def our_source(model: Any, folder: str, batch_size: int, everything: bool) -> Any:
    from pickflow.datasets.reading import open_dataset
    from pickflow.run.settings.training import Labels
    from pickflow.train.record_windows import RecordWindows

    return RecordWindows(model, open_dataset(folder), changes(everything), Labels(), batch_size=batch_size, seed=0)


def our_batches(model: Any, folder: str, batch_size: int, everything: bool) -> Any:
    source = our_source(model, folder, batch_size, everything)
    return ((batch.windows, batch.probability) for batch in source.batches(0, 10**9))


def plain_step(model: Any) -> Callable[[Any, Any], None]:
    """What a loop of torch does."""
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(windows: Any, probability: Any) -> None:
        answers = model(windows)
        answers = torch.stack(answers, dim=1) if isinstance(answers, tuple) else answers
        near = answers.clamp(1e-5, 1 - 1e-5)
        entropy = probability * torch.log(near)
        if "Detection" in list(model.labels):
            entropy = entropy + (1 - probability) * torch.log(1 - near)
        loss = -entropy.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def timed(todo: Callable[[], Any], n: int) -> float:
    """CPU seconds of something, after a first time."""
    todo()
    begin = time.process_time()
    for _ in range(n):
        todo()
    return time.process_time() - begin


def worker(options: argparse.Namespace) -> None:
    """Time one side in this process; prints one line of JSON."""
    import torch

    from pickflow.models.loading import untrained
    from pickflow.optimisation.fast_layers import speed_up

    torch.set_num_threads(1)
    maker, fast, _ = SIDES[options.worker]
    model = untrained(options.models[0], 0).train()
    if fast:
        speed_up(model)
    n_steps = max(options.windows // options.batch, 1)
    ours = maker != "seisbench"
    batches = (
        our_batches(model, options.folder, options.batch, maker == "all")
        if ours
        else seisbench_batches(model, options.folder, options.batch)
    )
    result = {"data_s": timed(lambda: next(batches), n_steps)}
    windows, probability = next(batches)
    if ours:
        result |= our_steps(model, options, n_steps, maker == "all")
    else:
        step = plain_step(model)
        result["step_s"] = timed(lambda: step(windows, probability), n_steps)
    scale = 1000 / (n_steps * options.batch)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {name: value * (scale if name.endswith("_s") else 1) for name, value in result.items()}
    print(json.dumps({**result, "peak_mb": peak_mb}))


def our_steps(model: Any, options: argparse.Namespace, n_steps: int, everything: bool) -> dict[str, float]:
    """Steps of our loop on one batch again and again, and the share of waiting when it makes its windows itself."""
    from pickflow.distillation import logits_of
    from pickflow.optimisation import Clock, Pace, Task, optimise
    from pickflow.run.settings.training import Labels
    from pickflow.train.selection import training_loss

    source = our_source(model, options.folder, options.batch, everything)
    batch = next(iter(source.batches(0, 1)))

    def run(batches: Any, n: int) -> Clock:
        pace = Pace(
            n_steps=n,
            epoch_steps=n,
            learning_rate=1e-3,
            weight_decay=0.0,
            average_decay=0.999,
            dropout=True,
            bfloat16=options.precision == "bfloat16",
        )
        loss = training_loss(model, Labels(), ("P", "S"))
        task = Task(model=model, logits=logits_of, loss=loss, batches=batches, clock=Clock())
        optimise(task, pace, None, "")
        return task.clock

    def again(first: int, last: int) -> Any:
        return (batch for _ in range(first, last))

    run(again, 1)
    begin = time.process_time()
    run(again, n_steps)
    seconds = time.process_time() - begin
    return {"step_s": seconds, "waiting_share": run(source.batches, n_steps).waiting_share}


def run_side(side: str, model: str, folder: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--models", model, "--worker", side, "--folder", folder]
    command += ["--windows", str(options.windows), "--batch", str(options.batch), "--precision", options.precision]
    from pickflow.run.workers import ONE_THREAD, WORKER_ENVIRONMENT

    environment = {**os.environ, **(WORKER_ENVIRONMENT if SIDES[side][2] else ONE_THREAD)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{model}, {side} failed:\n{process.stderr[-3000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def main() -> int:
    options = arguments()
    if options.worker:
        worker(options)
        return 0
    from pickflow.datasets.synthetic import write_stand_in

    print("| picker | windows and step | data s | step s | together s | waits for data | peak MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(Path(scratch) / "records")
        write_stand_in(folder, N_RECORDS, 0)
        for model in options.models:
            for side in SIDES:
                costs = run_side(side, model, folder, options)
                together = costs["data_s"] + costs["step_s"]
                waits = f"{100 * costs['waiting_share']:.0f} %" if "waiting_share" in costs else ""
                numbers = f"{costs['data_s']:.2f} | {costs['step_s']:.1f} | {together:.1f}"
                print(f"| {model} | {side} | {numbers} | {waits} | {costs['peak_mb']:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
