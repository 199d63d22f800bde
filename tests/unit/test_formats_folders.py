"""A catalog of a run is a folder: every command that takes a file takes it too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pickflow.command_line.picker.files import sort_files
from pickflow.comparison.bulletins import read_catalog
from pickflow.comparison.sources import read_reference
from pickflow.io.formats import FORMATS, catalog_folder, convert, read_bulletin, read_folder, write_catalog
from pickflow.io.tables import write_table
from pickflow.run.configuration import files_at
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS
from tests.unit.test_formats import TIME, small_catalog


@pytest.fixture
def folder(tmp_path):
    """The catalog folder of a small run, with its picks in the run's folder."""
    events, assignments, picks = small_catalog()
    place = tmp_path / "run" / "catalog" / "none" / "PhaseNet" / "stead" / "pyocto"
    write_table(events, EVENTS, place / "catalog.parquet", {})
    write_table(assignments, ASSIGNMENTS, place / "assignments.parquet", {})
    write_table(picks, PICKS, tmp_path / "run" / "picks" / "none" / "PhaseNet" / "stead" / "2024-01-31.parquet", {})
    return place


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"pyrocko"}))
def test_a_folder_becomes_any_format_with_the_bytes_that_the_run_writes(folder, tmp_path, format):
    conversion = convert(folder, format, tmp_path / "out")
    write_catalog(*small_catalog(), tmp_path / "expected", format)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "expected").read_bytes()
    assert conversion.bulletin.rejected.empty
    assert "picks of no event: 1" in conversion.summary


def test_a_folder_is_read_as_a_bulletin_with_the_picks_of_its_events(folder):
    for path in (folder, str(folder), folder / "catalog.parquet"):
        bulletin = read_bulletin(path)
        assert bulletin.format == "catalog"
        assert (list(bulletin.events.event_id), len(bulletin.picks)) == (["e1"], 4)
        assert set(bulletin.picks.event_id) == {"e1"}
        assert list(bulletin.picks.residual_s) == [0.25] * 4
        assert bulletin.n_read == bulletin.n_lines == 5


def test_a_folder_is_a_reference(folder):
    window = (TIME - pd.Timedelta(hours=1), TIME + pd.Timedelta(hours=1))
    reference = read_reference(str(folder), *window)
    assert (len(reference.events), len(reference.picks)) == (1, 4)
    assert sort_files([folder]).reference == folder
    assert str(read_catalog(folder).key) == "none/PhaseNet/stead/pyocto"


def test_the_tables_of_a_folder_are_what_a_run_depends_on(folder):
    assert files_at(str(folder)) == [str(folder / "catalog.parquet"), str(folder / "assignments.parquet")]
    assert files_at("data/bulletin.hpc") == ["data/bulletin.hpc"]


def test_a_folder_that_has_left_its_picks_behind_says_so(folder, tmp_path):
    alone = tmp_path / "pyocto"
    shutil.copytree(folder, alone)
    bulletin = read_bulletin(alone)
    assert (len(bulletin.events), len(bulletin.picks)) == (1, 0)
    assert bulletin.rejected.reason[0].startswith("4 arrivals whose picks are not in the run's folder")
    conversion = convert(alone, "quakeml", tmp_path / "out.xml")
    assert "4 arrivals whose picks are not" in conversion.summary
    assert len(read_bulletin(tmp_path / "out.xml").events) == 1


def test_another_folder_is_a_named_error(tmp_path):
    assert catalog_folder(tmp_path) is None
    for read in (read_bulletin, read_catalog, lambda path: convert(path, "csv", tmp_path / "out")):
        with pytest.raises(ValueError, match=r"no catalog\.parquet; give a catalog folder of a run"):
            read(tmp_path)


def test_a_name_without_ending_stands_for_the_files_of_a_bulletin(tmp_path):
    from tests.unit.test_formats_ogs import END, card

    (tmp_path / "bulletin.dat").write_text(f"{card()}\n{END}\n")
    stem = Path(tmp_path / "bulletin")
    assert len(read_bulletin(stem).picks) == len(read_catalog(stem).picks) == 1


def test_a_folder_has_the_stations_as_they_were_on_its_days(folder):
    moved = pd.DataFrame({"network": "AA", "station": "MOV", "latitude_deg": [-20.0, 46.0], "longitude_deg": 13.0})
    move = pd.Timestamp("2020-01-01", tz="UTC")
    moved = moved.assign(elevation_m=0.0, starttime=[None, move], endtime=[move, None])
    write_table(moved, STATIONS, folder.parents[4] / "inventory" / "stations.parquet", {})
    assert list(read_folder(folder).stations.latitude_deg) == [46.0]
