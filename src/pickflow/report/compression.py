"""Section of the report on a compression: teacher and students side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pickflow.report.drawing import Illustration
from pickflow.report.trade_off import draw_trade_off

_RUNTIMES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "kernels": "our kernels"}
_TOLERANCES = ("0.1s", "0.3s", "0.5s")
_UNKNOWN = "–"


@dataclass(frozen=True, kw_only=True)
class CompressionContent:
    """
    A teacher and its students.

    Attributes
    ----------
    compression, latency : mapping
        Contents of ``compression.json`` and ``latency.json``; see ``docs/data-formats.md``.
    """

    compression: Mapping[str, Any]
    latency: Mapping[str, Mapping[str, Any]]


class Row(NamedTuple):
    """A line of the table: what is compared, and a cell for each network; without cells it is a heading."""

    label: str
    cells: tuple[str, ...]


class Section(NamedTuple):
    """Part of the page on a compression: names, rows and sentences."""

    teacher: str
    reference: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    figure: Illustration
    certificates: tuple[str, ...]
    remarks: tuple[str, ...]


def compression_section(
    name: str, content: CompressionContent, catalogs: Sequence[Mapping[str, Any]], has_reference: bool
) -> Section:
    """
    Table, figure and sentences for a teacher and its students.

    Parameters
    ----------
    name : str
        Of the figure, unique on the page.
    content : CompressionContent
        Of this teacher.
    catalogs : sequence of mapping
        The catalogs of ``summary.json``.
    has_reference : bool
        Whether the catalogs were compared with a reference.
    """
    compression = content.compression
    teacher, models = compression["teacher"], compression["models"]
    short = [model["name"].removeprefix(f"{teacher['weights']}-") for model in models]
    rows = [*_size_rows(models), *_latency_rows(models, content.latency), *_f1_rows(models)]
    rows += _catalog_rows(teacher["model"], models, catalogs, has_reference)
    return Section(
        teacher=f"{teacher['model']} {teacher['weights']}",
        reference=f"F1 is measured against {compression['reference']}"
        f" ({compression['n_test_windows']:,} pieces of record);"
        f" {compression['n_calibration_windows']:,} windows were used to fit.",
        names=tuple(short),
        rows=tuple(rows),
        figure=draw_trade_off(name, compression, content.latency),
        certificates=tuple(_certificate(model) for model in models if model["method"] == "safe" and not model["int8"]),
        remarks=tuple(_left_alone(model) for model in models if model["not_expressed"] and not model["int8"]),
    )


def _size_rows(models: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    yield _row("Parameters", models, "n_parameters", lambda value: f"{value:,.0f}")
    yield _row("Non-zero parameters", models, "n_nonzero", lambda value: f"{value:,.0f}")
    yield _row("MACs per window", models, "macs", lambda value: f"{value / 1e6:,.3g} M")
    yield _row("File", models, "bytes", _size)


def _row(label: str, models: Sequence[Mapping[str, Any]], key: str, write: Callable[[float], str]) -> Row:
    return Row(label, _compared([model.get(key) for model in models], write, _change))


def _latency_rows(models: Sequence[Mapping[str, Any]], latency: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    measured = [latency.get(model["name"], {}) for model in models]
    for runtime, label in _RUNTIMES.items():
        times = [(entry.get(f"{runtime}_ms") or {}).get("1") for entry in measured]
        if any(time is not None for time in times):
            cells = _compared(times, lambda value: f"{value:.3g} ms", _speed)
            yield Row(f"Time per window in {label}", cells)
    memory = [entry.get("peak_mb") for entry in measured]
    if any(value is not None for value in memory):
        yield Row("Memory of ONNX Runtime alone", _compared(memory, lambda value: f"{value:,.0f} MB", _change))


def _compared(
    values: Sequence[float | None], write: Callable[[float], str], compare: Callable[[float, float], str]
) -> tuple[str, ...]:
    """Cells, each after the first with its comparison with the first in brackets."""
    first = values[0]
    cells = [_UNKNOWN if value is None else write(value) for value in values]
    for index, value in enumerate(values[1:], start=1):
        if value is not None and first:
            cells[index] += f" ({compare(value, first)})"
    return tuple(cells)


def _change(value: float, first: float) -> str:
    return f"{100 * (value - first) / first:+.0f} %".replace("-", "−")


def _speed(value: float, first: float) -> str:
    return f"{first / value:.1f} ×" if value else _UNKNOWN


def _size(value: float) -> str:
    return f"{value / 1e6:,.2f} MB" if value >= 1e6 else f"{value / 1e3:,.0f} kB"


def _f1_rows(models: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    tolerances = " / ".join(tolerance.removesuffix("s") for tolerance in _TOLERANCES)
    for phase in ("P", "S"):
        scores = [model[f"{phase.lower()}_f1"] for model in models]
        cells = [" / ".join(_score(score.get(tolerance)) for tolerance in _TOLERANCES) for score in scores]
        yield Row(f"F1 of {phase} within {tolerances} s", tuple(cells))


def _score(value: float | None) -> str:
    return _UNKNOWN if value is None or not math.isfinite(value) else f"{value:.3f}"


def _catalog_rows(
    architecture: str, models: Sequence[Mapping[str, Any]], catalogs: Sequence[Mapping[str, Any]], has_reference: bool
) -> Iterator[Row]:
    """Rows for each signal and associator."""
    by_picks = {
        (row["signal"], row["associator"], row["weights"]): row for row in catalogs if row["model"] == architecture
    }
    names = [model["name"] for model in models]
    routes = list(dict.fromkeys((signal, associator) for signal, associator, weights in by_picks if weights in names))
    for signal, associator in routes:
        entries = [by_picks.get((signal, associator, name)) for name in names]
        signal_words = "" if signal == "none" else f"{signal}, "
        yield Row(f"Catalog: {signal_words}{associator}", ())
        yield Row("Picks", tuple(_counts(row, ["n_picks"]) for row in entries))
        yield Row("Events", tuple(_counts(row, ["n_events"]) for row in entries))
        if has_reference:
            scores = [row and {**row["reference"], "missed": _missed(row)} for row in entries]
            cells = tuple(_counts(row, ["matched", "missed", "n_false"]) for row in scores)
            yield Row("Reference: found / missed / not in it", cells)
        cells = tuple(_counts(row and row["teacher"], ["matched", "lost", "new"]) for row in entries)
        yield Row("Teacher's events: found / lost / new", cells)


def _missed(row: Mapping[str, Any]) -> int:
    return int(row["reference"]["n"] - row["reference"]["matched"])


def _counts(row: Mapping[str, Any] | None, keys: Sequence[str]) -> str:
    return _UNKNOWN if row is None else " / ".join(f"{row[key]:,}" for key in keys)


def _certificate(model: Mapping[str, Any]) -> str:
    n_groups, n_screened = model["n_groups"], model["n_screened"]
    text = (
        f"{model['name']}: of {n_groups:,} groups of weights, {n_screened['gap']:,} were proven to be zero by the"
        f" GAP-safe rule and {n_screened['safe']:,} by SAFE of 2010, before or while the lasso was solved; "
    )
    if model["n_false_eliminations"] is None:
        return text + "this was not checked by solving again without screening (compress.check_certificate)."
    n_false = model["n_false_eliminations"]
    return (
        text
        + f"solved again without screening, {n_false or 'none'} {'were' if n_false > 1 else 'was'} eliminated in error."
    )


def _left_alone(model: Mapping[str, Any]) -> str:
    layers = ", ".join(model["not_expressed"])
    return f"{model['name']}: left as in the teacher, because they cannot be expressed as rows of a lasso: {layers}."
