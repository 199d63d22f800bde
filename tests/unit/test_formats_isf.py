"""Bulletins in IMS1.0 (ISF) and GSE2.0: what each column becomes, and what is odd in them."""

from __future__ import annotations

import io

import numpy as np
import obspy
import pandas as pd
import pytest

from tests.format_samples import (
    IMS_MAGNITUDES,
    IMS_ORIGINS,
    card,
    gse_event,
    gse_message,
    gse_phase,
    ims_event,
    ims_magnitude,
    ims_message,
    ims_origin,
    ims_phase,
    read_accounted,
)


def rejections(bulletin):
    return dict(zip(bulletin.rejected.line, bulletin.rejected.reason, strict=True))


def test_columns_of_an_origin_become_an_event_with_errors_of_one_standard_deviation():
    [event] = read_accounted(ims_message(ims_event())).events.to_dict("records")
    assert (event["event_id"], event["time"]) == ("5001", pd.Timestamp("2024-01-31T23:59:57.12Z"))
    assert (event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (46.5, -13.25, 10.0)
    assert (event["n_picks"], event["n_stations"], event["azimuthal_gap_deg"]) == (12, 8, 110.0)
    assert (event["rms_residual_s"], event["time_uncertainty_s"]) == (1.25, 0.2)
    # 90 % of a normal distribution lie within 2.146 (of two dimensions) and 1.645 (of one) standard deviations.
    assert event["horizontal_uncertainty_km"] == pytest.approx(4.3 / 2.1460, rel=1e-4)
    assert event["depth_uncertainty_km"] == pytest.approx(3.3 / 1.6449, rel=1e-4)
    assert (event["magnitude"], event["magnitude_type"], event["magnitude_uncertainty"]) == (2.4, "ML", 0.2)
    assert event["n_magnitude_stations"] == 7


def test_columns_of_a_phase_become_a_pick():
    [pick] = read_accounted(ims_message(ims_event(ims_phase()))).picks.to_dict("records")
    assert (pick["event_id"], pick["station"], pick["network"]) == ("5001", "ABCD", "")
    assert (pick["phase"], pick["phase_hint"]) == ("P", "Pg")
    assert pick["time"] == pd.Timestamp("2024-01-31T23:59:59.625Z")
    assert (pick["residual_s"], pick["azimuth_deg"]) == (-0.3, 90.0)
    assert pick["distance_km"] == pytest.approx(0.15 * 111.195)
    assert (pick["polarity"], pick["onset"]) == ("U", "i")


def test_a_phase_after_midnight_is_of_the_next_day():
    bulletin = read_accounted(ims_message(ims_event(ims_phase(), ims_phase(phase="Sg", clock="00:00:01.375"))))
    assert bulletin.picks.time[1] == pd.Timestamp("2024-02-01T00:00:01.375Z")


def test_a_phase_that_no_day_brings_near_its_origin_is_listed():
    bulletin = read_accounted(ims_message(ims_event(ims_phase(), ims_phase(clock="12:00:00.000"))))
    assert len(bulletin.picks) == 1
    assert list(rejections(bulletin).values()) == ["not within an hour after the origin at 2024-01-31 23:59:57"]


def test_seconds_of_60_are_the_next_minute():
    bulletin = read_accounted(
        ims_message(ims_event(ims_phase(clock="23:59:60.000"), origins=[ims_origin(clock="23:58:60.00")]))
    )
    assert bulletin.events.time[0] == pd.Timestamp("2024-01-31T23:59:00Z")
    assert bulletin.picks.time[0] == pd.Timestamp("2024-02-01T00:00:00Z")


def test_phases_that_define_the_time_weigh_and_others_of_the_event_do_not():
    defining_phase, free_phase = ims_phase(), ims_phase("EFG", defining="_A_")
    assert list(read_accounted(ims_message(ims_event(defining_phase, free_phase))).picks.weight) == [1.0, 0.0]
    assert np.isnan(read_accounted(ims_message(ims_event(free_phase))).picks.weight[0])


def test_a_fixed_depth_is_a_depth_without_an_error():
    origin = ims_origin(depth=" 10.0f", depth_error="    ")
    [event] = read_accounted(ims_message(ims_event(origins=[origin]))).events.to_dict("records")
    assert event["depth_km"] == 10.0
    assert np.isnan(event["depth_uncertainty_km"])
    assert np.isnan(read_accounted(ims_message(ims_event(origins=[ims_origin(depth="      ")]))).events.depth_km[0])


def several(*comments):
    """Three origins, each with a comment below it if there is one."""
    origins = []
    for index, comment in enumerate([*comments, "", "", ""][:3]):
        origins += [
            ims_origin(depth=f"{index + 1:5.1f} ", origin_id=f"70{index}"),
            *([f" ({comment})"] if comment else []),
        ]
    return origins


@pytest.mark.parametrize(
    ("origins", "phases_of", "depth_km"),
    [
        (several("#PRIME"), "", 1.0),
        (several("", "#PRIME"), "701", 2.0),
        (several(), "700", 1.0),
        (several(), "", 3.0),
        (several("", "", "#CENTROID"), "", 2.0),
    ],
)
def test_the_prime_origin_counts_then_that_of_the_phases_then_the_last_that_is_no_centroid(
    origins, phases_of, depth_km
):
    named = [f" (#OrigID {phases_of})"] if phases_of else []
    bulletin = read_accounted(ims_message(ims_event(*named, ims_phase(), origins=origins)))
    assert list(bulletin.events.depth_km) == [depth_km]
    assert bulletin.account.loc["origin", ["read", "set_aside"]].tolist() == [1, 2]
    assert bulletin.rejected.empty
    assert bulletin.rejected.empty


def test_distance_and_residual_of_another_origin_are_not_those_of_the_preferred():
    phases = [" (#OrigID 702)", ims_phase()]
    [pick] = read_accounted(ims_message(ims_event(*phases, origins=several("#PRIME")))).picks.to_dict("records")
    assert np.isnan([pick["residual_s"], pick["distance_km"], pick["azimuth_deg"]]).all()


@pytest.mark.parametrize(
    ("magnitudes", "magnitude"),
    [
        ([ims_magnitude("mb", " 3.3", "700"), ims_magnitude("ML", " 2.4", "702")], 2.4),
        ([ims_magnitude("mb", " 3.3", "700"), ims_magnitude("MS", " 4.1", "")], 3.3),
        ([ims_magnitude("ML", " 2.4", "702", bound="<"), ims_magnitude("mb", " 3.3", "702")], 3.3),
        ([ims_magnitude("ML", "    ", "702")], None),
        ([], None),
    ],
)
def test_the_magnitude_is_that_of_the_origin_and_no_bound(magnitudes, magnitude):
    [event] = read_accounted(ims_message(ims_event(origins=several(), magnitudes=magnitudes))).events.to_dict("records")
    assert event["magnitude"] == magnitude or (magnitude is None and np.isnan(event["magnitude"]))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ke", "earthquake"),
        ("km", "mining explosion"),
        ("sx", "experimental explosion"),
        ("ls", "landslide"),
        ("uk", ""),
    ],
)
def test_types_and_places_are_words(code, words):
    described = read_accounted(ims_message(ims_event(origins=[ims_origin(code=code)]))).descriptions
    assert (described.event_type[0], described.place[0]) == (words, "Eastern Alps")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (ims_phase(phase="LR"), "phase 'LR' is neither P nor S"),
        (ims_phase(phase="pP"), "phase 'pP' is neither P nor S"),
        (ims_phase(phase=""), "phase '' is neither P nor S"),
        (ims_phase(clock=""), "phase 'Pg' without a time"),
        (ims_phase(clock="25:00:00.000"), "there is no such hour or minute"),
        (ims_phase(station=""), "no station"),
        (ims_phase().replace(" 90.0", " 9x.0"), "azimuth '9x.0' in columns 14-18 is no number"),
    ],
)
def test_an_odd_phase_is_listed_and_its_neighbours_are_read(line, reason):
    bulletin = read_accounted(
        ims_message(ims_event(ims_phase("ONE"), line, ims_phase("TWO")), ims_event(event_id="5002"))
    )
    assert list(bulletin.picks.station) == ["ONE", "TWO"]
    assert list(bulletin.events.event_id) == ["5001", "5002"]
    [(number, message)] = rejections(bulletin).items()
    assert reason in message
    assert ims_message(ims_event(ims_phase("ONE"), line)).split("\n")[number - 1].strip() == line.strip()


def test_an_odd_origin_is_listed_and_another_one_counts():
    origins = [ims_origin(depth="  1.0 "), ims_origin(date="2024/13/31"), " (#PRIME)"]
    bulletin = read_accounted(ims_message(ims_event(ims_phase(), origins=origins)))
    assert (list(bulletin.events.depth_km), len(bulletin.picks)) == ([1.0], 1)
    assert bulletin.rejected.kind.tolist() == ["origin"]


def test_phases_without_an_origin_have_no_day_and_are_listed():
    bulletin = read_accounted(ims_message(ims_event(ims_phase(), origins=[]), ims_event(ims_phase(), event_id="5002")))
    assert list(bulletin.picks.event_id) == ["5002"]
    assert list(rejections(bulletin).values()) == ["no origin that tells its day"]


def test_several_messages_and_repeated_identifiers_give_all_events():
    text = ims_message(ims_event(ims_phase())) + "\n" + ims_message(ims_event(ims_phase()), ims_event(event_id="7"))
    assert list(read_accounted(text).events.event_id) == ["5001", "5001-2", "7"]


def test_a_bulletin_needs_no_envelope():
    lines = ["Event     5001 Eastern Alps", "", IMS_ORIGINS, ims_origin(), IMS_MAGNITUDES, ims_magnitude()]
    bulletin = read_accounted("\n".join(lines))
    assert (bulletin.format, list(bulletin.events.magnitude)) == ("isf", [2.4])


def test_lines_above_the_first_event_are_listed():
    bulletin = read_accounted("\n".join([IMS_ORIGINS, ims_origin(), *ims_event(ims_phase())]))
    assert rejections(bulletin) == {2: "no line EVENT above it"}
    assert len(bulletin.events) == 1


def test_a_page_of_a_server_is_read_as_its_text():
    page = ims_message(ims_event(ims_phase(), place="Cities &amp; hills")).replace("Event ", '<a name="x">Event</a> ')
    head = "<!DOCTYPE html>\n<html>\n<head><title>Bulletin</title></head>\n" + "<p>words</p>\n" * 60 + "<pre>"
    bulletin = read_accounted(f"{head}{page}</pre>\n</body></html>\n")
    assert (bulletin.format, len(bulletin.events), len(bulletin.picks)) == ("isf", 1, 1)
    assert bulletin.descriptions.place[0] == "Cities & hills"
    assert bulletin.rejected.empty


def test_networks_and_channels_come_from_the_block_of_channels():
    head = (
        "Net      Chan F Low_F HighF AuthPhas    Date     eTime wTime eAzim wAzim eSlow wSlow  eAmp eMag Author ArrID"
    )
    event = ims_event(ims_phase(), ims_phase("EFG", arrival="90002"))[:-1]
    bulletin = read_accounted(
        ims_message([*event, "", head, "OX        HHZ                      " + " " * 60 + "90002", ""])
    )
    assert list(bulletin.picks.network) == ["", "OX"]
    assert list(bulletin.picks.channel) == ["", "HHZ"]
    assert bulletin.rejected.empty


def test_literature_is_no_line_that_is_lost():
    event = ims_event(ims_phase())[:-1]
    assert read_accounted(
        ims_message([*event, "Year Volume Page1 Page2 Journal", "2008    175   185   201 Journal"])
    ).rejected.empty


def test_gse_columns_become_events_and_picks():
    phases = gse_phase(), gse_phase("EFG", "Sg", "2024/02/01", "00:00:01.3", quality="a E", defining=" ")
    bulletin = read_accounted(gse_message(gse_event(*phases)))
    [event] = bulletin.events.to_dict("records")
    assert (bulletin.format, event["event_id"]) == ("gse", "5001")
    assert event["time"] == pd.Timestamp("2024-01-31T23:59:57.1Z")
    assert (event["latitude_deg"], event["longitude_deg"], event["depth_km"]) == (46.5, -13.25, 10.0)
    assert (event["magnitude"], event["magnitude_type"], event["magnitude_uncertainty"]) == (2.4, "ML", 0.2)
    assert (event["rms_residual_s"], event["time_uncertainty_s"], event["azimuthal_gap_deg"]) == (1.25, 0.2, 110.0)
    assert event["horizontal_uncertainty_km"] == pytest.approx(4.3 / 2.1460, rel=1e-4)
    assert event["depth_uncertainty_km"] == pytest.approx(3.3 / 1.6449, rel=1e-4)
    times = ["2024-01-31T23:59:59.6Z", "2024-02-01T00:00:01.3Z"]
    assert list(bulletin.picks.time) == [pd.Timestamp(time) for time in times]
    assert list(bulletin.picks.onset) == ["i", "e"]
    assert list(bulletin.picks.polarity) == ["U", ""]
    assert list(bulletin.picks.weight) == [1.0, 0.0]
    assert (bulletin.descriptions.event_type[0], bulletin.descriptions.place[0]) == ("earthquake", "EASTERN ALPS")
    assert bulletin.rejected.empty


def test_an_odd_line_of_gse_is_listed_alone():
    odd = gse_phase(date="2024/02/30")
    bulletin = read_accounted(gse_message(gse_event(gse_phase(), odd, gse_phase("EFG")), gse_event(event_id="5002")))
    assert (len(bulletin.events), list(bulletin.picks.station)) == (2, ["ABCD", "EFG"])
    assert "day is out of range" in bulletin.rejected.reason[0]


@pytest.mark.parametrize("dialect", ["isf", "gse"])
def test_obspy_reads_the_same_from_them(dialect, tmp_path):
    phases = {
        "isf": [ims_phase(), ims_phase("EFG", "Sg", "23:59:59.900")],
        "gse": [gse_phase(), gse_phase("EFG", "Sg")],
    }
    text = ims_message(ims_event(*phases["isf"])) if dialect == "isf" else gse_message(gse_event(*phases["gse"]))
    (tmp_path / "x").write_text(text)
    source = io.BytesIO(text.encode()) if dialect == "isf" else str(tmp_path / "x")
    [event] = obspy.read_events(source, format={"isf": "IMS10BULLETIN", "gse": "GSE2"}[dialect])
    ours, origin = read_accounted(text), event.origins[0]
    assert (origin.time.ns, origin.depth / 1000) == (ours.events.time[0].value, ours.events.depth_km[0])
    assert (origin.latitude, origin.longitude) == (ours.events.latitude_deg[0], ours.events.longitude_deg[0])
    assert [pick.time.ns for pick in event.picks] == [time.value for time in ours.picks.time]
    assert [arrival.time_residual for arrival in origin.arrivals] == list(ours.picks.residual_s)
    assert [pick.phase_hint for pick in event.picks] == list(ours.picks.phase_hint)
    assert event.magnitudes[0].mag == ours.events.magnitude[0]


def test_codes_behind_the_arrival_of_isf_2_are_read():
    line = card((1, ims_phase()), (127, "FDSN"), (133, "OX"), (142, "00"), (145, "TEST"), (157, "HHZ"))
    local_line = card((1, ims_phase("EFG", arrival="90002")), (127, "TEST"), (133, "LOCAL"))
    picks = read_accounted(ims_message(ims_event(line, local_line))).picks
    assert picks[["network", "location", "channel"]].to_numpy().tolist() == [["OX", "00", "HHZ"], ["", "", ""]]
