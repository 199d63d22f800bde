"""NonLinLoc: phases (``.obs``) and locations (``.hyp``)."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading, free_id
from pickflow.io.formats.cards import lines_of, moment
from pickflow.io.formats.programs import phase_of, read_float, read_int

_POLARITY = {"u": "U", "c": "U", "+": "U", "d": "D", "-": "D"}


def parse_nonlinloc_obs(text: str, name: str) -> Bulletin:
    """Phases for NonLinLoc: an event per block between empty lines, named by ``PUBLIC_ID`` if there is one."""
    reading = Reading(name, "nonlinloc")
    lines = lines_of(text)
    reading.n_lines = len(lines)
    taken: set[str] = set()
    block: list[dict[str, Any]] = []
    given = ""
    for number, line in enumerate([*lines, ""], 1):
        words = line.split()
        try:
            if not words:
                reading.n_headers += number <= len(lines)
                if block:
                    _obs_event(reading, block, given, taken)
                block, given = [], ""
            elif words[0] in ("PUBLIC_ID", "PHASE", "END_PHASE") or words[0].startswith("#"):
                reading.n_headers += 1
                given = words[1].rsplit("/", 1)[-1] if words[0] == "PUBLIC_ID" and len(words) > 1 else given
            else:
                block.append(_nonlinloc_phase(words))
        except ValueError as error:
            reading.reject(number, line, str(error))
    return reading.bulletin()


def _obs_event(reading: Reading, block: list[dict[str, Any]], given: str, taken: set[str]) -> None:
    first = min(pick["time"] for pick in block)
    event_id = free_id(given or first.strftime("%Y%m%dT%H%M%S.%f")[:18], taken)
    reading.events.append({"event_id": event_id, "time": None})
    reading.picks += [pick | {"event_id": event_id} for pick in block]


def _nonlinloc_phase(words: list[str]) -> dict[str, Any]:
    """Station, instrument, component, onset, phase, first motion, date, time, error, …; see NonLinLoc's manual."""
    if len(words) < 11:
        raise ValueError(f"{len(words)} words, a phase of NonLinLoc has 11 or more")
    station, instrument, component, onset, hint, motion, date, clock = words[:8]
    if not re.fullmatch(r"\d{8}", date) or not re.fullmatch(r"\d{3,4}", clock):
        raise ValueError(f"{date!r} {clock!r} is no date and time such as 20240131 2359")
    clock = clock.zfill(4)
    error_s = read_float(words[10], "error of the time")
    return {
        "station": station,
        "channel": (component if component != "?" else instrument).strip("?"),
        "onset": onset if onset in ("i", "e") else "",
        "phase": phase_of(hint),
        "phase_hint": hint,
        "polarity": _POLARITY.get(motion.lower(), ""),
        "time": moment(
            int(date[:4]), int(date[4:6]), int(date[6:]), int(clock[:2]), int(clock[2:]), read_float(words[8], "second")
        ),
        "time_uncertainty_s": error_s if error_s > 0 else math.nan,
    }


def parse_nonlinloc_hyp(text: str, name: str) -> Bulletin:
    """
    Locations of NonLinLoc (``.hyp``), one or many.

    Those that NonLinLoc did not accept (REJECTED, ABORTED, IGNORED) are listed, with their phases. Uncertainties are
    the largest horizontal half axis, and the root of the depth's variance.
    """
    reading = Reading(name, "nonlinloc-hyp")
    lines = lines_of(text)
    reading.n_lines = len(lines)
    taken: set[str] = set()
    block: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("NLLOC ") and block:
            _read_hyp(reading, block, taken)
            block = []
        block.append((number, line))
    _read_hyp(reading, block, taken)
    return reading.bulletin()


def _read_hyp(reading: Reading, block: list[tuple[int, str]], taken: set[str]) -> None:
    said = {line.split(None, 1)[0]: line.split() for _, line in block if line.strip()}
    starts = [index for index, (_, line) in enumerate(block) if line.startswith("PHASE ")]
    ends = [index for index, (_, line) in enumerate(block) if line.startswith("END_PHASE")]
    first, last = (starts or [len(block)])[0], (ends or [len(block)])[0]
    phases = block[first + 1 : last]
    reading.n_headers += len(block) - len(phases) - 1
    number, head = block[0]
    try:
        event = _hyp_event(said)
    except ValueError as error:
        reading.reject(number, head, str(error))
        for line_number, line in phases:
            reading.reject(line_number, line, "a phase of an event that could not be read")
        return
    event["event_id"] = free_id(event["event_id"], taken)
    reading.events.append(event)
    if starts and not ends:
        reading.reject(number, head, "its phases do not end: the file is cut")
    for line_number, line in phases:
        try:
            reading.picks.append(_hyp_phase(line) | {"event_id": event["event_id"]})
        except ValueError as error:
            reading.reject(line_number, line, str(error))


def _hyp_event(said: dict[str, list[str]]) -> dict[str, Any]:
    if "NLLOC" not in said or "GEOGRAPHIC" not in said or len(said["GEOGRAPHIC"]) < 14:
        raise ValueError("no whole location: lines NLLOC and GEOGRAPHIC are needed")
    states = (word.strip('"') for word in said["NLLOC"])
    status = next((state for state in states if state in ("REJECTED", "ABORTED", "IGNORED")), None)
    if status is not None:
        raise ValueError(f"NonLinLoc says {status}")
    words = said["GEOGRAPHIC"]
    year, month, day, hour, minute = (read_int(word, "date or time") for word in words[2:7])
    time = moment(year, month, day, hour, minute, read_float(words[7], "seconds"))
    public = said.get("PUBLIC_ID", ["", ""])[-1].rsplit("/", 1)[-1]
    quality = _pairs(said.get("QUALITY", []))
    spread = _pairs(said.get("STATISTICS", []))
    ellipse = _pairs(said.get("QML_OriginUncertainty", []))
    variance = spread.get("ZZ", math.nan)
    largest = ellipse.get("maxHorUnc", -1.0)
    return {
        "event_id": public or time.strftime("%Y%m%dT%H%M%S.%f")[:18],
        "time": time,
        "latitude_deg": read_float(words[9], "latitude"),
        "longitude_deg": read_float(words[11], "longitude"),
        "depth_km": read_float(words[13], "depth"),
        "rms_residual_s": quality.get("RMS", math.nan),
        "azimuthal_gap_deg": quality.get("Gap", math.nan),
        "horizontal_uncertainty_km": largest if largest >= 0 else math.nan,
        "depth_uncertainty_km": math.sqrt(variance) if variance >= 0 else math.nan,
    }


def _pairs(words: list[str]) -> dict[str, float]:
    """Numbers of a line by the word before each."""
    pairs: dict[str, float] = {}
    for key, value in pairwise(words):
        try:
            pairs[key] = float(value)
        except ValueError:
            continue
    return pairs


def _hyp_phase(line: str) -> dict[str, Any]:
    words = line.split()
    arrow = words.index(">") if ">" in words else 0
    if arrow not in (14, 15) or len(words) < arrow + 9:  # newer ones have the prior weight before it
        raise ValueError("not a phase of NonLinLoc: no > where it must be, or cut")
    return _nonlinloc_phase(words) | {
        "residual_s": read_float(words[arrow + 2], "residual"),
        "weight": read_float(words[arrow + 3], "weight"),
        "distance_km": read_float(words[arrow + 7], "distance"),
        "azimuth_deg": read_float(words[arrow + 8], "azimuth"),
    }
