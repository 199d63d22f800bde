"""SDS archives: every station asked for has a row, and what is wrong with its files has a reason."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.download import check_source, day
from pickflow.io.waveforms import read_stream, write_stream
from pickflow.schemas import REASONS
from pickflow.windows import parse_time
from tests.waveform_fixture import (
    END,
    START,
    channel_of,
    download,
    download_params,
    inventory_of,
    miniseed,
    station_stream,
    trace,
    write_sds,
)


@pytest.fixture(autouse=True)
def _work_in_tmp_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def sds(*streams):
    for stream in streams:
        write_sds(stream, "sds")
    return download_params(path="sds")


def test_an_archive_is_read_and_a_good_station_is_ok():
    rows = download(sds(station_stream("AAA")), inventory_of(["AAA"]))
    assert rows["AAA"]["reason"] == "ok"
    stream = read_stream("waveforms/XA.AAA.mseed")
    assert [channel_trace.id for channel_trace in stream] == ["XA.AAA..HHE", "XA.AAA..HHN", "XA.AAA..HHZ"]
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
    assert min(channel_trace.stats.starttime for channel_trace in stream) == obspy.UTCDateTime(begin) - 60
    assert max(channel_trace.stats.endtime for channel_trace in stream) == obspy.UTCDateTime(end) + 60 - 0.01
    assert all(channel_trace.stats.npts == 16_000 for channel_trace in stream)
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


def test_metadata_of_another_time_or_at_odds_are_told_for_their_station_alone():
    inventory = inventory_of(["AAA", "BBB", "CCC"])
    aaa, bbb, _ = inventory[0]
    aaa.start_date, aaa.end_date = obspy.UTCDateTime("2010-01-01"), obspy.UTCDateTime("2011-01-01")
    aaa.channels = []
    bbb.start_date, bbb.end_date = obspy.UTCDateTime("2020-01-01"), obspy.UTCDateTime("2019-01-01")
    rows = download(sds(*map(station_stream, ("AAA", "BBB", "CCC"))), inventory)
    assert [rows[name]["reason"] for name in ("AAA", "BBB", "CCC")] == ["no_metadata", "metadata_mismatch", "ok"]
    assert "no epoch of the station then" in rows["AAA"]["detail"]
    assert "before it begins" in rows["BBB"]["detail"]


def test_a_negative_sensitivity_is_positive_in_the_manifest_and_told():
    inventory = inventory_of(["AAA"], [channel_of(code, sensitivity=-1e9) for code in ("HHZ", "HHN", "HHE")])
    row = download(sds(station_stream("AAA")), inventory)["AAA"]
    assert row["sensitivity_counts_per_unit"] == 1e9
    assert row["reason"] == "metadata_mismatch"


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
    assert row["reason"] == "damaged_file"
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
    for name in ("files", "empty"):
        Path(name).mkdir()
    station_stream("AAA").write("files/a.mseed", format="MSEED")
    with pytest.raises(ValueError, match=message):
        check_source(download_params(**section), START, END)


def test_an_archive_passes_the_check_with_its_own_years_alone():
    params = sds(station_stream("AAA"))
    check_source(params, START, END)
    with pytest.raises(ValueError, match="has the years 2024, not 2019"):
        check_source(params, parse_time("2019-01-01"), parse_time("2019-01-02"))


def test_day_files_of_channels_in_lower_case_are_read():
    rows = download(sds(station_stream("AAA", channels=("hhz", "hhn", "hhe"))), inventory_of(["AAA"]))
    assert (rows["AAA"]["reason"], rows["AAA"]["components"]) == ("ok", "ZNE")


def test_records_of_another_station_in_an_archive_are_named():
    params = sds(station_stream("AAA"))
    path = next(Path("sds").rglob("*HHZ.D.2024.065"))
    path.write_bytes(path.read_bytes() + miniseed(trace("HHZ", station="ZZZ")))
    row = download(params, inventory_of(["AAA"]))["AAA"]
    assert (row["reason"], row["detail"]) == ("ok", "the files hold XA.ZZZ..HHZ")


def test_a_file_of_the_day_with_other_times_is_named():
    params = sds(station_stream("AAA"))
    path = next(Path("sds").rglob("*HHZ.D.2024.065"))
    path.write_bytes(miniseed(trace("HHZ", starttime="1970-01-01T00:00:00")))
    row = download(params, inventory_of(["AAA"]))["AAA"]
    assert row["reason"] == "two_components"
    assert "XA.AAA..HHZ.D.2024.065 has no samples of the day" in row["detail"]


def test_integers_beyond_32_bits_are_kept():
    samples = np.arange(30_000) * 200_000 + 2**33
    write_stream(obspy.Stream([trace(data=samples)]), "large.mseed")
    assert (read_stream("large.mseed")[0].data == samples).all()
