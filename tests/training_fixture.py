"""Records of which one sees where the arrivals are, and a training on them in a process of its own."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from pickflow.datasets.memory import dataset_of
from pickflow.datasets.records import Record
from pickflow.run.settings.training import NO_CHANGES, Labels, Optimisation, Training

OPTIMISATION = Optimisation(
    epochs=3,
    batch_size=4,
    learning_rate=0.003,
    schedule="cosine",
    average_decay=0.5,
    checkpoint_steps=1,
    validation_windows=6,
)
TRAINING = Training(optimisation=OPTIMISATION, labels=Labels(arrival_weight=20))


class Reader:
    """Stands for a data set of which the readings are noted, and some records cannot be read."""

    def __init__(self, dataset, unreadable=()):
        self.name, self.table, self.readings = dataset.name, dataset.table, []
        self._dataset, self._unreadable = dataset, set(unreadable)

    def read(self, rows):
        self.readings.append(list(rows))
        return [record for record in self._dataset.read(rows) if record.name not in self._unreadable]


def set_of(*records):
    return dataset_of(records, "spikes")


def spike_record(index, n_samples=3001, noise=0.0, part="train", **picks):
    """A spike of 1 on Z at P, and one on N and E at S."""
    rng = np.random.default_rng(index)
    samples = noise * rng.standard_normal((3, n_samples)).astype(np.float32)
    for phase, at in picks.items():
        rows = [0] if phase == "P" else [1, 2]
        samples[rows, int(at)] = 1
    return Record(
        name=f"r{index}",
        dataset="spikes",
        station="XA.A",
        event=f"e{index}" if picks else "",
        kind="event" if picks else "noise",
        part=part,
        samples=samples,
        picks={phase: float(at) for phase, at in picks.items()},
    )


def spikes(n=8, n_samples=3001, first=0, phases="PS", **options):
    """A set of records with P in the first half and S up to 6 s later."""
    records = []
    for index in range(first, first + n):
        rng = np.random.default_rng(index)
        p = int(rng.integers(300, n_samples // 2))
        picks = {"P": p, "S": p + int(rng.integers(200, 600))}
        picks_of_phases = {phase: at for phase, at in picks.items() if phase in phases}
        records.append(spike_record(index, n_samples, **options, **picks_of_phases))
    return set_of(*records)


def both_parts(**options):
    train, validation = spikes(8, noise=0.02, **options), spikes(6, first=100, noise=0.02, part="validation", **options)
    return set_of(*train.read(), *validation.read())


def unchanged(**changes):
    """Windows as their records are, but for what is named."""
    return NO_CHANGES.changed(**{"shift": 0.0, **changes})


def main(folder, kill_at):
    """Train; ``kill_at`` is the step after which this process kills itself, or -1."""
    from pickflow.train.picker import train_picker

    def on_step(n_done, total, loss):
        if n_done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    train_picker("EQT", both_parts(n_samples=6000), TRAINING, 1, Path(folder), on_step=on_step)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
