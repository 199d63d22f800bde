"""What holds for any pieces of a record."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.download.merging import count_gaps, coverage, cut, merge_channel
from pickflow.quality.glitches import find_glitches
from tests.waveform_fixture import END, START, noise, trace

WHOLE = noise(30_000, seed=8)
RANGES = st.lists(st.tuples(st.integers(0, 29_999), st.integers(1, 9_000)), min_size=1, max_size=12)


def pieces_of(ranges):
    return [
        trace("HHZ", START + timedelta(seconds=first / 100), data=WHOLE[first : first + length])
        for first, length in ranges
    ]


@settings(deadline=None, max_examples=60)
@given(RANGES)
def test_merged_pieces_hold_every_sample_once_and_in_its_place(ranges):
    merged = merge_channel(pieces_of(ranges))
    is_covered = np.zeros(WHOLE.size, bool)
    for first, length in ranges:
        is_covered[first : first + length] = True
    n_pieces = np.zeros(WHOLE.size, int)
    for piece in merged.pieces:
        first = round((piece.stats.starttime - trace().stats.starttime) * 100)
        assert (piece.data == WHOLE[first : first + piece.stats.npts]).all()
        n_pieces[first : first + piece.stats.npts] += 1
    assert (n_pieces == is_covered).all()
    assert coverage(merged.pieces, START, END) == pytest.approx(np.mean(is_covered))
    assert {remark.code for remark in merged.remarks} <= {"overlap"}


@settings(deadline=None, max_examples=40)
@given(RANGES)
def test_merging_twice_changes_nothing(ranges):
    once = merge_channel(pieces_of(ranges))
    twice = merge_channel(once.pieces)
    assert [piece.stats.starttime for piece in once.pieces] == [piece.stats.starttime for piece in twice.pieces]
    assert twice.remarks == []


@settings(deadline=None, max_examples=40)
@given(RANGES)
def test_gaps_are_the_holes_between_the_pieces(ranges):
    is_covered = np.zeros(WHOLE.size, bool)
    for first, length in ranges:
        is_covered[first : first + length] = True
    holes = np.flatnonzero(np.diff(np.r_[1, is_covered, 1].astype(int)) == -1).size
    at_edges = sum(
        1 for edge in (is_covered[:100], is_covered[-100:]) if not edge.all() and edge.any() and not edge[[0, -1]].all()
    )
    n_gaps = count_gaps(merge_channel(pieces_of(ranges)).pieces, START, END)
    assert holes - at_edges - 2 <= n_gaps <= holes


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 29_999), st.integers(1, 30_000))
def test_neighbouring_windows_share_no_sample_and_lose_none(split, length):
    whole = trace("HHZ", data=WHOLE[:length])
    middle = START + timedelta(seconds=split / 100)
    parts = [cut(whole, START, middle), cut(whole, middle, END)] if split else [cut(whole, START, END)]
    samples = np.concatenate([part.data for part in parts if part is not None])
    assert (samples == WHOLE[:length]).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(100, 25_000), st.integers(0, 3_000))
def test_a_spike_moves_with_the_waveform(place, shift):
    quiet = noise(30_000, seed=9, amplitude=10.0)
    quiet[15_000:] = quiet[:15_000]
    quiet[place] += 500_000
    assert find_glitches(quiet, 100.0).spikes.tolist() == [place]
    assert find_glitches(np.roll(quiet, shift), 100.0).spikes.tolist() == [place + shift]
