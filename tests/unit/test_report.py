"""The page of a report: complete, by itself, for any run."""

import re
from dataclasses import replace
from functools import cache

import lxml.etree
import numpy as np
import pandas as pd
import pytest

from pickflow.comparison.unmatched import KINDS, WHY
from pickflow.io.tables import conform
from pickflow.report import drawing
from pickflow.report import page as report_page
from pickflow.report.figures import suspicious_stations
from pickflow.report.page import write_report
from pickflow.run.keys import CatalogKey
from pickflow.schemas import REASONS, STATION_CORRECTIONS
from tests import report_fixture
from tests.report_fixture import text_of, two_catalogs

MEGABYTE = 1_000_000


@cache
def content():
    return report_fixture.report_content()


@cache
def light_content():
    """One of the two, which is drawn in half the time."""
    return replace(two_catalogs(), catalogs=two_catalogs().catalogs[:1])


@cache
def page() -> str:
    return write_report(content())


def _alone(catalog, **changes):
    """The run with one catalog of it, changed, and with a summary that fits."""
    run = light_content()
    changed = replace(catalog, **changes)
    summary = report_fixture.summary_of(run.run, [changed], run.reference, run.ledger)
    return replace(run, catalogs=(changed,), summary=summary)


def _without_events(catalog):
    missed = catalog.matches.dropna(subset=["reference_id"]).assign(event_id=None)
    return _alone(
        catalog, events=catalog.events.head(0), assignments=catalog.assignments.head(0), matches=missed,
        new_events=catalog.new_events.head(0),
    )  # fmt: skip


def test_the_same_content_gives_the_same_bytes():
    assert write_report(content()) == page()


def test_the_page_needs_nothing_from_elsewhere():
    assert "<script" not in page()
    assert "@import" not in page()
    targets = re.findall(r"""(?:src|href|url\()=?["']?([^"')\s>]+)""", page())
    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)


def test_the_page_is_small_enough_to_be_mailed():
    assert len(page().encode()) < 3 * MEGABYTE


def test_identifiers_inside_the_drawings_are_unique_and_every_reference_resolves():
    identifiers = re.findall(r' id="([^"]+)"', page())
    references = re.findall(r'(?:url\(|href=")#([^)"]+)', page())
    assert len(identifiers) == len(set(identifiers))
    assert set(references) == set(identifiers)


def test_the_headline_is_that_of_the_summary_and_the_ledger():
    numbers = content().summary["catalogs"][0]
    text = text_of(page())
    assert f"{numbers['n_events']} in the catalog" in text
    assert f"{numbers['reference']['matched']} of {numbers['reference']['n']}" in text
    assert f"{100 * numbers['reference']['precision']:.0f} %" in text
    assert f"{content().ledger['usable'].sum()} of {len(content().ledger)}" in text


def test_the_time_span_is_that_of_the_data():
    assert "2024-03-09 00:00 to 2024-03-11 00:00 UTC" in text_of(page())


def test_catalogs_stand_side_by_side_with_the_best_first():
    text = text_of(write_report(replace(two_catalogs(), catalogs=two_catalogs().catalogs[::-1])))
    assert text.index("PhaseNet original · pyocto") < text.index("PhaseNet original · gamma")
    assert "Catalogs side by side" in text
    assert "Catalogs side by side" not in text_of(write_report(_alone(two_catalogs().catalogs[0])))


def test_every_kind_of_event_is_shown_with_waveforms():
    text = text_of(page())
    for kind in ("Among the best events", "Matched, with the largest error", "Missed:", "Not in the reference:"):
        assert kind in text


def test_a_station_with_a_bad_clock_is_named():
    sentence = (
        rf"OX\.{report_fixture.LATE_STATION}: P comes 0\.4\d s and S 0\.\d\d s later than elsewhere; check its clock"
    )
    assert re.search(sentence, text_of(page()))


def test_slow_ground_is_not_taken_for_a_bad_clock():
    statistics = pd.DataFrame(
        {"station": ["A", "A", "B", "B", "C", "C"], "phase": ["P", "S"] * 3, "n": 9, "median_s": [0, 0, 0.4, 0.7, 0, 0]}
    )
    assert suspicious_stations(statistics) == [
        "B: P comes 0.40 s and S 0.70 s later than elsewhere; the ground below it, or its coordinates?"
    ]


def test_unmatched_events_are_counted_and_unjudged_ones_are_not_among_them():
    catalog = light_content().catalogs[0]
    false = set(catalog.events["event_id"]) - set(catalog.matches.dropna(subset=["reference_id"])["event_id"])
    assert f"{len(false)} events are not in the reference" in text_of(write_report(_alone(catalog)))
    judged = catalog.matches[~catalog.matches["event_id"].isin(false)]
    forgiven = text_of(write_report(_alone(catalog, matches=judged)))
    assert "no event is without a counterpart" in forgiven
    assert "not judged" in forgiven


def test_every_code_of_the_ledger_is_explained_and_every_remark_listed():
    text = text_of(page())
    for reason in content().ledger["reason"].unique():
        assert REASONS[reason].meaning in text
    for detail in content().ledger["detail"]:
        assert detail in text


def test_secrets_are_hidden():
    assert "hunter2" not in page()
    assert "(hidden)" in page()


def test_names_are_escaped():
    html = write_report(replace(light_content(), run="<b>&", config_summary={"<i>": "<u>"}))
    assert not any(tag in html for tag in ("<b>&", "<i>", "<u>"))


ODD = "A\x00B\x1b\u202eC\ud800\ufffe<script>alert(1)</script>\"'&$x_{"


def test_what_no_page_can_hold_is_a_mark_and_the_rest_is_text():
    run = light_content()
    html = write_report(replace(run, run=ODD, config_summary={"key": ODD}, catalogs=(), reference=None, summary={}))
    assert "<script" not in html
    assert not re.search("[\x00\x1b\u202e\ufffe]", html)
    html.encode()
    assert html.count("A\ufffdB\ufffd\ufffdC\ufffd\ufffd&lt;script&gt;") >= 2


@pytest.mark.parametrize("text", [ODD.replace("\ud800", ""), "$\\frac{", "$x$ $", "{{7*7}}", "X" * 500])
def test_a_drawing_is_xml_whatever_a_station_is_called(text):
    figure = drawing.new_figure(400, 200)
    axes = drawing.add_axes(figure, 50, 20, 300, 150)
    axes.text(0.5, 0.5, text, parse_math=False)
    svg = drawing.illustrate(figure, "f", "").svg
    tree = lxml.etree.fromstring(svg)
    assert not tree.xpath("//*[local-name()='script']")


def test_without_events_the_missed_ones_are_shown():
    html = write_report(_without_events(light_content().catalogs[0]))
    assert "of which none belongs to an event" in text_of(html)
    assert "all missed" in text_of(html)


def test_without_picks_the_reader_is_sent_to_the_ledger():
    catalog = light_content().catalogs[0]
    run = _without_events(replace(catalog, picks=catalog.picks.head(0)))
    assert "Nothing was picked. The ledger below says" in text_of(write_report(run))


def test_without_a_reference_nothing_is_called_missed_or_false():
    catalogs = tuple(replace(catalog, matches=catalog.matches.head(0)) for catalog in light_content().catalogs)
    text = text_of(write_report(replace(light_content(), reference=None, catalogs=catalogs, summary={})))
    assert "There is no reference catalog" in text
    assert not any(word in text for word in ("Recall", "Precision", "not there"))


def test_a_reference_without_magnitudes_has_no_recall_by_magnitude():
    reference = light_content().reference.assign(magnitude=np.nan)
    text = text_of(write_report(replace(light_content(), reference=reference)))
    assert "The reference has no magnitudes" in text


def test_one_station_without_events_is_a_page_of_sentences():
    catalog = light_content().catalogs[0]
    empty = replace(_without_events(catalog).catalogs[0], picks=catalog.picks.head(0), matches=catalog.matches.head(0))
    run = light_content()
    empty = replace(empty, pick_matches=empty.pick_matches.head(0))
    html = write_report(
        replace(
            run, stations=run.stations.head(1), ledger=run.ledger.head(1), reference=None, catalogs=(empty,), summary={}
        )
    )
    assert "No map: no event was located." in text_of(html)
    assert html.count("<svg") == 1


def test_a_run_without_catalogs_and_ledger_says_so():
    run = light_content()
    text = text_of(write_report(replace(run, catalogs=(), ledger=run.ledger.head(0), reference=None, summary={})))
    assert "This run has no catalog." in text
    assert "The ledger is empty" in text


@pytest.mark.parametrize("trouble", ["all", "no_events", "no_reference"])
def test_no_number_is_written_as_nan(trouble):
    run = light_content()
    if trouble == "no_events":
        run = _without_events(run.catalogs[0])
    elif trouble == "no_reference":
        catalogs = tuple(replace(catalog, matches=catalog.matches.head(0)) for catalog in run.catalogs)
        run = replace(run, reference=None, catalogs=catalogs)
    assert not re.search(r"\b(nan|NaN|NaT|None)\b", text_of(write_report(run)))


def test_a_year_of_a_large_network_stays_a_page():
    random = np.random.default_rng(1)
    stations = pd.concat(
        [light_content().stations.assign(network=f"N{index}") for index in range(8)], ignore_index=True
    )
    days = [day.strftime("%Y-%m-%d") for day in pd.date_range("2023-01-01", periods=500)]
    ledger = report_fixture.ledger_table(stations, days)
    ledger["reason"] = random.choice(["ok", "gap", "no_data"], len(ledger), p=[0.8, 0.15, 0.05])
    reference = report_fixture.reference_table(random, 20_000)
    catalog = replace(
        light_content().catalogs[0],
        events=reference.assign(n_picks=random.integers(6, 40, len(reference)), rms_residual_s=0.1),
    )
    html = write_report(
        replace(light_content(), stations=stations, ledger=ledger, reference=reference, catalogs=(catalog,), summary={})
    )
    assert len(html.encode()) < 6 * MEGABYTE
    assert "Each column is 2 days, in the colour of the worst." in text_of(html)
    assert "19,700 more events" in text_of(html)


@pytest.mark.nightly
def test_a_month_of_three_catalogs_stays_below_ten_megabytes():
    run = report_fixture.report_content(1800, with_gathers=False, n_days=30)
    n_bytes = len(write_report(replace(run, catalogs=run.catalogs[:1])).encode())
    assert len(run.catalogs[0].events) > 1500
    assert 3 * n_bytes + report_page._GATHER_BUDGET_BYTES < 10 * MEGABYTE


def test_catalogs_that_do_not_fit_are_named_and_not_drawn(monkeypatch):
    monkeypatch.setattr(report_page, "_PAGE_BUDGET_BYTES", 100_000)
    html = write_report(two_catalogs())
    assert html.count('<details class="catalog"') == 2
    assert text_of(html).count("Not drawn, to keep this page small") == 1
    assert "c0-" in html
    assert "c1-" not in html


def test_missed_and_new_events_are_listed_with_what_is_known_about_them():
    run, text = light_content(), text_of(page())
    catalog = run.catalogs[0]
    assert len(catalog.missed_events)
    assert len(catalog.new_events)
    for why, n in catalog.missed_events.why.value_counts().items():
        assert f"{n}: {WHY[why]}" in text
    for kind, n in catalog.new_events.kind.value_counts().items():
        assert f"{n}: {KINDS[kind]}" in text
    assert "Medians, in brackets those of the matched events:" in text


def test_picks_are_held_against_the_reference_once_for_all_catalogs_of_the_same_picks():
    assert text_of(page()).count("Picks against those of the reference") == 1
    other_catalog = replace(two_catalogs().catalogs[1], key=CatalogKey.parse("none/PhaseNet/stead/gamma"))
    run = replace(two_catalogs(), catalogs=(two_catalogs().catalogs[0], other_catalog), summary={})
    assert text_of(write_report(run)).count("Picks against those of the reference") == 2


def test_new_columns_of_the_catalog_are_shown_where_they_are_known():
    catalog = light_content().catalogs[0]
    assert "Quality" not in text_of(page())
    complete_events = catalog.events.assign(
        magnitude=1.26, magnitude_uncertainty=0.12, n_magnitude_stations=7, quality="B", horizontal_uncertainty_km=0.84,
        depth_uncertainty_km=1.9, time_uncertainty_s=0.1,
    )  # fmt: skip
    corrections = pd.DataFrame(
        [("OX", "ACOM", phase, value, 0.05, 12) for phase, value in (("P", 0.1), ("S", -0.2))],
        columns=STATION_CORRECTIONS.schema.names,
    )
    text = text_of(
        write_report(_alone(catalog, events=complete_events, corrections=conform(corrections, STATION_CORRECTIONS)))
    )
    assert "1.3 ± 0.1 (7)" in text
    assert f"Quality: B {len(complete_events)}" in text
    assert "Station corrections of the location" in text


def test_picks_without_probability_and_events_without_residual_are_no_trouble():
    catalog = light_content().catalogs[0]
    bare = catalog.events.assign(rms_residual_s=np.nan, azimuthal_gap_deg=np.nan, depth_km=np.nan)
    scores = catalog.pick_scores[catalog.pick_scores["by"] != "threshold"]
    run = _alone(catalog, events=bare, picks=catalog.picks.assign(probability=np.nan), pick_scores=scores)
    text = text_of(write_report(run))
    assert "The picks have no probabilities, so there is no curve" in text
    assert not re.search(r"\b(nan|NaN|NaT|None)\b", text)


def test_one_event_is_enough_for_a_page():
    catalog = light_content().catalogs[0]
    first = catalog.events["event_id"].iloc[0]
    tables = {
        name: getattr(catalog, name)[getattr(catalog, name)["event_id"] == first]
        for name in ("events", "assignments", "matches")
    }
    run = replace(_alone(catalog, **tables), reference=light_content().reference.head(1))
    assert not re.search(r"\b(nan|NaN|NaT|None)\b", text_of(write_report(run)))


def test_gathers_that_do_not_fit_are_counted(monkeypatch):
    run = replace(content(), catalogs=content().catalogs[:1])
    monkeypatch.setattr(report_page, "_GATHER_BUDGET_BYTES", 250_000)
    html = write_report(run)
    n_drawn, n_left_out = html.count("<h4>"), int(re.search(r"(\d+) more gathers are left out", text_of(html)).group(1))
    assert n_drawn >= 1
    assert n_drawn + n_left_out == len(run.catalogs[0].gathers)


def test_numbers_for_people_keep_their_digits_in_the_drawings():
    figure = drawing.new_figure(200, 100)
    drawing.add_axes(figure, 10, 10, 100, 50).set_title("0.12345")
    svg = drawing.illustrate(figure, "n", "").svg
    assert "0.12345" in svg
    assert not re.search(r"<[^>]*\d\.\d{3}", svg)
