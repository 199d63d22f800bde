"""Windows of a run: where its picks are, there are labels."""

from itertools import groupby

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.datasets.reading import Dataset
from pickflow.datasets.run_windows import WINDOW_S, open_run
from pickflow.datasets.splits import Split
from pickflow.datasets.writing import write_records
from pickflow.io.tables import conform, write_table
from pickflow.io.waveforms import read_station_day
from pickflow.provenance import sha256_of_file
from pickflow.schemas import ASSIGNMENTS, EVENTS, MANIFEST, PICKS

DAY = "2024-03-05"
START = pd.Timestamp(f"{DAY}T00:00:00Z")
CATALOG = "none/PhaseNet/original/pyocto"
HOURS = 4
RATES_HZ = {"AAA": 100.0, "BBB": 50.0}
# Origin of each event in s of the day, and how long P and S take to each station.
EVENTS_S = {"ev1": 1000.0, "ev2": 4000.0, "ev3": 7000.0, "ev4": 7030.0, "ev5": 14_390.0}
TRAVEL_S = {"AAA": (3.0, 5.25), "BBB": (6.0, 10.5)}
FALSE_S = range(75, HOURS * 3600, 150)  # picks of no event, between which there are seldom quiet windows


def waveform(station, rate_hz, events_s, padding_s):
    """Quiet noise of three components with a pulse at every arrival."""
    time_s = np.arange(round((HOURS * 3600 + padding_s) * rate_hz)) / rate_hz - padding_s
    samples = np.random.default_rng(len(station)).normal(size=time_s.size)
    for origin_s in events_s.values():
        for travel_s in TRAVEL_S[station]:
            samples += 1000 * np.exp(-(((time_s - origin_s - travel_s) / 0.05) ** 2))
    starttime = obspy.UTCDateTime(DAY) - padding_s
    header = {"network": "XA", "station": station, "sampling_rate": rate_hz, "starttime": starttime}
    data = samples.round().astype(np.int32)
    return obspy.Stream(obspy.Trace(data, {**header, "channel": f"HH{letter}"}) for letter in "ZNE")


def tables(events_s=EVENTS_S):
    picks, assignments = [], []
    for event, origin_s in events_s.items():
        for station, times_s in TRAVEL_S.items():
            for phase, travel_s in zip("PS", times_s, strict=True):
                name = f"{event}{station}{phase}"
                time = START + pd.Timedelta(seconds=origin_s + travel_s)
                picks.append((name, "XA", station, phase, time))
                assignments.append((event, name, 0.1, 10.0))
    for station in TRAVEL_S:
        picks += [(f"false{station}{at_s}", "XA", station, "P", START + pd.Timedelta(seconds=at_s)) for at_s in FALSE_S]
    frame = pd.DataFrame(picks, columns=["pick_id", "network", "station", "phase", "time"])
    frame = frame.assign(location="", channel="HH", starttime=frame.time, endtime=frame.time, probability=0.9)
    frame = frame.assign(amplitude_m_s=np.nan, snr_db=np.nan)
    assigned = pd.DataFrame(assignments, columns=["event_id", "pick_id", "residual_s", "distance_km"])
    events = pd.DataFrame({"event_id": list(events_s), "magnitude": 1.0})
    events["time"] = [START + pd.Timedelta(seconds=origin_s) for origin_s in events_s.values()]
    for name in EVENTS.schema.names:
        if name not in events and name not in EVENTS.optional:
            kind = str(EVENTS.schema.field(name).type)
            events[name] = 0 if kind == "int64" else "ML" if kind == "string" else np.nan
    return conform(frame, PICKS), conform(assigned.assign(azimuth_deg=0.0), ASSIGNMENTS), conform(events, EVENTS)


def write_run(folder, events_s=EVENTS_S, padding_s=0):
    picks, assignments, events = tables(events_s)
    write_table(events, EVENTS, folder / "catalog" / CATALOG / "catalog.parquet", {})
    write_table(assignments, ASSIGNMENTS, folder / "catalog" / CATALOG / "assignments.parquet", {})
    write_table(picks, PICKS, folder / "picks/none/PhaseNet/original" / f"{DAY}.parquet", {})
    waveforms = folder / "waveforms" / DAY
    waveforms.mkdir(parents=True)
    rows = []
    for station, rate_hz in RATES_HZ.items():
        path = waveforms / f"XA.{station}.mseed"
        waveform(station, rate_hz, events_s, padding_s).write(str(path), format="MSEED")
        rows.append({"station": station, "sampling_rate_hz": rate_hz, "sha256": sha256_of_file(path)})
    manifest = pd.DataFrame(rows).assign(
        network="XA", date=DAY, reason="ok", remarks="ok", detail="", usable=True, location="", channel="HH",
        components="ZNE", alternatives="", coverage=1.0, n_gaps=0, sensitivity_counts_per_unit=np.nan,
    )  # fmt: skip
    write_table(manifest, MANIFEST, waveforms / "manifest.parquet", {})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("results") / "night")


@pytest.fixture(scope="module")
def dataset(run) -> Dataset:
    return open_run(run, n_noise=30, split=Split(by="event"))


def test_labels_lie_on_the_waves_at_any_sampling_rate(dataset):
    events = dataset.select(kind="event").examined()
    assert sorted(set(events.table.station)) == ["XA.AAA", "XA.BBB"]
    for record in events.read():
        assert record.samples.shape == (3, round(WINDOW_S * 100))
        assert sorted(record.picks) == ["P", "S"]
        for arrival in record.picks.values():
            around = slice(round(arrival) - 50, round(arrival) + 50)
            assert abs(int(record.samples[0, around].argmax()) - 50) <= 2
        assert 500 <= record.picks["P"] <= 2000


def test_noise_is_far_from_all_picks(dataset):
    noise = dataset.select(kind="noise").table
    assert set(noise.station) == {"XA.AAA", "XA.BBB"}
    picks = tables()[0]
    for row in noise.itertuples():
        times_s = (picks[picks.network + "." + picks.station == row.station].time - START).dt.total_seconds()
        since_start_s = times_s - (row.start_ns - START.value) / 1e9
        assert since_start_s[since_start_s < 0].max() < -60
        assert since_start_s[since_start_s >= 0].min() >= 65


def test_what_cannot_be_cut_is_named(dataset):
    dataset.examined()
    reasons = dataset.left_out.reason.value_counts()
    assert reasons["other_event"] == 2  # ev4 arrives in the windows of ev3 at two stations
    late = dataset.left_out[dataset.left_out.name.str.endswith("ev5")]
    assert late.reason.tolist() == ["no_waveform"] * 2  # the records end


MIDNIGHT_S = {"early": 2.0, "late": 1000.0}


def test_a_window_across_midnight_is_read_from_the_file_that_holds_it(tmp_path):
    run = write_run(tmp_path / "night", MIDNIGHT_S, padding_s=60)
    early = [record for record in open_run(run, n_noise=0).read() if record.event == "early"]
    assert sorted(record.station for record in early) == ["XA.AAA", "XA.BBB"]
    for record in early:
        first = round(record.picks["P"]) - 50
        assert abs(int(record.samples[0, first : first + 100].argmax()) - 50) <= 2


def test_a_window_that_reaches_beyond_the_file_of_its_day_is_refused_with_this_reason(tmp_path):
    dataset = open_run(write_run(tmp_path / "night", MIDNIGHT_S), n_noise=0)
    assert {record.event for record in dataset.read()} == {"late"}
    assert dataset.left_out.reason.tolist() == ["no_waveform"] * 2
    assert dataset.left_out.detail.str.contains(f"in the file of {DAY}; it crosses midnight").all()


def test_every_file_is_read_in_one_go(run, monkeypatch):
    names = []

    def noted_read(path, row):
        names.append(path.name)
        return read_station_day(path, row)

    monkeypatch.setattr("pickflow.datasets.run_windows.read_station_day", noted_read)
    for _ in open_run(run, n_noise=5).blocks(3):
        pass
    assert [name for name, _ in groupby(names)] == ["XA.AAA.mseed", "XA.BBB.mseed"]


def test_the_same_seed_gives_the_same_windows_and_they_can_be_written(run, tmp_path):
    first, second = open_run(run, n_noise=5), open_run(run, CATALOG, n_noise=5)
    pd.testing.assert_frame_equal(first.table, second.table)
    assert not first.table.start_ns.equals(open_run(run, n_noise=5, seed=1).table.start_ns)
    write_records(tmp_path / "set", (record for block in first.blocks() for record in block), {"run": "night"})
    assert (tmp_path / "set" / "metadata.csv").exists()


def test_a_damaged_station_day_costs_itself_alone(run, tmp_path):
    import shutil

    shutil.copytree(run, tmp_path / "night")
    path = tmp_path / "night" / "waveforms" / DAY / "XA.AAA.mseed"
    path.write_bytes(path.read_bytes()[:5000])
    examined_run = open_run(tmp_path / "night", n_noise=0).examined()
    assert set(examined_run.table.station) == {"XA.BBB"}
    assert set(examined_run.left_out.reason) == {"other_event", "no_waveform"}


def test_runs_and_catalogs_that_are_not_there_are_named(run, tmp_path):
    with pytest.raises(ValueError, match="no catalog; give the folder of a run"):
        open_run(tmp_path)
    with pytest.raises(ValueError, match=f"catalog 'none/x' is not in .*; it has {CATALOG}"):
        open_run(run, "none/x")
