"""Pieces of a channel: merged where they are one, apart where they are not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from pickflow.download.merging import count_gaps, coverage, cut, merge_channel, without_flat_runs
from tests.waveform_fixture import END, START, noise, trace

WHOLE = noise(30_000, seed=7)


def piece(first, last, shift_s=0.0, rate=100.0):
    start = START + timedelta(seconds=first / rate + shift_s)
    return trace("HHZ", start, rate=rate, data=WHOLE[first:last])


def codes(channel):
    return [remark.code for remark in channel.remarks]


def test_adjoining_pieces_become_one_in_any_order():
    merged = merge_channel([piece(20_000, 30_000), piece(0, 10_000), piece(10_000, 20_000)])
    assert len(merged.pieces) == 1
    assert (merged.pieces[0].data == WHOLE).all()
    assert merged.remarks == []


def test_a_gap_stays_a_gap():
    merged = merge_channel([piece(0, 10_000), piece(12_000, 30_000)])
    assert [part.stats.npts for part in merged.pieces] == [10_000, 18_000]
    assert count_gaps(merged.pieces, START, END) == 1
    assert coverage(merged.pieces, START, END) == pytest.approx(28 / 30)


def test_identical_overlaps_are_merged():
    merged = merge_channel([piece(0, 15_000), piece(10_000, 30_000), piece(11_000, 12_000)])
    assert codes(merged) == ["overlap"]
    assert (merged.pieces[0].data == WHOLE).all()


def test_of_contradicting_overlaps_the_first_stays():
    contradiction = piece(10_000, 30_000)
    contradiction.data = contradiction.data + 1
    merged = merge_channel([piece(0, 15_000), contradiction])
    assert codes(merged) == ["clock_jump"]
    assert (merged.pieces[0].data[:15_000] == WHOLE[:15_000]).all()
    assert (merged.pieces[0].data[15_000:] == WHOLE[15_000:] + 1).all()


@pytest.mark.parametrize("shift_s", [0.0037, 0.373, -0.373, 3.373, -3.373])
def test_a_fraction_of_a_sample_is_a_clock_jump_and_the_time_stamps_are_believed(shift_s):
    merged = merge_channel([piece(0, 15_000), piece(15_000, 30_000, shift_s)])
    assert codes(merged) == ["clock_jump"]
    first, second = merged.pieces
    assert second.stats.starttime > first.stats.endtime
    n_samples = second.stats.npts
    assert abs(second.stats.starttime - piece(30_000 - n_samples, 30_000, shift_s).stats.starttime) < 1e-6
    assert (second.data == WHOLE[30_000 - n_samples :]).all()


def test_a_restart_after_an_hour_may_sample_at_other_moments():
    merged = merge_channel([piece(0, 15_000), piece(15_000, 30_000, 3600.0037)])
    assert codes(merged) == []


def test_a_clock_that_wanders_slowly_does_not_jump_and_keeps_its_times():
    pieces = [piece(first, first + 1000, shift_s=first / 1000 * 0.0004) for first in range(0, 30_000, 1000)]
    merged = merge_channel(pieces)
    assert codes(merged) == []
    assert len(merged.pieces) > 1
    assert abs(merged.pieces[-1].stats.endtime - pieces[-1].stats.endtime) < 0.0021


def test_the_rate_that_covers_most_is_kept():
    merged = merge_channel([piece(0, 20_000), piece(20_000, 25_000, rate=50.0)])
    assert codes(merged) == ["wrong_rate"]
    assert [part.stats.sampling_rate for part in merged.pieces] == [100.0]


def test_samples_that_are_no_numbers_are_missing():
    spoilt = piece(0, 30_000)
    spoilt.data = spoilt.data.astype(float)
    spoilt.data[10_000:11_000] = np.nan
    merged = merge_channel([spoilt])
    assert [part.stats.npts for part in merged.pieces] == [10_000, 19_000]
    assert merged.pieces[1].stats.starttime - merged.pieces[0].stats.starttime == pytest.approx(110.0)


def test_a_gap_that_somebody_filled_with_zeros_is_a_gap():
    samples = np.tile(WHOLE, 4)
    samples[40_000:80_000] = 0
    channel = without_flat_runs(merge_channel([trace("HHZ", data=samples)]))
    assert codes(channel) == ["gap"]
    assert [part.stats.npts for part in channel.pieces] == [40_000, 40_000]


def test_ten_thousand_pieces_take_no_time():
    pieces = [piece(first, first + 2) for first in range(0, 30_000, 3)]
    assert len(merge_channel(pieces).pieces) == 10_000


def test_a_cut_is_half_open():
    part = cut(piece(0, 30_000), START + timedelta(seconds=1), START + timedelta(seconds=2))
    assert part.stats.npts == 100
    assert (part.data == WHOLE[100:200]).all()


def test_a_missing_beginning_counts_as_a_gap():
    assert count_gaps([piece(500, 30_000)], START, END) == 1
    assert count_gaps([piece(0, 30_000)], START, END) == 0
    assert count_gaps([], START, END) == 1
