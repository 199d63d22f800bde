"""Scores and intervals of the lab against a slow implementation that shares no code with it."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.lab.bootstrap import block_of_records, draw_blocks, sum_draws
from pickflow.lab.comparison import compare_phase
from pickflow.lab.scores import THRESHOLDS, choose_threshold, counts, equal_recall, metrics, record_sums
from tests.lab_fixture import event, noise, picks_table, random_picks, random_records, records_table

TENTHS = st.integers(0, 590).map(lambda n: n / 10)


@st.composite
def tables(draw):
    n_events, n_noise = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    rows = []
    for index in range(n_events):
        p_s, difference_s = draw(st.one_of(TENTHS, st.just(math.nan))), draw(st.one_of(TENTHS, st.just(math.nan)))
        s_s = difference_s if math.isnan(p_s) else p_s + difference_s
        event_id, station = f"{draw(st.integers(0, 2))}", f"X.{draw(st.sampled_from('AB'))}"
        rows.append(event(f"e{index}", p_s, s_s, event_id=event_id, station=station))
    rows += [noise(f"n{index}", station="X.A") for index in range(n_noise)]
    picks = {}
    for row in rows:
        for phase in ("P", "S", "Detection"):
            for _ in range(draw(st.integers(0, 3))):
                label = row["p_s"] if phase != "S" else row["s_s"]
                near = draw(st.booleans()) and label == label
                time_s = round(label + draw(st.integers(-7, 7)) / 10, 1) if near else draw(TENTHS)
                end_s = round(time_s + draw(st.integers(1, 200)) / 10, 1) if phase == "Detection" else math.nan
                probability = draw(st.integers(5, 100)) / 100
                picks[row["record"], phase, time_s] = (row["record"], phase, time_s, end_s, probability)
    return rows, list(picks.values())


def slow_counts(rows, picks, phase, threshold, tolerance_s):
    """(tp, fp, fn, tn), counted record by record."""
    tp = fp = fn = tn = 0
    for row in rows:
        if phase == "Detection":
            begin_s, end_s = row["p_s"], row["s_s"] + 1.4 * (row["s_s"] - row["p_s"])
        else:
            begin_s = end_s = row["p_s" if phase == "P" else "s_s"]
        is_noise = row["kind"] == "noise"
        has_label = begin_s == begin_s and end_s == end_s
        if not is_noise and not has_label:
            continue
        candidates = [pick for pick in picks if pick[0] == row["record"] and pick[1] == phase and pick[4] >= threshold]
        near = [
            pick
            for pick in candidates
            if has_label
            and pick[2] <= end_s + tolerance_s + 1e-7
            and (pick[3] if phase == "Detection" else pick[2]) >= begin_s - tolerance_s - 1e-7
        ]
        tp += bool(near)
        fn += has_label and not near
        fp += len(candidates) - bool(near)
        tn += is_noise and not candidates
    return tp, fp, fn, tn


@given(tables(), st.sampled_from(["P", "S", "Detection"]), st.sampled_from([0.05, 0.3, 0.5, 0.77]))
def test_counts_are_those_of_counting_record_by_record(content, phase, threshold):
    rows, picks = content
    if not rows:
        return
    comparison = compare_phase(picks_table(*picks), records_table(*rows), phase)
    totals = counts(record_sums(comparison, threshold).sum(axis=0))
    for tolerance_s in (0.1, 0.3, 0.5):
        tp, fp, fn, tn = slow_counts(rows, picks, phase, threshold, tolerance_s)
        assert [totals[f"{kind}_{tolerance_s}s"] for kind in ("tp", "fp", "fn")] == [tp, fp, fn]
        assert totals["tn"] == tn


@given(tables(), st.sampled_from(["P", "S", "Detection"]))
def test_no_threshold_has_a_larger_f1_than_the_chosen_one(content, phase):
    rows, picks = content
    if not rows:
        return
    comparison = compare_phase(picks_table(*picks), records_table(*rows), phase)
    chosen = choose_threshold(comparison)
    if math.isnan(chosen):
        assert not comparison.has_label.any()
        return

    def f1(threshold):
        tp, fp, fn, _ = slow_counts(rows, picks, phase, threshold, 0.3)
        return 2 * tp / (2 * tp + fp + fn)

    assert f1(chosen) == pytest.approx(max(f1(threshold) for threshold in THRESHOLDS))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["event", "station"]))
def test_a_draw_scores_as_the_table_of_the_records_that_were_drawn(seed, by):
    generator = np.random.default_rng(seed)
    records = random_records(generator, n_events=12, n_noise=4, n_stations=4)
    picks = random_picks(generator, records)
    comparison = compare_phase(picks, records, "S")
    block = block_of_records(records, by)
    weights = draw_blocks(block.max() + 1, 2, seed)
    drawn = metrics(sum_draws(record_sums(comparison, 0.3), block, weights))
    for index, times in enumerate(weights[:, block].astype(int)):
        rows, picks_of_draw = copies(records, picks, times)
        scores = metrics(record_sums(compare_phase(picks_of_draw, rows, "S"), 0.3).sum(axis=0))
        for name, value in scores.items():
            assert drawn[name][index] == pytest.approx(value, nan_ok=True), name


@given(st.integers(0, 2**32 - 1))
def test_recall_at_an_equal_number_of_picks_is_that_of_sorting_and_counting(seed):
    generator = np.random.default_rng(seed)
    records = random_records(generator, n_events=12, n_noise=4, n_stations=4)
    picks = random_picks(generator, records, false=generator.uniform(0, 2))
    # Probabilities that differ: which of two equally probable picks is left out would be a matter of taste.
    picks = picks.assign(probability=generator.permutation(np.linspace(0.06, 0.99, len(picks))))
    comparison, block = compare_phase(picks, records, "P"), block_of_records(records, "station")
    weights = draw_blocks(block.max() + 1, 2, seed)
    recall, n_picks = equal_recall(comparison, 1.0, weights, block)
    for index, times in enumerate(weights[:, block].astype(int)):
        of_record = dict(zip(records.record, times, strict=True))
        label = records.set_index("record").p_s.to_dict()
        budget = sum(of_record[name] for name in label if label[name] == label[name])
        n_taken, hits = 0, set()
        for pick in picks[picks.phase == "P"].sort_values("probability", ascending=False).itertuples():
            if n_taken + of_record[pick.record] > budget:
                break
            n_taken += of_record[pick.record]
            if abs(pick.time_s - label[pick.record]) <= 0.3 + 1e-7:
                hits.add(pick.record)
        assert n_picks[index] == n_taken
        if budget:
            expected = sum(of_record[name] for name in hits) / budget
            assert recall["equal_recall_0.3s"][index] == pytest.approx(expected)


def copies(records, picks, times):
    """Both tables with each record as often as it was drawn."""
    rows, parts = [], []
    for record, n in zip(records.to_dict("records"), times, strict=True):
        for copy in range(n):
            rows.append(record | {"record": f"{record['record']}-{copy}"})
            picks_of_record = picks[picks.record == record["record"]]
            parts.append(picks_of_record.assign(record=f"{record['record']}-{copy}"))
    return records_table(*rows), pd.concat(parts, ignore_index=True)
