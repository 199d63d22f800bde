"""What pickers predict on labelled records, and what they cost."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import seisbench.models
import torch

from pickflow.comparison.reference import ReferenceSet
from pickflow.compress.costs import multiply_adds
from pickflow.datasets.records import Record
from pickflow.io.tables import conform
from pickflow.lab.costs import costs_table, picker_costs, picker_times_ms
from pickflow.lab.detections import paired_detections
from pickflow.lab.events import count_events
from pickflow.lab.predictions import predict
from pickflow.lab.records import PickerOutput, known_from_training
from pickflow.lab.table import TableParams, compare_pickers
from pickflow.models.loading import untrained
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import EVENTS
from tests.lab_fixture import picks_table


def record(name, *, n_samples=6000, kind="event", samples=None, dataset="set", **picks):
    if samples is None:
        samples = np.random.default_rng(len(name)).normal(size=(3, n_samples)).astype(np.float32)
    return Record(
        name=name, dataset=dataset, station="XX.A", event="" if kind == "noise" else "1", kind=kind, part="test",
        samples=samples, picks=picks,
    )  # fmt: skip


@pytest.fixture(scope="module")
def detector():
    """An untrained EQTransformer: its probabilities are all near one half."""
    return untrained("EQT", 0).eval()


class Steps(seisbench.models.EQTransformer):
    """Detection from 10 to 30 s of each window, P at 10 s, S at 20 s, whatever the samples."""

    def forward(self, x, logits=False):
        detection = torch.zeros(x.shape[0], 6000)
        detection[:, 1000:3001] = 0.9
        p, s = torch.zeros_like(detection), torch.zeros_like(detection)
        p[:, 995:1006] = 0.6 - 0.1 * torch.arange(-5, 6).abs() / 5
        s[:, 1995:2006] = 0.3 - 0.1 * torch.arange(-5, 6).abs() / 5
        return detection, p, s


def test_detections_have_a_beginning_and_an_end_and_picks_a_time():
    predictions = predict(Steps(), [record("a", P=1010.0), record("bb", kind="noise")])
    rows = predictions.picks[predictions.picks.record == "set/a"].set_index("phase")
    assert rows.time_s.to_dict() == pytest.approx({"Detection": 10.0, "P": 10.0, "S": 20.0})
    assert rows.end_s["Detection"] == pytest.approx(30.0)
    assert rows.end_s[["P", "S"]].isna().all()
    assert rows.probability.to_dict() == pytest.approx({"Detection": 0.9, "P": 0.6, "S": 0.3})
    assert len(predictions.picks) == 6
    described = predictions.records.set_index("record")
    assert described.p_s.to_dict() == pytest.approx({"set/a": 10.1, "set/bb": np.nan}, nan_ok=True)
    assert described.duration_s.tolist() == [60.0, 60.0]


def test_seisbench_itself_gives_the_same_rows():
    class Own(Steps):
        """Not for our engine."""

        def picks_from_annotations(self, *arguments, **named):
            return super().picks_from_annotations(*arguments, **named)

    ours, theirs = (predict(kind(), [record("a")]).picks for kind in (Steps, Own))
    pd.testing.assert_frame_equal(ours, theirs, atol=0.011, rtol=1e-5)


def test_tables_are_sorted_whatever_the_order_of_the_records():
    members = [record("bb", kind="noise"), record("a"), record("c", dataset="first")]
    predictions = predict(Steps(), iter(members))
    assert predictions.records.record.tolist() == ["first/c", "set/a", "set/bb"]
    assert predictions.records.kind.tolist() == ["event", "event", "noise"]
    assert predictions.picks.record.tolist() == sorted(3 * ["first/c", "set/a", "set/bb"])
    again = predict(Steps(), members[::-1])
    pd.testing.assert_frame_equal(again.picks, predictions.picks)
    pd.testing.assert_frame_equal(again.records, predictions.records)


def test_records_that_cannot_be_picked_have_a_reason(detector):
    holes = np.ones((3, 6000), np.float32)
    holes[0, 5] = np.nan
    records = [record("short", n_samples=3000), record("holes", samples=holes),
            record("flat", samples=np.zeros((3, 6000), np.float32)), record("good")]  # fmt: skip
    predictions = predict(detector, records)
    reasons = predictions.records.set_index("record").reason.to_dict()
    assert reasons == {
        "set/short": "shorter_than_window", "set/holes": "not_finite", "set/flat": "no_signal", "set/good": "",
    }  # fmt: skip
    assert predictions.records.detail.str.contains("3000 samples, the picker needs 6000").sum() == 1
    assert set(predict(Steps(), records).picks.record) == {"set/good"}


def test_two_records_of_one_name_are_refused(detector):
    with pytest.raises(ValueError, match=r"'record': 'set/a'.* more than once"):
        predict(detector, [record("a"), record("a")])


def test_records_of_two_sets_may_have_one_name():
    card = {"training_sets": [{"name": "first", "families": ["first"], "split": None}]}
    names = [("first", "a"), ("second", "a"), ("first", "b"), ("second", "c")]
    members = [
        replace(record(name, dataset=dataset, P=1000.0), part="validation" if name == "a" else "test")
        for dataset, name in names
    ]
    predictions = predict(Steps(), members)
    assert sorted(set(predictions.picks.record)) == ["first/a", "first/b", "second/a", "second/c"]
    outputs = [PickerOutput(variant="EQT", seed=0, picks=predictions.picks, records=predictions.records, card=card)]
    table = compare_pickers(outputs, TableParams(n_draws=10))
    assert set(table.scores[table.scores.phase == "P"].n_labels) == {2}
    assert table.touched[["n_records", "n_touched"]].iloc[0].tolist() == [2, 1]


def test_a_record_is_known_by_its_name_without_that_of_its_set():
    predictions = predict(Steps(), [record("XX.A_20200101000000_EV", dataset="mine")])
    card = {"training_sets": [{"name": "STEAD", "families": ["STEAD"], "split": None}]}
    assert known_from_training(predictions.records, card).str.startswith("STEAD").tolist() == [True]


class Pairs(seisbench.models.PhaseNet):
    """P at 10 s and S at 12 s of each window, and no label for detections."""

    def forward(self, x, logits=False):
        probabilities = torch.zeros(x.shape[0], 3, self.in_samples)
        for phase, at, value in (("P", 1000, 0.7), ("S", 1200, 0.4)):
            probabilities[:, list(self.labels).index(phase), at - 2 : at + 3] = value - 0.01 * torch.arange(-2, 3).abs()
        return probabilities


def test_a_picker_without_detections_has_those_of_its_pairs():
    predictions = predict(Pairs(), [record("a", n_samples=3001)])
    rows = predictions.picks.set_index("phase")
    assert rows.time_s.to_dict() == pytest.approx({"P": 10.0, "S": 12.0, "Detection": 10.0})
    assert [rows.end_s["Detection"], rows.probability["Detection"]] == pytest.approx([12 + 1.4 * 2, 0.4])


def test_pairs_are_made_of_the_most_probable_picks():
    picks = picks_table(("a", "P", 10.0, 0.9), ("a", "P", 12.0, 0.2), ("a", "S", 14.0, 0.8), ("a", "S", 11.0, 0.1),
                        ("b", "S", 5.0, 0.9), ("b", "P", 6.0, 0.9), ("b", "S", 40.0, 0.9))  # fmt: skip
    detections = paired_detections(picks)
    assert detections[["record", "time_s", "end_s", "probability"]].to_numpy().tolist() == [
        ["a", 10.0, pytest.approx(14 + 1.4 * 4), 0.8]
    ]


def test_detections_above_a_threshold_are_those_of_the_picks_above_it():
    generator = np.random.default_rng(0)
    rows = [
        ("a", phase, float(generator.uniform(0, 60)), float(generator.uniform())) for phase in "PS" for _ in range(8)
    ]
    picks = picks_table(*rows)
    for threshold in (0.2, 0.5, 0.7):
        whole = paired_detections(picks)
        strong = paired_detections(picks[picks.probability >= threshold])
        assert len(strong)
        assert set(whole.time_s[whole.probability >= threshold]) == set(strong.time_s)
    assert paired_detections(picks_table()).empty


def test_costs_are_counted_and_hold_no_times(detector):
    table = costs_table({"EQT": detector})
    assert list(table) == ["variant", "n_parameters", "multiply_adds", "remark"]
    assert table.n_parameters[0] == sum(p.numel() for p in detector.parameters())
    assert table.multiply_adds[0] == multiply_adds(detector) > 1e6


def test_times_are_measured_apart(detector, monkeypatch):
    monkeypatch.setattr("pickflow.lab.costs.is_available", lambda: False)
    monkeypatch.setattr("pickflow.lab.costs.milliseconds", lambda predict, windows: 1.23456 * len(predict(windows)))
    assert picker_times_ms(detector) == {"torch_ms": 3.7, "kernels_ms": None}  # three labels


def test_what_cannot_be_counted_is_said(detector):
    class Odd(torch.nn.Module):
        component_order, in_samples = "ZNE", 100

        def forward(self, x):
            raise ValueError("odd layer")

    costs = picker_costs(Odd().eval())
    assert np.isnan(costs["multiply_adds"])
    assert "odd layer" in costs["remark"]


def catalog(*minutes):
    times = pd.to_datetime("2024-01-01T00:00:00Z") + pd.to_timedelta(list(minutes), unit="min")
    rows = pd.DataFrame({"time": times, "event_id": [f"e{minute}" for minute in minutes]})
    rows = rows.assign(latitude_deg=46.0, longitude_deg=13.0, n_picks=8, n_p=4, n_s=4, n_stations=4)
    return conform(rows.reindex(columns=EVENTS.schema.names), EVENTS)


def test_events_are_counted_and_held_against_those_of_one_variant():
    catalogs = {"EQT": catalog(0, 5, 10), "BO": catalog(0, 5, 20, 30)}
    table = count_events(catalogs, {name: pd.DataFrame(index=range(9)) for name in catalogs}, "EQT", AnalyzeParams())
    rows = table.set_index("variant")
    assert rows.loc["BO", ["n_events", "shared", "lost", "new", "continuous_n_picks"]].tolist() == [4, 2, 1, 2, 9]
    assert rows.loc["EQT", ["n_events", "shared", "lost", "new"]].tolist() == [3, 3, 0, 0]
    with pytest.raises(ValueError, match="GRU has no catalog"):
        count_events(catalogs, {}, "GRU", AnalyzeParams())


def test_events_are_held_against_a_bulletin():
    window = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))
    bulletin = ReferenceSet(events=catalog(0, 5, 10, 15), further_events=catalog(20), picks=pd.DataFrame(),
                            further_picks=None, window=window, region=None)  # fmt: skip
    picks = {"EQT": pd.DataFrame(index=range(9))}
    row = count_events({"EQT": catalog(0, 5, 20, 30)}, picks, "EQT", AnalyzeParams(), bulletin).iloc[0]
    assert [row.reference_matched, row.reference_recall, row.reference_precision] == [2, 0.5, 0.75]
