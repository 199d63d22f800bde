"""Small tables of labelled records and of what pickers predict on them."""

import numpy as np
import pandas as pd

from pickflow.io.tables import conform
from pickflow.lab.records import PickerOutput
from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS


def event(name, p_s=10.0, s_s=20.0, *, part="test", station="XX.A", event_id="", dataset="set"):
    return {
        "record": name, "dataset": dataset, "station": station, "event": event_id or f"e-{name}", "kind": "event",
        "part": part, "p_s": p_s, "s_s": s_s, "n_samples": 6000, "duration_s": 60.0,
    }  # fmt: skip


def noise(name, *, part="test", station="XX.A", duration_s=60.0):
    row = event(name, np.nan, np.nan, part=part, station=station)
    return row | {"event": "", "kind": "noise", "duration_s": duration_s}


def records_table(*rows):
    return conform(pd.DataFrame(rows), LABELLED_RECORDS)


def picks_table(*rows):
    """Of (record, phase, time_s, probability) or, for detections, (record, phase, time_s, end_s, probability)."""
    complete = [row if len(row) == 5 else (*row[:3], np.nan, row[3]) for row in rows]
    return conform(pd.DataFrame(complete, columns=["record", "phase", "time_s", "end_s", "probability"]), PREDICTIONS)


def output(variant, records, picks, *, seed=0, card=None):
    return PickerOutput(variant=variant, seed=seed, picks=picks, records=records, card=card or {})


def perfect_picks(records, probability=0.9):
    """Exactly the labels, and a detection of each earthquake."""
    rows = []
    for row in records[records.kind == "event"].itertuples():
        rows += [(row.record, phase, at, probability) for phase, at in (("P", row.p_s), ("S", row.s_s)) if at == at]
        if row.p_s == row.p_s and row.s_s == row.s_s:
            rows.append((row.record, "Detection", row.p_s, row.s_s + 1.4 * (row.s_s - row.p_s), probability))
    return picks_table(*rows)


def random_records(generator, n_events=60, n_noise=20, n_stations=12):
    """Records of both parts; two of each event."""
    rows = []
    for index in range(n_events):
        part = "validation" if index % 3 == 0 else "test"
        p_s = float(np.round(generator.uniform(5, 20), 2))
        s_s = p_s + float(np.round(generator.uniform(1, 15), 2))
        station = f"XX.S{generator.integers(n_stations):02d}"
        rows.append(event(f"r{index:04d}", p_s, s_s, part=part, station=station, event_id=f"e{index // 2}"))
    for index in range(n_noise):
        part = "validation" if index % 3 == 0 else "test"
        rows.append(noise(f"n{index:04d}", part=part, station=f"XX.S{generator.integers(n_stations):02d}"))
    return records_table(*rows)


def random_picks(generator, records, *, recall=0.8, false=0.5, scatter_s=0.15):
    """Picks like those of a picker: near the arrivals, with false ones of lower probability."""
    rows = []
    for row in records.itertuples():
        for phase, at in (("P", row.p_s), ("S", row.s_s)):
            if at == at and generator.random() < recall:
                time_s = float(np.round(at + scatter_s * generator.normal(), 2))
                rows.append((row.record, phase, time_s, float(np.round(generator.uniform(0.3, 1.0), 3))))
            for _ in range(generator.poisson(false)):
                time_s = 30 + float(np.round(generator.uniform(0, 29), 3))
                rows.append((row.record, phase, time_s, float(np.round(generator.uniform(0.05, 0.7), 3))))
        if row.p_s == row.p_s and generator.random() < recall:
            rows.append((row.record, "Detection", row.p_s + 0.1, row.s_s + 3.0, float(generator.uniform(0.3, 1.0))))
    return picks_table(*{row[:3]: row for row in rows}.values())
