"""A configuration that can run, and everything that is derived from it before computing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pickflow.models.registry import PICKERS
from pickflow.run import effects, grid, lab, plan, stations_of_days, students
from pickflow.run.config_file import ConfigError, check_values
from pickflow.run.configuration import check_paths, complete, files_of, place
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import RunLayout, shared_folder
from pickflow.run.settings.implicit import ImplicitParams
from pickflow.schemas import CATALOG_FILE
from pickflow.versions import STAGE_VERSIONS
from pickflow.windows import ONE_DAY, day_window, days_between, parse_time

# Tables of the analysis: of the run, of each set of picks, of each catalog.
_FINDINGS_OF_RUN = ("ledger", "reference", "reference_picks")
_FINDINGS_OF_PICKS = ("pick_matches", "pick_scores")
_FINDINGS_OF_CATALOG = ("matches", "event_scores", "missed_events", "new_events", "wadati")


def placed_configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration completed and checked, with ``<results>`` and ``<shared>`` filled in."""
    completed = complete(config)
    folder = RunLayout.of(completed["run"]).folder
    config_placed = place(completed, {"results": str(folder), "shared": shared_folder()})
    check_values(config_placed)  # once more
    return config_placed


def check_files(config: Mapping[str, Any], remote_paths: Sequence[str] = ()) -> None:
    """
    Check the files that a configuration names.

    Parameters
    ----------
    config : mapping
        See `placed_configuration`.
    remote_paths : sequence of str
        Beginnings of paths that only jobs see.

    Raises
    ------
    ConfigError
        If files do not exist, or one is no velocity model; with all errors, one in a line.
    """
    from pickflow.travel_times.files import read_velocity_model

    errors = []
    try:
        check_paths(config, made_by_run=(f"{RunLayout.of(config['run']).folder}/", *remote_paths))
    except ConfigError as error:
        errors.append(str(error))
    velocity = config["associate"]["velocity_model"]["file"]
    if velocity and Path(velocity).exists():  # it is needed late, and wrong units are frequent
        try:
            read_velocity_model(velocity)
        except ValueError as error:
            errors.append(f"config key associate.velocity_model.file: {error}")
    if errors:
        raise ConfigError("\n".join(errors))


@dataclass(frozen=True)
class ResolvedRun:
    """
    A configuration that can run, and everything derived from it; see `ResolvedRun.from_config`.

    Parameters
    ----------
    config : dict
        Completed, with the places filled in.
    layout : RunLayout
        Paths of the run.
    candidates : list of Candidate
        Requested models and weights that exist.
    students : dict of Candidate to list of Candidate
        Compressed pickers by their teacher.
    warnings : list of str
        Messages on requested ones that do not exist.
    """

    config: dict[str, Any]
    layout: RunLayout
    candidates: list[Candidate]
    students: dict[Candidate, list[Candidate]]
    warnings: list[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ResolvedRun:
        """
        Complete and check a configuration, and determine its pickers and teachers.

        Parameters
        ----------
        config : mapping
            As it was read.

        Raises
        ------
        ConfigError
            Naming the key, the value and the remedy.
        """
        completed = placed_configuration(config)
        pick, weights = completed["pick"], completed["weights"]
        trained = lab.trained_pickers(completed["lab"])
        candidates, warnings = grid.resolve_grid(
            pick["models"], pick["weights"], pick["pairs"], weights["cache"], weights["files"], trained
        )
        for form in ("whole", "layers"):
            names = [pair.partition("/")[0] for pair in completed["implicit"][form]]
            grid.check_models(f"implicit.{form}", names, list(PICKERS))
        teachers = students.resolve_students(completed["compress"], candidates)
        return cls(completed, RunLayout.of(completed["run"]), candidates, teachers, warnings)

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Half-open [start, end)."""
        return parse_time(self.config["starttime"]), parse_time(self.config["endtime"])

    @property
    def span(self) -> list[str]:
        """The same in canonical form."""
        return [moment.isoformat() for moment in self.window]

    @property
    def days(self) -> list[str]:
        """Days of the run, ``YYYY-MM-DD``."""
        return days_between(*self.window)

    @property
    def day_share(self) -> list[float]:
        """Part of each day that the run covers."""
        windows = (day_window(day, *self.window) for day in self.days)
        return [(end - start) / ONE_DAY for start, end in windows]

    @property
    def signals(self) -> list[str]:
        """Methods of denoising, each of which is a signal that pickers read."""
        return list(self.config["denoise"]["methods"])

    @property
    def pickers(self) -> list[Candidate]:
        """All pickers: each teacher is followed by its students."""
        return [pair for candidate in self.candidates for pair in (candidate, *self.students.get(candidate, []))]

    @property
    def denoiser(self) -> Candidate:
        """The network that denoises, if one of the methods is one."""
        return Candidate("DeepDenoiser", self.config["denoise"]["weights"])

    @property
    def trained(self) -> list[Candidate]:
        """Pickers that the lab trains."""
        return lab.trained_pickers(self.config["lab"])

    @property
    def lab_teachers(self) -> list[Candidate]:
        """Pickers whose probabilities the lab learns."""
        return lab.teachers(self.config["lab"])

    @property
    def fetched(self) -> list[Candidate]:
        """Models whose weights are fetched."""
        published = [pair for pair in self.candidates if pair not in self.trained]
        return published + ([self.denoiser] if "deepdenoiser" in self.signals else [])

    @property
    def student_names(self) -> list[str]:
        """Names of the students of each teacher, without the teacher's."""
        return students.student_names(self.config["compress"])

    @property
    def quantised_names(self) -> list[str]:
        """Those of them that compute in 8-bit integers."""
        return [name for name in self.student_names if students.read_student(name).int8]

    @property
    def quantised(self) -> list[Candidate]:
        """Students that compute in 8-bit integers."""
        return [
            Candidate(model, f"{weights}-{name}") for model, weights in self.students for name in self.quantised_names
        ]

    @property
    def implicit_pickers(self) -> list[tuple[str, str, str]]:
        """Form, model and weights of the pickers that become implicit models; with any, the run is that experiment."""
        return ImplicitParams(**self.config["implicit"]).pickers()

    @property
    def pick_sets(self) -> list[PickSetKey]:
        """Every picker on every signal."""
        return [PickSetKey(signal, *pair) for signal in self.signals for pair in self.pickers]

    @property
    def catalogs(self) -> list[CatalogKey]:
        """Every set of picks with every associator."""
        return [CatalogKey(picks, name) for picks in self.pick_sets for name in self.config["associate"]["methods"]]

    @property
    def catalog_files(self) -> list[str]:
        """Names of the files of a catalog, one for each requested format."""
        return [CATALOG_FILE[name] for name in self.config["catalog"]["formats"]]

    @property
    def findings(self) -> list[Path]:
        """Tables of the analysis."""
        finding = self.layout.finding
        return [
            *(finding(table) for table in _FINDINGS_OF_RUN),
            *(finding(table, picks) for picks in self.pick_sets for table in _FINDINGS_OF_PICKS),
            *(finding(table, catalog) for catalog in self.catalogs for table in _FINDINGS_OF_CATALOG),
        ]

    @property
    def named_files(self) -> list[str]:
        """Files of the configuration that stages read."""
        analyze, associate = (files_of(self.config[section]).values() for section in ("analyze", "associate"))
        return [*self.config["download"]["inventory"], *analyze, *associate]

    @property
    def n_stations(self) -> int | None:
        """Number of stations; None where only a server has it."""
        download = self.config["download"]
        n_stations = plan.count_stations(download["inventory"], self.layout.stations, download["stations"])
        if n_stations is None and self.layout.is_synthetic(download["path"]):
            return len(self.config["synthesize"]["stations"])
        return n_stations

    def params(self, rule: str, stage: str, section: str = "") -> dict[str, Any]:
        """Version and settings of a rule: the keys that change its results, and no others; see `effects`."""
        return {"stage_version": STAGE_VERSIONS[stage], "settings": self.settings(rule, section or stage)}

    def settings(self, rule: str, section: str) -> dict[str, Any]:
        """The part of a section that changes the results of a rule."""
        return effects.settings_of(rule, section, self.config)

    @property
    def velocity(self) -> dict[str, Any]:
        """Settings of the rules that predict travel times."""
        return effects.velocity_settings(self.config["associate"]["velocity_model"])

    @property
    def span_of_inventory(self) -> list[str]:
        """Span of requests to data centres; empty for files and archives, which have all times and are read once."""
        download = self.config["download"]
        return self.span if download["source"] == "fdsn" and not download["inventory"] else []

    @property
    def inventory(self) -> dict[str, Any]:
        """Request of the inventory; see `pickflow.run.stations_of_days`."""
        return stations_of_days.request_of(self.settings("inventory", "download"), self.span_of_inventory)

    @property
    def settings_of_report(self) -> dict[str, Any]:
        """Part of the configuration in the report: the keys that the run reads and that change its results."""
        unused_sections = {"train", "implicit", "catalog"} | (set() if self.students else {"compress"})
        unused_sections |= set() if self.trained else {"lab"}
        if not any(map(self.layout.is_synthetic, (self.config["download"]["path"], *self.named_files))):
            unused_sections.add("synthesize")
        times = dict(zip(("starttime", "endtime"), self.span, strict=True))
        return effects.settings_of_results(self.config, unused_sections) | times
