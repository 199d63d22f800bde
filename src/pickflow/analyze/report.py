"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from pickflow import __version__
from pickflow.analyze import figures, ledger_figure, maps
from pickflow.analyze.compression import CompressionContent, Section, compression_section
from pickflow.analyze.drawing import Illustration
from pickflow.analyze.gather import Gather
from pickflow.analyze.gather_figure import draw_gather
from pickflow.schemas import REASONS

# Together with the other figures the page stays below about 6 MB, which mail programs still accept.
_GATHER_BUDGET_BYTES = 3_500_000
_N_LEDGER_ROWS = 200
_N_EVENT_ROWS = 300
_SECRET_WORDS = ("password", "token", "secret", "credential")
_KINDS = {
    "best": "Among the best events",
    "largest_error": "Matched, with the largest error",
    "missed": "Missed",
    "unmatched": "Not in the reference",
}


@dataclass(frozen=True, kw_only=True)
class CatalogContent:
    """
    One catalog of a run.

    Attributes
    ----------
    signal, model, weights, associator : str
        What it was made with; the same words as in the summary.
    events, assignments, picks, matches : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS` (all of them, assigned or not), `MATCHES` (empty without a reference).
    unjudged : frozenset of str
        Identifiers of events that are not false although the reference lacks them: too weak for it, or outside of its
        region or time.
    gathers : tuple of Gather
        Events to show with waveforms; see `choose_events` and `gather_for_event`.
    """

    signal: str
    model: str
    weights: str
    associator: str
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    matches: pd.DataFrame
    unjudged: frozenset[str]
    gathers: tuple[Gather, ...]


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """
    All that the report shows.

    Attributes
    ----------
    run : str
        Name of the run.
    starttime, endtime : datetime
        Time span asked for, UTC.
    config_summary : mapping of str to str
        The few settings a reader needs first (source, velocity model, reference), shown below the title.
    summary : mapping
        Content of ``summary.json``.
    stations, ledger : DataFrame
        `STATIONS` and `LEDGER`.
    reference : DataFrame or None
        `EVENTS` of the reference, restricted to what can be compared; None if there is none.
    catalogs : tuple of CatalogContent
        In the order of the configuration.
    compressions : tuple of CompressionContent
        One for each teacher.
    provenance : mapping
        Versions, parameters and digests, folded away at the bottom; values of keys that sound secret are hidden.
    """

    run: str
    starttime: datetime
    endtime: datetime
    config_summary: Mapping[str, str]
    summary: Mapping[str, Any]
    stations: pd.DataFrame
    ledger: pd.DataFrame
    reference: pd.DataFrame | None
    catalogs: tuple[CatalogContent, ...]
    compressions: tuple[CompressionContent, ...]
    provenance: Mapping[str, Any]


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
    sections, budget = [], _GATHER_BUDGET_BYTES
    for index, catalog in enumerate(ordered):
        section = _catalog_section(content, catalog, f"c{index}", budget)
        budget -= sum(len(gather["figure"].svg) for gather in section["gathers"])
        sections.append(section)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pickflow.analyze", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"share": _share, "count": _count, "measure": _measure, "svg": Markup, "moment": _moment}
    return environment.get_template("report.html.j2").render(
        content=content,
        version=__version__,
        tiles=_tiles(content, ordered[0]) if ordered else [],
        verdict=_verdict(content, ordered[0]) if ordered else "This run has no catalog.",
        sections=sections,
        compressions=_compressions(content),
        ledger=_ledger_section(content.ledger),
        provenance=yaml.safe_dump(_without_secrets(content.provenance), sort_keys=True, allow_unicode=True, width=100),
    )


def _compressions(content: ReportContent) -> list[Section]:
    rows = content.summary.get("catalogs", [])
    return [
        compression_section(f"k{index}", compression, rows, has_reference=content.reference is not None)
        for index, compression in enumerate(content.compressions)
    ]


def _numbers(content: ReportContent, catalog: CatalogContent) -> dict[str, Any]:
    """Row of the summary for a catalog, complete with what a table of catalogs shows."""
    keys = ("signal", "model", "weights", "associator")
    rows = [
        row for row in content.summary.get("catalogs", []) if all(row.get(key) == getattr(catalog, key) for key in keys)
    ]
    row = dict(rows[0]) if rows else {}
    assigned = catalog.picks["pick_id"].isin(catalog.assignments["pick_id"])
    return {
        "name": _name(catalog),
        "n_picks": row.get("n_picks", len(catalog.picks)),
        "n_events": row.get("n_events", len(catalog.events)),
        "assigned": float(assigned.mean()) if len(assigned) else None,
        "rms_residual_s": float(catalog.events["rms_residual_s"].median()) if len(catalog.events) else None,
        "reference": row.get("reference") or {},
    }


def _rank(numbers: Mapping[str, Any]) -> tuple[float, int]:
    return _number_or(numbers["reference"].get("f1"), -1.0), numbers["n_events"]


def _name(catalog: CatalogContent) -> str:
    signal = "" if catalog.signal in ("", "raw", "none") else f"{catalog.signal} · "
    return f"{signal}{catalog.model} {catalog.weights} · {catalog.associator}"


def _verdict(content: ReportContent, catalog: CatalogContent) -> str:
    numbers = _numbers(content, catalog)
    if not numbers["n_picks"]:
        return "Nothing was picked. The ledger below says for every station and day what was recorded."
    if not numbers["n_events"]:
        text = f"{_count(numbers['n_picks'])} picks, of which none belongs to an event. "
    else:
        text = f"{_count(numbers['n_picks'])} picks made {_count(numbers['n_events'])} events; "
        text += f"{_share(numbers['assigned'])} of the picks belong to one. "
    reference = numbers["reference"]
    if content.reference is None:
        return text + "There is no reference catalog, so nothing is said about missed or false events."
    if not reference.get("n"):
        return text + "The reference catalog has no event in this time and region."
    text += f"Of {_count(reference['n'])} events of the reference, {_count(reference['matched'])} were found"
    status = _with_status(content, catalog)["status"]
    n_unmatched, n_unjudged = (int((status == kind).sum()) for kind in ("unmatched", "unjudged"))
    if n_unjudged:
        text += f"; {_count(n_unjudged)} more are not judged (true but not asked for, or outside of the comparison)"
    if n_unmatched:
        text += f"; {_count(n_unmatched)} events are not in the reference, "
        return text + "which does not always mean that they are false."
    return text + ("." if catalog.events.empty else ", and no event is without a counterpart.")


def _tiles(content: ReportContent, catalog: CatalogContent) -> list[tuple[str, str, str]]:
    """Headline numbers: label, value, remark."""
    numbers = _numbers(content, catalog)
    reference = numbers["reference"]
    n_p = int((catalog.picks["phase"] == "P").sum())
    used, asked = int(content.ledger["usable"].astype(bool).sum()), len(content.ledger)
    tiles = [("Events", _count(numbers["n_events"]), "in the catalog")]
    if reference.get("n"):
        tiles += [
            ("Found", f"{_count(reference['matched'])} of {_count(reference['n'])}", "events of the reference"),
            ("Recall", _share(reference.get("recall")), "share of the reference found"),
            ("Precision", _share(reference.get("precision")), "share of events not false"),
            ("Error", _measure(reference.get("median_epicentral_error_km"), "km"),
             f"and {_measure(reference.get('median_time_error_s'), 's')}, medians"),
        ]  # fmt: skip
    return [
        *tiles,
        ("Picks", _count(numbers["n_picks"]), f"{_count(n_p)} P, {_count(len(catalog.picks) - n_p)} S"),
        ("Station-days", f"{_count(used)} of {_count(asked)}", "used of those asked for"),
    ]


def _with_status(content: ReportContent, catalog: CatalogContent) -> pd.DataFrame:
    """Events with a column `status`: matched, unmatched or unjudged."""
    matched = set(catalog.matches.dropna(subset=["reference_id"])["event_id"].dropna())
    judged = content.reference is not None

    def status(event_id: str) -> str:
        if event_id in matched:
            return "matched"
        return "unmatched" if judged and event_id not in catalog.unjudged else "unjudged"

    return catalog.events.assign(status=[status(event_id) for event_id in catalog.events["event_id"]])


def _missed(content: ReportContent, catalog: CatalogContent) -> pd.DataFrame:
    if content.reference is None:
        return catalog.events.head(0)
    found = catalog.matches.dropna(subset=["event_id"])["reference_id"]
    return content.reference[~content.reference["event_id"].isin(found)]


def _links(content: ReportContent, catalog: CatalogContent) -> pd.DataFrame:
    """Matched pairs with both places, the reference's as ``reference_…``."""
    places = ["event_id", "latitude_deg", "longitude_deg", "depth_km"]
    pairs = catalog.matches.dropna(subset=["reference_id", "event_id"])[["reference_id", "event_id"]]
    reference = catalog.events.head(0) if content.reference is None else content.reference
    return pairs.merge(catalog.events[places], on="event_id").merge(
        reference[places].add_prefix("reference_"), left_on="reference_id", right_on="reference_event_id"
    )


def _catalog_section(content: ReportContent, catalog: CatalogContent, name: str, budget: int) -> dict[str, Any]:
    events, missed = _with_status(content, catalog), _missed(content, catalog)
    arrivals = catalog.assignments.merge(catalog.picks, on="pick_id")
    picks = catalog.picks.assign(assigned=catalog.picks["pick_id"].isin(catalog.assignments["pick_id"]))
    span = (pd.Timestamp(content.starttime), pd.Timestamp(content.endtime))
    compact = [figures.draw_residuals(f"{name}-residuals", arrivals)]
    if content.reference is not None:
        compact += [
            figures.draw_magnitudes(f"{name}-magnitudes", content.reference, missed),
            figures.draw_errors(f"{name}-errors", catalog.matches.dropna(subset=["reference_id", "event_id"])),
        ]
    compact += [
        figures.draw_station_residuals(f"{name}-stations", arrivals),
        figures.draw_picks_per_station(f"{name}-picks", picks, content.stations),
    ]
    gathers, n_left_out = _gathers(catalog, name, budget)
    return {
        "numbers": _numbers(content, catalog),
        "maps": list(_maps(content, catalog, name, events, missed)),
        "timeline": figures.draw_timeline(f"{name}-time", events, content.reference, missed, span),
        "gathers": gathers,
        "n_gathers_left_out": n_left_out,
        "compact": compact,
        "events": events.head(_N_EVENT_ROWS).to_dict("records"),
        "n_more_events": max(0, len(events) - _N_EVENT_ROWS),
    }


def _maps(
    content: ReportContent, catalog: CatalogContent, name: str, events: pd.DataFrame, missed: pd.DataFrame
) -> Iterator[Illustration]:
    places = ["latitude_deg", "longitude_deg"]
    located = pd.concat([events[places], missed[places]])
    overview = maps.overview_extent(content.stations, located)
    links = _links(content, catalog)
    yield maps.draw_map(f"{name}-map", overview, content.stations, events, links, missed)
    close_up = maps.close_up_extent(overview, located) if overview else None
    if close_up:
        yield maps.draw_map(f"{name}-close", close_up, content.stations, events, links, missed)


def _gathers(catalog: CatalogContent, name: str, budget: int) -> tuple[list[dict[str, Any]], int]:
    drawn: list[dict[str, Any]] = []
    for index, gather in enumerate(catalog.gathers):
        figure = draw_gather(f"{name}-g{index}", gather)
        budget -= len(figure.svg)
        if budget < 0:
            return drawn, len(catalog.gathers) - index
        drawn.append({"kind": _KINDS[gather.kind], "note": gather.note, "event": gather.event, "figure": figure})
    return drawn, 0


def _ledger_section(ledger: pd.DataFrame) -> dict[str, Any]:
    order = list(REASONS)
    remarkable = ledger[ledger["reason"] != "ok"]
    remarkable = remarkable.assign(rank=remarkable["reason"].map(order.index)).sort_values(
        ["rank", "date", "network", "station"]
    )
    return {
        "figure": ledger_figure.draw_ledger("ledger", ledger),
        "legend": ledger_figure.ledger_legend(ledger),
        "rows": remarkable.head(_N_LEDGER_ROWS).to_dict("records"),
        "n_more": max(0, len(remarkable) - _N_LEDGER_ROWS),
    }


def _without_secrets(value: Any, key: str = "") -> Any:
    if any(word in key.lower() for word in _SECRET_WORDS) and value:
        return "(hidden)"
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _number_or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or not math.isfinite(value) else float(value)


def _share(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.0f} %"


def _count(value: int) -> str:
    return f"{int(value):,}"


def _measure(value: float | None, unit: str = "", digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f} {unit}".strip()


def _moment(time: pd.Timestamp | datetime, digits: int = 1) -> str:
    moment = pd.Timestamp(time).round(f"{10 ** (9 - digits)}ns")
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    if digits == 0:
        return text.removesuffix(".000000").removesuffix(":00")
    return text[: -6 + digits]
