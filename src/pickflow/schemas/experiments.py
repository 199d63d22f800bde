"""Tables of the model lab and of implicit models."""

from __future__ import annotations

import pyarrow as pa

from pickflow.schemas.table import Table

# What a picker predicts on labelled records: everything above a low threshold, so that others can be chosen later.
PREDICTIONS = Table(
    "predictions",
    pa.schema(
        [
            ("record", pa.string()),  # of LABELLED_RECORDS
            ("phase", pa.string()),  # P, S, Detection
            ("time_s", pa.float64()),  # since the record's start; of a detection its beginning
            ("end_s", pa.float64()),  # of a detection; else NaN
            ("probability", pa.float64()),
        ]
    ),
    sort=("record", "time_s", "phase"),
    key=("record", "phase", "time_s"),
    optional=("end_s",),
)

# The records that a picker was run on, and their labels; one that it could not be run on has a reason.
LABELLED_RECORDS = Table(
    "labelled_records",
    pa.schema(
        [
            ("record", pa.string()),  # dataset/name
            ("dataset", pa.string()),
            ("station", pa.string()),  # network.station
            ("event", pa.string()),  # empty: noise, or not known
            ("kind", pa.string()),  # event, noise
            ("part", pa.string()),  # train, validation, test
            ("p_s", pa.float64()),  # manual picks since the record's start; NaN: none
            ("s_s", pa.float64()),
            ("n_samples", pa.int64()),
            ("duration_s", pa.float64()),
            ("reason", pa.string()),  # why it is left out, a code; empty: it is not
            ("detail", pa.string()),
        ]
    ),
    sort=("dataset", "record"),
    key=("record",),
    optional=("reason", "detail"),
)

# A picker as an implicit model, and what becomes of its picks when weights are eliminated.
_OF_STUDENT = [
    ("form", pa.string()),  # whole: rows with weights of their own; layers: rows that share them
    ("model", pa.string()),
    ("weights", pa.string()),
    ("penalty", pa.string()),  # element, group; none: the teacher
    ("bound", pa.string()),  # of the rows of A: none, everywhere
    ("ratio", pa.float64()),  # penalty over the one that empties a row; 0: the teacher
]

IMPLICIT_SCORES = Table(
    "implicit_scores",
    pa.schema(
        [
            *_OF_STUDENT,
            ("method", pa.string()),  # teacher, lasso, magnitude
            ("refit", pa.bool_()),  # the weights that are left were fitted again
            ("n_weights", pa.int64()),
            ("n_nonzero", pa.int64()),
            ("data", pa.string()),  # synthetic, or the name of a labelled set
            ("perturbation", pa.string()),  # none, noise, gain, dropout, gap_s
            ("level", pa.float64()),
            ("phase", pa.string()),
            ("threshold", pa.float64()),
            ("n_arrivals", pa.int64()),
            ("n_picks", pa.int64()),
            ("f1", pa.float64()),  # within 0.3 s; intervals of 95 %
            ("f1_low", pa.float64()),
            ("f1_high", pa.float64()),
            ("difference", pa.float64()),  # to the teacher, after the same perturbation
            ("difference_low", pa.float64()),
            ("difference_high", pa.float64()),
            ("agreement", pa.float64()),  # F1 against the teacher's picks
        ]
    ),
    sort=(
        *("form", "model", "weights", "data", "perturbation", "level"),
        *("method", "penalty", "bound", "refit", "ratio", "phase"),
    ),
    key=(
        *("form", "model", "weights", "data", "perturbation", "level"),
        *("method", "penalty", "bound", "refit", "ratio", "phase"),
    ),
)

IMPLICIT_FITS = Table(
    "implicit_fits",
    pa.schema(
        [
            *_OF_STUDENT,
            ("place", pa.int64()),  # order of the layers
            ("layer", pa.string()),
            ("n_problems", pa.int64()),
            ("n_weights", pa.int64()),
            ("n_nonzero", pa.int64()),
            ("n_features", pa.int64()),  # weights, or groups of them
            ("n_zero", pa.int64()),
            ("n_screened_safe", pa.int64()),  # proved to be zero by the rule
            ("n_screened_gap", pa.int64()),
            ("n_checked", pa.int64()),  # problems that were solved again without screening
            ("n_false", pa.int64()),  # screened, and not zero in that solution
            ("largest_difference", pa.float64()),  # of coefficients
            ("duality_gap", pa.float64()),  # largest, over the variance of the targets
            ("lost", pa.float64()),  # share of the variance of the teacher's pre-activations
        ]
    ),
    sort=("form", "model", "weights", "place"),
    key=("form", "model", "weights", "place"),
)
