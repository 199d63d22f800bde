"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from pickflow.report import ledger_figure
from pickflow.report.compression import Section, compression_section
from pickflow.report.content import CatalogContent, ReportContent
from pickflow.report.drawing import Illustration
from pickflow.report.frame import count, measure, render, share
from pickflow.report.score_figures import draw_comparison
from pickflow.report.sections import catalog_section
from pickflow.run.keys import PickSetKey
from pickflow.schemas import REASONS

# Mail programs accept 10 MB. The best catalog gets its waveforms first; what exceeds the budget is not drawn.
_PAGE_BUDGET_BYTES = 8_500_000
_GATHER_BUDGET_BYTES = 3_500_000
_N_LEDGER_ROWS = 200  # chosen: keeps the page small


def write_report(content: ReportContent) -> str:
    """
    Write the report of a run.

    Parameters
    ----------
    content : ReportContent
        Tables and gathers; any of the tables may be empty.

    Returns
    -------
    str
        HTML that needs nothing else: no script, no network. The same content gives the same bytes.
    """
    ordered = sorted(content.catalogs, key=lambda catalog: _rank(_numbers(content, catalog)), reverse=True)
    sections = _sections(content, ordered)
    return render(
        "pickflow.report",
        "page.html.j2",
        content.provenance,
        {"moment": _moment, "magnitude": _magnitude},
        content=content,
        tiles=_tiles(content, ordered[0]) if ordered else [],
        verdict=_verdict(content, ordered[0]) if ordered else "This run has no catalog.",
        sections=sections,
        has_picks=any(section["numbers"]["pick_f1"] for section in sections),
        comparison=_comparison(content, ordered),
        compressions=_compressions(content),
        ledger=None if content.ledger is None else _ledger_section(content.ledger),
    )


def _sections(content: ReportContent, ordered: list[CatalogContent]) -> list[dict[str, Any]]:
    """Numbers of every catalog, and figures of as many as the page can hold."""
    sections: list[dict[str, Any]] = []
    page, gathers = _PAGE_BUDGET_BYTES, _GATHER_BUDGET_BYTES
    shown_picks: set[PickSetKey] = set()
    for index, catalog in enumerate(ordered):
        section: dict[str, Any] = {"numbers": _numbers(content, catalog), "drawn": False}
        if page > 0:
            body = catalog_section(content, catalog, f"c{index}", gathers, catalog.key.pick_set not in shown_picks)
            page -= body["size"]
            gathers -= sum(len(gather["figure"].svg) for gather in body["gathers"])
            if page > 0 or not index:
                section |= body | {"drawn": True}
                shown_picks.add(catalog.key.pick_set)
        sections.append(section)
    return sections


def _comparison(content: ReportContent, ordered: list[CatalogContent]) -> Illustration | None:
    """Precision and recall of all catalogs in one figure."""
    if content.reference is None or not ordered:
        return None
    picks = {catalog.key.pick_set.label: catalog.pick_scores for catalog in reversed(ordered)}
    events = {catalog.key.label: catalog.event_scores for catalog in ordered}
    figure = draw_comparison("comparison", dict(reversed(picks.items())), events)
    return figure if figure.svg else None


def _compressions(content: ReportContent) -> list[Section]:
    rows = content.summary.get("catalogs", [])
    return [
        compression_section(f"k{index}", compression, rows, has_reference=content.reference is not None)
        for index, compression in enumerate(content.compressions)
    ]


def _numbers(content: ReportContent, catalog: CatalogContent) -> dict[str, Any]:
    """Row of the summary for a catalog, with the further columns of the table of catalogs."""
    rows = [row for row in content.summary.get("catalogs", []) if catalog.key.parts().items() <= row.items()]
    row = dict(rows[0]) if rows else {}
    is_assigned = catalog.picks["pick_id"].isin(catalog.assignments["pick_id"])
    return {
        "name": catalog.key.label,
        "n_picks": row.get("n_picks", len(catalog.picks)),
        "n_events": row.get("n_events", len(catalog.events)),
        "assigned": float(is_assigned.mean()) if len(is_assigned) else None,
        "rms_residual_s": float(catalog.events["rms_residual_s"].median()) if len(catalog.events) else None,
        "reference": row.get("reference") or {},
        "pick_f1": _pick_f1((row.get("reference") or {}).get("picks", {})),
    }


def _pick_f1(picks: Mapping[str, Any]) -> str:
    return " / ".join(measure(picks[phase].get("f1")) for phase in ("P", "S") if phase in picks)


def _rank(numbers: Mapping[str, Any]) -> tuple[float, int]:
    return _number_or(numbers["reference"].get("f1"), -1.0), numbers["n_events"]


def _verdict(content: ReportContent, catalog: CatalogContent) -> str:
    numbers = _numbers(content, catalog)
    if not numbers["n_picks"] and not numbers["n_events"]:
        ledger = "The ledger below says for every station and day what was recorded."
        return "There are neither picks nor events." if content.ledger is None else f"Nothing was picked. {ledger}"
    if not numbers["n_picks"]:
        text = f"{count(numbers['n_events'])} events, of which the picks are not known. "
    elif not numbers["n_events"]:
        text = f"{count(numbers['n_picks'])} picks, of which none belongs to an event. "
    else:
        text = f"{count(numbers['n_picks'])} picks made {count(numbers['n_events'])} events; "
        text += f"{share(numbers['assigned'])} of the picks belong to one. "
    reference = numbers["reference"]
    if content.reference is None:
        return text + "There is no reference catalog, so nothing is said about missed or false events."
    if not reference.get("n"):
        return text + "The reference catalog has no event in this time and region."
    text += f"Of {count(reference['n'])} events of the reference, {count(reference['matched'])} were found"
    status = catalog.with_status["status"]
    n_unmatched, n_unjudged = (int((status == kind).sum()) for kind in ("unmatched", "unjudged"))
    if n_unjudged:
        text += f"; {count(n_unjudged)} more are not judged (true but not asked for, or outside of the comparison)"
    if n_unmatched:
        text += f"; {count(n_unmatched)} events are not in the reference, "
        return text + "which does not always mean that they are false."
    return text + ("." if catalog.events.empty else ", and no event is without a counterpart.")


def _tiles(content: ReportContent, catalog: CatalogContent) -> list[tuple[str, str, str]]:
    """Headline numbers: label, value, remark."""
    numbers = _numbers(content, catalog)
    reference = numbers["reference"]
    n_p = int((catalog.picks["phase"] == "P").sum())
    days = []
    if content.ledger is not None:
        n_used, n_asked = int(content.ledger["usable"].astype(bool).sum()), len(content.ledger)
        days = [("Station-days", f"{count(n_used)} of {count(n_asked)}", "used of those asked for")]
    tiles = [("Events", count(numbers["n_events"]), "in the catalog")]
    if reference.get("n"):
        tiles += [
            ("Found", f"{count(reference['matched'])} of {count(reference['n'])}", "events of the reference"),
            ("Recall", share(reference.get("recall")), "share of the reference found"),
            ("Precision", share(reference.get("precision")), "share of events not false"),
            ("Error", measure(reference.get("median_epicentral_error_km"), "km"),
             f"and {measure(reference.get('median_time_error_s'), 's')}, medians"),
        ]  # fmt: skip
    if numbers["pick_f1"]:
        tiles.append(("Picks, F1", numbers["pick_f1"], "P / S against those of the reference"))
    return [
        *tiles,
        ("Picks", count(numbers["n_picks"]), f"{count(n_p)} P, {count(len(catalog.picks) - n_p)} S"),
        *days,
    ]


def _ledger_section(ledger: pd.DataFrame) -> dict[str, Any]:
    order = list(REASONS)
    problems = ledger[ledger["reason"] != "ok"]
    problems = problems.assign(rank=problems["reason"].map(order.index)).sort_values(
        ["rank", "date", "network", "station"]
    )
    return {
        "figure": ledger_figure.draw_ledger("ledger", ledger),
        "legend": ledger_figure.ledger_legend(ledger),
        "rows": problems.head(_N_LEDGER_ROWS).to_dict("records"),
        "n_more": max(0, len(problems) - _N_LEDGER_ROWS),
    }


def _number_or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or not math.isfinite(value) else float(value)


def _magnitude(event: Mapping[str, Any]) -> str:
    """Magnitude with its uncertainty and, in brackets, its number of stations, as far as they are known."""
    text = measure(event["magnitude"], "", 1)
    if not math.isfinite(event["magnitude"]):
        return text
    if math.isfinite(event["magnitude_uncertainty"]):
        text += f" ± {event['magnitude_uncertainty']:.1f}"
    return text + (f" ({event['n_magnitude_stations']})" if event["n_magnitude_stations"] else "")


def _moment(time: pd.Timestamp | datetime, digits: int = 1) -> str:
    moment = pd.Timestamp(time).round(f"{10 ** (9 - digits)}ns")
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    if digits == 0:
        return text.removesuffix(".000000").removesuffix(":00")
    return text[: -6 + digits]
