"""What is valid and not used: it is set aside and counted, and nobody is warned of it."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from pickflow.io.formats import convert, write_catalog
from pickflow.io.quakeml import write_quakeml
from pickflow.schemas import AMPLITUDES
from tests.format_samples import (
    ARC_END,
    arc_event,
    arc_station,
    ims_event,
    ims_magnitude,
    ims_message,
    ims_origin,
    ims_phase,
    read_accounted,
)
from tests.unit.test_formats import HYP, OBS, small_catalog
from tests.unit.test_formats_odd import DEPTH, GOOD, event, origin, pick, quakeml


def aside(bulletin):
    return {kind: row["set_aside"] for kind, row in bulletin.account.iterrows() if row["set_aside"]}


def arrival(name):
    return f'<arrival publicID="smi:local/a-{name}"><pickID>smi:local/{name}</pickID><phase>P</phase></arrival>'


SIZE = '<amplitude publicID="smi:local/x{0}"><genericAmplitude><value>1</value></genericAmplitude></amplitude>'
MAGNITUDE = '<magnitude publicID="smi:local/m{0}"><mag><value>{0}</value></mag></magnitude>'
REFUSED = "<evaluationStatus>rejected</evaluationStatus>"


def test_a_document_with_three_origins_and_their_picks_has_nothing_rejected():
    origins = [origin(f"o{name}", children=DEPTH + arrival(name)) for name in "abc"]
    content = [*(pick(name, station=name.upper() * 3) for name in "abc"), *origins, SIZE.format(1), SIZE.format(2)]
    preferred = "<preferredOriginID>smi:local/ob</preferredOriginID>"
    bulletin = read_accounted(quakeml(event(preferred, *content, MAGNITUDE.format(1), MAGNITUDE.format(2)), GOOD))
    assert bulletin.rejected.empty
    assert aside(bulletin) == {"origin": 2, "arrival": 2, "pick": 2, "amplitude": 2, "magnitude": 1}
    assert list(bulletin.picks.station) == ["BBB", "AAA"]


@pytest.mark.parametrize(
    ("refused", "n_events"),
    [
        (event(origin(children=DEPTH + REFUSED), pick("p1")), 1),
        (event("<type>not existing</type>", origin(), pick("p1")), 1),
        (event(origin(), pick("p1", children=REFUSED)), 2),
    ],
)
def test_what_an_agency_refused_is_not_used(refused, n_events):
    bulletin = read_accounted(quakeml(refused, GOOD))
    assert (len(bulletin.events), len(bulletin.picks)) == (n_events, 1)
    assert bulletin.rejected.empty
    assert aside(bulletin)["pick"] == 1


def test_an_event_whose_type_is_not_reported_is_one_like_others():
    assert len(read_accounted(quakeml(event("<type>not reported</type>", origin()))).events) == 1


def test_a_web_page_is_named_one():
    with pytest.raises(ValueError, match="it is a web page"):
        read_accounted("<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>")


def test_scml_of_a_later_schema_is_read(tmp_path):
    write_catalog(*small_catalog(), tmp_path / "x.scml", "scml")
    text = re.sub("seiscomp3-schema/[0-9.]+", "seiscomp3-schema/0.14", (tmp_path / "x.scml").read_text())
    assert len(read_accounted(text).events) == 1


def test_our_quakeml_with_amplitudes_converts_without_a_complaint(tmp_path):
    events, assignments, picks = small_catalog()
    size = {"event_id": events.event_id[0], "network": "NI", "station": "ABC", "amplitude_mm": 0.5, "magnitude": 1.5}
    sizes = pd.DataFrame([size]).reindex(columns=AMPLITUDES.schema.names)
    write_quakeml(events, assignments, picks, tmp_path / "ours.xml", amplitudes=sizes)
    conversion = convert(tmp_path / "ours.xml", "csv", tmp_path / "x.csv")
    assert conversion.bulletin.rejected.empty  # so the command ends with 0
    assert "amplitudes: 1 = 0 read + 1 set aside + 0 rejected" in conversion.summary


def test_other_origins_magnitudes_and_amplitudes_of_isf_are_set_aside():
    origins = [ims_origin(origin_id="700"), ims_origin(origin_id="701")]
    magnitudes = [ims_magnitude("mb", " 3.1", "700"), ims_magnitude("ML", " 2.4", "701")]
    phases = [ims_phase(), ims_phase(phase="IAML"), ims_phase(phase="", clock="")]
    bulletin = read_accounted(ims_message(ims_event(*phases, origins=origins, magnitudes=magnitudes)))
    assert bulletin.rejected.empty
    assert aside(bulletin) == {"origin": 1, "magnitude": 1, "amplitude": 2}
    assert bulletin.events.magnitude[0] == 2.4


def test_a_station_of_hypoinverse_with_a_duration_alone_is_set_aside():
    silent = arc_station(p=("  ", " ", " ", "    0", "   0"))
    assert aside(read_accounted("\n".join([arc_event(), arc_station(), silent, ARC_END]))) == {"amplitude": 1}


def test_a_location_that_nonlinloc_rejected_is_set_aside_with_its_phases():
    good = HYP.format(status="LOCATED").replace("broken\n", "")
    bulletin = read_accounted(good + good.replace("LOCATED", "REJECTED"))
    assert (len(bulletin.events), len(bulletin.rejected)) == (1, 0)
    assert aside(bulletin) == {"event": 1, "pick": len(bulletin.picks)}


@pytest.mark.parametrize("name", ["A", "AML", "IAML", "AMB", "IVmB_BB", "IAMs_20", "BAZ-P", "END"])
def test_a_measurement_in_the_place_of_a_phase_is_set_aside(name):
    assert aside(read_accounted(OBS.replace(" P  ", f" {name}  ", 1))) == {"amplitude": 1}


def test_a_file_of_which_nothing_is_used_says_why():
    with pytest.raises(ValueError, match="nothing in it is used; it holds 1 event: the type"):
        read_accounted(quakeml(event("<type>not existing</type>", origin())))
