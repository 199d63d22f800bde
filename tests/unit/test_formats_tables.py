"""Tables as people and programs keep them: titles, units, separators, decimal commas, no identifiers."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from pickflow.io.formats import parse_bulletin, read_bulletin
from tests.format_samples import n_accounted

ROW = "1,2024-03-05T10:00:00.5,46.5,13.25,8.125,1.5"
NAMES = "id,time,latitude,longitude,depth,mag"


def read(text):
    bulletin = parse_bulletin(text.encode(), "x.csv")
    assert bulletin.n_lines == n_accounted(bulletin)
    return bulletin


@pytest.mark.parametrize(
    "text",
    [
        f"{NAMES}\n{ROW}\n",
        f"# made by somebody, at some time\n# id, of what\n{NAMES}\n{ROW}\n",
        f"Earthquakes of 2024, in the Alps\n\n{NAMES}\n{ROW}\n",
        f"sep=;\n{NAMES}\n{ROW}\n".replace(",", ";"),
        f"{NAMES}\n{ROW}\n".replace(",", ";").replace(".", ","),
        f"{NAMES}\n{ROW}\n".replace(",", "\t").replace(".", ","),
        f",{NAMES}\n0,{ROW}\n",
        f"{NAMES.upper()}\n{ROW}\n",
        '"id","time","latitude","longitude","depth","mag"\n"1","2024-03-05T10:00:00.5","46.5","13.25","8.125","1.5"\n',
        f"ID,Origin Time (UTC),Latitude (deg),Longitude [deg],Depth (km),Magnitude (ML)\n{ROW}\n",
        f"id,time,lat,lon,Depth/km,mag\n{ROW}\n",
        f"id,time,lat,lon,Depth (m),mag\n{ROW}\n".replace("8.125", "8125"),
        f"id,time,lat,lon,depth[m],mag\n{ROW}\n".replace("8.125", "8125"),
        f"{NAMES},,\n{ROW},,\n",
        f"{NAMES}\n{ROW},,\n",
        f"id,Date,Time,latitude,longitude,depth,mag\n{ROW}\n".replace("05T10", "05,10"),
        f"{NAMES}\n{ROW}\n".replace("T10:00:00.5", "T12:00:00.5+02:00"),
    ],
)
def test_the_same_event_is_read_however_it_is_kept(text):
    bulletin = read(text)
    [row] = bulletin.events.to_dict("records")
    assert (row["event_id"], row["time"]) == ("1", pd.Timestamp("2024-03-05T10:00:00.5Z"))
    assert (row["latitude_deg"], row["longitude_deg"], row["depth_km"], row["magnitude"]) == (46.5, 13.25, 8.125, 1.5)
    assert bulletin.rejected.empty


def test_events_without_identifiers_are_named_by_their_times():
    row = ROW.partition(",")[2]
    bulletin = read(f"{NAMES[3:]}\n{row}\n{row}\n,46.5,13.25,8,1\n")
    assert list(bulletin.events.event_id) == ["20240305T100000.50", "20240305T100000.50-2"]
    assert list(bulletin.rejected.line) == [4]


def test_a_local_time_by_name_and_a_date_that_is_ambiguous_are_no_times():
    bulletin = read(f"{NAMES}\n{ROW}\n2,2024-03-05T10:00:00 CET,46,13,8,1\n3,05/03/2024 10:00,46,13,8,1\n")
    assert list(bulletin.rejected.line) == [3, 4]
    assert bulletin.rejected.reason.str.contains("is no time").all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(90), "ZIP archive or an Excel workbook"),
        (b"\x1f\x8b" + bytes(90), "gzip"),
        (b"\xd0\xcf\x11\xe0" + bytes(90), "Excel workbook; save the sheet"),
    ],
)
def test_a_packed_file_says_what_to_do(content, words):
    with pytest.raises(ValueError, match=words):
        parse_bulletin(content, "x.csv")


def test_one_very_long_line_is_no_table_and_does_not_take_long():
    for letters in ("A", "(", " a"):
        with pytest.raises(ValueError, match="no column for time"):
            parse_bulletin(letters.encode() * 2_000_000, "x.csv")


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="no regular file"):
        read_bulletin(tmp_path / "x.csv")
