"""The experiment with one picker: tables of scores and of fits, and the certificate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from threadpoolctl import threadpool_limits

from pickflow.implicit.experiment.data import WindowSet, labelled_windows, set_names, synthetic_windows
from pickflow.implicit.experiment.layers import LayeredPicker
from pickflow.implicit.experiment.perturbation import KINDS, perturb
from pickflow.implicit.experiment.scores import (
    PHASES,
    Picks,
    arrivals_of,
    choose_thresholds,
    counts,
    f1_of,
    picks_of,
    score,
)
from pickflow.implicit.experiment.students import Student
from pickflow.implicit.experiment.whole import WholePicker
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.progress import Progress
from pickflow.run.settings.implicit import ImplicitParams

logger = logging.getLogger(__name__)

FORMS: dict[str, type[WholePicker] | type[LayeredPicker]] = {"whole": WholePicker, "layers": LayeredPicker}


class Findings(NamedTuple):
    """
    What the experiment says about a picker.

    Parameters
    ----------
    scores : DataFrame
        `IMPLICIT_SCORES`.
    fits : DataFrame
        `IMPLICIT_FITS`.
    certificate : dict
        False eliminations of all lassos, what was not fitted, which labelled records were left out, and what the bound
        of A means.
    """

    scores: pd.DataFrame
    fits: pd.DataFrame
    certificate: dict[str, Any]


def study_picker(folder: Path, form: str, params: ImplicitParams, progress: Progress) -> Findings:
    """
    Make a picker sparse in all ways asked for, and score what becomes of its picks.

    Parameters
    ----------
    folder : Path
        Of the teacher, with card and tensors.
    form : {"whole", "layers"}
        One equation with weights of its own in every row, or layers whose rows share them.
    params : ImplicitParams
    progress : callable
        Called as ``progress(what, done, total)``.

    Raises
    ------
    ValueError
        If the picker has no such form, or a labelled set cannot be read; saying why.
    """
    model, card = load_model(folder), read_card(folder)
    name = {"form": form, "model": card["model"], "weights": card["weights"]}
    with threadpool_limits(limits=1):  # sums of several threads depend on how many they are
        n_samples = params.whole_samples if form == "whole" else int(model.in_samples)
        calibration, development, *tests = _windows(params, n_samples)
        picker = FORMS[form](model, calibration, params, progress)
        rows = list(_scores(picker.students(), development, tests, list(model.labels), params))
        fits = pd.DataFrame(picker.account.rows())
        certificate = {
            **name,
            "n_checked": int(fits["n_checked"].sum()),
            "n_false_eliminations": int(fits["n_false"].sum()),
            "largest_difference": float(fits["largest_difference"].max()),
            "not_fitted": picker.not_fitted,
            "left_out": [{"data": windows.name, **record} for windows in tests for record in windows.left_out],
            "bound": picker.bound(),
        }
    if certificate["n_false_eliminations"]:
        logger.warning("%d weights were eliminated that are not zero", certificate["n_false_eliminations"])
    return Findings(pd.DataFrame(rows).assign(**name), fits.assign(**name), certificate)


def _windows(params: ImplicitParams, n_samples: int) -> list[WindowSet]:
    """Calibration, development, synthetic test, labelled sets."""
    snr_db = (params.min_snr_db, params.max_snr_db)
    numbers = {"calibration": params.n_calibration, "development": params.n_development, "test": params.n_test}
    synthetic = [synthetic_windows(part, n, n_samples, snr_db, params.seed) for part, n in numbers.items()]
    names = set_names(params.labelled)
    return synthetic + [
        labelled_windows(folder, name, n_samples, params.seed)
        for folder, name in zip(params.labelled, names, strict=True)
    ]


def _cases(tests: list[WindowSet], student: Student, params: ImplicitParams) -> Iterator[tuple[WindowSet, str, float]]:
    """Test windows of a student, with what was done to them."""
    for windows in tests:
        yield windows, "none", 0.0
        if student.method != "teacher" and not _is_perturbed(student, params):
            continue
        for kind in KINDS:
            for level in getattr(params.perturbations, kind):
                yield perturb(windows, kind, level, params.seed), kind, level


def _is_perturbed(student: Student, params: ImplicitParams) -> bool:
    """Students of one size: sparse and pruned, fitted again or not."""
    return student.setting == ("element", "none", params.perturbed_ratio)


def _scores(
    students: Iterator[Student],
    development: WindowSet,
    tests: list[WindowSet],
    labels: list[str],
    params: ImplicitParams,
) -> Iterator[dict[str, Any]]:
    """Rows of `IMPLICIT_SCORES`; the teacher comes first, and is the reference of the others."""
    of_teacher: dict[tuple[str, str, float], dict[str, Picks]] = {}
    for student in students:
        thresholds = choose_thresholds(student.predict(development.samples), labels, development.arrivals)
        for windows, kind, level in _cases(tests, student, params):
            case = (windows.name, kind, level)
            picks = picks_of(student.predict(windows.samples), labels, thresholds)
            of_teacher.setdefault(case, picks)
            arrivals = arrivals_of(windows.arrivals)
            for phase in PHASES:
                counts_of_student, reference = (
                    counts(case_picks[phase], arrivals[phase]) for case_picks in (picks, of_teacher[case])
                )
                agreement = counts(picks[phase], of_teacher[case][phase])
                yield {
                    **student.columns(),
                    "data": windows.name,
                    "perturbation": kind,
                    "level": level,
                    "phase": phase,
                    "threshold": thresholds[phase],
                    **score(counts_of_student, reference, params.n_draws, params.seed)._asdict(),
                    "agreement": float(f1_of(agreement.sum(axis=0))),
                }
