"""Scores of the lab, by hand."""

import numpy as np
import pandas as pd
import pytest

from pickflow.lab.comparison import compare_phase
from pickflow.lab.records import common_records, known_from_training, picks_on
from pickflow.lab.scores import (
    SUMS,
    THRESHOLDS,
    choose_threshold,
    counts,
    equal_recall,
    metrics,
    recall_curve,
    record_sums,
)
from tests.lab_fixture import event, noise, output, perfect_picks, picks_table, records_table

RECORDS = records_table(event("a"), event("b"), event("c", s_s=np.nan), noise("n", duration_s=1800.0))
PICKS = picks_table(
    ("a", "P", 10.25, 0.9), ("a", "P", 40.0, 0.6),  # found at 0.3 s, and a false one
    ("b", "P", 10.5, 0.5),  # at the edge of 0.5 s
    ("c", "P", 13.0, 0.8), ("c", "S", 21.0, 0.7),  # too far; S without a label is not judged
    ("n", "P", 3.0, 0.4), ("n", "P", 5.0, 0.2),
)  # fmt: skip


def scored(phase, threshold, picks=PICKS, records=RECORDS):
    sums = record_sums(compare_phase(picks, records, phase), threshold).sum(axis=0)
    return {**counts(sums), **{name: float(value) for name, value in metrics(sums).items()}}


def test_a_pick_within_the_tolerance_is_true_and_all_others_are_false():
    scores = scored("P", 0.3)
    assert [scores[f"{kind}_0.3s"] for kind in ("tp", "fp", "fn")] == [1, 4, 2]
    assert [scores[f"{kind}_0.5s"] for kind in ("tp", "fp", "fn")] == [2, 3, 1]
    assert [scores[f"{kind}_0.1s"] for kind in ("tp", "fp", "fn")] == [0, 5, 3]
    assert scores["precision_0.3s"] == pytest.approx(1 / 5)
    assert scores["recall_0.3s"] == pytest.approx(1 / 3)
    assert scores["f1_0.3s"] == pytest.approx(2 / 8)


def test_a_second_pick_of_the_same_arrival_is_false():
    twice = picks_table(("a", "P", 10.0, 0.9), ("a", "P", 10.1, 0.8))
    assert [scored("P", 0.1, twice)[f"{kind}_0.3s"] for kind in ("tp", "fp")] == [1, 1]


def test_picks_of_a_phase_without_a_label_are_not_judged():
    scores = scored("S", 0.05)
    assert [scores["n_labels"], scores["n_picks"]] == [2, 0]


def test_errors_of_matches_leave_misses_out_and_those_of_all_arrivals_count_them_as_half_a_second():
    scores = scored("P", 0.3)
    assert scores["mae_s"] == pytest.approx((0.25 + 0.5) / 2)
    assert scores["rmse_s"] == pytest.approx(np.sqrt((0.25**2 + 0.5**2) / 2))
    assert scores["mae_all_s"] == pytest.approx((0.25 + 0.5 + 0.5) / 3)
    assert scores["rmse_all_s"] == pytest.approx(np.sqrt((0.25**2 + 0.5**2 + 0.5**2) / 3))


def test_false_picks_of_noise_are_per_hour_and_quiet_noise_is_a_true_negative():
    assert scored("P", 0.3)["false_picks_per_station_hour"] == pytest.approx(2.0)
    assert [scored("P", threshold)["tn"] for threshold in (0.1, 0.3, 0.5)] == [0, 0, 1]


def test_detections_are_true_when_they_overlap_the_earthquake():
    """It lasts from 10 s to 20 + 1.4 · 10 = 34 s."""
    for begin_s, end_s, true in ((33.9, 36, 1), (34.2, 40, 1), (34.4, 40, 0), (0, 9.8, 1), (0, 9.6, 0), (0, 59, 1)):
        picks = picks_table(("a", "Detection", begin_s, end_s, 0.9))
        assert scored("Detection", 0.1, picks)["tp_0.3s"] == true, (begin_s, end_s)


def test_the_threshold_is_the_one_with_the_largest_f1():
    """At 0.81 to 0.9, a pick of three is true and none is false; below it, false ones come in."""
    threshold = choose_threshold(compare_phase(PICKS, RECORDS, "P"))
    assert 0.80 < threshold <= 0.90
    every = [scored("P", candidate)["f1_0.3s"] for candidate in THRESHOLDS]
    assert scored("P", threshold)["f1_0.3s"] == max(every)


def test_without_a_label_there_is_no_threshold_and_no_score():
    only_p = RECORDS.assign(s_s=np.nan)
    assert np.isnan(choose_threshold(compare_phase(PICKS, only_p, "S")))
    assert all(np.isnan(value) for value in scored("S", np.nan, records=only_p).values())


def test_recall_at_an_equal_number_of_picks_takes_the_most_probable_ones():
    """Three labels, so three picks: 0.9 (true at 0.3 s), 0.8 and 0.6 (false)."""
    comparison = compare_phase(PICKS, RECORDS, "P")
    weights, block = np.ones((1, 4), np.float32), np.arange(4)
    recall, n_picks = equal_recall(comparison, 1.0, weights, block)
    assert (recall["equal_recall_0.3s"], recall["equal_recall_0.5s"], n_picks) == ([1 / 3], [1 / 3], [3])
    recall, n_picks = equal_recall(comparison, 4 / 3, weights, block)
    assert (recall["equal_recall_0.5s"], n_picks) == ([2 / 3], [4])
    recall, n_picks = equal_recall(comparison, 10.0, weights, block)
    assert n_picks == [6]


def test_recall_at_an_equal_number_of_picks_does_not_change_with_the_scale_of_the_probabilities():
    block = np.arange(4)
    recalls = [
        equal_recall(compare_phase(picks, RECORDS, "P"), 1.5, np.ones((1, 4), np.float32), block)[0]
        for picks in (PICKS, PICKS.assign(probability=PICKS.probability**3))
    ]
    assert recalls[0] == recalls[1]


def test_the_curve_of_recall_ends_with_all_picks():
    picks_per_label, recall = recall_curve(compare_phase(PICKS, RECORDS, "P"), 0.5)
    assert picks_per_label[-1] == 6 / 3
    assert recall.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("phase", ["P", "S", "Detection"])
def test_a_perfect_picker_scores_1(phase):
    scores = scored(phase, 0.5, perfect_picks(RECORDS))
    assert all(
        scores[f"{rate}_{tolerance}s"] == 1 for rate in ("precision", "recall", "f1") for tolerance in (0.1, 0.5)
    )
    assert [scores["mae_s"], scores["rmse_all_s"], scores["false_picks_per_station_hour"]] == [0, 0, 0]


@pytest.mark.parametrize("phase", ["P", "S", "Detection"])
def test_a_silent_picker_has_a_recall_of_0_and_no_precision(phase):
    scores = scored(phase, choose_threshold(compare_phase(picks_table(), RECORDS, phase)), picks_table())
    assert [scores["recall_0.3s"], scores["f1_0.3s"], scores["mae_all_s"], scores["tn"]] == [0, 0, 0.5, 1]
    assert np.isnan([scores["precision_0.3s"], scores["mae_s"]]).all()
    comparison = compare_phase(picks_table(), RECORDS, phase)
    recall, n_picks = equal_recall(comparison, 1.0, np.ones((2, 4), np.float32), np.arange(4))
    assert recall["equal_recall_0.3s"].tolist() == n_picks.tolist() == [0, 0]


def test_sums_have_a_column_for_each_name():
    assert record_sums(compare_phase(PICKS, RECORDS, "P"), 0.3).shape == (4, len(SUMS))


def test_pickers_are_compared_on_the_records_that_all_were_run_on():
    short = RECORDS.assign(reason=["", "too_short", "", ""], detail=["", "3000 samples", "", ""])
    common = common_records([output("A", RECORDS, PICKS), output("B", short, PICKS)])
    assert common.records.record.tolist() == ["a", "c", "n"]
    assert common.left_out.to_dict("records") == [
        {"record": "b", "reason": "too_short", "detail": "3000 samples", "n_pickers": 1}
    ]
    common = common_records([output("A", RECORDS, PICKS), output("B", RECORDS[RECORDS.record != "a"], PICKS)])
    assert common.left_out[["record", "reason"]].to_numpy().tolist() == [["a", "not_picked"]]


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([], "no picker's output"),
        ([output("A", RECORDS, PICKS)] * 2, "A, seed 0 was given twice"),
        ([output("A", RECORDS, PICKS), output("B", RECORDS.assign(p_s=1.0, kind="event"), PICKS)], "'a' differ"),
        ([output("A", RECORDS.assign(kind="quake"), PICKS)], "'a' is of kind 'quake'"),
        ([output("A", RECORDS.assign(p_s=1.0), PICKS)], "'n' is noise and has a pick"),
        ([output("A", RECORDS.assign(reason="too_short"), PICKS)], "no record was picked by all of 1 pickers"),
    ],
)
def test_what_cannot_be_compared_is_named(outputs, words):
    with pytest.raises(ValueError, match=words):
        common_records(outputs)


def test_predictions_on_other_records_or_of_other_phases_are_refused():
    with pytest.raises(ValueError, match="predictions on 'a'"):
        picks_on(output("A", RECORDS[1:], PICKS), RECORDS)
    with pytest.raises(ValueError, match="predicts 'Pn'"):
        picks_on(output("A", RECORDS, PICKS.assign(phase="Pn")[:1]), RECORDS)


def test_records_that_a_picker_knows_from_its_training_are_told_by_its_card():
    records = records_table(event("a", dataset="stead50"), event("b", dataset="ethz"))
    assert known_from_training(records, {"model": "EQTransformer", "weights": "stead"}).ne("").tolist() == [False, True]
    assert known_from_training(records, {}).tolist() == ["", ""]


def test_the_order_of_picks_does_not_matter():
    shuffled = PICKS.sample(frac=1, random_state=1)
    comparison_in_order, comparison_of_shuffled = (compare_phase(picks, RECORDS, "P") for picks in (PICKS, shuffled))
    pd.testing.assert_frame_equal(
        pd.DataFrame(record_sums(comparison_in_order, 0.3)), pd.DataFrame(record_sums(comparison_of_shuffled, 0.3))
    )
    assert comparison_in_order.probability.tolist() == comparison_of_shuffled.probability.tolist()
