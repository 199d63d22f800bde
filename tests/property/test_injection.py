"""Known wavelets at gaps, spikes and midnight, with the bundled picker; the measured table is in docs/injection.md."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import injection
from benchmarks.injection import ANCHOR_S, MIDNIGHT, RATE_HZ

STRONG_DB = 30.0
N_RECORDS = 6
AT = round(ANCHOR_S * RATE_HZ)


@pytest.fixture(scope="module")
def picker():
    return injection.load_picker(*injection.BUNDLED, {})


@pytest.fixture(scope="module")
def windows():
    """Synthetic noise, three minutes each."""
    return injection.synthetic_noise(N_RECORDS, np.random.default_rng(0))


@pytest.fixture(scope="module")
def earthquakes(windows):
    """Strong arrivals of P and S in turn, at the anchor."""
    return [
        ("PS"[i % 2], injection.with_wavelet(window, "PS"[i % 2], STRONG_DB, np.random.default_rng(i)))
        for i, window in enumerate(windows)
    ]


def kept_of(record, picks):
    reasons = injection.reasons_of(record, picks)
    return [pick for pick, reason in zip(picks, reasons, strict=True) if not reason]


def n_hits(record, picks, phase, tolerance_s=0.3):
    true_ns = record.time_ns(record.arrivals[phase])
    return sum(name == phase and abs(ns - true_ns) <= tolerance_s * 1e9 for name, ns, _ in picks)


SPOILERS = {
    "gap": lambda record, rng: injection.add_gap(record, AT, AT + 500),
    "spike": lambda record, rng: injection.add_spike(record, AT, 30, rng),
    "step": lambda record, rng: injection.add_step(record, AT, 30, rng),
    "padding": lambda record, rng: injection.add_padding(record, AT, AT + 500, "zeros"),
}


@pytest.mark.parametrize("kind", SPOILERS)
def test_no_pick_is_kept_at_an_artefact_in_noise(kind, windows, picker):
    for index, window in enumerate(windows):
        record = SPOILERS[kind](injection.without_wavelet(window), np.random.default_rng(index))
        near = [
            pick
            for pick in kept_of(record, injection.picks_of(record, picker))
            if min(abs(pick[1] - record.time_ns(edge)) for edge in record.edges) < 0.5e9
        ]
        assert near == [], index


@pytest.mark.parametrize("kind", SPOILERS)
@pytest.mark.parametrize("distance_s", [2.5, 5.0])
def test_strong_arrivals_soon_after_an_artefact_are_found_and_kept(kind, distance_s, earthquakes, picker):
    hits = dropped = 0
    for index, (phase, record) in enumerate(earthquakes):
        # The artefact begins, or its gap or padding ends, so long before the arrival.
        shift = round(distance_s * RATE_HZ) + (500 if kind in ("gap", "padding") else 0)
        arrivals = {name: at + shift for name, at in record.arrivals.items()}
        moved = replace(record, samples=np.roll(record.samples, shift, axis=1), arrivals=arrivals)
        spoilt = SPOILERS[kind](moved, np.random.default_rng(index))
        picks = injection.picks_of(spoilt, picker)
        hits += n_hits(spoilt, kept_of(spoilt, picks), phase) == 1
        dropped += n_hits(spoilt, picks, phase) - n_hits(spoilt, kept_of(spoilt, picks), phase)
    assert dropped == 0
    assert hits >= N_RECORDS - 1


def test_arrivals_at_midnight_are_found_once(earthquakes, picker):
    midnight_ns = round(MIDNIGHT.timestamp()) * 10**9
    counts = []
    for shift_s in (-1.0, 0.0, 0.005, 1.0):
        for phase, record in earthquakes[:4]:
            start_ns = midnight_ns - round((ANCHOR_S + shift_s) * 1e9)
            late = replace(record, starttime_ns=start_ns)
            picks = injection.picks_across_midnight(late, picker)
            counts.append(n_hits(late, kept_of(late, picks), phase))
    assert max(counts) == 1
    assert sum(counts) >= len(counts) - 1
