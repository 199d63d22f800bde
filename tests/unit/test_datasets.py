"""Data sets in SeisBench's format: what is in them arrives, what cannot be used is named."""

import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

from pickflow.datasets.reading import open_dataset
from pickflow.datasets.reasons import REASONS
from pickflow.datasets.records import KINDS, PARTS, to_unit_peak
from pickflow.datasets.splits import Split
from tests.dataset_fixture import N_SAMPLES, network, noise_row, row, wave, write_set


def reasons(dataset):
    return dict(zip(dataset.left_out.name, dataset.left_out.reason, strict=True))


def test_a_sound_set_is_read_as_it_was_written(tmp_path):
    rows = [row("a"), row("b", station_code="BBB"), noise_row("c", station_code="CCC")]
    traces = [wave(index) for index in range(3)]
    dataset = open_dataset(write_set(tmp_path / "mine", rows, traces))
    assert dataset.left_out.empty
    assert dataset.table.name.tolist() == ["a", "b", "c"]
    assert dataset.table.dataset.unique().tolist() == ["mine"]
    assert dataset.table.station.tolist() == ["XA.AAA", "XA.BBB", "XA.CCC"]
    assert dataset.table.event.tolist() == ["event of a", "event of b", ""]
    assert dataset.table.kind.tolist() == ["event", "event", "noise"]
    assert dataset.table.n_samples.tolist() == [N_SAMPLES] * 3
    assert set(dataset.table.part) <= set(PARTS)
    records = dataset.read()
    assert [record.picks for record in records] == [{"P": 1000.0, "S": 1500.0}] * 2 + [{}]
    for record, trace in zip(records, traces, strict=True):
        np.testing.assert_array_equal(record.samples, to_unit_peak(trace.astype(float)))
        assert record.samples.dtype == np.float32


@pytest.mark.parametrize("bucket", [None, "bucket0"])
def test_records_come_in_the_order_asked_for(tmp_path, bucket):
    rows = [row(f"r{index}") for index in range(20)]
    dataset = open_dataset(write_set(tmp_path, rows, [wave(index) for index in range(20)], bucket=bucket))
    order = [17, 3, 3, 0, 12]
    names = [record.name for record in dataset.read(order)]
    assert names == [f"r{index}" for index in order]
    np.testing.assert_array_equal(dataset.read(order)[0].samples, to_unit_peak(wave(17).astype(float)))


def test_padding_of_a_bucket_is_not_part_of_a_trace(tmp_path):
    traces = [wave(0, 2000), wave(1, 3000)]
    dataset = open_dataset(write_set(tmp_path, [row("a"), row("b")], traces, bucket="bucket0"))
    assert dataset.table.n_samples.tolist() == [2000, 3000]
    assert [record.samples.shape for record in dataset.read()] == [(3, 2000), (3, 3000)]


@pytest.mark.parametrize("padding", [0.0, np.nan])
def test_padding_that_nothing_tells_of_is_cut_off_and_takes_its_labels_away(tmp_path, padding):
    trace = wave(0)
    trace[:, 1200:] = padding
    later = row("b", trace_p_arrival_sample=1300.0)
    dataset = open_dataset(write_set(tmp_path, [row("a"), later, noise_row("c")], [trace, trace, wave(1)]))
    examined_set = dataset.examined()
    [record] = examined_set.select(kind="event").read()
    assert record.samples.shape == (3, 1200)
    assert record.picks == {"P": 1000.0}
    assert reasons(dataset) == {"a": "s_outside", "b": "no_label"}
    assert examined_set.table.name.tolist() == ["a", "c"]
    assert examined_set.phases == ("P",)


def test_zeros_inside_of_a_trace_of_known_length_stay(tmp_path):
    trace = wave(0)
    trace[:, 2500:] = 0
    [record] = open_dataset(write_set(tmp_path, [row("a")], [trace], bucket="b")).read()
    assert record.samples.shape == (3, N_SAMPLES)


@pytest.mark.parametrize(
    ("order", "rows"),
    [("ENZ", (2, 1, 0)), ("NEZ", (1, 2, 0)), ("Z12", (0, 1, 2)), ("21Z", (2, 1, 0)), ("123", (0, 1, 2))],
)
def test_components_are_put_in_order(tmp_path, order, rows):
    trace = wave(0)[list(rows)]
    [record] = open_dataset(write_set(tmp_path, [row("a")], [trace], component_order=order)).read()
    np.testing.assert_array_equal(record.samples, to_unit_peak(wave(0).astype(float)))


def test_samples_before_components_are_recognized(tmp_path):
    records_with_order = open_dataset(write_set(tmp_path / "a", [row("a")], [wave(0).T], dimension_order="WC")).read()
    records_without_order = open_dataset(
        write_set(tmp_path / "b", [row("a")], [wave(0).T], dimension_order=None)
    ).read()
    for [record] in (records_with_order, records_without_order):
        np.testing.assert_array_equal(record.samples, to_unit_peak(wave(0).astype(float)))


def test_the_order_of_a_trace_counts_more_than_that_of_the_set(tmp_path):
    rows = [row("a", trace_component_order="ENZ"), row("b", trace_component_order="")]
    first, second = open_dataset(write_set(tmp_path, rows, [wave(0)[::-1], wave(0)])).read()
    np.testing.assert_array_equal(first.samples, second.samples)


@pytest.mark.parametrize(("channel", "component"), [("BHZ", 0), ("HH1", 1), ("EHE", 2)])
def test_a_single_component_is_where_its_channel_says(tmp_path, channel, component):
    rows = [row("a", trace_channel=channel)]
    [record] = open_dataset(write_set(tmp_path, rows, [wave(0, n_components=1)], component_order=None)).read()
    assert record.samples[component].any()
    assert not np.delete(record.samples, component, axis=0).any()


def test_components_of_one_recording_in_traces_of_their_own_are_one_event(tmp_path):
    rows = [row(f"XA_AAA_HH{letter}_201001", trace_channel=f"HH{letter}", source_id="") for letter in "ZNE"]
    traces = [wave(index, n_components=1) for index in range(3)]
    dataset = open_dataset(write_set(tmp_path, rows, traces, component_order=None), split=Split(by="event"))
    assert dataset.table.event.nunique() == dataset.table.part.nunique() == 1


@pytest.mark.parametrize("rate_hz", [50.0, 200.0, 99.98, 40.0, 125.0])
def test_arrivals_move_with_the_rate(tmp_path, rate_hz):
    """A pulse at 10 s stays at the label, at any rate, said for the set or for the trace."""
    n_samples = round(30 * rate_hz)
    pulse = 10 * np.exp(-(((np.arange(n_samples) / rate_hz - 10) / 0.1) ** 2))
    trace = np.stack([pulse] * 3) + 1e-3 * wave(0, n_samples)
    arrivals = {"trace_p_arrival_sample": 10 * rate_hz, "trace_s_arrival_sample": 20 * rate_hz}
    of_trace = write_set(tmp_path / "a", [row("a", trace_sampling_rate_hz=rate_hz, **arrivals)], [trace])
    of_set = write_set(tmp_path / "b", [row("a", **arrivals)], [trace], sampling_rate=rate_hz)
    interval = write_set(tmp_path / "c", [row("a", trace_dt_s=1 / rate_hz, **arrivals)], [trace], sampling_rate=None)
    for folder in (of_trace, of_set, interval):
        dataset = open_dataset(folder)
        [record] = dataset.read()
        assert record.samples.shape[1] == dataset.table.n_samples[0] == pytest.approx(3000, rel=1e-3)
        assert record.samples[0].argmax() == pytest.approx(record.picks["P"], abs=0.6)
        assert record.picks["S"] == pytest.approx(2000, rel=1e-3)


def test_older_names_and_capital_letters_of_columns_are_known(tmp_path):
    rows = [
        {
            "Trace_Name": "a",
            "network_code": "NA",
            "receiver_code": "SABA",
            "p_arrival_sample": 400,
            "trace_Sg_arrival_sample": 900,
            "trace_S_arrival_sample": 950,
            "trace_category": "earthquake_local",
            "source_event_id": "77",
        }
    ]
    folder = write_set(tmp_path, [{"trace_name": "a", **rows[0]}], [wave(0)])
    pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    table = open_dataset(folder).table
    assert table.loc[0, ["station", "event", "p_sample", "s_sample"]].tolist() == ["NA.SABA", "77", 400, 900]


def test_an_event_without_an_identifier_is_known_by_its_origin_time(tmp_path):
    rows = [row(name, source_id="", source_origin_time="2020-01-01T00:00:00", station_code=name) for name in "ab"]
    assert open_dataset(write_set(tmp_path, rows, [wave(0), wave(1)])).table.event.nunique() == 1


def test_chunks_are_one_set_and_their_buckets_do_not_mix(tmp_path):
    for chunk, seed in (("_a", 0), ("_b", 1)):
        write_set(tmp_path, [row(f"r{chunk}")], [wave(seed)], chunk=chunk, bucket="bucket0")
        metadata = pd.read_csv(tmp_path / f"metadata{chunk}.csv").drop(columns="trace_name_original")
        metadata.to_csv(tmp_path / f"metadata{chunk}.csv", index=False)
    (tmp_path / "chunks").write_text("_a\n_b\n")
    dataset = open_dataset(tmp_path)
    assert dataset.table.name.is_unique
    for record, seed in zip(dataset.read(), (0, 1), strict=True):
        np.testing.assert_array_equal(record.samples, to_unit_peak(wave(seed).astype(float)))
    assert len(open_dataset(tmp_path, chunks=["_b"])) == 1
    with pytest.raises(ValueError, match="no chunk '_c'; there are '_a', '_b'"):
        open_dataset(tmp_path, chunks=["_c"])


def test_a_missing_chunk_costs_itself_alone(tmp_path):
    for chunk in ("_a", "_b", "_c"):
        write_set(tmp_path, [row(f"r{chunk}")], [wave(0)], chunk=chunk)
    (tmp_path / "waveforms_b.hdf5").unlink()
    (tmp_path / "metadata_c.csv").unlink()
    dataset = open_dataset(tmp_path)
    assert dataset.table.name.tolist() == ["r_a"]
    assert reasons(dataset) == {"r_b": "file_missing", "metadata_c.csv": "file_missing"}


def test_a_truncated_file_is_named_with_its_traces(tmp_path):
    write_set(tmp_path, [row("whole")], [wave(0)], chunk="_a")
    write_set(tmp_path, [row("cut")], [wave(0)], chunk="_b")
    path = tmp_path / "waveforms_b.hdf5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    dataset = open_dataset(tmp_path)
    assert dataset.table.name.tolist() == ["whole"]
    assert reasons(dataset) == {"cut": "file_damaged"}
    assert "truncated" in dataset.left_out.detail[0]


ODD = {
    "trace_missing": row("absent"),
    "duplicate": row("sound"),
    "no_rate": row("rate", trace_sampling_rate_hz=-5.0),
    "no_components": row("components", trace_component_order="XYQ"),
    "no_label": row("unlabelled", trace_p_arrival_sample=np.nan, trace_s_arrival_sample=np.nan),
    "s_before_p": row("order", trace_s_arrival_sample=500.0),
    "label_in_noise": noise_row("noise", trace_p_arrival_sample=700.0),
}


@pytest.mark.parametrize("reason", ODD)
def test_a_trace_that_cannot_be_used_is_named_with_its_reason(tmp_path, reason):
    odd = ODD[reason]
    names = dict.fromkeys(["sound", odd["trace_name"]])
    folder = write_set(tmp_path, [row(name) for name in names], [wave(index) for index in range(len(names))])
    if reason == "trace_missing":
        with h5py.File(folder / "waveforms.hdf5", "a") as file:
            del file["data/absent"]
    pd.DataFrame([row("sound"), odd]).to_csv(folder / "metadata.csv", index=False)
    dataset = open_dataset(folder)
    assert dataset.table.name.tolist() == ["sound"]
    assert reasons(dataset) == {odd["trace_name"]: reason}
    assert dataset.left_out.detail[0]


def test_a_trace_that_occurs_under_two_names_is_used_once(tmp_path):
    rows = [row(name, trace_start_time="2020-01-01T00:00:00", trace_channel="HH") for name in "ab"]
    dataset = open_dataset(write_set(tmp_path, rows, [wave(0), wave(0)]))
    assert reasons(dataset) == {"b": "duplicate"}


def test_a_label_outside_of_its_trace_is_named_and_the_trace_is_used_with_the_other(tmp_path):
    rows = [row("a", trace_s_arrival_sample=3000.0), row("b", trace_p_arrival_sample=-1.0)]
    dataset = open_dataset(write_set(tmp_path, rows, [wave(0), wave(1)]))
    assert [record.picks for record in dataset.read()] == [{"P": 1000.0}, {"S": 1500.0}]
    assert reasons(dataset) == {"a": "s_outside", "b": "p_outside"}


def test_damage_that_only_reading_shows_is_named_when_it_is_read(tmp_path):
    traces = {name: wave(index) for index, name in enumerate(["sound", "gap", "flat", "component"])}
    traces["gap"][1, 5] = np.nan
    traces["flat"][:] = 7.0
    traces["component"][2] = np.nan
    dataset = open_dataset(write_set(tmp_path, [row(name) for name in traces], list(traces.values()), bucket="b"))
    assert dataset.left_out.empty
    sound_set = dataset.examined()
    assert sound_set.table.name.tolist() == ["sound", "component"]
    assert reasons(sound_set) == {"gap": "not_finite", "flat": "no_signal"}
    assert [record.name for record in dataset.read([1, 0])] == ["sound"]
    assert not sound_set.read([1])[0].samples[2].any()


def test_a_damaged_block_costs_its_own_traces(tmp_path):
    rows = [row(f"r{index}") for index in range(6)]
    folder = write_set(tmp_path, rows, [wave(index) for index in range(6)], bucket="bucket0")
    with h5py.File(folder / "waveforms.hdf5", "a") as file:
        block = file["data/bucket0"][()]
        del file["data/bucket0"]
        stored = file.create_dataset("data/bucket0", data=block, chunks=(2, 3, N_SAMPLES), compression="gzip")
        offset, size = (lambda info: (info.byte_offset, info.size))(stored.id.get_chunk_info(1))
    with open(folder / "waveforms.hdf5", "r+b") as file:
        file.seek(offset)
        file.write(b"\0" * size)
    dataset = open_dataset(folder)
    assert [record.name for record in dataset.read()] == ["r0", "r1", "r4", "r5"]
    assert reasons(dataset) == {"r2": "unreadable", "r3": "unreadable"}


def test_a_set_without_s_says_so(tmp_path):
    rows = [row("a", trace_s_arrival_sample=np.nan), noise_row("b")]
    dataset = open_dataset(write_set(tmp_path, rows, [wave(0), wave(1)]))
    assert dataset.phases == ("P",)
    assert dataset.read()[0].picks == {"P": 1000.0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "metadata.csv").write_bytes(b"\0\x93\xff" * 50),
            "no trace can be used: 1 × file_damaged",
        ),
        (lambda folder: (folder / "metadata.csv").write_text(""), "no trace can be used: 1 × file_damaged"),
        (lambda folder: (folder / "waveforms.hdf5").write_bytes(b"not HDF5"), "1 × file_damaged"),
        (lambda folder: (folder / "waveforms.hdf5").unlink(), "1 × file_missing"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "no metadata.csv; a data set is a folder with"),
    ],
)
def test_a_set_of_which_nothing_can_be_used_is_an_error_that_says_why(tmp_path, damage, message):
    folder = write_set(tmp_path / "set", [row("a")], [wave(0)])
    damage(folder)
    with pytest.raises(ValueError, match=message):
        open_dataset(folder)


def test_parts_and_kinds_are_selected_and_blocks_cover_everything_once(tmp_path):
    arrivals = {"trace_p_arrival_sample": 100, "trace_s_arrival_sample": 200}
    rows = [row(f"e{index}", station_code=f"S{index}", **arrivals) for index in range(30)]
    rows += [noise_row(f"n{index}", station_code=f"S{index}") for index in range(9)]
    folder = write_set(tmp_path, rows, [wave(index, 300) for index in range(39)], bucket="bucket0")
    dataset = open_dataset(folder, split=Split(by="event"))
    assert sum(len(dataset.select(part=part)) for part in PARTS) == 39
    assert {kind: len(dataset.select(kind=kind)) for kind in KINDS} == {"event": 30, "noise": 9}
    names = [record.name for block in dataset.blocks(4) for record in block]
    assert names == dataset.table.name.tolist()
    assert all(len(block) <= 4 for block in dataset.blocks(4))


def test_the_real_sets_open_with_all_their_traces(shared):
    sizes = {"labelled/ncedc154": 154, "labelled/stead50": 50}
    sizes |= {"labelled/stead1001-one-component": 1001, "noise/bavn1001-one-component": 1001}
    sets = {name: open_dataset(shared / "data" / name) for name in sizes}
    assert {name: len(dataset) for name, dataset in sets.items()} == sizes
    assert all(dataset.left_out.empty for dataset in sets.values())
    one_component = sets["labelled/stead1001-one-component"]
    assert (one_component.table.station == "ZQ.AAM1").sum() == 413
    assert all((record.samples.any(axis=1)).sum() == 1 for record in one_component.read(range(40)))
    assert sets["noise/bavn1001-one-component"].table.kind.unique().tolist() == ["noise"]
    assert one_component.table.event.nunique() < 1001  # components of one recording are traces of their own


def test_every_reason_is_explained():
    assert all((explanation and explanation[0].islower()) or explanation[0] in "PS" for explanation in REASONS.values())


def test_events_and_stations_of_a_dense_network_are_kept_apart_and_the_rest_is_accounted_for(tmp_path):
    rows = network()
    folder = write_set(tmp_path, rows, [wave(index, 2000) for index in range(len(rows))], bucket="bucket0")
    dataset = open_dataset(folder, split=Split(by="both"))
    assert set(dataset.left_out.reason) == {"parts_differ"}
    assert len(dataset) + len(dataset.left_out) == len(rows)
    for column in ("event", "station"):
        named_rows = dataset.table[dataset.table[column] != ""]
        assert (named_rows.groupby(column).part.nunique() == 1).all()


def test_memory_does_not_grow_with_the_set(tmp_path):
    """Forty blocks of 12 MB each: what one process needs for all of them is little more than for two."""
    block = np.random.default_rng(0).normal(size=(64, 3, 16_000)).astype(np.float32)
    rows = [row(f"bucket{index // 64}${index % 64},:3,:16000") for index in range(64 * 40)]
    write_set(tmp_path, [row("x")], [wave(0)])
    with h5py.File(tmp_path / "waveforms.hdf5", "a") as file:
        for bucket in range(40):
            file[f"data/bucket{bucket}"] = block
    pd.DataFrame(rows).to_csv(tmp_path / "metadata.csv", index=False)
    code = (
        "import resource, sys; from itertools import islice; from pickflow.datasets.reading import open_dataset\n"
        "dataset = open_dataset(sys.argv[1]); peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(len(block) for block in islice(dataset.blocks(64), 2)); first = peak()\n"
        "for _ in range(2): n += sum(len(block) for block in dataset.blocks(64))\n"
        "print(n, (peak() - first) // 1024)"
    )
    answer = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    n_records, grown_mb = map(int, answer.split())
    assert n_records == 2 * 64 + 2 * 64 * 40
    assert grown_mb < 40  # all samples are 490 MB
