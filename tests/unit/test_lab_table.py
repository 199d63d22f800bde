"""The table of the lab as a whole."""

import numpy as np
import pandas as pd
import pytest

from pickflow.lab.joined import csv_text, joined_table
from pickflow.lab.table import TableParams, compare_pickers
from tests.lab_fixture import output, perfect_picks, picks_table, random_picks, random_records

PARAMS = TableParams(n_draws=200)


@pytest.fixture(scope="module")
def records():
    return random_records(np.random.default_rng(0), n_events=150, n_noise=60)


@pytest.fixture(scope="module")
def picks(records):
    generator = np.random.default_rng(1)
    return {name: random_picks(generator, records, recall=recall) for name, recall in (("EQT", 0.8), ("BO", 0.3))}


@pytest.fixture(scope="module")
def table(records, picks):
    silent, perfect = picks_table(), perfect_picks(records)
    outputs = [output(name, records, picks_of_variant) for name, picks_of_variant in picks.items()]
    return compare_pickers([*outputs, output("Copy", records, picks["EQT"]), output("Silent", records, silent),
                            output("Perfect", records, perfect)], PARAMS)  # fmt: skip


def interval(table, variant, phase="S", score="f1_0.3s"):
    rows = table.intervals
    return rows[(rows.variant == variant) & (rows.phase == phase) & (rows.score == score)].iloc[0]


def test_scores_are_of_the_test_part_alone(table, records):
    n_events = int(((records.part == "test") & records.s_s.notna()).sum())
    assert set(table.scores.n_labels) == {n_events}
    assert set(table.records.part) == {"validation", "test"}


def test_values_lie_in_their_intervals(table):
    intervals = table.intervals[table.intervals.low.notna()]
    assert len(intervals) > 100
    assert ((intervals.low <= intervals.value) & (intervals.value <= intervals.high)).mean() > 0.99


def test_what_is_the_same_as_the_reference_is_no_difference(table):
    row = interval(table, "Copy")
    assert [row.difference, row.difference_low, row.difference_high, row.verdict] == [0, 0, 0, "no difference"]
    assert interval(table, "EQT").verdict == "reference"


def test_what_is_much_worse_is_worse_and_what_is_perfect_is_better(table):
    for score in ("f1_0.3s", "recall_0.5s", "equal_recall_0.3s", "mae_all_s", "rmse_all_s"):
        assert interval(table, "BO", score=score).verdict == "worse", score
        assert interval(table, "Perfect", score=score).verdict == "better", score


def test_a_silent_picker_is_a_row_like_all_others(table):
    assert interval(table, "Silent").value == 0
    assert interval(table, "Silent").verdict == "worse"
    assert interval(table, "Silent", score="precision_0.3s").verdict == "unknown"
    assert joined_table(table).set_index("variant").loc["Silent", "p_n_picks"] == 0


def test_paired_intervals_are_narrower_than_those_of_pickers_that_differ_everywhere(records):
    generator = np.random.default_rng(5)
    reference_picks, other_picks = (random_picks(generator, records) for _ in range(2))
    nearly_reference = reference_picks.drop(
        reference_picks.index[(reference_picks.phase == "S") & (reference_picks.time_s < 9)]
    )
    result = compare_pickers([output("EQT", records, reference_picks), output("Other", records, other_picks),
                              output("Nearly", records, nearly_reference)], PARAMS)  # fmt: skip
    width = {
        name: np.ptp(interval(result, name)[["difference_low", "difference_high"]]) for name in ("Other", "Nearly")
    }
    assert width["Nearly"] < 0.7 * width["Other"]


def test_several_seeds_give_a_mean_and_a_spread(records):
    generator = np.random.default_rng(2)
    runs = [random_picks(generator, records) for _ in range(3)]
    outputs = [output("EQT", records, picks_of_run, seed=seed) for seed, picks_of_run in enumerate(runs)]
    result = compare_pickers(outputs, PARAMS)
    values = result.scores[result.scores.phase == "S"]["f1_0.3s"]
    row = interval(result, "EQT")
    assert [row.n_seeds, row.value, row.spread] == pytest.approx([3, values.mean(), values.std(ddof=1)])
    joined = joined_table(result).iloc[0]
    assert [joined.n_seeds, joined["s_f1_0.3s"]] == pytest.approx([3, values.mean()])


def test_the_same_outputs_give_the_same_bytes(records, picks):
    texts = [
        csv_text(
            joined_table(
                compare_pickers(
                    [output(name, records, picks_of_variant) for name, picks_of_variant in picks.items()], PARAMS
                )
            )
        )
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == 3


def test_a_variant_has_the_same_interval_whoever_stands_beside_it(table, records, picks):
    alone = compare_pickers(
        [output(name, records, picks_of_variant) for name, picks_of_variant in picks.items()], PARAMS
    )
    for score in ("f1_0.3s", "equal_recall_0.1s"):
        pd.testing.assert_series_equal(interval(alone, "BO", "P", score), interval(table, "BO", "P", score),
                                       check_names=False)  # fmt: skip


def test_few_stations_say_nothing(records, picks):
    few_records = records[records.station.isin(["XX.S00", "XX.S01", "XX.S02"])]
    outputs = [
        output(name, few_records, picks_of_variant[picks_of_variant.record.isin(few_records.record)])
        for name, picks_of_variant in picks.items()
    ]
    result = compare_pickers(outputs, TableParams(n_draws=50, blocks="station"))
    assert result.n_blocks == 3
    assert set(result.intervals[result.intervals.variant == "BO"].verdict) == {"unknown"}


def test_test_records_that_a_picker_was_trained_on_are_counted(records, picks):
    """Every third record is of a set that the weights are called by."""
    mixed_records = records.assign(dataset=["ethz" if index % 3 == 1 else "set" for index in range(len(records))])
    n_touched = int(((mixed_records.part == "test") & (mixed_records.dataset == "ethz")).sum())
    card = {"model": "EQTransformer", "weights": "ethz"}
    outputs = [output("EQT", mixed_records, picks["EQT"], card=card), output("BO", mixed_records, picks["BO"])]
    result = compare_pickers(outputs, PARAMS)
    rows = result.touched.set_index("variant")
    assert rows.n_touched.to_dict() == {"EQT": n_touched, "BO": 0}
    assert "EQTransformer/ethz" in rows.sets["EQT"]
    assert joined_table(result).set_index("variant").n_touched["EQT"] == n_touched


def test_a_data_set_without_s_picks_still_has_scores_of_p(records, picks):
    only_p = records.assign(s_s=np.nan)
    result = compare_pickers(
        [output(name, only_p, picks_of_variant) for name, picks_of_variant in picks.items()], PARAMS
    )
    assert np.isfinite(interval(result, "BO", "P").value)
    assert np.isnan(interval(result, "BO", "S").value)
    assert interval(result, "BO", "S").verdict == "unknown"


@pytest.mark.parametrize(
    ("params", "part", "words"),
    [
        (TableParams(reference="EQTX"), None, "reference EQTX is not among the variants BO, EQT"),
        (TableParams(), "validation", "no record of the part validation is left; thresholds are chosen there"),
        (TableParams(), "test", "no record of the part test is left"),
        (TableParams(blocks="day"), None, "drawn by 'day'"),
    ],
)
def test_what_is_asked_for_in_vain_is_named(records, picks, params, part, words):
    records_of_parts = records[records.part != part]
    outputs = [
        output(name, records_of_parts, picks_of_variant[picks_of_variant.record.isin(records_of_parts.record)])
        for name, picks_of_variant in picks.items()
    ]
    with pytest.raises(ValueError, match=words):
        compare_pickers(outputs, params)


def test_costs_and_events_stand_in_the_row_of_their_variant(table):
    costs = pd.DataFrame({"variant": ["BO", "EQT"], "multiply_adds": [2.0, 1.0]})
    joined = joined_table(table, costs=costs).set_index("variant")
    assert [joined.multiply_adds["EQT"], joined.multiply_adds["BO"]] == [1.0, 2.0]
    assert np.isnan(joined.multiply_adds["Silent"])
    assert joined["earthml_n_judged"].tolist() == [22] * 5
