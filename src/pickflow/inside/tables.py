"""The numbers of a look inside, as tables."""

from __future__ import annotations

import pyarrow as pa

from pickflow.schemas import Table

# Of each phase, with p_ or s_ before the name; null if the picker does not have the phase.
_NUMBERS = (
    "change",  # mean over the windows of the largest change of the probability anywhere in them, 0 to 1
    "at_arrival",  # mean of the highest probabilities within 0.1 s of the arrivals
    "precision",  # of the picks, 0.3 s
    "recall",
    "f1",
    "mae_s",  # mean absolute error of the picks within 0.5 s
)
_OF_PHASES = tuple(f"{phase}_{name}" for phase in "ps" for name in _NUMBERS)
_COMPARED = ("safe_dropped", "safe_stays_up_to")

# A row for each part of a picker that was silenced; position 0: the whole picker.
SENSITIVITIES = Table(
    "sensitivities",
    pa.schema(
        [
            ("model", pa.string()),
            ("weights", pa.string()),
            ("position", pa.int64()),  # in the order of computation
            ("part", pa.string()),
            ("kind", pa.string()),  # nothing, component, channels, layer, direction, states, attention, block
            ("layer", pa.string()),  # name of the module
            ("channels", pa.string()),  # numbers of those that were silenced, comma-separated; empty: all
            *((name, pa.float64()) for name in (*_OF_PHASES, *_COMPARED)),
            ("variants_without", pa.string()),  # names of EQTransformer's variants that lack it, comma-separated
        ]
    ),
    sort=("model", "weights", "position"),
    key=("model", "weights", "position"),
    optional=(*_OF_PHASES, *_COMPARED, "variants_without"),
)

# Shapley values of the components of each window that was shown.
ATTRIBUTIONS = Table(
    "attributions",
    pa.schema(
        [
            ("model", pa.string()),
            ("weights", pa.string()),
            ("window", pa.string()),
            ("phase", pa.string()),
            ("quantity", pa.string()),  # probability (at the arrival), time_error_s
            ("component", pa.string()),
            ("shapley_value", pa.float64()),
            ("whole", pa.float64()),  # with all components
            ("nothing", pa.float64()),  # with none
        ]
    ),
    sort=("model", "weights", "window", "phase", "quantity", "component"),
    key=("model", "weights", "window", "phase", "quantity", "component"),
)
