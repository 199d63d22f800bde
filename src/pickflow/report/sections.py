"""Section of the report on one catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from pickflow.comparison.picks import confusion
from pickflow.comparison.seismicity import wadati, wadati_arrivals
from pickflow.comparison.unmatched import KINDS, WHY, properties
from pickflow.report import event_figures, figures, maps, score_figures
from pickflow.report.content import CatalogContent, ReportContent
from pickflow.report.drawing import Illustration
from pickflow.report.gather_figure import draw_gather
from pickflow.report.record_section import draw_record_section

_N_EVENT_ROWS = 300  # chosen: keeps the page small, as _N_UNMATCHED_ROWS
_N_UNMATCHED_ROWS = 100
_KINDS = {
    "best": "Among the best events",
    "largest_error": "Matched, with the largest error",
    "missed": "Missed",
    "unmatched": "Not in the reference",
}


def catalog_section(
    content: ReportContent, catalog: CatalogContent, name: str, gather_budget: int, with_picks: bool
) -> dict[str, Any]:
    """
    Figures and tables of one catalog.

    Parameters
    ----------
    content : ReportContent
        The whole run.
    catalog : CatalogContent
        One of its catalogs.
    name : str
        Of its figures, unique on the page.
    gather_budget : int
        Largest size of the waveform figures together, in bytes.
    with_picks : bool
        Whether its picks are compared with the reference here; catalogs of the same picks need that once.
    """
    events, misses = catalog.with_status, missed_events_of(content, catalog)
    span = (pd.Timestamp(content.starttime), pd.Timestamp(content.endtime))
    gathers, n_left_out = _gathers(catalog, name, gather_budget)
    has_picks = content.reference is not None and len(catalog.pick_matches) > 0
    section = {
        "maps": list(_maps(content, catalog, name, events, misses)),
        "timeline": figures.draw_timeline(f"{name}-time", events, content.reference, misses, span),
        "seismicity": _figure_group(_seismicity(content, catalog, name)),
        "comparison": _comparison(content, catalog, name, misses),
        "picks": _figure_group(_picks(catalog, name)) if with_picks and has_picks else None,
        "gathers": gathers,
        "n_gathers_left_out": n_left_out,
        "record_section": _record_section(content, catalog, name),
        "compact": _figure_group(_residuals(content, catalog, name)),
        "events": events.head(_N_EVENT_ROWS).to_dict("records"),
        "n_more_events": max(0, len(events) - _N_EVENT_ROWS),
        "has": _columns_known(events),
    }
    return {"size": _size(section), **section}


def _figure_group(items: Iterable[Illustration]) -> dict[str, Any]:
    """Figures with data, and in one line the reasons of those without."""
    illustrations = list(items)
    return {
        "figures": [item for item in illustrations if item.svg],
        "absent": " ".join(dict.fromkeys(item.caption for item in illustrations if item.caption and not item.svg)),
    }


def _size(value: Any) -> int:
    """Bytes of all figures inside."""
    if isinstance(value, Illustration):
        return len(value.svg)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 0


def _columns_known(events: pd.DataFrame) -> dict[str, bool]:
    names = ("magnitude", "magnitude_uncertainty", "horizontal_uncertainty_km", "depth_uncertainty_km", "quality")
    return {name: bool(events[name].notna().any()) for name in names}


def missed_events_of(content: ReportContent, catalog: CatalogContent) -> pd.DataFrame:
    """Reference events without a counterpart."""
    if content.reference is None:
        return catalog.events.head(0)
    matched_ids = catalog.matches.dropna(subset=["event_id"])["reference_id"]
    return content.reference[~content.reference["event_id"].isin(matched_ids)]


def _links(content: ReportContent, catalog: CatalogContent) -> pd.DataFrame:
    """Matched pairs with both places, the reference's as ``reference_…``."""
    places = ["event_id", "latitude_deg", "longitude_deg", "depth_km"]
    pairs = catalog.matches.dropna(subset=["reference_id", "event_id"])[["reference_id", "event_id"]]
    reference = catalog.events.head(0) if content.reference is None else content.reference
    return pairs.merge(catalog.events[places], on="event_id").merge(
        reference[places].add_prefix("reference_"), left_on="reference_id", right_on="reference_event_id"
    )


def _maps(
    content: ReportContent, catalog: CatalogContent, name: str, events: pd.DataFrame, misses: pd.DataFrame
) -> Iterator[Illustration]:
    places = ["latitude_deg", "longitude_deg"]
    located = pd.concat([events[places], misses[places]])
    overview = maps.overview_extent(content.stations, located)
    links = _links(content, catalog)
    yield maps.draw_map(f"{name}-map", overview, content.stations, events, links, misses)
    close_up = maps.close_up_extent(overview, located) if overview else None
    if close_up:
        yield maps.draw_map(f"{name}-close", close_up, content.stations, events, links, misses)


def _gathers(catalog: CatalogContent, name: str, budget: int) -> tuple[list[dict[str, Any]], int]:
    entries: list[dict[str, Any]] = []
    for index, gather in enumerate(catalog.gathers):
        figure = draw_gather(f"{name}-g{index}", gather)
        budget -= len(figure.svg)
        if budget < 0:
            return entries, len(catalog.gathers) - index
        entries.append({"kind": _KINDS[gather.kind], "note": gather.note, "event": gather.event, "figure": figure})
    return entries, 0


def _record_section(content: ReportContent, catalog: CatalogContent, name: str) -> Illustration | None:
    """Of the best event; None if no waveforms were gathered."""
    best = [gather for gather in catalog.gathers if gather.kind == "best"]
    figure = draw_record_section(f"{name}-section", best[0], content.travel_time_s) if best else None
    return figure if figure is not None and figure.svg else None


def _seismicity(content: ReportContent, catalog: CatalogContent, name: str) -> Iterator[Illustration]:
    if catalog.events.empty:
        return
    yield event_figures.draw_frequency_magnitude(f"{name}-gr", catalog.events, content.reference)
    arrivals = wadati_arrivals(catalog.events, catalog.assignments, catalog.picks)
    yield event_figures.draw_wadati(f"{name}-wadati", arrivals, *wadati(arrivals))
    yield event_figures.draw_uncertainties(f"{name}-uncertainty", catalog.events)
    if len(catalog.corrections):
        yield event_figures.draw_corrections(f"{name}-corrections", catalog.corrections)


def _comparison(
    content: ReportContent, catalog: CatalogContent, name: str, misses: pd.DataFrame
) -> dict[str, Any] | None:
    """Events against the reference; None without one."""
    if content.reference is None:
        return None
    described = properties(catalog.events, catalog.assignments, catalog.picks, content.reference)
    ids = [catalog.matches[catalog.matches.reference_id.isna() == lacks].event_id.dropna() for lacks in (True, False)]
    unmatched, matched = (described.event_id.isin(event_ids) for event_ids in ids)
    pairs = catalog.matches.dropna(subset=["reference_id", "event_id"])
    compact = [
        event_figures.draw_recall_by_magnitude(f"{name}-magnitudes", content.reference, misses),
        event_figures.draw_offsets(f"{name}-offsets", pairs),
        event_figures.draw_errors(f"{name}-errors", pairs),
    ]
    return {
        "groups": score_figures.draw_groups(f"{name}-groups", catalog.event_scores, ("magnitude", "n_picks", "hour")),
        "compact": _figure_group(compact),
        "profile": event_figures.draw_profile(f"{name}-profile", described, unmatched, matched),
        "new_sentences": _new_sentences(described[unmatched], described[matched]),
        "new": _head(catalog.new_events.sort_values(["n_picks", "time"], ascending=[False, True])),
        "new_kinds": KINDS,
        "missed_counts": _count_reasons(catalog.missed_events.why, WHY),
        "new_counts": _count_reasons(catalog.new_events.kind, KINDS),
        "missed": _head(catalog.missed_events.sort_values(["magnitude", "time"], ascending=[False, True])),
        "why": WHY,
    }


def _head(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "rows": table.head(_N_UNMATCHED_ROWS).to_dict("records"),
        "n_more": max(0, len(table) - _N_UNMATCHED_ROWS),
    }


def _count_reasons(values: pd.Series, meanings: Mapping[str, str]) -> list[tuple[int, str]]:
    counts = values.value_counts()
    return [(int(counts[code]), meaning) for code, meaning in meanings.items() if code in counts]


def _new_sentences(unmatched: pd.DataFrame, matched: pd.DataFrame) -> str:
    """Numbers on the events that the reference lacks."""
    parts = []
    for column, label, digits in (
        ("n_picks", "picks", 0),
        ("rms_residual_s", "s residual", 2),
        ("azimuthal_gap_deg", "° gap", 0),
        ("magnitude", "magnitude", 1),
        ("mean_probability", "mean probability", 2),
    ):
        new_median, matched_median = unmatched[column].median(), matched[column].median()
        if pd.notna(new_median) and pd.notna(matched_median):
            parts.append(f"{new_median:.{digits}f} {label} ({matched_median:.{digits}f})".replace(" °", "°"))
    text = f"Medians, in brackets those of the matched events: {', '.join(parts)}. " if parts else ""
    seconds = unmatched.reference_time_difference_s.abs()
    if seconds.notna().any():
        text += f"Half of them are within {seconds.median():,.0f} s of an event of the reference."
    return text


def _picks(catalog: CatalogContent, name: str) -> Iterator[Illustration]:
    """Picks against those of the reference."""
    yield score_figures.draw_pick_residuals(f"{name}-pickerrors", catalog.pick_matches)
    yield score_figures.draw_threshold_curves(f"{name}-curves", catalog.pick_scores)
    yield score_figures.draw_confusion(f"{name}-confusion", confusion(catalog.pick_matches))
    yield score_figures.draw_station_scores(f"{name}-pickstations", catalog.pick_scores)
    groups = ("distance_km", "magnitude", "hour")
    yield score_figures.draw_groups(f"{name}-pickgroups", catalog.pick_scores, groups)


def _residuals(content: ReportContent, catalog: CatalogContent, name: str) -> Iterator[Illustration]:
    arrivals = catalog.assignments.merge(catalog.picks, on="pick_id")
    picks = catalog.picks.assign(assigned=catalog.picks["pick_id"].isin(catalog.assignments["pick_id"]))
    yield figures.draw_residuals(f"{name}-residuals", arrivals)
    yield figures.draw_station_residuals(f"{name}-stations", arrivals)
    yield figures.draw_picks_per_station(f"{name}-picks", picks, content.stations)
