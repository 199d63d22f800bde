"""The last words of a run: which page to open, and the numbers that matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pickflow.schemas import REASONS


def closing_words(folder: str | Path) -> str:
    """
    What a person wants to read when a run has ended.

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
        If the run has not ended well.
    """
    folder = Path(folder)
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: no summary.json; the run has not ended, or lies elsewhere") from error
    lines = [f"Station-days {summary['station_days']}: {_counts(summary['ledger'])}"]
    if all(not REASONS[reason].usable for reason in summary["ledger"]):
        lines.append("WARNING      no station-day could be used; the ledger in the report says why")
    lines += [line for catalog in summary["catalogs"] for line in _catalog(catalog)]
    if timing := _picking_time(folder / "logs" / "pick"):
        lines.append(timing)
    lines.append(f"Report       {folder / 'report.html'}")
    return "\n".join(lines)


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


def _picking_time(folder: Path) -> str | None:
    """CPU time of picking over the station-days picked, a full day being 24 h of three components."""
    timings = [json.loads(path.read_text()) for path in sorted(folder.glob("*.timing.json"))]
    cpu_s, days = (sum(timing[key] for timing in timings) for key in ("cpu_s", "full_station_days"))
    return f"Picking      {cpu_s / days:.1f} CPU-seconds per full station-day and picker" if days else None
