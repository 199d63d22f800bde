"""Training of any picker on the records of any data set."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pickflow.datasets import provenance
from pickflow.datasets.reading import Dataset
from pickflow.distillation import logits_of
from pickflow.io.atomic import write_text
from pickflow.models.cards import write_model
from pickflow.models.loading import untrained
from pickflow.models.seisbench_internals import annotate_defaults
from pickflow.optimisation import ONE_PROCESS, Clock, Pace, Processes, Task, optimise
from pickflow.optimisation.fast_layers import speed_up
from pickflow.provenance import sha256_of_bytes
from pickflow.run.settings.section import affects_of
from pickflow.run.settings.training import NO_CHANGES, Optimisation, Training
from pickflow.train.curves import draw_curves
from pickflow.train.describe import describe_picker
from pickflow.train.record_windows import RecordWindows
from pickflow.train.selection import Judge, training_loss

log = logging.getLogger(__name__)

HISTORY_FILE = "history.json"
CURVES_FILE = "curves.png"
CHECKPOINT_FILE = "checkpoint.safetensors"
_BATCH_SCORED = 50  # most windows that are scored at once

OnStep = Callable[[int, int, float], None]
OnEpoch = Callable[[dict[str, float]], None]


def _nothing(*_: Any) -> None:
    """Do nothing."""


def train_picker(
    name: str,
    dataset: Dataset,
    settings: Training,
    seed: int,
    folder: str | Path,
    *,
    weights: str = "trained",
    teachers: Sequence[str] = (),
    device: str = "cpu",
    processes: Processes = ONE_PROCESS,
    on_step: OnStep = _nothing,
    on_epoch: OnEpoch = _nothing,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """
    Train a picker and write it; after a kill the same call goes on with its last checkpoint, to the same bytes.

    Parameters
    ----------
    name : str
        Of an entry of `pickflow.models.registry`, or of a class of SeisBench.
    dataset : Dataset
        The picker learns from its part ``train``; ``validation`` chooses the epoch and the thresholds.
    settings : Training
        Windows, labels and optimisation.
    seed : int
        Of first weights, windows and dropout.
    folder : str or Path
        Gets ``model.safetensors``, ``card.json``, ``history.json`` (an entry for each epoch), ``curves.png``, and
        ``checkpoint.safetensors`` while it works.
    weights : str
        Name of the weights in the card.
    teachers : sequence of str
        MODEL/WEIGHTS of those whose probabilities are stored in the data set as labels; the card names them, and what
        they were trained on.
    device : str
        Of torch, such as ``cpu`` or ``cuda``.
    processes : Processes
        Those that train together, see `pickflow.optimisation.join_processes`; the first one writes.
    on_step, on_epoch : callable
        Called as ``on_step(steps done, steps in all, loss)`` and ``on_epoch(entry of the history)``.
    clock : Clock or None
        Tells how long the network has waited for windows.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        If there is no such picker, a part has no arrivals, a label of the picker cannot be made, a batch cannot be
        shared by the processes, or a loss is not finite.
    """
    folder, clock = Path(folder), clock or Clock()
    train, validation = (part_of_set(dataset, part) for part in ("train", "validation"))
    optimisation = settings.optimisation
    model = _first_weights(name, optimisation, seed, device)
    windows = _windows(model, train, settings, seed, processes)
    task = Task(
        model=model,
        logits=logits_of,
        loss=training_loss(model, settings.labels, train.phases),
        batches=windows.batches,
        judge=make_judge(model, validation, settings, seed, train.phases) if processes.first else _unjudged,
        on_step=on_step,
        on_epoch=on_epoch,
        processes=processes,
        clock=clock,
    )
    pace = make_pace(optimisation, windows.n_records, seed)
    mark = fingerprint(name, model.get_model_args(), dataset, settings, seed, teachers, processes.n)
    history = optimise(task, pace, folder / CHECKPOINT_FILE, mark)
    log.info("%s: the network waited for windows %.1f %% of its time", name, 100 * clock.waiting_share)
    card = make_card(name, model, dataset, settings, seed, history) | {"weights": weights}
    if teachers:
        sets = [entry for teacher in teachers for entry in provenance.sets_of_weights(*teacher.split("/", 1))]
        card |= {"teacher": ", ".join(teachers), provenance.KEY: [*card[provenance.KEY], *sets]}
    return _write(folder, model, card, history) if processes.first else card


def _first_weights(name: str, optimisation: Optimisation, seed: int, device: str) -> Any:
    norm = {"norm": optimisation.normalisation} if optimisation.normalisation else {}
    model = untrained(name, seed, **norm).to(device)
    if optimisation.fast_layers and device == "cpu":
        speed_up(model)
    return model


def _windows(model: Any, train: Dataset, settings: Training, seed: int, processes: Processes) -> RecordWindows:
    return RecordWindows(
        model,
        train,
        settings.augmentation,
        settings.labels,
        batch_size=settings.optimisation.batch_size,
        seed=seed,
        memory_gb=settings.optimisation.memory_gb,
        threads=settings.optimisation.threads,
        processes=processes,
    )


def _unjudged(_: Any) -> dict[str, float]:
    """Stand for the judge of the first process, which tells the others."""
    raise AssertionError("only the first process judges")


def part_of_set(dataset: Dataset, part: str) -> Dataset:
    """
    A part that a training needs.

    Raises
    ------
    ValueError
        If it is empty.
    """
    chosen = dataset.select(part=part)
    if not len(chosen):
        raise ValueError(
            f"training: of {len(dataset)} records of {dataset.name} none is in the part {part}; take more records, or"
            " another seed or shares of the split"
        )
    return chosen


def make_pace(optimisation: Optimisation, n_records: int, seed: int) -> Pace:
    """Length and pace of a training on a number of records."""
    epoch_steps = optimisation.steps_per_epoch or -(-n_records // optimisation.batch_size)
    return Pace(
        n_steps=optimisation.epochs * epoch_steps,
        epoch_steps=epoch_steps,
        learning_rate=optimisation.learning_rate,
        weight_decay=optimisation.weight_decay,
        schedule=optimisation.schedule,
        gradient_norm=optimisation.gradient_norm,
        average_decay=optimisation.average_decay,
        patience=optimisation.patience,
        dropout=optimisation.dropout,
        bfloat16=optimisation.precision == "bfloat16",
        checkpoint_steps=optimisation.checkpoint_steps,
        seed=seed,
    )


def make_judge(model: Any, dataset: Dataset, settings: Training, seed: int, phases: tuple[str, ...]) -> Judge:
    """
    Judge of the epochs, on one window of each record of the validation part, or of as many as the settings ask for.

    Parameters
    ----------
    model : WaveformModel
    dataset : Dataset
        The validation part.
    settings : Training
    seed : int
        Of the place of the windows; nothing else is changed.
    phases : tuple of str
        That the picker learns; those without an arrival in the windows are not scored.

    Raises
    ------
    ValueError
        If the windows have no arrival.
    """
    n_windows = min(settings.optimisation.validation_windows, len(dataset.table))
    size = min(n_windows, _BATCH_SCORED)
    source = RecordWindows(
        model,
        dataset,
        NO_CHANGES,
        settings.labels,
        batch_size=size,
        seed=seed,
        memory_gb=settings.optimisation.memory_gb,
    )
    # The records of a last batch that is not full are followed by the first ones, which are scored already.
    starts = range(0, n_windows, size)
    drawn = [source.draw(step).head(n_windows - start) for step, start in enumerate(starts)]
    batches = [source.batch(windows) for windows in drawn]
    blinding = annotate_defaults(model).get("blinding") or (0, 0)
    return Judge(batches, drawn, settings, phases, float(model.sampling_rate), blinding)


def fingerprint(
    name: str,
    arguments: Mapping[str, Any],
    dataset: Dataset,
    settings: Training,
    seed: int,
    teachers: Sequence[str],
    n_processes: int,
) -> str:
    """Digest of all that decides the weights and their card."""
    data = provenance.fingerprint(dataset)
    decides = [name, arguments, data, deciding(settings), seed, list(teachers), n_processes]
    return sha256_of_bytes(json.dumps(decides, sort_keys=True, default=str).encode())


def deciding(settings: Training) -> dict[str, Any]:
    """Settings, without those that affect nothing."""
    values = settings.model_dump()
    for key, field in Optimisation.model_fields.items():
        if "nothing" in affects_of(field):
            del values["optimisation"][key]
    return values


def make_card(
    name: str,
    model: Any,
    dataset: Dataset,
    settings: Training,
    seed: int,
    history: list[dict[str, float]],
) -> dict[str, Any]:
    """
    Card of a picker, without the digest that `write_model` adds.

    It says which sets the picker was trained on, how they were split (see `pickflow.datasets.provenance`), and how many
    records of each kind each part has; its thresholds are those at which the kept epoch makes as many picks as it may.
    """
    best_epoch = max(history, key=lambda entry: entry["score"])
    thresholds = {
        phase: round(best_epoch[key], 4) for phase in "PS" if (key := f"threshold_{phase.lower()}") in best_epoch
    }
    counts = (dataset.table.part + " " + dataset.table.kind).value_counts().sort_index()
    return {
        **describe_picker(name, model, thresholds),
        provenance.KEY: provenance.training_sets(dataset),
        "training_data": {
            "counts": {str(kind): int(n) for kind, n in counts.items()},
            "phases": list(dataset.select(part="train").phases),
        },
        "training_parameters": deciding(settings),
        "epoch": int(best_epoch["epoch"]),
        "teacher": None,
        "parent": None,
        "seed": seed,
    }


def _write(folder: Path, model: Any, card: Mapping[str, Any], history: list[dict[str, float]]) -> dict[str, Any]:
    complete = write_model(folder, model.state_dict(), card)
    write_text(folder / HISTORY_FILE, json.dumps(history, indent=2, sort_keys=True) + "\n")
    draw_curves(history, folder / CURVES_FILE)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    return complete
