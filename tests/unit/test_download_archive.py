"""SDS archives and folders of files, with everything that lies about in them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.download import asked_stations, check_source, day, download_day, fetch_inventory
from pickflow.io.waveforms import read_stream
from pickflow.schemas import REASONS
from pickflow.windows import parse_time
from tests.waveform_fixture import (
    DAY,
    END,
    START,
    channel_of,
    download_params,
    inventory_of,
    station_stream,
    trace,
    write_sds,
)


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def sds(*streams):
    for stream in streams:
        write_sds(stream, "sds")
    return download_params(path="sds")


def folder_params(**section):
    return download_params(source="directory", path="files", **section)


def download(params, inventory=None, window=(START, END), date=DAY, folder="waveforms", **kwargs):
    inventory = fetch_inventory(params, *window) if inventory is None else inventory
    stations = asked_stations(inventory, params)
    table = download_day(date, window, stations, inventory, params, folder, **kwargs)
    assert table["station"].tolist() == stations["station"].tolist()
    return {row["station"]: row for row in table.to_dict("records")}


def write(stream, name, **kwargs):
    Path("files", name).parent.mkdir(parents=True, exist_ok=True)
    stream.write(f"files/{name}", **({"format": "MSEED"} | kwargs))


def test_an_archive_is_read_and_a_good_station_is_ok():
    rows = download(sds(station_stream("AAA")), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "ok"
    stream = read_stream("waveforms/XA.AAA.mseed")
    assert [one.id for one in stream] == ["XA.AAA..HHE", "XA.AAA..HHN", "XA.AAA..HHZ"]
    assert (stream[2].data == trace("HHZ").data).all()


def test_the_padding_comes_from_the_day_before_and_the_day_after():
    begin, end = (parse_time(moment) for moment in ("2024-03-05", "2024-03-06"))
    pieces = []
    for midnight in (begin, end):
        early, late = midnight - timedelta(seconds=100), midnight
        pieces += [
            *station_stream("AAA", starttime=early, seconds=100),
            *station_stream("AAA", starttime=late, seconds=100),
        ]
    sds(obspy.Stream(pieces))
    params = download_params(path="sds", min_coverage=0)
    rows = download(params, inventory_of(["AAA"]), window=(begin, end))
    stream = read_stream("waveforms/XA.AAA.mseed")
    assert min(one.stats.starttime for one in stream) == obspy.UTCDateTime(begin) - 60
    assert max(one.stats.endtime for one in stream) == obspy.UTCDateTime(end) + 60 - 0.01
    assert all(one.stats.npts == 16_000 for one in stream)
    assert rows["AAA"]["coverage"] == pytest.approx(200 / 86400)


def test_every_station_asked_for_has_a_row_whatever_happens(monkeypatch):
    params = sds(station_stream("AAA"), station_stream("BBB"))
    judge = day.make_record

    def fail_once(stream, *args):
        if stream[0].stats.station == "AAA":
            raise RuntimeError("something nobody thought of")
        return judge(stream, *args)

    monkeypatch.setattr(day, "make_record", fail_once)
    rows = download(params, inventory_of(["AAA", "BBB"]))
    assert [rows[code]["reason"] for code in ("AAA", "BBB")] == ["download_failed", "ok"]


def test_a_station_without_data_and_one_without_coordinates_are_told_apart():
    write_sds(station_stream("CCC"), "sds")
    params = download_params(path="sds", stations=["XA.AAA", "XA.CCC"])
    rows = download(params, inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "no_data"
    assert (rows["CCC"]["reason"], rows["CCC"]["usable"]) == ("no_metadata", True)


def test_without_stationxml_the_stations_of_the_archive_are_used():
    rows = download(sds(station_stream("AAA"), station_stream("BBB")))
    assert [row["reason"] for row in rows.values()] == ["no_metadata"] * 2


def test_empty_truncated_and_foreign_files_have_reasons_and_the_rest_goes_on():
    params = sds(*(station_stream(code, channels=("HHZ",)) for code in ("AAA", "BBB", "CCC", "DDD")))
    paths = {path.parents[1].name: path for path in Path("sds").rglob("*.065")}
    paths["AAA"].write_bytes(b"")
    paths["BBB"].write_text("this is a note, not a seismogram")
    paths["CCC"].write_bytes(paths["CCC"].read_bytes()[:-1000])
    rows = download(params, inventory_of(["AAA", "BBB", "CCC", "DDD"]))
    assert [rows[code]["reason"] for code in ("AAA", "BBB")] == ["empty_file", "foreign_file"]
    assert rows["CCC"]["remarks"] == "truncated_file,one_component,gap"
    assert rows["DDD"]["reason"] == "one_component"


def test_a_damaged_record_costs_only_itself():
    params = sds(station_stream("AAA"))
    for path in Path("sds").rglob("*.065"):
        content = bytearray(path.read_bytes())
        content[4096 + 200 : 4096 + 900] = np.random.default_rng(0).bytes(700)
        path.write_bytes(content)
    row = download(params, inventory_of(["AAA"]))["AAA"]
    assert row["reason"] == "truncated_file"
    assert 0.7 < row["coverage"] < 1.0


def test_waveforms_of_another_station_are_not_used():
    params = sds(station_stream("AAA"))
    for path in Path("sds").rglob("*.065"):
        trace(path.parent.name[:3], station="BBB").write(str(path), format="MSEED")
    row = download(params, inventory_of(["AAA"]))["AAA"]
    assert (row["reason"], row["detail"]) == ("no_data", "the files hold XA.BBB..HHE, XA.BBB..HHN, XA.BBB..HHZ")


def test_other_bands_are_named():
    rows = download(sds(station_stream("AAA", channels=("LHZ",))), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "no_channel"
    assert "LHZ" in rows["AAA"]["detail"]


def test_the_same_archive_gives_the_same_bytes_in_threads_and_files_of_before_are_removed():
    params = sds(station_stream("AAA"), station_stream("BBB"))
    stations = inventory_of(["AAA", "BBB", "CCC"])
    Path("waveforms").mkdir()
    Path("waveforms/XA.CCC.mseed").write_text("of an earlier attempt")
    first = download(params, stations)
    with ThreadPoolExecutor(2) as pool:
        second = download(params, stations, folder="again", parallel_map=pool.map)
    assert str(first) == str(second)
    assert [path.name for path in sorted(Path("waveforms").iterdir())] == ["XA.AAA.mseed", "XA.BBB.mseed"]
    for path in Path("waveforms").iterdir():
        assert path.read_bytes() == Path("again", path.name).read_bytes()


def test_a_task_can_be_sent_to_another_process(monkeypatch):
    def through_pickle(function, items):
        return [pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item))) for item in items]

    rows = download(sds(station_stream("AAA")), inventory_of(["AAA"]), parallel_map=through_pickle)
    assert rows["AAA"]["reason"] == "ok"


def test_every_reason_given_is_known():
    rows = download(sds(station_stream("AAA", seconds=100)), inventory_of(["AAA"], [channel_of("BHZ")]))
    assert set(rows["AAA"]["remarks"].split(",")) <= set(REASONS)


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


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"path": "nowhere"}, "download.path: there is no folder nowhere"),
        ({"path": "files"}, "is not an SDS archive"),
        ({"path": "sds", "stations": ["XB.*"]}, r"none of XB\.\*; it has XA\.AAA"),
        ({"path": "sds", "exclude": ["XA.*"]}, "has none of"),
        ({"path": "sds", "inventory": ["missing.xml"]}, "download.inventory: there is no file missing.xml"),
        ({"path": "empty", "source": "directory"}, "holds no files"),
    ],
)
def test_what_cannot_work_is_told_before_the_work(section, message):
    sds(station_stream("AAA"))
    write(station_stream("AAA"), "a.mseed")
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=message):
        check_source(download_params(**section), START, END)


def test_an_archive_of_other_years_is_told():
    params = sds(station_stream("AAA"))
    with pytest.raises(ValueError, match="has the years 2024, not 2019"):
        check_source(params, parse_time("2019-01-01"), parse_time("2019-01-02"))


def test_a_good_archive_passes_the_check():
    check_source(sds(station_stream("AAA")), START, END)
