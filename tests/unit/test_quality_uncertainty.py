import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.datasets.records import Record
from pickflow.datasets.splits import part_of
from pickflow.models.cards import read_card, write_card
from pickflow.models.network import PickflowNet
from pickflow.quality.uncertainty import MIN_PICKS, RESOLUTION_S, calibrate, describe, time_uncertainty_s
from pickflow.train.calibrate import calibrate_folder, calibrate_picker, held_out, time_errors
from pickflow.weights import TIME_UNCERTAINTY_FILE, fetch_weights, keep_time_uncertainty, model_folder

TRAINING_STATION, TEST_STATION = "A.S2", "A.S5"


def errors(probability, time_error_s, phase="P"):
    return pd.DataFrame({"phase": phase, "probability": probability, "time_error_s": time_error_s})


@pytest.fixture(scope="module")
def synthetic():
    """Picks whose errors shrink from 0.2 s at probability 0.2 to 0.05 s at 1, with 5 % of outliers."""
    random = np.random.default_rng(0)
    probability = random.uniform(0.2, 1.0, 20_000)
    sigma_s = 0.2375 - 0.1875 * probability
    error_s = 0.03 + sigma_s * random.standard_normal(probability.size)
    outliers = random.random(probability.size) < 0.05
    error_s[outliers] = random.uniform(-1, 1, outliers.sum())
    return errors(probability, error_s)


def test_a_known_spread_and_bias_are_recovered_in_spite_of_outliers(synthetic):
    table = calibrate(synthetic)
    middle = np.arange(0.25, 1.0, 0.1)
    expected = 0.2375 - 0.1875 * middle
    np.testing.assert_allclose(time_uncertainty_s(table, "P", middle), expected, rtol=0.15)
    np.testing.assert_allclose(table["phases"]["P"]["bias_s"], 0.03, atol=0.015)
    assert table["phases"]["P"]["probability_edges"] == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert sum(table["phases"]["P"]["n_picks"]) == len(synthetic)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_picks=st.integers(1, 400))
def test_uncertainty_never_grows_with_probability_and_no_bin_is_thin(seed, n_picks):
    random = np.random.default_rng(seed)
    frame = errors(random.beta(3, 1, n_picks), random.normal(0, random.uniform(0.0, 0.3, n_picks)))
    table = calibrate(frame)
    bins = table["phases"]["P"]
    assert np.all(np.diff(bins["uncertainty_s"]) <= 0)
    assert min(bins["uncertainty_s"]) >= RESOLUTION_S
    assert sum(bins["n_picks"]) == n_picks
    assert len(bins["n_picks"]) == 1 or min(bins["n_picks"]) >= MIN_PICKS
    assert len(bins["probability_edges"]) == len(bins["n_picks"]) + 1
    assert np.isfinite(time_uncertainty_s(table, "P", frame.probability)).all()


def test_bins_with_too_few_are_merged_and_a_phase_with_too_few_has_one_and_says_so():
    random = np.random.default_rng(1)
    many = errors(np.repeat([0.35, 0.55, 0.95], [10, 20, 40]), random.normal(0, 0.1, 70))
    few = errors([0.4, 0.8, 0.9], [0.1, -0.1, 0.0], "S")
    table = calibrate(pd.concat([many, few]))
    assert table["phases"]["P"]["n_picks"] in ([30, 40], [70])
    assert table["phases"]["S"]["n_picks"] == [3]
    assert table["phases"]["S"]["probability_edges"] == [0.4, 1.0]
    assert "S: one bin, of fewer than" in describe(table)
    assert "P:" not in describe(table)


def test_what_nobody_calibrated_is_nan():
    table = calibrate(errors(np.full(40, 0.75), np.linspace(-0.1, 0.1, 40)))
    assert np.isnan(time_uncertainty_s(None, "P", [0.5, 0.9])).all()
    assert np.isnan(time_uncertainty_s(table, "S", [0.5, 0.9])).all()
    uncertainties_s = time_uncertainty_s(table, ["P", "S", "P", "P"], [0.9, 0.9, 0.6, np.nan])
    assert np.isfinite(uncertainties_s).tolist() == [True, False, False, False]
    assert time_uncertainty_s(table, [], []).shape == (0,)
    assert calibrate(errors([], [])) == {"phases": {}}


@pytest.mark.parametrize("probability", [-0.1, 1.1, 87.0])
def test_probabilities_outside_of_0_to_1_are_refused(probability):
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        time_uncertainty_s(None, "P", [0.5, probability])
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        calibrate(errors([0.5, probability], [0.0, 0.0]))


def test_a_rounded_one_is_a_one_and_a_nan_cannot_be_calibrated():
    table = calibrate(errors(np.full(40, 1.0), np.linspace(-0.1, 0.1, 40)))
    assert np.isfinite(time_uncertainty_s(table, "P", np.float32(1) + np.finfo(np.float32).eps))
    with pytest.raises(ValueError, match="not a number"):
        calibrate(errors([0.5], [np.nan]))


def test_a_table_survives_json(synthetic):
    table = calibrate(synthetic)
    assert json.loads(json.dumps(table)) == table


class SteadyPicker:
    """Stands for a model that picks P at 10.03 s and 17 s, S at 20.5 s, each with probability 0.8."""

    def classify(self, stream, **_):
        from seisbench.util import Pick, PickList

        start = stream[0].stats.starttime
        arrivals = [("P", 10.03), ("P", 17.0), ("S", 20.5)]
        picks = [
            Pick(trace_id="A.B.", start_time=start + at, peak_time=start + at, peak_value=0.8, phase=phase)
            for phase, at in arrivals
        ]
        return type("Output", (), {"picks": PickList(picks)})()


def record(part="test", dataset="ncedc154", **picks):
    samples = np.ones((3, 3000), np.float32)
    # Of these stations one is in the training part of the bundled picker, one in its test part.
    station = {"train": TRAINING_STATION, "test": TEST_STATION}[part]
    return Record(name="r", dataset=dataset, station=station, part=part, samples=samples, picks=picks)


def test_errors_are_of_picks_near_the_manual_pick_of_their_phase():
    errors_of_picks = time_errors(SteadyPicker(), [record(P=1000.0), record(P=1000.0, S=2300.0)])
    assert errors_of_picks.phase.tolist() == ["P", "P"]
    np.testing.assert_allclose(errors_of_picks.time_error_s, 0.03, atol=1e-6)
    assert errors_of_picks.probability.tolist() == [0.8, 0.8]


def test_our_pickers_are_judged_on_records_that_they_were_not_trained_on():
    records = [record("train", P=1000.0), record(P=1000.0), record("train", "mine", P=1000.0)]
    ours = {"training_data": {"counts": {"labelled": 132}}}
    assert [(record_of_others.dataset, record_of_others.part) for record_of_others in held_out(ours, records)] == [
        ("ncedc154", "test"),
        ("mine", "train"),
    ]
    assert held_out({"training_data": {"counts": {"labelled": 0}}}, records) == records
    assert held_out({"training_data": "STEAD"}, records) == records
    table = calibrate_picker(SteadyPicker(), ours, records, "a remark")
    assert table["data"] == "ncedc154 (1 records), mine (1 records); without the records of the training"
    assert table["remark"] == "a remark"
    assert [part_of(station) for station in (TRAINING_STATION, TEST_STATION)] == ["train", "test"]
    assert calibrate_picker(SteadyPicker(), ours, [record("train", P=1000.0)])["phases"] == {}
    assert calibrate_picker(SteadyPicker(), ours, [record(S=1000.0)])["phases"] == {}


def test_the_bundled_picker_and_the_published_weights_that_ship_have_tables(tmp_path):
    card = fetch_weights("PickflowNet", "bundled", tmp_path, None, None, {})
    published_weights = json.loads(TIME_UNCERTAINTY_FILE.read_text())
    tables = [card["time_uncertainty"], *(entry["time_uncertainty"] for entry in published_weights.values())]
    assert len(published_weights) == 6
    for table in tables:
        assert {"P", "S"} == set(table["phases"])
        assert "ncedc154" in table["data"]
        assert all(0.004 < time_uncertainty_s(table, phase, 0.95) < 0.2 for phase in "PS")


def test_a_table_goes_to_the_card_of_a_folder_or_by_digest_to_published_weights(tmp_path, monkeypatch):
    from pickflow.models.cards import write_model

    monkeypatch.setattr("pickflow.weights.TIME_UNCERTAINTY_FILE", tmp_path / "known.json")
    (tmp_path / "known.json").write_text("{}")
    model = PickflowNet()
    card = {"model": "PickflowNet", "weights": "mine", "model_args": model.get_model_args(), "default_args": {}}
    card = write_model(tmp_path / "mine", model.state_dict(), card)
    table = {"phases": {}, "data": "none"}
    with model_folder(tmp_path / "mine", None) as folder:
        assert keep_time_uncertainty(folder, table, published=True) == tmp_path / "known.json"
    assert "time_uncertainty" not in read_card(tmp_path / "mine")
    files = {"PickflowNet/other": str(tmp_path / "mine")}
    assert fetch_weights("PickflowNet", "other", tmp_path / "out", None, None, files)["time_uncertainty"] == table
    assert read_card(tmp_path / "out")["time_uncertainty"] == table
    # The card's own table counts more than the list.
    keep_time_uncertainty(tmp_path / "mine", {"phases": {}, "data": "own"}, published=False)
    custom_card = fetch_weights("PickflowNet", "other", tmp_path / "again", None, None, files)
    assert (custom_card["time_uncertainty"]["data"], custom_card["sha256"]) == ("own", card["sha256"])
    write_card(tmp_path / "mine", read_card(tmp_path / "mine") | {"sha256": "0"})
    with pytest.raises(ValueError, match="sha256"):
        fetch_weights("PickflowNet", "other", tmp_path / "damaged", None, None, files)


def test_published_weights_get_their_table_when_they_are_fetched(shared, tmp_path):
    card = fetch_weights("PhaseNet", "original_converted", tmp_path, str(shared / "seisbench_cache"), None, {})
    assert "Northern California" in card["time_uncertainty"]["remark"]


def test_a_set_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no metadata\.csv; a data set is"):
        calibrate_folder(tmp_path, [tmp_path])
