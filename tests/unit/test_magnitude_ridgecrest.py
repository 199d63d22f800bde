"""Real waveforms: ML of Ridgecrest against ComCat, with the law as it was published."""

from benchmarks import magnitudes
from pickflow.magnitude import network_magnitudes
from tests.magnitude_fixture import magnitude_params


def test_ml_of_ridgecrest_is_comcats(shared, tmp_path):
    params = magnitude_params(law="california")
    events, amplitudes, _ = magnitudes.measure(shared / "data" / "ridgecrest-2019", tmp_path, params)
    matches = events[["event_id"]].assign(reference_id=events.event_id)
    pairs = magnitudes.paired(network_magnitudes(events, amplitudes, params), events, matches).dropna(subset="ours")
    difference = pairs.ours - pairs.theirs
    assert len(pairs) >= 40
    assert difference.abs().median() <= 0.3
    assert abs(difference.median()) <= 0.15
    assert difference.abs().max() <= 0.6
    # The M6.4 drives most of the seismometers to their rails.
    largest = events.event_id[events.magnitude.idxmax()]
    assert (amplitudes[amplitudes.event_id == largest].reason == "clipped").sum() >= 10
