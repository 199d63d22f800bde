"""QuakeML, SCML and Nordic, read by ObsPy, with every object that it or we leave out on the list."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import obspy
import pandas as pd
from obspy.core import event as quakeml

from pickflow.io.formats.bulletin import Bulletin, Reading, free_id
from pickflow.io.formats.cards import WEIGHTS, lines_of

KM_PER_DEG = 111.195  # 6371 km sphere
_POLARITY = {"positive": "U", "negative": "D"}
_ONSET = {"impulsive": "i", "emergent": "e"}
_EMPTY = quakeml.OriginQuality(), quakeml.OriginUncertainty()


def parse_xml(content: bytes, name: str, format: str) -> Bulletin:
    """
    Events and picks of QuakeML or SCML (SC3ML).

    The preferred, or else first, origin and magnitude of each event; its arrivals' picks, or all picks with a phase
    hint where the origin has no arrivals. Uncertainties are what the document says, at whatever level of confidence.

    Parameters
    ----------
    content : bytes
        The document.
    name : str
        Its name, for messages.
    format : str
        ``quakeml`` or ``scml``.

    Raises
    ------
    ValueError
        If ObsPy cannot read it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown elements; what we need of them is checked below
            catalog = obspy.read_events(io.BytesIO(content), format="QUAKEML" if format == "quakeml" else "SCML")
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"{name}: not readable as {'QuakeML' if format == 'quakeml' else 'SCML'} ({error})") from error
    reading = Reading(name, format)
    full = [event.resource_id.id for event in catalog]
    short = [identifier.replace("=", "/").rsplit("/", 1)[-1] for identifier in full]
    names = short if len(set(short)) == len(short) else full
    taken: set[str] = set()
    for event, wanted in zip(catalog, names, strict=True):
        reading.n_lines += 1
        add_event(reading, event, free_id(wanted, taken))
    _count_objects(content, reading)
    return reading.bulletin()


def _count_objects(content: bytes, reading: Reading) -> None:
    """List what the document holds and ObsPy did not give."""
    text = content.decode("utf-8", errors="replace")
    given = {"event": len(reading.events), "pick": reading.n_lines - len(reading.events)}
    for kind, n_given in given.items():
        n_there = len(re.findall(rf"<(?:\w+:)?{kind}[\s>]", text))
        if n_there > n_given:
            reason = f"{n_there - n_given} of {n_there} elements <{kind}> belong to no event, or ObsPy leaves them out"
            reading.reject(0, "", reason)


def add_event(reading: Reading, event: quakeml.Event, event_id: str) -> None:
    """An event of ObsPy with its picks; each pick counts as an object, and as a line."""
    origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
    reading.events.append({"event_id": event_id, **_row(event, origin)})
    if event.event_type:
        reading.descriptions.append({"event_id": event_id, "event_type": str(event.event_type)})
    arrivals = {arrival.pick_id.id: arrival for arrival in origin.arrivals} if origin else {}
    seen: set[tuple[Any, ...]] = set()
    for pick in event.picks:
        reading.n_lines += 1
        line = reading.n_lines
        text = (
            f"{event_id} {pick.waveform_id.get_seed_string() if pick.waveform_id else ''} {pick.phase_hint} {pick.time}"
        )
        arrival = arrivals.get(pick.resource_id.id)
        if arrivals and arrival is None:
            reading.reject(line, text, "no arrival of the origin names it")
            continue
        row = _pick(pick, arrival)
        key = (row["network"], row["station"], row["location"], row["channel"], row["phase"], row["time"])
        if row["phase"] not in ("P", "S"):
            reading.reject(line, text, f"phase {row['phase_hint']!r} is neither P nor S")
        elif not row["station"]:
            reading.reject(line, text, "no station")
        elif key in seen:
            reading.reject(line, text, "the same pick stands above")
        else:
            seen.add(key)
            reading.picks.append(row | {"event_id": event_id})
    _lost_arrivals(reading, event, event_id, arrivals)


def _lost_arrivals(reading: Reading, event: quakeml.Event, event_id: str, arrivals: dict[str, Any]) -> None:
    there = {pick.resource_id.id for pick in event.picks}
    for pick_id in arrivals:
        if pick_id not in there:
            reading.n_lines += 1
            reading.reject(reading.n_lines, f"{event_id} {pick_id}", "an arrival without its pick in the event")


def _row(event: quakeml.Event, origin: quakeml.Origin | None) -> dict[str, Any]:
    magnitude = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    row: dict[str, Any] = {"time": pd.NaT}
    if origin is not None and origin.time is not None:
        quality, extent = origin.quality or _EMPTY[0], origin.origin_uncertainty or _EMPTY[1]
        horizontal = extent.max_horizontal_uncertainty or extent.horizontal_uncertainty or _larger_error_m(origin)
        row = {
            "time": pd.Timestamp(origin.time.ns, tz="UTC"),
            "latitude_deg": origin.latitude,
            "longitude_deg": origin.longitude,
            "depth_km": _over_1000(origin.depth),
            "n_picks": quality.used_phase_count or 0,
            "n_stations": quality.used_station_count or 0,
            "rms_residual_s": quality.standard_error,
            "azimuthal_gap_deg": quality.azimuthal_gap,
            "time_uncertainty_s": origin.time_errors.uncertainty,
            "horizontal_uncertainty_km": _over_1000(horizontal),
            "depth_uncertainty_km": _over_1000(origin.depth_errors.uncertainty),
            "quality": _comment(origin.comments, "quality"),
        }
    if magnitude is not None and magnitude.mag is not None:
        row |= {
            "magnitude": magnitude.mag,
            "magnitude_type": magnitude.magnitude_type,
            "magnitude_uncertainty": magnitude.mag_errors.uncertainty,
            "n_magnitude_stations": magnitude.station_count or 0,
        }
    return row


def _larger_error_m(origin: quakeml.Origin) -> float | None:
    """The larger of the errors to the north and to the east; ObsPy forgets the latter at the equator."""
    north, east = origin.latitude_errors.uncertainty, origin.longitude_errors.uncertainty
    if north is None and east is None:
        return None
    return max(north or 0.0, (east or 0.0) * np.cos(np.radians(origin.latitude))) * KM_PER_DEG * 1000


def _over_1000(metres: float | None) -> float:
    return np.nan if metres is None else metres / 1000


def _comment(comments: list[quakeml.Comment], key: str) -> str | None:
    """Value of a comment ``key=value``."""
    found = [comment.text.split("=", 1)[1] for comment in comments if (comment.text or "").startswith(f"{key}=")]
    return found[0] if found else None


def _pick(pick: quakeml.Pick, arrival: quakeml.Arrival | None) -> dict[str, Any]:
    hint = (arrival.phase if arrival is not None else None) or pick.phase_hint or ""
    code = pick.waveform_id or quakeml.WaveformStreamID()
    probability = _comment(pick.comments, "probability")
    row = {
        "network": code.network_code or "",
        "station": code.station_code or "",
        "location": code.location_code or "",
        "channel": code.channel_code or "",
        "phase": hint[:1].upper(),
        "phase_hint": hint,
        "time": pd.Timestamp(pick.time.ns, tz="UTC"),
        "time_uncertainty_s": pick.time_errors.uncertainty,
        "weight": _nordic_weight(pick),
        "polarity": _POLARITY.get(str(pick.polarity), ""),
        "onset": _ONSET.get(str(pick.onset), ""),
        "probability": float(probability) if probability and re.fullmatch(r"[\d.]+", probability) else None,
    }
    if arrival is not None:
        distance = arrival.distance
        row |= {
            "weight": arrival.time_weight if row["weight"] is None else row["weight"],
            "residual_s": arrival.time_residual,
            "distance_km": None if distance is None else distance * KM_PER_DEG,
            "azimuth_deg": arrival.azimuth,
        }
    return row


def _nordic_weight(pick: quakeml.Pick) -> float | None:
    """Weight that ObsPy keeps of a line of Nordic: the code of HYPO71."""
    said = (pick.get("extra") or {}).get("nordic_pick_weight")
    return None if said is None else WEIGHTS.get(str(said["value"]))


def parse_nordic(text: str, name: str) -> Bulletin:
    """
    Events of SEISAN's Nordic format, old or new; an event ends with an empty line.

    Each event is given to ObsPy by itself, so that a bad one costs no other; its phase lines are then looked for among
    the picks, since ObsPy skips what it cannot read. Weights 0 to 4 are those of HYPO71.
    """
    reading = Reading(name, "nordic")
    lines = lines_of(text)
    taken: set[str] = set()
    n_headers = 0
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            block.append((number, line.rstrip("\r")))
            continue
        n_headers += number <= len(lines)
        if block:
            n_headers += _read_nordic(reading, block, taken)
            block = []
    reading.n_lines, reading.n_headers = len(lines), n_headers
    return reading.bulletin()


def _read_nordic(reading: Reading, block: list[tuple[int, str]], taken: set[str]) -> int:
    """Read an event; the number of its lines that hold no pick, but for the first."""
    phases = [(number, line) for number, line in block if _is_nordic_phase(line)]
    text = "\n".join(line for _, line in block) + "\n\n"
    event_reading = Reading(reading.name, reading.format)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            [event] = obspy.read_events(io.BytesIO(text.encode("latin-1", "replace")), format="NORDIC")
        wanted = _nordic_id(block) or event.origins[0].time.strftime("%Y%m%dT%H%M%S.%f")[:18]
        add_event(event_reading, event, free_id(wanted, taken))
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        for number, line in block:
            reading.reject(number, line, f"ObsPy cannot read this event ({error})")
        return 0
    reading.events += event_reading.events
    reading.descriptions += event_reading.descriptions
    reading.picks += [
        pick | {"weight": 1.0 if pick["weight"] is None else pick["weight"]} for pick in event_reading.picks
    ]
    # A station, its phase and its minute tell which lines became picks.
    given = Counter((pick["station"], pick["phase_hint"][:1].upper()) for pick in event_reading.picks)
    for number, line in phases:
        key = (line[1:6].strip(), line[10:18].strip()[:1].upper())
        key = key if given[key] else (line[1:5].strip(), key[1])
        if given[key]:
            given[key] -= 1
        else:
            reason = (
                f"phase {line[10:14].strip()!r} of {line[1:6].strip()!r}: neither P nor S with a time, or not readable"
            )
            reading.reject(number, line, reason)
    return len(block) - len(phases) - 1


def _is_nordic_phase(line: str) -> bool:
    """A line of type 4, or without a type, that is not the header of the phases."""
    kind = line[79:80].strip()
    return kind in ("", "4") and not line.startswith(" STAT") and bool(line[1:5].strip())


def _nordic_id(block: list[tuple[int, str]]) -> str:
    """The identifier of the line of type I, if there is one: ``ID:20240101035059``."""
    for _, line in block:
        found = re.search(r"\bID:\s*(\d{14})", line)
        if found and line[79:80] == "I":
            return found.group(1)
    return ""
