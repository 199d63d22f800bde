from importlib import resources
from pathlib import Path

import numpy as np
import obspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.datasets.signals import make_noise, make_signal
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model

BUNDLED = Path(str(resources.files("pickflow.models"))) / "bundled" / "PickflowNet"
N_SAMPLES = 4096


@pytest.fixture(scope="module")
def picker():
    model = load_model(BUNDLED)
    thresholds = read_card(BUNDLED)["thresholds"]

    def pick(samples):
        traces = [
            obspy.Trace(data, {"network": "XX", "station": "A", "channel": f"HH{component}", "sampling_rate": 100.0})
            for component, data in zip("ZNE", samples, strict=True)
            if data.any()
        ]
        picks = model.classify(
            obspy.Stream(traces), P_threshold=thresholds["P"], S_threshold=thresholds["S"], batch_size=8
        ).picks
        return {phase: [pick.peak_time.timestamp for pick in picks if pick.phase == phase] for phase in "PS"}

    return pick


def earthquake(shift=0, snr=100.0):
    """A clear earthquake on noise: P at 8 s, later by the shift in samples."""
    signal = make_signal(np.random.default_rng(5))
    noise = np.concatenate([make_noise(np.random.default_rng(seed)) for seed in (1, 2)], axis=1)[:, :N_SAMPLES]
    first = 600 + shift
    noise[:, first:] += snr * signal.samples[:, : N_SAMPLES - first]
    return noise.astype(np.float64), {phase: (at + first) / 100 for phase, at in signal.picks.items()}


def assert_found(picks, truth, tolerance_s=0.15):
    for phase, time in truth.items():
        assert min((abs(at - time) for at in picks[phase]), default=np.inf) < tolerance_s, (phase, time, picks)


@settings(max_examples=12, deadline=None)
@given(shift=st.integers(0, 800))
def test_picks_move_with_the_waveform(picker, shift):
    samples, truth = earthquake(shift)
    assert_found(picker(samples), truth)


@settings(max_examples=12, deadline=None)
@given(exponent=st.floats(-20, 8))
def test_picks_do_not_depend_on_the_unit(picker, exponent):
    samples, truth = earthquake()
    assert_found(picker(samples * 10**exponent), truth)


@settings(max_examples=12, deadline=None)
@given(angle=st.floats(0, 360))
def test_picks_survive_rotated_horizontals(picker, angle):
    samples, truth = earthquake()
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    north, east = samples[1].copy(), samples[2].copy()
    samples[1], samples[2] = cosine * north - sine * east, sine * north + cosine * east
    assert_found(picker(samples), truth, tolerance_s=0.3)


def test_p_is_found_on_the_vertical_alone(picker):
    samples, truth = earthquake()
    samples[1:] = 0
    assert_found(picker(samples), {"P": truth["P"]})


def test_plain_noise_gives_almost_no_picks(picker):
    picks = picker(np.random.default_rng(0).normal(size=(3, 180_000)))
    assert sum(map(len, picks.values())) <= 1


def test_spikes_steps_and_gaps_filled_with_zeros_are_no_earthquakes(picker):
    samples = np.random.default_rng(1).normal(size=(3, 60_000))
    samples[:, 10_000] += 300.0
    samples[:, 20_000:] += 200.0
    samples[:, 30_000:34_000] = 200.0
    assert sum(map(len, picker(samples).values())) <= 1
