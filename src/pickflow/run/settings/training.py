"""How any picker is trained on records: windows, labels, optimisation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pickflow.run.settings.section import Flag, Number, Section, Whole, key

# Of S - P, from S to the end of an earthquake: Mousavi et al. 2020, 10.1038/s41467-020-17591-w
CODA = 1.4


def _chance(default: float, meaning: str) -> Any:
    return key(default, f"Probability, 0 to 1, {meaning}", ge=0, le=1)


class Augmentation(Section):
    """How windows are made of records, each time anew; each change has a probability of its own."""

    ORDERED: ClassVar = (("noise_least", "noise_most"), ("second_least", "second_most"))

    shift: Number = _chance(
        0.99,
        "that a window lies anywhere; otherwise it begins with its record. A record as long as the window is rolled.",
    )
    around_arrivals: Number = _chance(
        0.67, "that a window which is shorter than its record, and lies anywhere, holds an arrival."
    )
    second_event: Number = _chance(0.6, "that another earthquake is laid over an earthquake.")
    second_least: Number = key(0.1, "Least peak of the other earthquake, as a share of the first one's.", gt=0)
    second_most: Number = key(1.0, "Largest peak of the other earthquake, as a share of the first one's.", gt=0)
    noise: Number = _chance(0.3, "of added noise, white, pink or brown.")
    real_noise: Number = _chance(0.0, "of added noise from records of noise, or from before P where there are none.")
    noise_least: Number = key(0.01, "Least standard deviation of added noise, as a share of the window's peak.", ge=0)
    noise_most: Number = key(0.15, "Largest standard deviation of added noise, as a share of the window's peak.", gt=0)
    dropped_component: Number = _chance(0.5, "that one component, or two, are missing.")
    gap: Number = _chance(0.2, "of a gap filled with zeros, of 1 s to half of the window.")
    polarity: Number = _chance(0.0, "that all components are reversed.")
    rotation: Number = _chance(0.0, "that the horizontal components are turned by any angle.")
    amplitude: Number = _chance(0.0, "that each component has a gain of its own.")
    amplitude_spread: Number = key(0.3, "Standard deviation of the logarithm of these gains.", ge=0)
    jitter: Number = _chance(0.0, "that a window is stretched, as by a clock that goes too fast.")
    jitter_share: Number = key(
        0.002,
        "Largest error of that clock, as a share; with 0.3 a window may become that of an earthquake farther away, of "
        "lower frequencies.",
        ge=0, lt=0.7,
    )  # fmt: skip
    fault: Number = _chance(0.0, "of a fault of the instrument: spikes, a step, clipping, or few counts.")


class Labels(Section):
    """What a picker is to give for a window, and what an error costs."""

    shape: Literal["gaussian", "triangle", "box"] = key("gaussian", "Curve that stands for an arrival.")
    width_s: Number = key(
        0.1, "Standard deviation of the gaussian, half of the triangle's base or of the box's width, s.", gt=0
    )
    detection_factor: Number = key(
        CODA, "An earthquake lasts from P to S and this many times S - P more (Mousavi et al., 2020).", ge=0
    )
    detection_weight: Number = key(0.05, "Weight of the loss of Detection, where labels are independent.", ge=0)
    p_weight: Number = key(0.40, "Weight of the loss of P, where labels are independent.", ge=0)
    s_weight: Number = key(0.55, "Weight of the loss of S, where labels are independent.", ge=0)
    arrival_weight: Number = key(
        0.0,
        "A sample whose P or S has the probability p counts 1 + this times p, where labels are independent; "
        "20 for the few steps of a small training.",
        ge=0,
    )


class Optimisation(Section):
    """How a picker is optimised, and which of its epochs is kept."""

    epochs: Whole = key(200, "Largest number of epochs; each is scored, and leaves a checkpoint.", ge=1)
    steps_per_epoch: Whole | None = key(None, "Steps of an epoch; null - as many as take every record once.", ge=1)
    batch_size: Whole = key(200, "Windows per step, those of all processes together.", ge=1)
    learning_rate: Number = key(0.001, "Highest rate of AdamW.", gt=0)
    schedule: Literal["stairs", "cosine", "constant"] = key(
        "stairs",
        "stairs - a tenth, hundredth ... of the rate after 20, 40, 60, 90 epochs; cosine - a rise and half a cosine "
        "down over all epochs; constant.",
    )
    weight_decay: Number = key(0.0, "Of AdamW.", ge=0)
    gradient_norm: Number | None = key(1.0, "Norm at which gradients are cut; null - nowhere.", gt=0)
    average_decay: Number = key(
        0.999, "Decay of the running average of the weights, which is scored and kept; 0 - the weights themselves.",
        ge=0, lt=1,
    )  # fmt: skip
    patience: Whole | None = key(12, "Epochs without a better score after which it ends; null - all epochs.", ge=1)
    dropout: Flag = key(True, "Whether layers drop values, as far as the picker has any that do.")
    normalisation: Literal["std", "peak"] | None = key(
        None, "What a window is divided by, of pickers that let it be chosen; null - the picker's default."
    )
    precision: Literal["float32", "bfloat16"] = key(
        "float32", "In what the network computes where it is safe; weights, labels and losses are float32."
    )
    validation_windows: Whole = key(1000, "Windows of the validation part by which an epoch is scored, at most.", ge=1)
    tolerance_s: Number = key(0.3, "Distance from an arrival within which a pick is right, s.", gt=0)
    picks_per_hour: Number | None = key(
        None, "Picks of each phase by which an epoch is scored; null - as many as there are arrivals.", gt=0
    )
    checkpoint_steps: Whole | None = key(
        None, "Steps between checkpoints; null - one for each epoch.", affects="nothing", ge=1
    )
    memory_gb: Number = key(
        2.0, "Records that are held in memory, GB; of larger sets a part at a time is, and mixed.", gt=0
    )
    processes: Whole = key(
        1,
        "Processes that train a picker together on one machine, each with a share of every batch, on a core or a GPU "
        "of its own; those that torchrun or srun starts are taken instead.",
        ge=1,
    )
    threads: Whole = key(1, "Threads that make windows in advance; 0 - none.", affects="nothing", ge=0)
    fast_layers: Flag = key(True, "On a CPU, compute layers of EQTransformer in faster forms, equal but for rounding.")


class Training(Section):
    """Training of any picker on records with labels."""

    augmentation: Augmentation = Augmentation()
    labels: Labels = Labels()
    optimisation: Optimisation = Optimisation()


# Without any change but the place of the window: what epochs are scored on.
NO_CHANGES = Augmentation(second_event=0.0, noise=0.0, dropped_component=0.0, gap=0.0)
