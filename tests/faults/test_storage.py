"""Files that are not what was written are refused by name, and never become rows of the ledger."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pickflow.comparison.completeness import check_days, check_picks
from pickflow.denoise import denoise_day
from pickflow.io.atomic import StorageError
from pickflow.io.tables import conform, read_table, write_table
from pickflow.io.waveforms import read_station_day, write_stream
from pickflow.pick import pick_day
from pickflow.provenance import sha256_of_file
from pickflow.run.settings.denoise import DenoiseParams
from pickflow.run.settings.pick import PickParams
from pickflow.schemas import MANIFEST, PICK_LEDGER, PICKS, STATIONS
from pickflow.weights import fetch_weights
from tests.faults.damage import empty, garble, remove, truncate
from tests.waveform_fixture import DAY, END, START, station_stream

WINDOW = (START, END)


def picks_of(*stations, day=DAY, phase="P"):
    times = pd.to_datetime([f"{day}T10:00:{index:02d}Z" for index in range(len(stations))]).astype(
        "datetime64[ns, UTC]"
    )
    frame = pd.DataFrame({"station": list(stations), "time": times, "starttime": times, "endtime": times})
    frame["pick_id"] = [f"p{index:016d}" for index in range(len(frame))]
    constant = {"network": "XA", "location": "", "channel": "HH", "phase": phase, "probability": 0.5}
    return conform(frame.assign(**constant, amplitude_m_s=1e-6, snr_db=np.nan), PICKS)


def ledger_of(counts, day=DAY):
    rows = [{"station": station, "n_p": n_p} for station, n_p in counts.items()]
    constant = {"network": "XA", "date": day, "reason": "ok", "detail": "", "n_s": 0, "n_artefacts": 0}
    return conform(pd.DataFrame(rows).assign(**constant), PICK_LEDGER)


def test_a_flipped_bit_of_a_table_is_refused_by_name_or_harmless(tmp_path, faults):
    path, picks = tmp_path / "picks.parquet", picks_of(*["AAA", "BBB"] * 15)
    write_table(picks, PICKS, path, {"stage": "pick"})
    whole = path.read_bytes()
    refusals = []
    for index in range(0, len(whole), 11):
        content = bytearray(whole)
        content[index] ^= 1 << (index % 8)
        path.write_bytes(content)
        try:
            table = read_table(path, PICKS)
        except StorageError as error:
            refusals.append(str(error))
        else:
            pd.testing.assert_frame_equal(table, picks)
    assert len(refusals) > len(whole) / 11 / 2
    assert all(str(path) in refusal for refusal in refusals)
    faults.injected("bits of a table flipped")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_table_is_refused_by_name(tmp_path, share, faults):
    path = tmp_path / "picks.parquet"
    write_table(picks_of("AAA"), PICKS, path, {})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StorageError, match=r"picks\.parquet: not a readable Parquet file .* delete the file"):
        read_table(path, PICKS)
    faults.injected("a table truncated")


def test_a_table_of_another_contract_or_version_is_refused_by_name(tmp_path, faults):
    path = tmp_path / "picks.parquet"
    write_table(picks_of("AAA"), PICKS, path, {})
    with pytest.raises(StorageError, match=r"picks\.parquet: a pick_ledger of this version has no column 'amplitude_m"):
        read_table(path, PICK_LEDGER)
    whole = pq.read_table(path)
    pq.write_table(whole.drop_columns(["snr_db"]), path)
    with pytest.raises(StorageError, match=r"picks\.parquet: table picks: column 'snr_db' is missing"):
        read_table(path, PICKS)
    pq.write_table(whole.drop_columns(["time_uncertainty_s"]), path)
    assert read_table(path, PICKS)["time_uncertainty_s"].isna().all()
    text = whole.set_column(whole.schema.get_field_index("time"), "time", pa.array(["yesterday"]))
    pq.write_table(text, path)
    with pytest.raises(StorageError, match=r"picks\.parquet: table picks: "):
        read_table(path, PICKS)
    faults.injected("a table of another schema")
    faults.injected("a table of another version")


@pytest.mark.parametrize("table", [STATIONS, MANIFEST, PICK_LEDGER], ids=lambda table: table.name)
def test_tables_with_a_row_for_each_station_are_never_empty(tmp_path, table, faults):
    path = tmp_path / "manifest.parquet"
    pq.write_table(table.schema.empty_table(), path)
    with pytest.raises(StorageError, match=rf"manifest\.parquet: a {table.name} has a row .* delete the folder"):
        read_table(path, table)
    with pytest.raises(StorageError, match="has a row for every station"):
        write_table(pd.DataFrame(), table, path, {})
    faults.injected("a table without rows")


def test_picks_that_lack_a_station_are_refused_and_a_quiet_day_is_not(faults):
    whole, counts = picks_of("AAA", "AAA", "BBB"), ledger_of({"AAA": 2, "BBB": 1, "CCC": 0})
    check_picks(whole, counts, "picks")
    check_picks(conform(pd.DataFrame(), PICKS), ledger_of({"AAA": 0}), "picks")
    with pytest.raises(StorageError, match="picks: XA.BBB has 0 P on 2024-03-05, and the ledger beside it counts 1"):
        check_picks(whole[whole.station != "BBB"], counts, "picks")
    with pytest.raises(StorageError, match="XA.AAA has 1 P"):
        check_picks(whole.iloc[1:], counts, "picks")
    with pytest.raises(StorageError, match="XA.DDD has 1 P on 2024-03-05, and the ledger beside it counts 0"):
        check_picks(pd.concat([whole, picks_of("DDD")]), counts, "picks")
    with pytest.raises(StorageError, match="XA.AAA has 0 P on 2024-03-05"):
        check_picks(picks_of("AAA", "AAA", "BBB", day="2024-03-06"), counts, "picks")
    faults.injected("picks without a station")


def test_a_ledger_that_lacks_a_station_or_has_another_day_is_refused():
    stations = [("XA", "AAA"), ("XA", "BBB")]
    check_days(stations, {DAY: ledger_of({"AAA": 1, "BBB": 0})}, "picks/<date>")
    with pytest.raises(StorageError, match="picks/2024-03-05: lacks XA.BBB"):
        check_days(stations, {DAY: ledger_of({"AAA": 1})}, "picks/<date>")
    with pytest.raises(StorageError, match="has XA.CCC, which the inventory does not have"):
        check_days(stations, {DAY: ledger_of({"AAA": 1, "BBB": 0, "CCC": 0})}, "picks/<date>")
    with pytest.raises(StorageError, match="holds another day"):
        check_days(stations, {DAY: ledger_of({"AAA": 1, "BBB": 0}, day="2024-03-06")}, "picks/<date>")


DAMAGES = [truncate, garble, empty, remove]


@pytest.fixture
def day(tmp_path):
    """A day of one station: its manifest and its folder."""
    folder = tmp_path / DAY
    path = folder / "XA.AAA.mseed"
    write_stream(station_stream(), path)
    row = {
        "network": "XA",
        "station": "AAA",
        "date": DAY,
        "reason": "ok",
        "remarks": "ok",
        "detail": "",
        "usable": True,
    }
    row |= {"location": "", "channel": "HH", "components": "ENZ", "alternatives": "", "sampling_rate_hz": 100.0}
    row |= {"coverage": 1.0, "n_gaps": 0, "sensitivity_counts_per_unit": 1e9, "sha256": sha256_of_file(path)}
    return conform(pd.DataFrame([row]), MANIFEST), folder


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_waveforms_that_changed_since_the_download_end_the_job_by_name(day, damage, tmp_path, faults):
    manifest, folder = day
    row = manifest.iloc[0].to_dict()
    assert len(read_station_day(folder / "XA.AAA.mseed", row)) == 3
    damage(folder / "XA.AAA.mseed")
    message = rf"{DAY}/XA\.AAA\.mseed: .* delete the folder .*{DAY} and start the same command again"
    with pytest.raises(StorageError, match=message):
        read_station_day(folder / "XA.AAA.mseed", row)
    bandpass = DenoiseParams(minimum_frequency_hz=1.0, maximum_frequency_hz=20.0, corners=4)
    with pytest.raises(StorageError, match=message):
        denoise_day(manifest, folder, tmp_path / "out", "bandpass", bandpass, None, "cpu", 16, map)
    fetch_weights("PickflowNet", "bundled", tmp_path / "model", None, None, {})
    with pytest.raises(StorageError, match=message):
        pick_day(manifest, folder, tmp_path / "model", PickParams(), WINDOW, "cpu", map)
    faults.injected(f"waveforms: {damage.__name__}")


def test_a_damaged_model_is_refused_by_name(day, tmp_path, faults):
    manifest, folder = day
    fetch_weights("PickflowNet", "bundled", tmp_path / "model", None, None, {})
    garble(tmp_path / "model" / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors: sha256 is not .*make or fetch the model again"):
        pick_day(manifest, folder, tmp_path / "model", PickParams(), WINDOW, "cpu", map)
    faults.injected("a model damaged")


def test_waveforms_are_the_same_bytes_however_they_are_written(tmp_path):
    stream = station_stream()
    write_stream(stream, tmp_path / "ours.mseed")
    ordered = obspy.Stream(sorted(stream, key=lambda trace: trace.stats.channel))
    ordered.write(str(tmp_path / "obspy.mseed"), format="MSEED")
    assert (tmp_path / "ours.mseed").read_bytes() == (tmp_path / "obspy.mseed").read_bytes()
