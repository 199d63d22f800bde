"""The configuration of a run as a command reads it, with all its errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pickflow.run.config_file import ConfigError, read_config
from pickflow.run.lab import trained_pickers
from pickflow.run.resolved import ResolvedRun, check_files, placed_configuration


class Checked(NamedTuple):
    """The run of a configuration (None if it cannot run), and its errors and warnings as sentences."""

    run: ResolvedRun | None
    errors: list[str]
    warnings: list[str]


def check_configuration(path: str | Path, with_files: bool = True) -> Checked:
    """
    Read a configuration as the workflow does, and continue after an error as far as possible.

    Parameters
    ----------
    path : str or Path
        YAML or JSON. Paths in it are relative to the current folder.
    with_files : bool
        Whether the files that it names must exist; with a profile they may be visible to its jobs only.
    """
    try:
        content = read_config(path)
        config = placed_configuration(content)
    except ConfigError as error:
        return Checked(None, str(error).splitlines(), [])
    run = None
    errors: list[str] = []
    warnings: list[str] = []
    try:
        check_files(config, () if with_files else ("",))
    except ConfigError as error:
        errors += str(error).splitlines()
    try:
        run = ResolvedRun.from_config(content)
        warnings += run.warnings
    except ConfigError as error:
        errors += str(error).splitlines()
    errors += unknown_data_sets(config)
    return Checked(run, errors, warnings + remarks(config))


def unknown_data_sets(config: Mapping[str, Any]) -> list[str]:
    """Errors about data sets of SeisBench that it does not have; asked here alone, because its list takes seconds."""
    names = [source["name"] for source in config["lab"]["sources"] if source["kind"] == "seisbench"]
    if not names:
        return []
    from pickflow.datasets.sources import check_name

    errors = []
    for name in names:
        try:
            check_name(name)
        except ValueError as error:
            errors.append(f"config key lab.sources: {error}")
    return errors


def remarks(config: Mapping[str, Any]) -> list[str]:
    """Warnings about a configuration."""
    sentences = []
    if config["download"]["source"] != "fdsn" and not config["download"]["inventory"]:
        sentences.append(
            "config key download.inventory: no StationXML, so that the stations have no coordinates and nothing can be"
            " associated; the target picks_all ends with the picks"
        )
    if trained_pickers(config["lab"]) and config["lab"]["training"]["optimisation"]["steps_per_epoch"] is None:
        sentences.append(
            "config key lab.training.optimisation.steps_per_epoch: null, so that the cost of the trainings depends on"
            " the number of records and is not in the estimate"
        )
    return sentences


def valid_configuration(path: str | Path, with_files: bool = True) -> ResolvedRun:
    """
    The run of a configuration without errors; see `check_configuration`.

    Raises
    ------
    ConfigError
        With all errors.
    """
    checked = check_configuration(path, with_files)
    if checked.run is None or checked.errors:
        raise ConfigError("\nERROR ".join(checked.errors))
    return checked.run


def associate_section(path: str | Path | None) -> dict[str, Any]:
    """The section associate of a configuration, or its defaults, with file names filled in."""
    from pickflow.run.settings.associate import AssociateParams

    return dict(valid_configuration(path, False).config["associate"]) if path else AssociateParams().model_dump()
