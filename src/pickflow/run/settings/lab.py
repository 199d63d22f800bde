"""Section ``lab`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from pickflow.run.settings.section import Number, Section, Text, Unique, Whole, key, refusal
from pickflow.run.settings.training import Training


class LabSource(Section):
    """A source of labelled records."""

    name: Text = key(
        ...,
        "Name of the set in tables and cards; of a SeisBench data set its own, such as STEAD, STEADmini or ETHZ.",
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    )
    kind: Literal["folder", "seisbench", "synthetic", "run", "archive"] = key(
        "folder",
        "folder - a set in SeisBench's format; seisbench - a set that SeisBench downloads; synthetic - pickflow's own "
        "generator; run - windows of a run of pickflow, with the picks of its catalog; archive - windows of an SDS "
        "archive, with the arrivals on which most of lab.teachers agree, for the training part alone.",
    )
    path: Text | None = key(None, "Folder of the set, of the run, or of the archive.")
    n_events: Whole | None = key(None, "Most records of events; null takes all.", ge=0)
    n_noise: Whole | None = key(None, "Most records of noise; null takes all.", ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind in ("folder", "run", "archive")) != (self.path is not None):
            way_out = "needs the folder" if self.path is None else "takes none"
            raise refusal("path", f"{self.kind} {way_out}")
        if self.kind == "synthetic" and None in (self.n_events, self.n_noise):
            raise refusal("n_events", "the generator has no end; write n_events and n_noise")
        if self.kind == "archive" and (self.n_events, self.n_noise) != (None, None):
            raise refusal("n_events", "all windows of an archive are used; leave n_events and n_noise out")
        return self


class LabSplit(Section):
    """Parts of the data."""

    by: Literal["event", "station", "both", "column"] = key(
        "both",
        "What no two parts share - event, station, or both (records whose event and station fall into different parts "
        "are left out); column takes the parts that a set names.",
    )
    train: Number = key(0.85, "Share of the training part.", gt=0, lt=1)
    validation: Number = key(0.05, "Share of the part that thresholds and the best epoch are chosen on.", gt=0, lt=1)
    seed: Whole = key(1, "Which of the possible splits, and which synthetic records.", ge=0)

    @model_validator(mode="after")
    def _leave_a_test(self) -> Self:
        if self.train + self.validation >= 1:
            raise refusal("train", f"{self.train:g} and validation, {self.validation:g}, leave nothing for the test")
        return self


class LabInside(Section):
    """Looking inside trained pickers."""

    AFFECTS: ClassVar = ("lab_inside",)

    n_windows: Whole = key(60, "Windows of the test part that the sensitivity is measured on.", ge=1)


class LabParams(Section):
    """The model lab: pickers that are trained on the same data, compared, and looked into; empty without variants."""

    AFFECTS: ClassVar = ("lab_data",)

    variants: Annotated[tuple[Text, ...], Unique] = key(
        (),
        "Pickers to train, by their name, such as EQT and its variants BCLOS, BC, BO, PhaseNet or PickflowNet. Each "
        "picks in this run, too, with the weights lab-SEED.",
        affects="paths",
    )
    seeds: Annotated[tuple[Whole, ...], Unique] = key(
        (1,), "Trainings of each, by their seed.", affects="paths", min_length=1
    )
    reference: Text = key("EQT", "The picker that the others are compared with.", affects="lab_table")
    sources: tuple[LabSource, ...] = key((), "Where the records come from.")
    split: LabSplit = LabSplit()
    teachers: tuple[Text, ...] = key(
        (), "MODEL/WEIGHTS that label the training part, see teaching; empty takes the manual picks."
    )
    teaching: Literal["mean", "agreement"] = key(
        "mean",
        "mean - the mean probabilities of the teachers are the labels, in place of manual picks; agreement - manual "
        "picks, and arrivals on which most of the teachers agree. Synthetic records then need no teacher.",
    )
    training: Training = key(Training(), "How they are trained; all in the same way.", affects="lab_train")
    bootstrap: Whole = key(1000, "Resamplings of the events behind each interval.", affects="lab_table", ge=10)
    inside: LabInside = LabInside()
