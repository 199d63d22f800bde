"""Traces have the times that all of their MiniSEED records say."""

import io

import numpy as np
import obspy
import pytest

from pickflow.io.miniseed import read_headers, walk
from pickflow.io.record_times import with_record_times
from pickflow.io.waveforms import read_stream, write_stream
from tests.waveform_fixture import with_field

START = obspy.UTCDateTime("2026-01-15T00:00:00.000123")
N_RECORD = 400


def trace(n_samples, rate_hz, start=START, channel="HHZ"):
    header = {"network": "XX", "station": "A", "channel": channel, "sampling_rate": rate_hz, "starttime": start}
    return obspy.Trace(np.arange(n_samples, dtype=np.int32) % 1000, header)


def records(times_s, stated_hz, byteorder=">"):
    """Records of 512 bytes that state a rate, at some times."""
    content = b""
    for at_s in times_s:
        buffer = io.BytesIO()
        trace(N_RECORD, stated_hz, START + at_s).write(buffer, format="MSEED", reclen=512, byteorder=byteorder)
        content += buffer.getvalue()
    return content


def read(content):
    return with_record_times(obspy.read(io.BytesIO(content)), headers(content))


def headers(content):
    return read_headers(content, walk(content).places)


def latest_error_s(stream, times_s):
    """Largest distance of a record's first sample from its time stamp."""
    sample_times_s = np.concatenate([trace.times() + (trace.stats.starttime - START) for trace in stream])
    return np.abs(sample_times_s[::N_RECORD] - times_s).max()


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("rate_hz", [99.9, 99.98, 99.9999, 100.04])
def test_a_clock_that_runs_at_another_rate_than_it_states_is_followed(rate_hz, byteorder):
    times_s = np.arange(300) * N_RECORD / rate_hz
    (followed,) = read(records(times_s, 100.0, byteorder))
    assert followed.stats.sampling_rate == pytest.approx(rate_hz, abs=1e-4)
    assert latest_error_s([followed], times_s) <= 0.6e-3


@pytest.mark.parametrize(("activity", "correction_s"), [(0, 0.1234), (2, 0.0)])
def test_a_time_correction_counts_unless_it_has_been_applied(activity, correction_s):
    times_s = np.arange(100) * N_RECORD / 99.98
    content = with_field(with_field(records(times_s, 100.0), 40, "i", 1234), 36, "B", activity)
    assert latest_error_s(read(content), times_s + correction_s) <= 0.6e-3


def test_a_clock_that_wanders_is_followed():
    times_s = np.cumsum(np.r_[0, N_RECORD / (100 + 0.04 * np.sin(np.arange(399) / 20))])
    assert latest_error_s(obspy.read(io.BytesIO(records(times_s, 100.0))), times_s) > 0.01
    assert latest_error_s(read(records(times_s, 100.0)), times_s) <= 0.6e-3


def test_traces_that_agree_are_left_alone():
    content = records(np.arange(50) * N_RECORD / 100.0, 100.0)
    stream = obspy.read(io.BytesIO(content))
    assert with_record_times(stream, headers(content))[0] is stream[0]


def test_records_that_cannot_be_told_apart_change_nothing():
    content = records(np.arange(50) * N_RECORD / 99.98, 100.0)
    stream = obspy.read(io.BytesIO(content))
    assert with_record_times(stream, headers(content[: 20 * 512])) == stream


@pytest.mark.parametrize("second_hz", [99.98, 99.999, 100.0004])
def test_pieces_of_other_rates_are_read_as_they_were_written(tmp_path, second_hz):
    first = trace(50_000, 100.0)
    second = trace(90_000, second_hz, START + 500)
    write_stream(obspy.Stream([first, second]), tmp_path / "a.mseed")
    stream = read_stream(tmp_path / "a.mseed")
    assert len(stream) == 2
    for piece, original in zip(stream, (first, second), strict=True):
        assert abs(piece.stats.starttime - original.stats.starttime) <= 1e-6
        assert abs(piece.stats.endtime - original.stats.endtime) <= 0.6e-3


def test_a_channel_that_cannot_be_followed_leaves_the_others_their_clocks(caplog):
    times_s = np.arange(300) * N_RECORD / 99.98
    content = records(times_s, 100.0)
    record_headers = headers(content)
    stream = obspy.read(io.BytesIO(content))
    strange = trace(5000, 100.0, channel="HHN")  # of no record
    followed = with_record_times(stream + strange, record_headers)
    assert latest_error_s(followed.select(channel="HHZ"), times_s) < 1e-3
    assert followed.select(channel="HHN")[0] == strange
    assert "XX.A..HHN" in caplog.text
