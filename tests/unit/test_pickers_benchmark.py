"""The benchmark that holds all pickers beside one another: parts, tables, and what is seen in training."""

import json

import numpy as np
import pytest

from benchmarks import exports, pickers
from pickflow.datasets.records import Record
from pickflow.datasets.splits import Split
from pickflow.lab.predictions import Predictions
from tests.lab_fixture import event, noise, perfect_picks, random_picks, records_table

COSTS = {"n_parameters": 1234, "multiply_adds": 2.5e6, "kernels_ms": None, "torch_ms": 1.5, "remark": ""}
CARD = {"in_samples": 3000, "sampling_rate_hz": 100.0, "model": "PickflowNet", "weights": "none"}


def records_of(view):
    rows = []
    for dataset in pickers.SETS[view]:
        for index in range(30):
            station = f"XX.S{index % 11}" if dataset == "ncedc154" else "XX.A"
            part = "validation" if index % 3 == 0 else "test"
            rows.append(event(f"{dataset}-{index}", part=part, station=station, dataset=dataset))
    noises = [noise(f"n{index}", part="validation" if index % 3 == 0 else "test") for index in range(12)]
    return records_table(*rows, *(row | {"dataset": pickers.NOISE} for row in noises))


def end_records():
    """Two windows of ten test records of each set, each with one label."""
    rows = []
    for dataset in pickers.SETS[pickers.THREE]:
        for index in range(10):
            rows.append(event(f"{dataset}-{index}/P", 28.0, np.nan, dataset=dataset))
            rows.append(event(f"{dataset}-{index}/S", np.nan, 28.0, dataset=dataset))
    return records_table(*rows)


def candidate(picks_of, card, ends_of=perfect_picks):
    views = {view: Predictions(picks=picks_of(records_of(view)), records=records_of(view)) for view in pickers.SETS}
    windows = end_records()
    ends = {
        after_s: Predictions(picks=ends_of(windows), records=windows) for after_s in (*pickers.AFTER_S, pickers.WHOLE)
    }
    return pickers.Candidate(card=CARD | card, costs=COSTS, edge_s=5.0, views=views, ends=ends)


def half_of(records):
    """Picks of every second record, and one in each record of noise."""
    picks = random_picks(np.random.default_rng(0), records, recall=0.5, false=0.3)
    return picks[picks.phase != "Detection"]


@pytest.fixture(scope="module")
def candidates():
    return {
        pickers.BUNDLED: candidate(perfect_picks, {}),
        "PhaseNet/stead": candidate(half_of, {"model": "PhaseNet", "weights": "stead"}, half_of),
    }


@pytest.fixture(scope="module")
def tables(candidates):
    return pickers.compare(candidates, pickers.BUNDLED, 50)


def row_of(table, **values):
    rows = table
    for name, value in values.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_picker_set_view_and_phase_has_a_row(tables):
    assert len(tables["scores"]) == 2 * 5 * 2
    assert len(tables["noise"]) == 2 * 2 * 2
    assert len(tables["ends"]) == 2 * 2 * 2 * 4
    assert set(tables["scores"].n_labels) == {20}  # of one set and its test part alone


def test_thresholds_are_one_for_all_sets_of_a_view(tables):
    assert (tables["scores"].groupby(["variant", "view", "phase"]).threshold.nunique() == 1).all()


def test_a_perfect_picker_is_perfect_and_half_of_one_is_not(tables):
    perfect = tables["scores"][tables["scores"].variant == pickers.BUNDLED]
    assert (perfect[["f1_0.1s", "equal_recall_0.1s"]] == 1).all(axis=None)
    of_stead = tables["scores"][tables["scores"].variant == "PhaseNet/stead"]
    assert (of_stead["f1_0.3s"] < 0.9).all()
    assert (of_stead.equal_verdict == "worse").any()
    assert (tables["ends"]["recall_0.3s"][tables["ends"].variant == pickers.BUNDLED] == 1).all()


def test_blocks_are_stations_where_there_are_enough(tables):
    blocks = tables["scores"].groupby("dataset").blocks.unique().map(list)
    assert blocks["ncedc154"] == ["station"]
    assert blocks["stead50"] == ["event"]
    row = row_of(tables["scores"], variant="PhaseNet/stead", view=pickers.THREE, dataset="stead50", phase="P")
    assert row.equal_low <= row["equal_recall_0.3s"] <= row.equal_high


def test_the_weights_that_know_a_set_are_marked_there_alone(tables, candidates):
    scores = tables["scores"]
    for dataset, name in (("stead50", "PhaseNet/stead †"), ("ncedc154", "PhaseNet/stead")):
        rows = pickers.score_rows(scores[(scores.dataset == dataset) & (scores.view == pickers.THREE)])
        assert [row[0] for row in rows] == ["picker", pickers.BUNDLED, name]
    head, _, ends = pickers.end_rows(tables["ends"], candidates)
    assert head[2] == "ncedc154: 10 P after 1 / 2 / 3 s; whole"
    assert [cell.endswith("†") for cell in ends[2:]] == [False, False, True, True]


def test_each_table_has_its_heading_and_numbers_of_records(tables, candidates):
    parts = pickers.render(tables, candidates).split("\n\n")
    assert len(parts) == 2 * (5 + 2)
    assert parts[0] == "**ncedc154, three components: 20 records of 11 stations; intervals by station**"
    counts = "three components: 8 records of 1 station; one component: 8 records of 1 station"
    assert parts[-4].endswith(f"false picks per hour of noise ({counts})**")
    assert all(part.count("\n") == 3 for part in parts[1::2])
    assert "| 30 | 1,234 | 2.5 | nan | 1.5 |" not in parts[-3]
    assert "| 30 | 1,234 | 2.5 | – | 1.5 |" in parts[-3]


def test_a_heading_counts_what_is_scored_and_what_is_left_out():
    """One picker needs longer windows than two records of ncedc154 have."""
    short = candidate(perfect_picks, {})
    long = candidate(perfect_picks, {})
    for view, predictions in long.views.items():
        records = predictions.records
        is_short = records.record.isin(["ncedc154-1", "ncedc154-2", "n0"])
        reasons = records.assign(reason=records.reason.mask(is_short, "shorter_than_window"))
        picks = predictions.picks[~predictions.picks.record.isin(records.record[is_short])]
        long.views[view] = Predictions(picks=picks, records=reasons)
    scores = pickers.compare({pickers.BUNDLED: short, "PhaseNet/stead": long}, pickers.BUNDLED, 50)["scores"]
    row = row_of(scores, variant="PhaseNet/stead", view=pickers.THREE, dataset="ncedc154", phase="P")
    assert [row.n_labels, row.n_records, row.n_left_out] == [18, 18, 2]
    assert pickers.count_text(row) == (
        "18 records of 11 stations (2 more are left out: not every picker could be run on them)"
    )
    assert set(scores.n_left_out[scores.dataset != "ncedc154"]) == {0}


def test_the_line_of_json_has_everything_and_no_nan(tables, candidates):
    result = json.loads(pickers.json_line(tables, candidates))
    assert result["costs"][pickers.BUNDLED]["kernels_ms"] is None
    assert {"scores", "noise", "ends"} <= result.keys()
    assert len(result["scores"]) == 20


def test_the_parts_of_a_set_are_those_of_the_picker_that_was_trained_on_it():
    split = Split(by="event", seed=5)
    card = {"training_sets": [{"name": "mine", "families": ["mine"], "split": split.as_json(), "parts": ["train"]}]}
    published = {"model": "PhaseNet", "weights": "stead"}
    assert pickers.split_of_cards([published, card], "mine") == split
    assert pickers.split_of_cards([published, card], "stead") is None


def test_windows_end_after_the_same_arrivals_of_the_test_part_alone():
    samples = np.random.default_rng(0).normal(size=(3, 2000)).astype(np.float32)
    kinds = {"a": ("event", "test"), "b": ("event", "validation"), "c": ("noise", "test")}
    records = [
        Record(name=name, dataset="set", station="XX.A", event=name, kind=kind, part=part, samples=samples,
               picks={"P": 900.0, "S": 1850.0} if kind == "event" else {})
        for name, (kind, part) in kinds.items()
    ]  # fmt: skip
    windows = pickers.end_windows(records, [{"in_samples": 1000}, {"in_samples": 2000}])
    names = {after_s: [window.name for window in ending] for after_s, ending in windows.items()}
    # S + 2 s is after the end of the record, so that its S is in no window.
    assert names == {1: ["a/P+1s"], 2: ["a/P+2s"], 3: ["a/P+3s"], pickers.WHOLE: ["a/P"]}
    assert windows[pickers.WHOLE][0].picks == {"P": 900.0}
    assert not any(pickers.end_windows(records, [{"in_samples": 2001}]).values())  # no picker for all could be run


def test_a_damaged_picker_or_an_absent_set_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "card.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["pickers.py", "--models", str(tmp_path)])
    monkeypatch.setattr(pickers, "SHARED", tmp_path / "shared")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"ERROR .*card.json"):
        pickers.main()
    monkeypatch.setattr("sys.argv", ["pickers.py"])
    with pytest.raises(SystemExit, match="ERROR .*ncedc154: there is no such folder"):
        pickers.main()


def test_an_unknown_picker_of_the_exports_is_a_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["exports.py", "PhaseNett"])
    with pytest.raises(SystemExit, match="ERROR no model is called 'PhaseNett'"):
        exports.main()


def test_folders_with_cards_are_found_below_a_place_and_nothing_is_an_error(tmp_path):
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "card.json").write_text("{}")
    assert pickers.folders_with_cards([tmp_path]) == [tmp_path / "a", tmp_path / "b/c"]
    assert pickers.folders_with_cards([tmp_path / "a"]) == [tmp_path / "a"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="empty: no card.json there or below"):
        pickers.folders_with_cards([tmp_path / "empty"])


def test_tables_have_a_head_and_equal_columns():
    rows = [["picker", "F1"], ["a", "0.50"], ["longer", "–"]]
    assert pickers.markdown(rows).splitlines()[:3] == ["| picker | F1 |", "|---|---|", "| a | 0.50 |"]
    assert pickers.number(float("nan")) == "–"
