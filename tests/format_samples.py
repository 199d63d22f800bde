"""Small files in the formats of other programs, written by column as their manuals say."""

from __future__ import annotations

import json

from pickflow.io.formats import parse_bulletin
from pickflow.io.formats.bulletin import Bulletin


def n_accounted(bulletin) -> int:
    """Lines in one of the classes; each line of a file must be in exactly one."""
    return bulletin.n_read + bulletin.n_headers + bulletin.n_set_aside + bulletin.n_rejected


def read_accounted(text: str) -> Bulletin:
    """Read a bulletin, each of whose lines must be in exactly one class."""
    bulletin = parse_bulletin(text.encode(), "bulletin")
    assert bulletin.n_lines == n_accounted(bulletin)
    return bulletin


def card(*fields: tuple[int, str]) -> str:
    """A line with texts that begin at columns, counted from 1 as manuals do."""
    line = ""
    for column, text in fields:
        assert len(line) < column, f"column {column} is taken: {line!r}"
        line = line.ljust(column - 1) + text
    return line


IMS_ORIGINS = (
    "   Date       Time        Err   RMS Latitude Longitude  Smaj  Smin  Az Depth   Err Ndef Nsta Gap  mdist  Mdist"
    " Qual   Author      OrigID"
)
IMS_MAGNITUDES = "Magnitude  Err Nsta Author      OrigID"
IMS_PHASES = (
    "Sta     Dist  EvAz Phase        Time      TRes  Azim AzRes   Slow   SRes Def   SNR       Amp   Per Qual Magnitude"
    "    ArrID"
)


def ims_origin(clock="23:59:57.12", date="2024/01/31", depth=" 10.0 ", errors=("0.20", " 1.25"), origin_id="701", **of):
    """A line of origins of IMS1.0; `of` may give latitude, longitude, depth_error, code and author."""
    return card(
        (1, date), (12, clock), (25, f"{errors[0]:>5}"), (31, f"{errors[1]:>5}"),
        (37, f"{of.get('latitude', 46.5):8.4f}"), (46, f"{of.get('longitude', -13.25):9.4f}"),
        (56, "  4.3"), (62, "  2.1"), (68, " 40"), (72, depth), (79, of.get("depth_error", " 3.3")),
        (84, "  12"), (89, "   8"), (94, "110"), (98, "  0.30"), (105, " 12.00"), (112, "m i"),
        (116, of.get("code", "ke")), (119, f"{of.get('author', 'TEST'):9}"), (129, origin_id),
    )  # fmt: skip


def ims_magnitude(kind="ML", value=" 2.4", origin_id="701", bound=" "):
    return card((1, f"{kind:<5}{bound}{value}"), (12, "0.2"), (16, "   7"), (21, "TEST"), (31, origin_id))


def ims_phase(station="ABCD", phase="Pg", clock="23:59:59.625", defining="T__", quality="mci", arrival="90001", **of):
    """A line of phases of IMS1.0; `of` may give residual and distance."""
    return card(
        (1, f"{station:5}"), (7, f"{of.get('distance', 0.15):6.2f}"), (14, " 90.0"), (20, f"{phase:8}"),
        (29, f"{clock:12}"), (42, f"{of.get('residual', -0.3):5.1f}"), (74, defining), (100, quality), (115, arrival),
    )  # fmt: skip


def ims_event(*phases, event_id="5001", origins=None, magnitudes=None, place="Eastern Alps", head=IMS_PHASES):
    origins = [ims_origin()] if origins is None else origins
    magnitudes = [ims_magnitude()] if magnitudes is None else magnitudes
    lines = [f"Event {event_id:>8} {place}", "", IMS_ORIGINS, *origins, "", IMS_MAGNITUDES, *magnitudes, "", head]
    return [*lines, *phases, ""]


def ims_message(*events, begin=("BEGIN IMS1.0", "MSG_TYPE DATA", "MSG_ID 1 TEST")):
    lines = [*begin, "DATA_TYPE BULLETIN IMS1.0:short", "A bulletin", *(line for event in events for line in event)]
    return "\n".join([*lines, "STOP", ""])


GSE_ORIGINS = (
    "   Date       Time       Latitude Longitude    Depth    Ndef Nsta Gap    Mag1  N    Mag2  N    Mag3  N  Author"
    "          ID",
    "       rms   OT_Error      Smajor Sminor Az        Err   mdist  Mdist     Err        Err        Err     Quality",
)
GSE_PHASES = (
    "Sta    Dist   EvAz     Phase       Date      Time     TRes  Azim  AzRes  Slow  SRes Def  SNR        Amp   Per"
    "   Mag1   Mag2 Arr ID"
)


def gse_phase(station="ABCD", phase="Pg", date="2024/01/31", clock="23:59:59.6", quality="mcI", defining="T"):
    return card(
        (1, f"{station:5}"), (7, "  0.15"), (14, " 90.0"), (20, quality), (24, f"{phase:7}"), (32, date), (43, clock),
        (54, " -0.3"), (85, defining), (125, "90001"),
    )  # fmt: skip


def gse_event(*phases, event_id="5001"):
    first = card(
        (1, "2024/01/31"), (12, "23:59:57.1"), (26, " 46.5000"), (35, " -13.2500"), (48, " 10.0"), (57, "  12"),
        (62, "   8"), (67, "110"), (72, "ML 2.4"), (79, " 7"), (83, "mb 3.1"), (90, " 2"), (105, "TEST"), (115, "701"),
    )  # fmt: skip
    second = card(
        (6, " 1.25"), (14, "+-  0.20"), (26, "   4.3"), (33, "   2.1"), (41, " 40"), (48, "+-  3.3"), (57, "  0.30"),
        (64, " 12.00"), (73, "+-0.2"), (105, "m i ke"),
    )  # fmt: skip
    return [f"EVENT {event_id}", *GSE_ORIGINS, "", first, second, "", "EASTERN ALPS", GSE_PHASES, *phases, "", ""]


def gse_message(*events):
    begin = ["BEGIN GSE2.0", "MSG_TYPE DATA", "MSG_ID 1 TEST", "DATA_TYPE BULLETIN GSE2.0", "A bulletin"]
    return "\n".join([*begin, *(line for event in events for line in event), "STOP", ""])


def arc_event(clock="202401312359", seconds="5712", latitude="46 3000", longitude=" 13E1500", **of):
    """A header of HYPOINVERSE; `of` may give depth, event_id, amplitude, duration, preferred, erh and erz."""
    amplitude, duration = of.get("amplitude", ("  0", "   0")), of.get("duration", ("  0", "   0"))
    return card(
        (1, clock), (13, seconds), (17, latitude), (24, longitude), (32, of.get("depth", "  750")), (37, amplitude[0]),
        (40, "  4"), (43, "110"), (46, "  5"), (49, "  25"), (71, duration[0]), (83, "  1"),
        (86, of.get("erh", "  40")), (90, of.get("erz", " 150")), (97, amplitude[1]),
        (101, duration[1]), (105, " 20"), (108, " 30"),
        (137, of.get("event_id", "     71001")), (147, of.get("preferred", "L240  70")),
    )  # fmt: skip


def arc_station(
    p=("IP", "U", "1", " 5962", " -30"), s=("    0", "  ", " ", "   0"), station="ABCD", network="OX", **of
):
    """P: remark, first motion, weight, seconds, residual. S: seconds, remark, weight, residual."""
    return card(
        (1, f"{station:5}{network:2}"), (10, "HHZ"), (14, "".join(p[:3])), (18, of.get("minute", "202401312359")),
        (30, p[3]), (35, p[4]), (39, "100"), (42, s[0]), (47, s[1]), (50, s[2]), (51, s[3]), (75, " 165"), (79, " 90"),
        (88, of.get("coda", "   0")), (92, " 90"), (112, of.get("location", "00")),
    )  # fmt: skip


ARC_SHADOW, ARC_END = "$   6 5.49 1.80", " " * 62 + "     71001"
VELEST_EVENT = "240131 2359 57.12 46.5000N  13.2500E    7.50   1.50"


def reloc(event_id="17", time="2024 1 31 23 59 57.120", magnitude="1.5", errors=" 40.0 60.0 150.0", rms="-9.000 0.125"):
    place = f"{event_id} 46.500000 -13.250000 7.500 1.0 -2.0 3.0"
    return f"{place} {errors} {time} {magnitude} 0 0 20 9 {rms} 1"


ZMAP = "-13.25\t46.5\t2024.0847\t1\t31\t1.5\t7.5\t23\t59\t57.12\n"
EQT_NAMES = (
    "file_name,network,station,instrument_type,station_lat,station_lon,station_elv,event_start_time,event_end_time,"
    "detection_probability,detection_uncertainty,p_arrival_time,p_probability,p_uncertainty,p_snr,s_arrival_time,"
    "s_probability,s_uncertainty,s_snr"
)


def eqt_row(p="2024-01-31 23:59:59.625", s="2024-02-01 00:00:01.375", p_probability="0.875", s_probability="0.5"):
    detection = "2024-01-31 23:59:59.5,2024-02-01 00:00:09.0,0.99,"
    picks = f"{p},{p_probability if p else ''},,12.5,{s},{s_probability if s else ''},,3.5"
    return f"ABCD_OX_HH_2024-01-31,OX,ABCD ,HH,46.5,13.25,100.0,{detection},{picks}"


def geojson(*features):
    return json.dumps({"type": "FeatureCollection", "metadata": {"count": len(features)}, "features": list(features)})


def feature(event_id="nc71001", time=1706745597125, coordinates=(-13.25, 46.5, 7.5), **properties):
    defaults = {
        "mag": 1.5,
        "magType": "ml",
        "place": "5 km N of Somewhere",
        "time": time,
        "type": "earthquake",
        "nst": 9,
    }
    place = {"type": "Point", "coordinates": list(coordinates)}
    return {"type": "Feature", "properties": defaults | properties, "geometry": place, "id": event_id}


SAMPLES: dict[str, str] = {
    "isf": ims_message(ims_event(ims_phase())),
    "gse": gse_message(gse_event(gse_phase())),
    "hypoinverse": "\n".join([arc_event(), ARC_SHADOW, arc_station(), ARC_SHADOW, ARC_END, ARC_SHADOW, ""]),
    "velest": f"{VELEST_EVENT}\nABCDP0  2.50EFG S1  4.25\n\n",
    "hypodd-reloc": reloc() + "\n",
    "zmap": ZMAP,
    "eqtransformer": f"{EQT_NAMES}\n{eqt_row()}\n",
    "phasenet-samples": "fname,begin_time,itp,tp_prob,its,ts_prob\nOX.ABCD,2024-01-31T23:59:00,[5962],[0.9],[],[]\n",
    "geojson": geojson(feature()),
}
HYPODD = """# 2024 01 31 23 59 57.125 46.5 13.25 7.5 1.5 0.4 0.0 0.2 17
ABCD 2.5 1.0 P
EFG 4.25 -0.5 Sg
EFG 4.25 0.5 Lg
EFG soon 0.5 P
# 2024 01 31 25:00 broken
ABCD 2.5 1.0 P
"""
