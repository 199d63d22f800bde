"""Tables of picks whose rows are no picks: of EQTransformer, and the old one of PhaseNet."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, NotUsedError, Reading
from pickflow.io.formats.cards import lines_of
from pickflow.io.formats.programs import read_float, read_int
from pickflow.io.formats.tabular import EMPTY_CELLS, header_names, table_rows
from pickflow.io.formats.times import add_seconds, read_time

_PHASENET_RATE_HZ = 100.0  # PhaseNet resamples what it picks
_BEGIN = ("begin_time", "t0", "starttime", "start_time")


def looks_like_eqtransformer(lines: list[str]) -> bool:
    """Whether a header names arrival times of P or S, in one row."""
    names = header_names(lines[0])
    return "station" in names and bool({"p_arrival_time", "s_arrival_time"} & names)


def looks_like_old_phasenet(lines: list[str]) -> bool:
    """Whether a header names samples of P and S."""
    return {"fname", "itp", "its"} <= header_names(lines[0])


def parse_eqtransformer(text: str, name: str) -> Bulletin:
    """
    Picks of EQTransformer (Mousavi et al., 2020), ``X_prediction_results.csv``: a row has P, S or both.

    They are picks of no event. Probabilities are those of the phases; what EQTransformer calls their uncertainty is one
    of the probability, not of the time. Other columns are not read.
    """
    return _read_rows(Reading(name, "eqtransformer", lines_of(text)), _detection)


def _detection(row: dict[str, str]) -> Iterator[tuple[str, datetime, float, dict[str, str]]]:
    codes = {"network": row.get("network", ""), "station": row.get("station", ""), "location": row.get("location", "")}
    codes["channel"] = row.get("instrument_type", "")
    for phase in "ps":
        time = row.get(f"{phase}_arrival_time", "")
        if time:
            yield phase.upper(), read_time(time), _probability(row.get(f"{phase}_probability", "")), codes


def parse_old_phasenet(text: str, name: str) -> Bulletin:
    """
    Picks of PhaseNet (Zhu & Beroza, 2019) as samples: ``fname,itp,tp_prob,its,ts_prob``, and the time of sample 0.

    Raises
    ------
    ValueError
        If no column has the time of the first sample: samples alone are no times.
    """
    reading = Reading(name, "phasenet-samples", lines_of(text))
    if not set(_BEGIN) & header_names(next(line for line in reading.lines if line.strip())):
        raise ValueError(
            f"{name}: picks of PhaseNet in samples (itp, its) of files whose begin is not said, so they have no times;"
            f" give the table of a newer PhaseNet, with phase_time, or add a column {_BEGIN[0]}"
        )
    return _read_rows(reading, _window)


def _window(row: dict[str, str]) -> Iterator[tuple[str, datetime, float, dict[str, str]]]:
    begin = next((row[name] for name in _BEGIN if row.get(name)), "")
    name_parts = (PurePosixPath(row.get("fname", "")).name.split(".") + [""] * 4)[:4]
    if not name_parts[1]:
        raise ValueError(f"fname {row['fname']!r} does not begin with network.station")
    codes = dict(zip(("network", "station", "location", "channel"), name_parts, strict=True))
    for phase in "ps":
        samples = re.findall(r"[^\s,\[\]]+", row.get(f"it{phase}", ""))
        probabilities = re.findall(r"[^\s,\[\]]+", row.get(f"t{phase}_prob", ""))
        if probabilities and len(probabilities) != len(samples):
            raise ValueError(f"{len(samples)} samples of {phase.upper()}, but {len(probabilities)} probabilities")
        for index, sample in enumerate(samples):
            time = add_seconds(read_time(begin), read_int(sample, "sample") / _PHASENET_RATE_HZ)
            yield phase.upper(), time, _probability(probabilities[index] if probabilities else ""), codes


def _probability(text: str) -> float:
    return read_float(text, "probability") if text else math.nan


def _read_rows(
    reading: Reading, picks_of: Callable[[dict[str, str]], Iterator[tuple[str, datetime, float, dict[str, str]]]]
) -> Bulletin:
    """Rows below the header, each with picks (phase, time, probability, codes), none or all of which are taken."""
    names, rows, numbers, _ = table_rows(reading)
    for cells, number in zip(rows, numbers, strict=True):
        with reading.item(number, "pick"):
            values = ["" if cell in EMPTY_CELLS else cell for cell in cells]
            row = dict(zip((name.lower() for name in names), values, strict=True))
            picks = list(picks_of(row))
            if not picks:
                raise NotUsedError("neither a P nor an S", "row")
            for phase, time, probability, codes in picks:
                fields: dict[str, Any] = {"phase": phase, "phase_hint": phase, "time": time, "probability": probability}
                reading.add_pick(codes | fields, number)
    return reading.bulletin()
