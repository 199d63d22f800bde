"""MiniSEED with records of all lengths, with damage, and with what else stands between records."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.download import reading
from pickflow.download.reading import is_waveform, read_answer, read_waveforms
from pickflow.windows import parse_time
from tests.waveform_fixture import END, START, miniseed, station_stream, trace, with_field

RECORD_BYTES = 512
RATE_FACTOR, RATE_MULTIPLIER, YEAR, SAMPLES, LENGTH, ENCODING, BEGIN_OF_SAMPLES = 32, 34, 20, 30, 54, 52, 44


def read(content):
    stream, remarks = read_answer("test", content)
    return stream, [tuple(remark) for remark in remarks]


def n_samples(stream):
    return sum(piece.stats.npts for piece in stream if is_waveform(piece))


def minutes(*record_lengths):
    """A minute of a channel in records of each length."""
    whole = trace("HHZ", seconds=60 * len(record_lengths))
    parts = [whole.slice(whole.stats.starttime + 60 * i, whole.stats.starttime + 60 * i + 59.99) for i in range(9)]
    return whole, [miniseed(part, length) for part, length in zip(parts, record_lengths, strict=False)]


def control_header(n_bytes=512):
    return b"000001V 010" + b" " * (n_bytes - 11)


def noise_record(n_bytes=512):
    return b"000001" + b" " * (n_bytes - 6)


@pytest.mark.parametrize(
    "record_lengths",
    [(4096, 512), (512, 4096), (256, 512, 256), (512, 1 << 20), (1 << 20, 256), (1024,), (512, 4096, 512)],
)
def test_records_of_several_lengths_are_all_read(record_lengths):
    whole, parts = minutes(*record_lengths)
    stream, remarks = read(b"".join(parts))
    assert remarks == []
    assert (np.concatenate([piece.data for piece in stream]) == whole.data).all()


@pytest.mark.parametrize("record_lengths", [(4096, 512), (512, 4096), (512, 512)])
@pytest.mark.parametrize("n_cut", [10, 100, 500])
def test_a_file_that_ends_in_a_record_says_so(record_lengths, n_cut):
    _, parts = minutes(*record_lengths)
    stream, remarks = read(b"".join(parts)[:-n_cut])
    assert remarks == [("truncated_file", f"answer of test ends {record_lengths[-1] - n_cut} bytes into a record")]
    assert 6000 < n_samples(stream) < 12_000


def test_a_file_that_ends_in_a_header_says_so():
    content = miniseed(trace("HHZ"))
    stream, remarks = read(content + content[:20])
    assert remarks == [("truncated_file", "answer of test ends 20 bytes into a record")]
    assert n_samples(stream) == 30_000


@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("encoding", ["STEIM1", "STEIM2", "INT16", "INT32", "FLOAT32", "FLOAT64"])
def test_every_encoding_and_byte_order_is_read(encoding, byteorder):
    samples = (trace("HHZ").data % 1000).astype({"FLOAT32": "f4", "FLOAT64": "f8", "INT16": "i2"}.get(encoding, "i4"))
    content = miniseed(trace("HHZ", data=samples), encoding=encoding, byteorder=byteorder)
    stream, remarks = read(content)
    assert remarks == []
    assert (np.concatenate([piece.data for piece in stream]) == samples).all()


def test_records_in_any_order_and_without_blockette_1000_are_read():
    content = miniseed(trace("HHZ"), encoding="STEIM1")
    records = [content[first : first + RECORD_BYTES] for first in range(0, len(content), RECORD_BYTES)]
    nameless = b"".join(record[:46] + b"\0\0" + record[48:] for record in records)
    for changed in (b"".join(reversed(records)), nameless):
        stream, remarks = read(changed)
        assert (n_samples(stream), remarks) == (30_000, [])


@pytest.mark.parametrize("between", [control_header(), control_header(4096), noise_record(), b"\0" * 700, b" " * 300])
def test_what_seed_has_between_records_is_passed_over_in_silence(between):
    _, (first, second) = minutes(512, 4096)
    for content in (first + between + second, between + first + second, first + second + between):
        stream, remarks = read(content)
        assert (n_samples(stream), remarks) == (12_000, [])


def test_what_is_no_record_is_counted_and_costs_nothing():
    _, (first, second) = minutes(512, 4096)
    stream, remarks = read(first + b"opaque!" * 100 + second)
    assert (n_samples(stream), remarks) == (12_000, [("damaged_file", "answer of test: 700 bytes are no records")])


@pytest.mark.parametrize(
    ("position", "kind", "value", "fault"),
    [
        (RATE_FACTOR, "h", -100, "rate"),  # a flipped sign: 0.01 Hz, the record would outlast the day
        (RATE_FACTOR, "h", 0, "rate"),
        (YEAR, "H", 2300, "time"),
        (YEAR, "H", 1600, "time"),
        (YEAR + 2, "H", 0, "time"),
        (SAMPLES, "H", 65535, "number of samples"),
        (BEGIN_OF_SAMPLES, "H", 0, "position of the samples"),
        (BEGIN_OF_SAMPLES, "H", 65535, "position of the samples"),
        (ENCODING, "B", 255, "encoding"),
        (ENCODING, "B", 0, "encoding"),  # text
        (ENCODING, "B", 5, "number of samples"),  # twice as many as fit
        (LENGTH, "B", 0, "length"),
        (LENGTH, "B", 8, "length"),
        (LENGTH, "B", 10, "length"),
        (LENGTH, "B", 20, "length"),
        (LENGTH, "B", 31, "length"),
        (8, "5s", b"A\0AA ", "code"),
        (8, "5s", b"A\xffA  ", "code"),
        (64, "4s", b"\xff\xff\xff\xff", "samples"),
    ],
)
def test_a_damaged_record_costs_itself_alone_and_is_named(position, kind, value, fault):
    content = miniseed(trace("HHZ"))
    n_records = len(content) // RECORD_BYTES
    lost = obspy.read(io.BytesIO(content[3 * RECORD_BYTES : 4 * RECORD_BYTES]))[0].stats.npts
    stream, remarks = read(with_field(content, position, kind, value, records=[3]))
    assert remarks == [("damaged_file", f"answer of test: 1 damaged record left out ({fault})")]
    assert n_samples(stream) == 30_000 - lost
    assert {piece.stats.sampling_rate for piece in stream} == {100.0}
    assert n_records > 50


def test_bytes_put_in_and_taken_out_cost_one_record():
    content = miniseed(trace("HHZ"))
    middle = 10 * RECORD_BYTES + 200
    for changed in (content[:middle] + b"x" * 33 + content[middle:], content[:middle] + content[middle + 33 :]):
        stream, ((code, _),) = read(changed)
        assert code == "damaged_file"
        assert 29_000 < n_samples(stream) < 30_000


def test_a_record_length_of_one_byte_is_not_read_byte_by_byte(monkeypatch):
    calls = []
    read_one = obspy.read
    monkeypatch.setattr(reading.obspy, "read", lambda *args, **options: calls.append(1) or read_one(*args, **options))
    stream, remarks = read(with_field(miniseed(trace("HHZ")), LENGTH, "B", 0))
    assert not stream
    assert remarks[0][0] == "foreign_file"
    assert len(calls) < 3


def test_a_few_unreadable_records_are_found_by_halves(monkeypatch):
    calls = []
    read_one = obspy.read
    monkeypatch.setattr(reading.obspy, "read", lambda *args, **options: calls.append(1) or read_one(*args, **options))
    content = with_field(miniseed(trace("HHZ", seconds=3000)), 64, "4s", b"\xff" * 4, records=[5, 500])
    _, ((_, remark),) = read(content)
    assert remark == "answer of test: 2 damaged records left out (samples)"
    assert len(calls) < 50


def test_a_channel_of_text_and_one_without_a_rate_are_no_damage():
    log = obspy.Trace(np.frombuffer(b"GPS locked\n" * 20, "S1"), trace("ACE", seconds=1).stats)
    states = with_field(miniseed(trace("VEP", seconds=10)), RATE_FACTOR, "h", 0)
    stream, remarks = read(miniseed(station_stream()) + miniseed(log, encoding="ASCII") + states)
    assert remarks == []
    assert {piece.stats.channel for piece in stream if not is_waveform(piece)} == {"ACE", "VEP"}
    assert n_samples(stream) == 90_000


def test_only_the_records_of_the_window_are_read_and_judged():
    content = with_field(miniseed(trace("HHZ")), SAMPLES, "H", 65535, records=[80])
    stream, remarks = read_answer("test", content, START, parse_time("2024-03-05T10:01:00Z"))
    assert remarks == []
    assert 6000 <= n_samples(stream) < 7000


def test_miniseed_is_known_even_if_its_beginning_is_damaged(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xff" * 700 + miniseed(trace("HHZ"))[188:])
    stream, remarks = read_waveforms(path, START, END)
    assert [remark.code for remark in remarks] == ["damaged_file"]
    assert 29_000 < n_samples(stream) < 30_000


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"MS\x03" + b"\0" * 60, "MiniSEED 3"),
        (b"PK\x03\x04", "ZIP"),
        (b"<html>", "not a wave"),
    ],
)
def test_what_is_found_in_the_place_of_waveforms_is_called_by_its_name(tmp_path, beginning, words):
    path = tmp_path / "file"
    path.write_bytes(beginning + b"rest")
    stream, remarks = read_waveforms(path)
    assert not stream
    assert remarks[0].code == "foreign_file"
    assert words in remarks[0].detail


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read_waveforms(tmp_path / "pipe")[1][0].code == "foreign_file"
    assert read_waveforms(Path("/dev/zero"))[1][0].code == "foreign_file"
    assert read_waveforms(tmp_path)[1][0].code == "foreign_file"
    assert read_waveforms(tmp_path / "nowhere")[1][0].code == "foreign_file"


def test_a_sampling_rate_of_its_own_blockette_is_the_record_s():
    content = miniseed(trace("HHZ", seconds=4))
    rate = struct.pack(">HHf4x", 100, 0, 99.98)
    with_rate = content[:50] + struct.pack(">H", 56) + content[52:56] + rate + content[68:]
    moved = with_field(with_field(with_rate, BEGIN_OF_SAMPLES, "H", 128), ENCODING, "B", 3)
    stream, remarks = read(with_field(moved, SAMPLES, "H", 90))
    assert remarks == []
    assert stream[0].stats.sampling_rate == pytest.approx(99.98, abs=1e-4)


def test_a_multiplier_of_zero_multiplies_nothing():
    original = trace("HHZ", seconds=20)
    stream, remarks = read(with_field(miniseed(original), RATE_MULTIPLIER, "h", 0))
    assert remarks == []
    assert (stream[0].stats.sampling_rate, n_samples(stream)) == (100.0, original.stats.npts)


@pytest.mark.parametrize("n_before", [0, 1])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_record_that_begins_in_a_leap_second_is_read_wherever_it_stands(n_before, byteorder):
    last = miniseed(trace("HHZ", "2016-12-31T23:59:58", seconds=2), byteorder=byteorder)
    leap = bytearray(miniseed(trace("HHZ", "2017-01-01T00:00:00.5", seconds=2), byteorder=byteorder))
    struct.pack_into(f"{byteorder}HHBBB", leap, 20, 2016, 366, 23, 59, 60)
    stream, remarks = read(last * n_before + bytes(leap))
    assert remarks == []
    assert stream[-1].stats.starttime == obspy.UTCDateTime("2017-01-01T00:00:00.5")
    assert n_samples(stream) == 200 * (1 + n_before)


def test_a_fault_of_ours_is_not_called_a_damaged_record(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "with_record_times", broken)
    with pytest.raises(ZeroDivisionError):
        read(miniseed(trace("HHZ", seconds=20)))
