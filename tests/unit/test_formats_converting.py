"""From one format of catalogs into another."""

from __future__ import annotations

import pandas as pd

from pickflow.command_line import main
from pickflow.io.formats import catalog_tables, convert, read_bulletin
from tests.format_samples import HYPODD

TIME = pd.Timestamp("2024-01-31T23:59:57.125Z")


def test_conversion_tells_what_was_read_and_rejected(tmp_path):
    (tmp_path / "in.pha").write_text(HYPODD)
    conversion = convert(tmp_path / "in.pha", "csv", tmp_path / "out.csv", rejected_path=tmp_path / "rejected.csv")
    assert "read as hypodd: 1 events, 2 picks" in conversion.summary
    assert "lines: 7 = 3 read + 0 headers and ends + 0 set aside + 4 rejected" in conversion.summary
    assert "in.pha line 4: phase 'Lg' is neither P nor S" in conversion.summary
    assert len(pd.read_csv(tmp_path / "rejected.csv")) == 4
    assert read_bulletin(tmp_path / "out.csv").events.event_id.tolist() == ["17"]
    events, assignments, picks = catalog_tables(conversion.bulletin)
    assert (len(events), len(assignments), len(picks)) == (1, 2, 2)


def test_the_command_converts_and_its_exit_code_says_how_it_went(tmp_path, capsys):
    (tmp_path / "in.pha").write_text(HYPODD)
    words = ["convert", str(tmp_path / "in.pha"), "--out", str(tmp_path / "x"), "--to"]
    assert main([*words, "quakeml"]) == 1
    assert "4 rejected" in capsys.readouterr().out
    assert main([*words, "xls"]) == 1
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err.startswith("ERROR format 'xls' cannot be written")
    (tmp_path / "in.pha").write_text(HYPODD.split("EFG soon")[0].replace("Lg", "Sn"))
    assert main([*words, "nordic"]) == 0
