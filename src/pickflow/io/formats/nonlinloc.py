"""NonLinLoc: phases (``.obs``) and locations (``.hyp``)."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, NotUsedError, Reading
from pickflow.io.formats.cards import lines_of, weight_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.programs import read_float, read_int
from pickflow.io.formats.times import moment, time_id

_POLARITY = {"u": "U", "c": "U", "+": "U", "d": "D", "-": "D"}
_NOT_USED_S = 9999.0  # 9999.9 of converters stands for weight 4
_HYP_LINE = re.compile(r"[A-Z][A-Za-z_0-9]+(\s|$)|\s*$|#")  # PHASE, QUALITY, QML_OriginQuality, END_NLLOC, …


def parse_nonlinloc_obs(text: str, name: str) -> Bulletin:
    """Phases for NonLinLoc: an event per block between empty lines, named by ``PUBLIC_ID`` if there is one."""
    reading = Reading(name, "nonlinloc", lines_of(text))
    ids: dict[str, int] = {}
    block: list[tuple[int, dict[str, Any]]] = []
    public_id = ""
    for number, line in enumerate([*reading.lines, ""], 1):
        fields = line.split()
        if not fields:
            _obs_event(reading, block, public_id, ids)
            block, public_id = [], ""
        elif fields[0] in ("PUBLIC_ID", "PHASE", "END_PHASE") or fields[0].startswith("#"):
            reading.header(number)
            public_id = fields[1].rsplit("/", 1)[-1] if fields[0] == "PUBLIC_ID" and len(fields) > 1 else public_id
        else:
            with reading.item(number, "pick"):
                block.append((number, _nonlinloc_phase(fields)))
    return reading.bulletin()


def _obs_event(reading: Reading, block: list[tuple[int, dict[str, Any]]], public_id: str, ids: dict[str, int]) -> None:
    if not block:
        return
    first = min(pick["time"] for _, pick in block)
    event_id = free_id(public_id or time_id(first), ids)
    reading.add_event({"event_id": event_id, "time": None}, block[0][0])
    for number, pick in block:
        reading.add_pick(pick | {"event_id": event_id}, number)


def _nonlinloc_phase(cells: list[str]) -> dict[str, Any]:
    """
    Station, instrument, component, onset, phase, first motion, date, time, error, …; see NonLinLoc's manual.

    The error is GAU, seconds, or QUAL, a class 0 to 4 that stands for a weight as in HYPO71. A prior weight (word 15 of
    phases) of 0 means not used.
    """
    if len(cells) < 11:
        raise ValueError(f"{len(cells)} words, a phase of NonLinLoc has 11 or more")
    station, instrument, component, onset, hint, motion, date, clock = cells[:8]
    if not re.fullmatch(r"[0-9]{8}", date) or not re.fullmatch(r"[0-9]{3,4}", clock):
        raise ValueError(f"{date!r} {clock!r} is no date and time such as 20240131 2359")
    clock = clock.zfill(4)
    return {
        "station": station,
        "channel": (component if component != "?" else instrument).strip("?"),
        "onset": onset if onset in ("i", "e") else "",
        "phase": phase_of(hint),
        "phase_hint": hint,
        "polarity": _POLARITY.get(motion.lower(), ""),
        "time": moment(
            int(date[:4]), int(date[4:6]), int(date[6:]), int(clock[:2]), int(clock[2:]), read_float(cells[8], "second")
        ),
        **_error(cells[9], cells[10], _prior_weight(cells)),
    }


def _prior_weight(fields: list[str]) -> float:
    """Number before the > of a location, or at the end of a phase; NaN where there is none."""
    last = fields.index(">") if ">" in fields else len(fields)
    return read_float(fields[14], "prior weight") if last > 14 else math.nan


def _error(kind: str, text: str, prior: float) -> dict[str, float]:
    """Uncertainty of the time, if it is one, and the weight."""
    if kind == "QUAL":
        return {"time_uncertainty_s": math.nan, "weight": min(weight_of(text), prior if prior >= 0 else 1.0)}
    if kind != "GAU":
        raise ValueError(f"error {kind!r} is neither GAU nor QUAL")
    error_s = read_float(text, "error of the time")
    is_unused = error_s >= _NOT_USED_S
    return {
        "time_uncertainty_s": error_s if error_s > 0 and not is_unused else math.nan,
        "weight": 0.0 if is_unused else (prior if prior >= 0 else math.nan),
    }


def parse_nonlinloc_hyp(text: str, name: str) -> Bulletin:
    """
    Locations of NonLinLoc (``.hyp``), one or many.

    Those that NonLinLoc did not accept (REJECTED, ABORTED, IGNORED) are set aside, with their phases. Uncertainties are
    the largest horizontal half axis, and the root of the depth's variance.
    """
    reading = Reading(name, "nonlinloc-hyp", lines_of(text))
    ids: dict[str, int] = {}
    block: list[tuple[int, str]] = []
    for number, line in enumerate(reading.lines, 1):
        if line.startswith("NLLOC ") and block:
            _read_hyp(reading, block, ids)
            block = []
        if block or line.strip():
            block.append((number, line))
    if block:
        _read_hyp(reading, block, ids)
    return reading.bulletin()


def _read_hyp(reading: Reading, block: list[tuple[int, str]], ids: dict[str, int]) -> None:
    fields = {line.split(None, 1)[0]: line.split() for _, line in block if line.strip()}
    starts = [index for index, (_, line) in enumerate(block) if line.startswith("PHASE ")]
    ends = [index for index, (_, line) in enumerate(block) if line.startswith("END_PHASE")]
    first, last = (starts or [len(block)])[0], (ends or [len(block)])[0]
    phases = block[first + 1 : last]
    head = block[0][0]
    reading.header(*(number for number, line in [*block[1 : first + 1], *block[last:]] if _HYP_LINE.match(line)))
    event_id = ""
    with reading.item(head, "event"):
        event = _hyp_event(fields)
        event_id = free_id(event["event_id"], ids)
        reading.add_event(event | {"event_id": event_id}, head)
    if event_id and starts and not ends:
        reading.reject(head, "its phases do not end: the file is cut", "value")
    for number, line in phases:
        with reading.item(number, "pick"):
            if not event_id:
                raise NotUsedError("a phase of an event that is not read")
            reading.add_pick(_hyp_phase(line) | {"event_id": event_id}, number)


def _hyp_event(blocks: dict[str, list[str]]) -> dict[str, Any]:
    if "NLLOC" not in blocks or "GEOGRAPHIC" not in blocks or len(blocks["GEOGRAPHIC"]) < 14:
        raise ValueError("no whole location: lines NLLOC and GEOGRAPHIC are needed")
    states = (field.strip('"') for field in blocks["NLLOC"])
    status = next((state for state in states if state in ("REJECTED", "ABORTED", "IGNORED")), None)
    if status is not None:
        raise NotUsedError(f"NonLinLoc says {status}")
    fields = blocks["GEOGRAPHIC"]
    year, month, day, hour, minute = (read_int(field, "date or time") for field in fields[2:7])
    time = moment(year, month, day, hour, minute, read_float(fields[7], "seconds"))
    public_id = blocks.get("PUBLIC_ID", ["", ""])[-1].rsplit("/", 1)[-1]
    quality = _pairs(blocks.get("QUALITY", []))
    spread = _pairs(blocks.get("STATISTICS", []))
    ellipse = _pairs(blocks.get("QML_OriginUncertainty", []))
    variance = spread.get("ZZ", math.nan)
    largest = ellipse.get("maxHorUnc", -1.0)
    return {
        "event_id": public_id or time_id(time),
        "time": time,
        "latitude_deg": read_float(fields[9], "latitude"),
        "longitude_deg": read_float(fields[11], "longitude"),
        "depth_km": read_float(fields[13], "depth"),
        "rms_residual_s": quality.get("RMS", math.nan),
        "azimuthal_gap_deg": quality.get("Gap", math.nan),
        "horizontal_uncertainty_km": largest if largest >= 0 else math.nan,
        "depth_uncertainty_km": math.sqrt(variance) if variance >= 0 else math.nan,
    }


def _pairs(fields: list[str]) -> dict[str, float]:
    """Numbers of a line by the word before each."""
    pairs: dict[str, float] = {}
    for key, value in pairwise(fields):
        try:
            pairs[key] = float(value)
        except ValueError:
            continue
    return pairs


def _hyp_phase(line: str) -> dict[str, Any]:
    fields = line.split()
    arrow = fields.index(">") if ">" in fields else 0
    if arrow not in (14, 15) or len(fields) < arrow + 9:  # newer ones have the prior weight before it
        raise ValueError("not a phase of NonLinLoc: no > where it must be, or cut")
    pick = _nonlinloc_phase(fields)
    return pick | {
        "residual_s": read_float(fields[arrow + 2], "residual"),
        "weight": 0.0 if pick["weight"] == 0 else read_float(fields[arrow + 3], "weight"),
        "distance_km": read_float(fields[arrow + 7], "distance"),
        "azimuth_deg": read_float(fields[arrow + 8], "azimuth"),
    }
