"""Final message of a run: the page to open, and the main numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pickflow.io.documents import AGAIN, TIMING_SCHEMA, read_json
from pickflow.run.layout import RunLayout
from pickflow.schemas import REASONS


def outcome_text(folder: str | Path) -> str:
    """
    Message after the end of a run.

    Parameters
    ----------
    folder : str or Path
        ``results/<run>``, with ``summary.json`` and the benchmarks of the jobs.

    Returns
    -------
    str
        A few lines.

    Raises
    ------
    ValueError
        If the run has not succeeded, or its summary is invalid.
    """
    run = RunLayout(folder)
    path = run.summary
    try:
        lines = _summary(read_json(path))
    except FileNotFoundError as error:
        raise ValueError(f"{run.folder}: no {path.name}; the run has not ended, or lies elsewhere") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a summary of this version ({type(error).__name__}: {error}); {AGAIN}") from error
    cpu_s = picking_cpu_s(run)
    if cpu_s is not None:
        lines.append(f"Picking      {cpu_s:.1f} CPU-seconds per full station-day and picker")
    lines.append(f"Report       {run.report}")
    return "\n".join(lines)


def _summary(summary: dict[str, Any]) -> list[str]:
    lines = [f"Station-days {summary['station_days']}: {_counts(summary['ledger'])}"]
    if all(not REASONS[reason].usable for reason in summary["ledger"]):
        lines.append("WARNING      no station-day could be used; the ledger in the report says why")
    return lines + [line for catalog in summary["catalogs"] for line in _catalog(catalog)]


def _counts(ledger: dict[str, int]) -> str:
    return ", ".join(
        f"{count} {reason}" for reason, count in sorted(ledger.items(), key=lambda item: (-item[1], item[0]))
    )


def _catalog(catalog: dict[str, Any]) -> list[str]:
    name = f"{catalog['model']}/{catalog['weights']} + {catalog['associator']}"
    if catalog["signal"] != "none":
        name = f"{catalog['signal']} + {name}"
    lines = [f"Catalog      {name}: {catalog['n_events']} events from {catalog['n_picks']} picks"]
    reference = catalog.get("reference")
    if reference and reference["n"]:
        lines.append(
            f"             {reference['matched']} of {reference['n']} reference events found:"
            f" recall {reference['recall']:.3f}, precision {reference['precision']:.3f}"
        )
    if picks := (reference or {}).get("picks"):
        scores = ", ".join(
            f"{phase} {picks[phase]['recall']:.3f}/{picks[phase]['precision']:.3f}"
            for phase in ("P", "S")
            if picks[phase]["n"]
        )
        lines.append(f"             recall/precision of picks: {scores}")
    if magnitudes := catalog.get("magnitudes"):
        lines.append(f"             {magnitudes['n']} magnitudes, complete from {magnitudes['completeness']:.1f}")
    return lines


def picking_cpu_s(run: RunLayout) -> float | None:
    """CPU time of picking a full station-day (24 h of three components), in s, over all jobs; None if unknown."""
    timings = [read_json(path, TIMING_SCHEMA) for path in run.timings()]
    cpu_s, days = (sum(timing[key] for timing in timings) for key in ("cpu_s", "full_station_days"))
    return float(cpu_s / days) if days else None
