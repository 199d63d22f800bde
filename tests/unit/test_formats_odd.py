"""Odd events, picks and values of catalogs: each costs itself alone, and is listed; conventions are not values."""

from __future__ import annotations

import logging
import re

import numpy as np
import pandas as pd
import pytest

from pickflow.comparison.bulletins import compare_files, comparison_text
from pickflow.io.formats import catalog_tables, convert, read_bulletin, write_catalog
from pickflow.io.formats.cards import decode, lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import moment, read_time, read_times
from tests.costs import MOST_GROWTH, growth
from tests.format_samples import n_accounted
from tests.unit.test_comparison_bulletins import PARAMS
from tests.unit.test_formats import HYP, HYPODD, OBS, PHASENET, REAL, TIME, small_catalog

QUAKEML = (
    '<q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" xmlns:q="http://quakeml.org/xmlns/quakeml/1.2">'
    '<eventParameters publicID="smi:local/all">{events}</eventParameters></q:quakeml>'
)
DEPTH = "<depth><value>8000</value></depth>"


@pytest.fixture
def read(tmp_path):
    def read(text, name="file.txt", **options):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_bulletin(tmp_path / name, **options)

    return read


def origin(name="o1", time="2024-03-05T10:01:00.5Z", latitude="46.3", children=DEPTH, uncertainty=""):
    error = f"<uncertainty>{uncertainty}</uncertainty>" if uncertainty else ""
    return (
        f'<origin publicID="smi:local/{name}"><time><value>{time}</value></time><latitude><value>{latitude}</value>'
        f"</latitude><longitude><value>13.1</value>{error}</longitude>{children}</origin>"
    )


def pick(name="p1", time="2024-03-05T10:01:03Z", phase="P", station="AAA", children=""):
    time_element = f"<time><value>{time}</value></time>" if time else ""
    return (
        f'<pick publicID="smi:local/{name}">{time_element}<waveformID networkCode="OX" stationCode="{station}"/>'
        f"<phaseHint>{phase}</phaseHint>{children}</pick>"
    )


def event(*content, name="e1"):
    return f'<event publicID="smi:local/{name}">{"".join(content)}</event>'


def quakeml(*events):
    return QUAKEML.format(events="".join(events))


GOOD = event(origin(), pick("good"), name="good")


def test_an_origin_without_a_depth_is_an_event_without_a_depth(read):
    bulletin = read(quakeml(event(origin(children="")), GOOD))
    assert bulletin.events.depth_km.isna().sum() == 1
    assert bulletin.rejected.empty


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (event(origin(), pick(time="")), "no time"),
        (event(origin(), pick(phase="pP")), "phase 'pP' is neither P nor S"),
        (event(origin(), pick(time="1600-01-01T00:00:00Z")), "year 1600 is not within"),
        (event(origin(), pick(station="A A")), "is no code of a station"),
        (event(origin(time="1066-10-14T09:00:00Z")), "year 1066 is not within"),
        (event(origin(latitude="91")), "latitude_deg 91 is not within -90 to 90"),
        (event(origin(latitude="1e400")), "not a finite"),
        (event(origin(latitude="nan")), "an origin needs latitude and longitude"),
        (event(re.sub("<latitude>.*?</latitude>", "", origin(uncertainty="0.1"))), "an origin needs latitude"),
        (event(origin(children="<depth><value>deep</value></depth>")), "Could not convert deep"),
        (event(origin(children="<depth><value>8e9</value></depth>")), "depth_km 8e+06 is not within"),
        (event("<type>picnic</type>", origin()), "type: ObsPy"),
        (event(origin(children=DEPTH + '<arrival publicID="smi:local/a"><pickID>smi:local/none</pickID><phase>P</phase>'
                                   "</arrival>")), "an arrival without its pick"),
    ],
)  # fmt: skip
def test_what_is_odd_in_quakeml_is_listed_and_its_neighbours_are_read(read, odd, reason):
    bulletin = read(quakeml(GOOD, odd, GOOD.replace("good", "better")))
    assert {"good", "better"} <= set(bulletin.events.event_id)
    assert {"good", "better"} <= set(bulletin.picks.event_id)
    assert reason in "; ".join(bulletin.rejected.reason)
    assert bulletin.n_lines == n_accounted(bulletin)


def test_the_account_of_quakeml_adds_up_to_what_the_document_holds(read):
    picks = [pick(f"p{number}", phase=phase) for number, phase in enumerate(("P", "S", "pP", "SKSac"))]
    arrivals = "".join(
        f'<arrival publicID="smi:local/a{number}"><pickID>smi:local/p{number}</pickID><phase>{phase}</phase></arrival>'
        for number, phase in enumerate(("P", "S", "pP", "SKSac"))
    )
    bulletin = read(quakeml(event(*picks, origin(children=DEPTH + arrivals), origin("o2")), GOOD))
    account = bulletin.account
    assert list(account.columns) == ["read", "set_aside", "rejected"]
    counts = {kind: row.tolist() for kind, row in account.iterrows()}
    assert counts == {"event": [2, 0, 0], "origin": [2, 1, 0], "pick": [3, 0, 2], "arrival": [2, 0, 2]}


@pytest.mark.parametrize("damage", ["</origin>", "</event>", "<latitude>", "</time>"])
def test_of_a_damaged_document_the_whole_events_are_read(read, damage):
    text = quakeml(GOOD, event(origin(), pick()), GOOD.replace("good", "better"))
    at = text.index(damage, text.index("e1"))
    bulletin = read(text[:at] + text[at + len(damage) :])
    assert {"good", "better"} <= set(bulletin.events.event_id)
    assert len(bulletin.rejected) == 1


def test_a_document_that_is_cut_keeps_no_cut_number(read):
    text = quakeml(GOOD, event(origin()))
    bulletin = read(text[: text.rindex("6.3</value>")])
    assert list(bulletin.events.event_id) == ["good"]
    assert "it does not end" in bulletin.rejected.reason[0]


def test_a_document_type_is_refused(read):
    kind = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    with pytest.raises(ValueError, match=r"file\.txt: the XML has a document type"):
        read(kind + quakeml(event(origin(), pick(station="&x;"))))


@pytest.mark.parametrize("hint", ["P", "Pg", "Pn", "Pb", "P*", "P1", "p", "IPU0", "EP", "iPn", "IP 1", "ePg"])
def test_names_of_p(hint):
    assert phase_of(hint) == "P"
    assert phase_of(hint.replace("P", "S").replace("p", "s")) == "S"


@pytest.mark.parametrize(
    "hint",
    [
        "pP", "sP", "PP", "SS", "PKP", "PKPdf", "PKIKP", "PcP", "ScP", "SKS", "SKSac", "Pdif", "Pdiff", "PmP", "SmS",
        "Lg", "Rg", "T", "x", "(P)", "P?", "pn",
    ],
)  # fmt: skip
def test_other_phases_are_neither(hint):
    with pytest.raises(ValueError, match="neither P nor S"):
        phase_of(hint)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HYPODD.replace("ABCD 2.5 1.0 P", "ABCD 2.5 1.0 pP"), 1),
        (REAL.replace("ABCD P ", "ABCD PKP "), 1),
        (OBS.replace(" P  ", " PcP "), 2),
        (HYP.format(status="LOCATED").replace(" i P ", " i PP "), 1),
        (PHASENET.replace(",P,", ",PKIKP,"), 1),
    ],
)
def test_no_reader_takes_another_phase_for_p_or_s(read, text, expected):
    assert len(read(text).picks) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05T10:01:00.5Z", "2024-03-05 10:01:00.5", "2024/03/05 10:01:00.500", "2024-065T10:01:00.5",
        "2024-03-05T11:01:00.5+01:00", "1709632860.5", "1709632860500", "1709632860500000", "1709632860500000000",
        "20240305100100.5", "20240305100100500", "1.7096328605e9", "2024-03-05T10:00:60.5"[:-2] + "",
    ],
)  # fmt: skip
def test_times_as_people_and_programs_write_them(text):
    expected = "2024-03-05T10:01:00Z" if text.endswith(":60") else "2024-03-05T10:01:00.5Z"
    assert read_time(text) == pd.Timestamp(expected)


def test_midnight_may_be_written_as_the_end_of_a_day():
    assert read_time("2024-03-05T24:00:00") == pd.Timestamp("2024-03-06T00:00:00Z")
    assert moment(2024, 12, 31, 24) == moment(2025, 1, 1)
    assert moment(2024, 2, 28, 23, 59, 60.0) == moment(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "2024.175", "0", "33.8", "1", "-1", "20240305.4", "45356.4", "2460375.9", "-999", "1e400", "9" * 50,
        "nan", "inf", "202403051001", "1_709_632_860", "10:01:00", "2024-03-05T25:00", "2024-02-30", "1600-01-01",
        "2300-01-01", "٢٠٢٤-03-05", "now", "2024-03-05T10:01:61",
    ],
)  # fmt: skip
def test_what_is_no_time_is_never_one(text):
    with pytest.raises(ValueError, match="time|year|date"):
        read_time(text)
    times, faults = read_times(pd.Series(["2024-03-05T10:01:00", text]))
    assert list(times.isna()) == [False, True]
    assert list(faults != "") == [False, True]


def test_a_number_that_cannot_be_read_costs_the_number_and_not_the_event(read):
    text = "id,time,latitude,longitude,depth,mag\n1,2024-03-05,46,13,8,n.d.\n2,2024-03-05,46,13,x,1e400\n"
    bulletin = read(text)
    assert list(bulletin.events.event_id) == ["1", "2"]
    assert bulletin.events.magnitude.isna().all()
    assert list(bulletin.rejected.kind) == ["value", "value"]
    assert (bulletin.n_read, bulletin.n_rejected) == (2, 0)


def test_a_quote_that_does_not_end_takes_no_other_row_along(read):
    rows = [f"{number},2024-03-05,46,13,place {number}" for number in range(50)]
    rows[10] = '10,2024-03-05,46,13,"place'
    rows[20] = '20,2024-03-05,46,13,"two\nlines"'
    bulletin = read("\n".join(["id,time,latitude,longitude,where", *rows]))
    assert len(bulletin.events) == 50
    assert bulletin.rejected.empty


@pytest.mark.parametrize("magnitude", ["999", "999.0", "-999", "-9.99", "99.9", "-9", "9999.9"])
def test_a_magnitude_of_nines_is_unknown(read, magnitude):
    bulletin = read(f"id,time,latitude,longitude,depth,mag\n1,2024-03-05,46,13,8,{magnitude}\n")
    assert bulletin.events.magnitude.isna().all()
    assert bulletin.rejected.empty


def test_errors_that_cannot_be_are_unknown(read):
    text = "id,time,latitude,longitude,depth,horizontalError,depthError,gap\n1,2024-03-05,46,13,-999,-1,99.9,999\n"
    [row] = read(text).events.to_dict("records")
    assert all(np.isnan(row[name]) for name in ("horizontal_uncertainty_km", "depth_uncertainty_km", "depth_km"))
    assert np.isnan(row["azimuthal_gap_deg"])


PHASES = """AAA    ?    ?    ? P      U 20240305 1001   3.5000 GAU  2.00e-02 -1.00e+00 -1.00e+00 -1.00e+00    1.0000
BBB    ?    ?    ? P      ? 20240305 1001   4.5000 GAU  2.00e-02 -1.00e+00 -1.00e+00 -1.00e+00    0.0000
CCC    ?    ?    ? P      ? 20240305 1001   5.5000 QUAL 4        -1.00e+00 -1.00e+00 -1.00e+00    1.0000
DDD    ?    ?    ? P      ? 20240305 1001   5.5000 QUAL 2        -1.00e+00 -1.00e+00 -1.00e+00
EEE    ?    ?    ? P      ? 20240305 1001   5.5000 GAU  9999.9   -1.00e+00 -1.00e+00 -1.00e+00
"""


def test_prior_weights_and_classes_of_nonlinloc_are_weights(read):
    picks = read(PHASES).picks
    assert list(picks.weight) == [1.0, 0.0, 0.0, 0.5, 0.0]
    assert picks.time_uncertainty_s.isna().tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("located", [True, False])
@pytest.mark.parametrize("format", ["quakeml", "scml", "nonlinloc", "hypodd", "nordic", "parquet", "pyrocko"])
def test_a_pick_of_weight_zero_never_becomes_a_full_one(tmp_path, caplog, format, located):
    place = {} if located else {"latitude_deg": np.nan, "longitude_deg": np.nan, "depth_km": np.nan}
    events, assignments, picks = small_catalog(**place)
    picks = picks.assign(weight=np.where(picks.station == "EFG", 0.0, 1.0), probability=np.nan)
    with caplog.at_level(logging.WARNING):
        write_catalog(events, assignments, picks, tmp_path / "x.parquet", format)
    if format == "pyrocko":
        assert "NI.EFG" in caplog.text
        assert "EFG" not in (tmp_path / "x.parquet").read_text()
        return
    again = read_bulletin(tmp_path / ("x.picks.parquet" if format == "parquet" else "x.parquet")).picks \
        if located or format != "hypodd" else pd.DataFrame(columns=["station", "weight"])  # fmt: skip
    assert (again.weight[again.station == "EFG"] == 0).all()
    assert len(again) >= 4 or "left out" in caplog.text


def test_an_event_without_a_time_is_written_and_read_again(tmp_path):
    (tmp_path / "in.xml").write_text(quakeml(GOOD, event("<description><text>felt</text></description>")))
    convert(tmp_path / "in.xml", "csv", tmp_path / "once.csv")
    convert(tmp_path / "once.csv", "csv", tmp_path / "twice.csv")
    assert (tmp_path / "once.csv").read_bytes() == (tmp_path / "twice.csv").read_bytes()
    assert read_bulletin(tmp_path / "twice.csv").events.time.isna().tolist() == [False, True]


def test_an_event_that_a_program_cannot_hold_is_left_out_and_named(tmp_path, caplog):
    events, assignments, picks = small_catalog()
    events = pd.concat([events, events.assign(event_id="deepless", depth_km=np.nan)])
    write_catalog(events, assignments, picks, tmp_path / "x", "hypodd")
    assert "left out: deepless" in caplog.text
    assert len(read_bulletin(tmp_path / "x").events) == 1


def header(day, second=0.5, agency="TES"):
    return f" 2024  3{day:2d} 1001 {second:4.1f} L  46.300  13.100  8.0  {agency}  5 0.2 1.5L{agency}".ljust(79) + "1"


def test_compact_nordic_gives_all_events(read):
    bulletin = read("\n".join([header(5), header(6), header(6, 20.5), header(7)]) + "\n", "x.out")
    assert len(bulletin.events) == 4
    assert (bulletin.n_read, bulletin.n_headers, bulletin.n_rejected) == (4, 0, 0)
    odd = read("\n".join([header(5), "odd", header(7)[:-1] + "?", header(8)]) + "\n", "x.out")
    assert len(odd.events) == 2
    assert list(odd.rejected.line) == [2, 3]


def test_other_origins_of_an_event_of_nordic_are_set_aside(tmp_path):
    write_catalog(*small_catalog(), tmp_path / "x.out", "nordic")
    lines = (tmp_path / "x.out").read_text().split("\n")
    (tmp_path / "x.out").write_text("\n".join([lines[0], lines[0].replace("PFL", "ISC"), *lines[1:]]))
    bulletin = read_bulletin(tmp_path / "x.out")
    assert (len(bulletin.events), len(bulletin.picks)) == (1, 4)
    assert bulletin.account.loc["origin", "set_aside"] == 1
    assert bulletin.rejected.empty


@pytest.mark.parametrize("column", [14, 18, 20, 24, 60])
def test_an_odd_phase_of_nordic_costs_itself_alone(tmp_path, column):
    write_catalog(*small_catalog(), tmp_path / "x.out", "nordic")
    lines = (tmp_path / "x.out").read_text().split("\n")
    lines[5] = lines[5][:column] + "?" + lines[5][column + 1 :]
    (tmp_path / "x.out").write_text("\n".join(lines))
    bulletin = read_bulletin(tmp_path / "x.out")
    assert len(bulletin.picks) + len(bulletin.rejected) >= 4
    assert len(bulletin.picks) >= 3


def test_phases_of_nordic_may_say_their_type(tmp_path):
    write_catalog(*small_catalog(), tmp_path / "x.out", "nordic")
    lines = (tmp_path / "x.out").read_text().split("\n")
    typed = [f"{line[:79]:79}4" if line[:79].strip() and line[79:] in ("", " ") else line for line in lines]
    plain = read_bulletin(tmp_path / "x.out").picks
    (tmp_path / "x.out").write_text("\n".join(typed))
    again = read_bulletin(tmp_path / "x.out")
    assert sum(line.endswith("4") for line in typed) == len(plain) == 4
    pd.testing.assert_frame_equal(again.picks, plain)


def test_weight_nine_of_nordic_is_not_used(tmp_path):
    events, assignments, picks = small_catalog()
    write_catalog(events, assignments, picks, tmp_path / "x.out", "nordic")
    text = (tmp_path / "x.out").read_text().replace(" S      ", " S   9  ")
    (tmp_path / "x.out").write_text(text)
    again = read_bulletin(tmp_path / "x.out").picks
    assert list(again.weight[again.phase == "S"]) == [0.0, 0.0]


def test_a_byte_that_is_no_utf_8_costs_no_other():
    assert decode("Škofja Loka, ".encode() + b"Gr\xf6den") == "Škofja Loka, Gröden"
    assert lines_of("a\r\nb\rc\r\r\nd") == ["a", "b", "c", "d"]


def test_a_comparison_tells_what_it_could_not_read(tmp_path):
    head = "id,time,latitude,longitude,depth,mag\n"
    rows = ['1,2024-03-05T10:01:00.6,"46,31",13.1,8,1.0', "2,2024-03-05T10:05:00.4,46.3,13.1,8,1.2"]
    (tmp_path / "reference.csv").write_text(head + "\n".join(rows))
    (tmp_path / "ours.csv").write_text(head + rows[1])
    findings = compare_files(tmp_path / "ours.csv", tmp_path / "reference.csv", PARAMS, None, None).findings
    text = comparison_text(findings)
    assert "reference.csv: not, or not wholly, read: 1 event" in text
    assert "line 2: latitude_deg '46,31' is no number" in text


def test_round_trips_keep_what_a_catalog_may_hold(tmp_path):
    old = pd.Timestamp("1900-01-01T00:00:01.5Z")
    events, assignments, picks = small_catalog(latitude_deg=-33.5, longitude_deg=-70.25, depth_km=-1.5)
    shift = old - TIME
    moved = {name: picks[name] + shift for name in ("time", "starttime", "endtime")}
    for format in ("csv", "quakeml", "scml", "hypodd", "nordic"):
        write_catalog(events.assign(time=old), assignments, picks.assign(**moved), tmp_path / "x", format)
        bulletin = read_bulletin(tmp_path / "x")
        [row] = bulletin.events.to_dict("records")
        assert (row["time"], row["latitude_deg"], row["longitude_deg"], row["depth_km"]) == (old, -33.5, -70.25, -1.5)
        assert list(bulletin.picks.time) == ([] if format == "csv" else list(moved["time"][picks.pick_id != "alone"]))
        write_catalog(*catalog_tables(bulletin), tmp_path / "y", format)
        assert (tmp_path / "y").exists()


def test_ten_times_the_equal_names_cost_ten_times_as_much_and_become_as_many():
    def name(n):
        counts: dict[str, int] = {}
        names = [free_id("a", counts) for _ in range(n)] + [free_id("a-7", counts)]
        assert len(set(names)) == len(names)

    assert growth(name, 10_000, 100_000) < MOST_GROWTH
