import numpy as np
import obspy
import pytest

from pickflow.quality.picks import artefact_reasons
from tests.costs import MOST_GROWTH, growth

RATE_HZ = 100.0
N_SAMPLES = 6000
MIDDLE = 3000


def noise(seed=0):
    """Microseism and white noise of 20 counts, shape (3, n_samples)."""
    generator = np.random.default_rng(seed)
    swell = 300 * np.sin(2 * np.pi * 0.2 * np.arange(N_SAMPLES) / RATE_HZ + generator.uniform(0, 6, (3, 1)))
    return swell + generator.normal(0, 20, (3, N_SAMPLES)) + 500


def wave(onset, size=300.0, seed=1):
    """Band-limited coda from a sample on, shape (3, n_samples)."""
    generator = np.random.default_rng(seed)
    after = np.arange(N_SAMPLES) - onset
    coda = np.apply_along_axis(np.convolve, 1, generator.normal(size=(3, N_SAMPLES)), np.hanning(8), mode="same")
    return size * coda * np.where(after >= 0, np.exp(-np.clip(after, 0, None) / 300), 0)


def reasons(samples, picks, gap=None, scale=None):
    """Reasons of picks at samples; a gap is a slice without samples."""
    pieces = [slice(0, N_SAMPLES)] if gap is None else [slice(0, gap.start), slice(gap.stop, N_SAMPLES)]
    traces = [
        obspy.Trace(
            np.rint(row[piece]).astype(np.int32) if scale is None else row[piece] * scale,
            {"channel": f"HH{name}", "sampling_rate": RATE_HZ, "starttime": obspy.UTCDateTime(piece.start / RATE_HZ)},
        )
        for name, row in zip("ZNE", samples, strict=False)
        for piece in pieces
    ]
    times_ns = np.array([round(pick * 1e7) for pick in picks], np.int64)
    return artefact_reasons(obspy.Stream(traces), times_ns, np.full(times_ns.size, "P")).tolist()


def spoil(kind):
    """Noise with an artefact in the middle, and its gap."""
    samples, gap = noise(), None
    if kind == "step":
        samples[:, MIDDLE:] += 4000
    elif kind == "spike":
        samples[0, MIDDLE : MIDDLE + 2] -= 3000
    elif kind == "padding":
        samples[:, MIDDLE : MIDDLE + 500] = 0
    elif kind == "gap_edge":
        gap = slice(MIDDLE, MIDDLE + 500)
    return samples, gap


@pytest.mark.parametrize("kind", ["step", "spike", "padding", "gap_edge"])
@pytest.mark.parametrize("scale", [None, 1e-20, 1e8])
def test_each_artefact_is_named_in_any_unit(kind, scale):
    samples, gap = spoil(kind)
    assert reasons(samples, [MIDDLE - 20, MIDDLE, MIDDLE + 10], gap, scale) == [kind] * 3


@pytest.mark.parametrize("kind", ["padding", "gap_edge"])
def test_both_ends_are_edges(kind):
    samples, gap = spoil(kind)
    assert reasons(samples, [MIDDLE + 500], gap) == [kind]


def test_a_pick_in_constant_samples_is_dead():
    samples = noise()
    samples[:, MIDDLE - 500 : MIDDLE + 500] = 17
    assert reasons(samples, [MIDDLE]) == ["dead"]


def test_the_ends_of_the_record_are_edges():
    assert reasons(noise(), [5, N_SAMPLES - 5]) == ["gap_edge", "gap_edge"]


def test_picks_away_from_artefacts_stay():
    for kind in ("step", "spike", "padding", "gap_edge"):
        samples, gap = spoil(kind)
        assert reasons(samples, [MIDDLE - 200, MIDDLE + 700], gap) == ["", ""], kind


@pytest.mark.parametrize("kind", ["step", "spike"])
@pytest.mark.parametrize("distance", [-30, -10, 0, 10, 30])
def test_an_arrival_beside_a_glitch_stays(kind, distance):
    samples, _ = spoil(kind)
    onset = MIDDLE + distance
    assert reasons(samples + wave(onset), [onset + 2]) == [""]


@pytest.mark.parametrize("kind", ["padding", "gap_edge"])
@pytest.mark.parametrize("distance", [40, 100, 200])
def test_an_arrival_soon_after_an_edge_stays(kind, distance):
    samples, gap = spoil(kind)
    onset = MIDDLE + 500 + distance
    samples[:, MIDDLE + 500 :] += wave(onset)[:, MIDDLE + 500 :]
    assert reasons(samples, [onset + 2], gap) == [""]


@pytest.mark.parametrize("kind", ["padding", "gap_edge"])
def test_an_arrival_just_before_an_edge_stays(kind):
    samples, gap = spoil(kind)
    onset = MIDDLE - 30
    samples[:, :MIDDLE] += wave(onset)[:, :MIDDLE]
    assert reasons(samples, [onset + 2], gap) == [""]


@pytest.mark.parametrize("kind", ["step", "spike", "padding", "gap_edge"])
def test_an_artefact_half_a_second_before_an_arrival_is_not_excused_by_it(kind):
    samples, gap = spoil(kind)
    edge = MIDDLE + 500 if kind in ("padding", "gap_edge") else MIDDLE
    samples[:, edge:] += wave(edge + 50)[:, edge:]
    assert reasons(samples, [edge, edge + 52], gap) == [kind, ""]


@pytest.mark.parametrize("kind", ["step", "spike", "padding", "gap_edge"])
def test_an_artefact_in_a_coda_is_none_the_less_one(kind):
    samples, gap = spoil(kind)
    edge = MIDDLE + 500 if kind in ("padding", "gap_edge") else MIDDLE
    coda = wave(MIDDLE - 400, size=200.0)
    samples[:, :MIDDLE] += coda[:, :MIDDLE]
    samples[:, edge:] += coda[:, edge:]
    samples[:, MIDDLE:] += 20_000 if kind == "step" else 0
    samples[0, MIDDLE] += 20_000 if kind == "spike" else 0
    assert reasons(samples, [edge], gap) == [kind]


def test_a_sensor_of_few_counts_is_not_padded():
    samples = np.zeros((3, N_SAMPLES))
    samples[:, ::90] = 1
    samples += np.rint(wave(MIDDLE, size=2.0))
    assert reasons(samples, [MIDDLE + 2]) == [""]


def test_a_missing_component_or_none_at_all_is_no_reason():
    samples = noise()
    assert reasons(samples[:1], [MIDDLE]) == [""]
    assert artefact_reasons(obspy.Stream(), np.array([10**9]), np.array(["P"])).tolist() == [""]
    assert reasons(samples, []) == []


def test_ten_times_the_picks_and_pieces_cost_ten_times_as_much():
    generator = np.random.default_rng(0)
    samples = generator.normal(0, 300, 1_700).astype(np.int32)
    header = {"channel": "HHZ", "sampling_rate": RATE_HZ}
    pieces = [obspy.Trace(samples, header | {"starttime": obspy.UTCDateTime(17.1 * i)}) for i in range(5_000)]
    times_ns = (generator.uniform(0, 17.1, 5_000) * np.arange(1, 5_001) * 1e9).astype(np.int64)

    def judge(n):
        artefact_reasons(obspy.Stream(pieces[:n]), times_ns[:n], np.full(n, "P"))

    assert growth(judge, 500, 5_000) < MOST_GROWTH
