"""The numbers of the EarthML studies, with their faults."""

import numpy as np
import pandas as pd
import pytest

from pickflow.lab.comparison import compare_phase
from pickflow.lab.earthml import COLUMNS, better_than, earthml_numbers, first_matches
from pickflow.lab.scores import counts, record_sums
from tests.lab_fixture import event, noise, perfect_picks, picks_table, records_table

RECORDS = records_table(event("a"), event("b"), noise("m"), noise("n"))


def numbers(*picks, records=RECORDS):
    return earthml_numbers(picks_table(*picks), records)


def ours(phase, *picks):
    return counts(record_sums(compare_phase(picks_table(*picks), RECORDS, phase), 0.1).sum(axis=0))


def test_there_are_24_numbers_of_which_22_are_judged():
    assert len(COLUMNS) == 24
    assert list(COLUMNS)[:8] == [
        "det_recall",
        "det_precision",
        "d_tp",
        "d_fp",
        "d_tn",
        "d_fn",
        "p_recall",
        "p_precision",
    ]
    assert list(COLUMNS)[-2:] == ["#events", "#noise"]
    assert sum(higher is True for higher in COLUMNS.values()) == 12
    assert sum(higher is False for higher in COLUMNS.values()) == 10


def test_a_pick_far_from_the_arrival_is_true_there_and_false_here():
    far = [("a", "Detection", 40.0, 50.0, 0.9), ("a", "P", 41.0, 0.9), ("a", "S", 45.0, 0.9)]
    theirs = numbers(*far)
    assert [theirs[name] for name in ("d_tp", "p_tp", "s_tp", "p_fp", "s_fp")] == [1, 1, 1, 0, 0]
    for phase in ("P", "S", "Detection"):
        assert [ours(phase, *far)[name] for name in ("tp_0.5s", "fp_0.5s")] == [0, 1]


def test_false_picks_of_events_count_as_nothing_there():
    two = [("a", "Detection", 10.0, 34.0, 0.9), ("a", "P", 10.0, 0.9), ("a", "P", 15.0, 0.8)]
    assert [numbers(*two)[name] for name in ("p_tp", "p_fp", "p_precision")] == [1, 0, 1]
    assert [ours("P", *two)[name] for name in ("tp_0.3s", "fp_0.3s")] == [1, 1]


def test_several_picks_of_one_noise_record_count_once_there():
    many = [("n", "Detection", 10.0, 34.0, 0.9), ("n", "P", 10.0, 0.9), ("n", "P", 15.0, 0.8)]
    theirs = numbers(*many)
    assert [theirs[name] for name in ("d_fp", "d_tn", "p_fp", "p_tn", "s_fp", "s_tn")] == [1, 1, 1, 1, 0, 2]
    assert ours("P", *many)["fp_0.3s"] == 2


def test_only_the_first_match_of_a_record_counts():
    early = [("a", "Detection", 2.0, 5.0, 0.9), ("a", "P", 2.0, 0.9)]
    right = [("a", "Detection", 10.0, 34.0, 0.9), ("a", "P", 10.0, 0.9), ("a", "S", 20.0, 0.9)]
    theirs = numbers(*early, *right)
    assert [theirs[name] for name in ("p_tp", "s_tp", "s_fn")] == [1, 0, 2]
    assert np.isnan(theirs["p_mae"])
    assert [ours("S", *early, *right)[name] for name in ("tp_0.3s", "fn_0.3s")] == [1, 1]


def test_errors_are_in_samples_over_records_with_both_picks():
    theirs = numbers(
        ("a", "Detection", 10.0, 34.0, 0.9), ("a", "P", 10.03, 0.9), ("a", "S", 20.3, 0.9),
        ("b", "Detection", 10.0, 34.0, 0.9), ("b", "P", 11.0, 0.9),  # without S
    )  # fmt: skip
    assert [theirs["p_mae"], theirs["p_rmse"], theirs["s_mae"]] == pytest.approx([3, 3, 30])
    assert theirs["p_tp"] == 2


def test_a_miss_by_a_minute_is_in_the_error_there():
    theirs = numbers(("a", "Detection", 40.0, 50.0, 0.9), ("a", "P", 41.0, 0.9), ("a", "S", 45.0, 0.9))
    assert [theirs["p_mae"], theirs["s_rmse"]] == pytest.approx([3100, 2500])


def test_nothing_divided_by_nothing_is_not_a_number():
    silent = numbers()
    assert [silent["d_tp"], silent["d_fn"], silent["d_tn"], silent["det_recall"]] == [0, 2, 2, 0]
    assert np.isnan([silent[name] for name in ("det_precision", "p_mae", "s_rmse")]).all()
    assert np.isnan(numbers(records=RECORDS[2:])["det_recall"])


def test_thresholds_are_those_of_the_original():
    weak = [("a", "Detection", 10.0, 34.0, 0.19), ("a", "P", 10.0, 0.9)]
    assert numbers(*weak)["d_tp"] == 0
    enough = [("a", "Detection", 10.0, 34.0, 0.20), ("a", "P", 10.0, 0.10), ("a", "S", 20.0, 0.09)]
    assert [numbers(*enough)[name] for name in ("d_tp", "p_tp", "s_tp")] == [1, 1, 0]


def test_a_match_has_the_first_s_inside_and_the_most_probable_p_before_it():
    picks = picks_table(
        ("a", "Detection", 10.0, 34.0, 0.9),
        ("a", "P", 8.9, 0.99), ("a", "P", 9.1, 0.5), ("a", "P", 11.0, 0.8), ("a", "P", 19.95, 0.95),
        ("a", "S", 9.5, 0.99), ("a", "S", 20.0, 0.2), ("a", "S", 25.0, 0.9),
    )  # fmt: skip
    assert first_matches(picks, RECORDS).loc[0].tolist() == [1100.0, 2000.0, True]


def test_a_detection_of_less_than_10_samples_or_without_picks_is_no_match():
    short = [("a", "Detection", 10.0, 10.09, 0.9), ("a", "P", 10.0, 0.9)]
    assert numbers(*short)["d_tp"] == 0
    assert numbers(("a", "Detection", 10.0, 34.0, 0.9))["d_tp"] == 0
    assert numbers(("a", "Detection", 10.0, 10.1, 0.9), ("a", "P", 10.0, 0.9))["d_tp"] == 1


def test_a_perfect_picker_has_a_recall_and_precision_of_1():
    perfect = earthml_numbers(perfect_picks(RECORDS), RECORDS)
    assert all(perfect[name] == 1 for name in perfect if name.endswith(("recall", "precision")))
    assert [perfect["p_mae"], perfect["s_rmse"], perfect["#events"], perfect["#noise"]] == [0, 0, 2, 2]


def test_the_published_row_follows_from_its_counts():
    """20,570 of 20,582 events were detected, and 59 of 4,731 noise records (docs/lab-table.md)."""
    records = records_table(*(event(f"e{i:05d}") for i in range(20_582)), *(noise(f"n{i:04d}") for i in range(4_731)))
    names = [*records.record[records.kind == "event"][:20_570], *records.record[records.kind == "noise"][:59]]
    spans = pd.DataFrame({"record": names, "phase": "Detection", "time_s": 9.9, "end_s": 30.0, "probability": 0.9})
    picks = pd.concat([spans, spans.assign(phase="P", time_s=10.0)], ignore_index=True)
    row = earthml_numbers(picks, records)
    assert [row[name] for name in ("d_tp", "d_fp", "d_tn", "d_fn")] == [20_570, 59, 4_672, 12]
    assert [round(row["det_recall"], 5), round(row["det_precision"], 5)] == [0.99942, 0.99714]


def test_better_on_k_counts_each_number_in_its_direction_and_names_ties():
    eqt = dict.fromkeys(COLUMNS, 1.0)
    variant = eqt | {"p_recall": 1.1, "p_mae": 0.9, "p_fn": 0.5, "s_tp": 0.9, "s_rmse": 2.0, "#events": 5.0}
    table = pd.DataFrame([eqt, variant], index=["EQT", "BO"])
    row = better_than(table, "EQT").loc["BO"]
    assert [row.n_better, row.n_equal, row.n_worse, row.n_judged] == [3, 17, 2, 22]
    assert set(row.better.split()) == {"p_recall", "p_mae", "p_fn"}
    assert len(row.equal.split()) == 17
    assert "s_tp" not in row.equal.split()


def test_what_is_undefined_counts_as_worse():
    eqt = dict.fromkeys(COLUMNS, 1.0)
    row = better_than(pd.DataFrame([eqt, eqt | {"p_mae": np.nan}], index=["EQT", "BO"]), "EQT").loc["BO"]
    assert [row.n_better, row.n_equal, row.n_worse] == [0, 21, 1]


def test_an_unknown_reference_is_named():
    with pytest.raises(ValueError, match="reference EQTX is not among the variants EQT"):
        better_than(pd.DataFrame([dict.fromkeys(COLUMNS, 1.0)], index=["EQT"]), "EQTX")
