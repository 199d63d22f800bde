"""Folders of files of any name and format, with everything that lies about in them."""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.download import day
from pickflow.io.waveforms import read_stream
from tests.waveform_fixture import (
    START,
    download,
    download_params,
    inventory_of,
    station_stream,
    trace,
)


@pytest.fixture(autouse=True)
def _work_in_tmp_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def folder_params(**section):
    return download_params(source="directory", path="files", **section)


def write(stream, name, **kwargs):
    Path("files", name).parent.mkdir(parents=True, exist_ok=True)
    stream.write(f"files/{name}", **({"format": "MSEED"} | kwargs))


def test_huge_jumps_between_samples_can_be_written():
    data = np.zeros(30_000, np.int32)
    data[::100] = np.arange(300)
    data[500], data[501] = 2**31 - 1, -(2**31)
    Path("files").mkdir()
    trace("HHZ", data=data).write("files/a", format="MSEED", encoding="INT32")
    rows = download(folder_params(), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "one_component"
    assert (read_stream("waveforms/XA.AAA.mseed")[0].data == data).all()


def test_a_folder_of_files_of_any_format_name_and_nesting_is_read():
    stream = station_stream("AAA")
    write(stream.select(channel="HHZ"), "old stuff/no [name] at all")
    write(stream.select(channel="HHN"), "b/x.sac", format="SAC")
    write(stream.select(channel="HHE"), "b/c/y.gse", format="GSE2")
    write(station_stream("BBB"), "all of BBB.bin")
    rows = download(folder_params(), inventory_of(["AAA", "BBB"]))
    assert rows["BBB"]["reason"] == "ok"
    assert (rows["AAA"]["components"], rows["AAA"]["coverage"]) == ("ZNE", pytest.approx(1.0))


def test_files_without_network_code_belong_to_the_network_xx():
    stream = station_stream("AAA", network="")
    write(stream, "a.mseed")
    rows = download(folder_params())
    assert rows["AAA"]["network"] == "XX"
    assert rows["AAA"]["components"] == "ZNE"


def test_unreadable_files_belong_to_the_station_and_day_that_they_name():
    write(station_stream("AAA"), "a.mseed")
    for name in ("XA.BBB.2024.065", "XA.CCC.2024.066", "XA_DDD_20240305.mseed", "EEE/readme.txt"):
        Path("files", name).parent.mkdir(parents=True, exist_ok=True)
        Path("files", name).write_text("not a seismogram")
    Path("files/XA.BBB.2024.065").write_bytes(b"")
    rows = download(folder_params(), inventory_of(["AAA", "BBB", "CCC", "DDD", "EEE"]))
    assert [row["reason"] for row in rows.values()] == ["ok", "empty_file", "no_data", "foreign_file", "no_data"]


def test_the_index_of_a_folder_is_kept_and_only_new_files_are_opened(monkeypatch):
    write(station_stream("AAA"), "a.mseed")
    params = folder_params()
    download(params, inventory_of(["AAA", "BBB"]))
    opened = []
    from pickflow.download import directory

    read = directory.read_waveforms
    monkeypatch.setattr(
        directory, "read_waveforms", lambda path, **kwargs: opened.append(path.name) or read(path, **kwargs)
    )
    write(station_stream("BBB"), "b.mseed")
    rows = download(params, inventory_of(["AAA", "BBB"]))
    assert opened == ["b.mseed"]
    assert [row["reason"] for row in rows.values()] == ["ok", "ok"]


def test_a_pickle_is_never_opened():
    class Bomb:
        def __reduce__(self):
            return (Path("exploded").write_text, ("obspy.core.stream",))

    Path("files").mkdir()
    Path("files/XA.AAA.pickle").write_bytes(b"" + pickle.dumps(Bomb()))
    station_stream("AAA").write("files/real.pickle", format="PICKLE")
    rows = download(folder_params(), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "foreign_file"
    assert not Path("exploded").exists()


def beside_a_healthy_station():
    """Rows of a folder with a healthy station and what a test put beside it."""
    write(station_stream("GOOD"), "good.mseed")
    rows = download(folder_params(), inventory_of(["GOOD"]))
    assert (rows["GOOD"]["reason"], rows["GOOD"]["components"]) == ("ok", "ZNE")
    return rows


@pytest.mark.parametrize(
    ("network", "station"), [("(", "AAA"), ("??", "AAA"), ("[a", "AAA"), ("XA", "/../x"), ("XA", "A\nB")]
)
def test_codes_that_are_no_codes_are_refused_with_the_name_of_the_file(network, station, caplog):
    write(obspy.Stream([trace(network=network, station=station)]), "odd.sac", format="SAC")
    Path("files", "broken.XA.GOOD.2024.064").write_bytes(b"xx")
    beside_a_healthy_station()
    assert any("odd.sac" in message and "code" in message for message in caplog.messages)


def test_a_code_with_nul_is_refused_with_the_name_of_the_file(caplog):
    write(obspy.Stream([trace(station="ODD")]), "odd.gse2", format="GSE2")
    path = Path("files/odd.gse2")
    path.write_bytes(path.read_bytes().replace(b"ODD  ", b"\0\0\0\0\0", 1))
    beside_a_healthy_station()
    assert any("odd.gse2" in message and r"\x00" in message for message in caplog.messages)


@pytest.mark.parametrize("year", [1600, 2300, 2500])
def test_a_year_that_cannot_be_is_refused_with_the_name_of_the_file(year, caplog):
    write(obspy.Stream([trace(station="ODD", starttime=f"{year}-03-05T10:00:00")]), "odd.sac", format="SAC")
    beside_a_healthy_station()
    assert any("odd.sac" in message and str(year) in message for message in caplog.messages)


def test_waveforms_that_say_no_station_are_named_and_charged_to_the_station_in_their_path(caplog):
    write(obspy.Stream([trace()]), "XA.AAA.20240305.wav", format="WAV", rescale=True)
    write(station_stream("GOOD"), "good.mseed")
    rows = download(folder_params(stations=["XA.AAA", "XA.GOOD"]), inventory_of(["GOOD"]))
    assert any("XA.AAA.20240305.wav" in message and "no station code" in message for message in caplog.messages)
    assert rows["AAA"]["reason"] == "foreign_file"
    assert rows["GOOD"]["reason"] == "ok"


def test_links_are_followed_once_and_what_is_no_file_is_passed_over(caplog):
    write(station_stream("AAA"), "a.mseed")
    Path("elsewhere").mkdir()
    station_stream("BBB").write("elsewhere/b.mseed", format="MSEED")
    Path("files/linked").symlink_to(Path("elsewhere").resolve())
    Path("elsewhere/round").symlink_to(Path("files").resolve())
    Path("files/again.mseed").symlink_to(Path("files/a.mseed").resolve())
    Path("files/dangling.mseed").symlink_to("nowhere")
    os.mkfifo("files/pipe")
    rows = download(folder_params(), inventory_of(["AAA", "BBB"]))
    assert [rows[code]["reason"] for code in ("AAA", "BBB")] == ["ok", "ok"]
    assert all(any(name in message for message in caplog.messages) for name in ("dangling.mseed", "pipe"))


def test_files_are_read_and_named_whatever_bytes_their_names_have(caplog):
    names = (b"a b [1] *.ms", "Gr\u00f6\u00dfe?.ms".encode(), b"Gr\xf6\xdfe\nin Latin-1.ms")
    for name, channel_trace in zip(names, station_stream("AAA"), strict=True):
        write(obspy.Stream([channel_trace]), "part")
        Path("files/part").rename(os.path.join(b"files", name).decode(errors="surrogateescape"))
    Path("files", os.fsdecode(b"XA.BBB\n\xff.2024.065")).write_text("not a seismogram")
    rows = download(folder_params(), inventory_of(["AAA", "BBB"]))
    assert (rows["AAA"]["reason"], rows["AAA"]["components"]) == ("ok", "ZNE")
    assert rows["BBB"]["detail"] == "XA.BBB??.2024.065 is not a waveform file"
    assert all(message.isprintable() for message in caplog.messages)


def test_a_file_that_goes_while_it_is_read_takes_nothing_with_it(monkeypatch):
    write(station_stream("AAA"), "a.mseed")
    write(station_stream("BBB"), "b.mseed")
    params = folder_params()
    download(params, inventory_of(["AAA", "BBB"]))
    listed = day.directory_index
    monkeypatch.setattr(day, "directory_index", lambda *args: (listed(*args), Path("files/a.mseed").unlink())[0])
    rows = download(params, inventory_of(["AAA", "BBB"]))
    assert [rows[code]["reason"] for code in ("AAA", "BBB")] == ["foreign_file", "ok"]


def test_a_station_without_data_that_day_is_told_when_it_has_some():
    write(station_stream("AAA", starttime="2024-02-01T00:00:00"), "a.mseed")
    rows = download(folder_params(), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "no_data"
    assert rows["AAA"]["detail"] == "the folder has it from 2024-02-01T00:00:00 to 2024-02-01T00:04:59"


def test_notes_beside_the_waveforms_are_nobody_s_fault():
    write(station_stream("AAA"), "a.mseed")
    Path("files", "XA.AAA.xml").write_text("<FDSNStationXML/>")
    Path("files", "XA.BBB.txt").write_text("visited in May")
    rows = download(folder_params(), inventory_of(["AAA", "BBB"]))
    assert (rows["AAA"]["reason"], rows["AAA"]["detail"]) == ("ok", "")
    assert rows["BBB"]["reason"] == "no_data"


@pytest.mark.parametrize("bands", [["HH"], ["??"]])
def test_a_channel_of_text_takes_nothing_with_it(bands):
    log = obspy.Trace(np.frombuffer(b"GPS locked\n" * 20, "S1"), trace("ACE", seconds=1).stats)
    write(station_stream("AAA"), "a.mseed")
    write(obspy.Stream([log]), "a.log.mseed", encoding="ASCII")
    log.stats.station = "BBB"
    write(obspy.Stream([log]), "b.log.mseed", encoding="ASCII")
    rows = download(folder_params(channel_priority=bands), inventory_of(["AAA", "BBB"]))
    assert (rows["AAA"]["reason"], rows["AAA"]["components"]) == ("ok", "ZNE")
    assert (rows["BBB"]["reason"], rows["BBB"]["detail"]) == ("no_channel", "there are only texts or states: --.ACE")


def test_integers_and_floats_of_a_channel_are_one_record():
    early = trace("HHZ", seconds=150)
    late = trace("HHZ", seconds=150, starttime=START + timedelta(seconds=150), seed=1)
    late.data = late.data.astype(np.float32)
    write(station_stream("AAA", channels=("HHN", "HHE")), "horizontal.mseed")
    write(obspy.Stream([early]), "early.mseed")
    write(obspy.Stream([late]), "late.sac", format="SAC")
    row = download(folder_params(), inventory_of(["AAA"]))["AAA"]
    assert (row["reason"], row["coverage"]) == ("ok", 1.0)


def test_one_damaged_waveform_of_a_gse_file_costs_itself_alone():
    whole = [trace("HHZ"), trace("HHN"), trace("HHE")]
    write(obspy.Stream(whole), "a.gse2", format="GSE2")
    path = Path("files/a.gse2")
    second = path.read_bytes().index(b"WID2", 10)
    middle = path.read_bytes().index(b"\n", second + 5000)
    content = path.read_bytes()
    path.write_bytes(content[:middle] + content[middle + 1 :])  # the decoder writes beyond its memory at a long line
    row = download(folder_params(), inventory_of(["AAA"]))["AAA"]
    assert row["components"] == "ZE"
    assert "a.gse2: 1 of 3 waveforms left out (a line has more than 82 bytes)" in row["detail"]
