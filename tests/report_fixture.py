"""A small made-up run for the tests of the report: 12 stations, 2 days, 30 events, two catalogs, some faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import lxml.html
import numpy as np
import pandas as pd
from obspy import Stream, Trace, UTCDateTime
from obspy.geodetics import degrees2kilometers, locations2degrees

from pickflow.comparison.events import compare_events
from pickflow.comparison.picks import compare_picks
from pickflow.comparison.reference import ReferenceSet, reference_picks
from pickflow.comparison.unmatched import missed_events, new_events, properties
from pickflow.io.tables import conform
from pickflow.report.content import CatalogContent, ReportContent
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.settings.analyze import AnalyzeParams, ReferenceParams
from pickflow.run.settings.report import GatherParams
from pickflow.schemas import (
    ASSIGNMENTS,
    EVENTS,
    LEDGER,
    PICKS,
    STATION_CORRECTIONS,
    STATIONS,
)
from pickflow.viewer.choice import choose_events
from pickflow.viewer.gather import ReadWaveforms
from pickflow.viewer.waveforms import gather_for_event

STARTTIME = datetime(2024, 3, 9, tzinfo=UTC)
PARAMS = AnalyzeParams(
    reference=ReferenceParams(file=None, server=None, complete_file=None, complete_picks_file=None),
    reference_window=None, region=None, event_time_tolerance_s=2.0, event_distance_tolerance_km=8.0,
    pick_time_tolerance_s=0.5, pick_judged_within_s=10.0, min_pick_snr_db=6.0,
)  # fmt: skip
SPEED_KM_S = {"P": 6.0, "S": 3.46}
LATE_STATION = "BAD"
GATHER_PARAMS = GatherParams(n_best=2, n_worst=1, n_stations=8, margin_s=4.0, context_s=10.0, highpass_hz=1.0)
_NAMES = ("ACOM", "BAD", "CAE", "DRE", "FUSE", "GEPF", "LSR", "MPRI", "PLRO", "SABO", "TRI", "ZOU2")


def travel_time_s(phase: str, distance_km: float, depth_km: float) -> float:
    return float(np.hypot(distance_km, depth_km) / SPEED_KM_S[phase])


def stations_table(random: np.random.Generator) -> pd.DataFrame:
    return conform(
        pd.DataFrame(
            {
                "network": ["OX"] * 10 + ["NI"] * 2,
                "station": _NAMES,
                "latitude_deg": 46.2 + random.uniform(-0.35, 0.35, 12),
                "longitude_deg": 13.1 + random.uniform(-0.55, 0.55, 12),
                "elevation_m": random.uniform(100, 1800, 12),
            }
        ),
        STATIONS,
    )


def reference_table(random: np.random.Generator, n_events: int, n_days: int = 2) -> pd.DataFrame:
    seconds = np.sort(random.uniform(600, n_days * 86400 - 600, n_events))
    clustered = random.random(n_events) < 0.7
    magnitude = np.round(0.4 + random.exponential(0.7, n_events), 1)
    return conform(
        pd.DataFrame(
            {
                "event_id": [f"ref{index:05d}" for index in range(n_events)],
                "time": pd.Timestamp(STARTTIME) + pd.to_timedelta(np.round(seconds, 3), unit="s"),
                "latitude_deg": _mixed(random, clustered, (46.3, 0.04), (45.95, 46.5)),
                "longitude_deg": _mixed(random, clustered, (13.0, 0.06), (12.7, 13.6)),
                "depth_km": random.gamma(6.0, 1.6, n_events),
                "n_picks": 0, "n_p": 0, "n_s": 0, "n_stations": 0, "rms_residual_s": np.nan,
                "azimuthal_gap_deg": np.nan, "magnitude": magnitude, "magnitude_type": "ML",
            }
        ),
        EVENTS,
    )  # fmt: skip


def _mixed(random: np.random.Generator, clustered: np.ndarray, normal: tuple, uniform: tuple) -> np.ndarray:
    return np.where(clustered, random.normal(*normal, len(clustered)), random.uniform(*uniform, len(clustered)))


def _picks_of(event: pd.Series, stations: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    distance_km = degrees2kilometers(
        locations2degrees(
            event["latitude_deg"], event["longitude_deg"], stations["latitude_deg"], stations["longitude_deg"]
        )
    )
    rows = []
    for station, distance in zip(stations.itertuples(), distance_km, strict=True):
        for phase in ("P", "S"):
            if random.random() > 0.55 + 0.2 * event["magnitude"] - 0.004 * distance:
                continue
            residual_s = random.normal(0, 0.06 if phase == "P" else 0.13) + 0.45 * (station.station == LATE_STATION)
            time_s = round(travel_time_s(phase, distance, event["depth_km"]) + residual_s, 2)
            rows.append((station.network, station.station, phase, time_s, residual_s, distance))
    columns = ["network", "station", "phase", "time_s", "residual_s", "distance_km"]
    return pd.DataFrame(rows, columns=columns).assign(event_id=event["event_id"])


def _picks_table(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        location="", channel="HH", starttime=rows["time"], endtime=rows["time"], amplitude_m_s=np.nan, snr_db=np.nan
    )


def catalog_content(
    stations: pd.DataFrame,
    reference: pd.DataFrame,
    random: np.random.Generator,
    associator: str,
    n_false: int,
    n_days: int = 2,
) -> CatalogContent:
    """Most events of the reference, shifted a little, some false ones, and noise picks."""
    matched_events = reference.sample(frac=0.9, random_state=3)
    false = reference_table(random, n_false, n_days).assign(magnitude=0.2)
    truth = pd.concat([matched_events, false], ignore_index=True)
    truth["event_id"] = [f"{associator}{index:05d}" for index in range(len(truth))]
    rows = pd.concat([_picks_of(event, stations, random) for _, event in truth.iterrows()], ignore_index=True)
    rows = rows.merge(truth[["event_id", "time"]], on="event_id")
    rows["time"] += pd.to_timedelta(rows.pop("time_s"), unit="s")
    rows["pick_id"] = [f"{associator}p{index:06d}" for index in range(len(rows))]
    n_noise = 130 * n_days
    noise = pd.DataFrame(
        {"station": random.choice(stations["station"], n_noise), "phase": random.choice(["P", "S"], n_noise)}
    )
    noise = noise.merge(stations[["network", "station"]], on="station")
    noise["time"] = pd.Timestamp(STARTTIME) + pd.to_timedelta(
        np.round(random.uniform(0, n_days * 86400, n_noise), 2), unit="s"
    )
    noise["pick_id"] = [f"{associator}n{index:06d}" for index in range(len(noise))]
    picks = _picks_table(pd.concat([rows, noise], ignore_index=True))
    sure = np.where(np.arange(len(picks)) < len(rows), 5.0, 2.0)
    picks = picks.assign(probability=np.round(random.beta(sure, 2.0), 3))
    counts = rows.groupby("event_id")
    by_phase = rows.groupby(["event_id", "phase"]).size().unstack(fill_value=0)
    events = truth.set_index("event_id").loc[list(counts.groups)]
    moved = {"latitude_deg": 0.006, "longitude_deg": 0.009, "depth_km": 1.2}
    events = events.assign(
        n_picks=counts.size(), n_p=by_phase["P"], n_s=by_phase["S"], n_stations=counts["station"].nunique(),
        rms_residual_s=counts["residual_s"].agg(lambda residual: np.sqrt((residual**2).mean())),
        azimuthal_gap_deg=random.uniform(60, 250, len(events)), magnitude=np.nan, magnitude_type=None,
        **{column: events[column] + random.normal(0, sigma, len(events)) for column, sigma in moved.items()},
    ).reset_index()  # fmt: skip
    shifts = pd.to_timedelta(np.round(random.normal(0.02, 0.12, len(events)), 3), unit="s")
    events["time"] += shifts
    reference_set = ReferenceSet(
        events=reference, further_events=reference.head(0), picks=manual_picks(stations, reference), further_picks=None,
        window=(STARTTIME, STARTTIME + timedelta(days=n_days)), region=None,
    )  # fmt: skip
    events, picks = conform(events, EVENTS), conform(picks, PICKS)
    assignments = conform(rows.assign(azimuth_deg=0.0), ASSIGNMENTS)
    compared, of_picks = compare_events(events, reference_set, PARAMS), compare_picks(picks, reference_set, PARAMS)
    described = properties(events, assignments, picks, reference)
    return CatalogContent(
        key=CatalogKey(PickSetKey("none", "PhaseNet", "original"), associator),
        events=events, picks=picks, assignments=assignments, matches=compared.matches,
        corrections=conform(pd.DataFrame(), STATION_CORRECTIONS), pick_matches=of_picks.matches,
        pick_scores=of_picks.scores, event_scores=compared.scores,
        missed_events=missed_events(
            events, assignments, picks, stations, reference_set, compared.matches, of_picks.matches, PARAMS
        ),
        new_events=new_events(described, compared.matches, reference, PARAMS), gathers=(),
    )  # fmt: skip


def manual_picks(stations: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """What an analyst picks: the arrivals of every event at the nearer stations, without networks."""
    parts = []
    for station in stations.itertuples():
        place = (reference["latitude_deg"], reference["longitude_deg"], station.latitude_deg, station.longitude_deg)
        distance_km = degrees2kilometers(locations2degrees(*place))
        for phase, speed_km_s in SPEED_KM_S.items():
            travel_s = np.round(np.hypot(distance_km, reference["depth_km"]) / speed_km_s, 2)
            rows = pd.DataFrame({"event_id": reference["event_id"], "station": station.station, "phase": phase})
            rows["time"] = reference["time"] + pd.to_timedelta(travel_s, unit="s")
            parts.append(rows[(distance_km < 25 + 15 * reference["magnitude"]).to_numpy()])
    return reference_picks(pd.concat(parts).assign(network=""), reference, stations)


def read_waveforms_of(reference: pd.DataFrame, stations: pd.DataFrame):
    """Reader of noise with a P and an S wavelet for every reference event; one station is missing, one has a gap."""

    @cache
    def read_waveforms(network: str, station: str, date: str) -> Stream | None:
        if station == "TRI":
            return None
        random = np.random.default_rng([ord(letter) for letter in station + date])
        rate_hz, midnight = 20.0, UTCDateTime(date)
        time_s = np.arange(int(86400 * rate_hz)) / rate_hz
        samples = random.standard_normal((3, len(time_s)), dtype=np.float32)
        site = stations.set_index("station").loc[station]
        for event in reference.itertuples():
            place = (event.latitude_deg, event.longitude_deg, site["latitude_deg"], site["longitude_deg"])
            distance_km = degrees2kilometers(locations2degrees(*place))
            for phase, gains in (("P", (12, 5, 4)), ("S", (8, 30, 24))):
                onset_s = UTCDateTime(event.time) - midnight + travel_time_s(phase, distance_km, event.depth_km)
                first, last = np.searchsorted(time_s, [onset_s, onset_s + 20])
                after = time_s[first:last] - onset_s
                wavelet = np.exp(-after / 2.5) * np.sin(2 * np.pi * 4 * after) * 10 ** (0.6 * event.magnitude)
                samples[:, first:last] += np.outer(
                    gains, wavelet + 0.5 * np.abs(wavelet) * random.normal(0, 1, len(after))
                )
        header = {"network": network, "station": station, "starttime": midnight, "sampling_rate": rate_hz}
        stream = Stream(
            [Trace(row, header | {"channel": f"HH{code}"}) for row, code in zip(samples, "ZNE", strict=True)]
        )
        if station == "CAE":
            first = UTCDateTime(reference["time"].iloc[0]) + 9
            return stream.slice(endtime=first) + stream.slice(starttime=first + 4)
        return stream

    return read_waveforms


def annotate_of(picks: pd.DataFrame):
    """Probabilities that peak at the picks."""

    def annotate(stream: Stream) -> Stream:
        stats = stream[0].stats
        probabilities = Stream()
        for phase in ("P", "S"):
            picks_of_phase = picks[(picks["station"] == stats.station) & (picks["phase"] == phase)]
            time_s = np.arange(stats.npts) / stats.sampling_rate
            values = np.zeros(stats.npts)
            for time in picks_of_phase["time"]:
                values = np.maximum(
                    values, 0.8 * np.exp(-0.5 * ((time_s - (UTCDateTime(time) - stats.starttime)) / 0.15) ** 2)
                )
            header = {key: stats[key] for key in ("network", "station", "starttime", "sampling_rate")}
            probabilities.append(Trace(values, header | {"channel": f"PhaseNet_{phase}"}))
        return probabilities

    return annotate


def ledger_table(stations: pd.DataFrame, days: list[str]) -> pd.DataFrame:
    rows = stations.merge(pd.DataFrame({"date": days}), how="cross")
    rows = rows.assign(
        reason="ok", remarks="ok", detail="", usable=True, location="", channel="HH", components="ZNE", alternatives="",
        sampling_rate_hz=100.0, coverage=1.0, n_gaps=0, sensitivity_counts_per_unit=6e8, sha256="", stage="download",
        n_picks=100 + 7 * np.arange(len(rows)) % 90, n_assigned=40,
    )  # fmt: skip
    faults = (
        (3, "no_data", "no_data", "no file in the archive", False),
        (7, "gap", "gap", "2 gaps, 41.3 s together, the longest 33.0 s from 04:12:07", True),
        (10, "clock_jump", "clock_jump,gap", "time stamps jump by +0.42 s at 11:03:55", True),
        (11, "one_component", "one_component", "only EHZ", True),
        (18, "dead_channel", "dead_channel", "HHZ, HHN and HHE are constant (0 counts)", False),
        (20, "no_picks", "no_picks", "", True),
    )
    for row, reason, remarks, detail, usable in faults:
        if row < len(rows):
            rows.loc[row, ["reason", "remarks", "detail", "usable"]] = [reason, remarks, detail, usable]
            rows.loc[row, ["n_picks", "coverage"]] = [
                0 if not usable or reason == "no_picks" else 60,
                1.0 if usable else 0.0,
            ]
    return conform(rows, LEDGER)


def summary_of(run: str, catalogs: list[CatalogContent], reference: pd.DataFrame, ledger: pd.DataFrame) -> dict:
    rows = []
    for catalog in catalogs:
        matched = catalog.matches.dropna(subset=["reference_id", "event_id"])
        recall, precision = len(matched) / max(1, len(reference)), len(matched) / max(1, len(catalog.events))
        rows.append(
            {
                **catalog.key.parts(), "n_picks": len(catalog.picks), "n_events": len(catalog.events),
                "reference": {
                    "n": len(reference), "matched": len(matched), "recall": recall, "precision": precision,
                    "n_false": len(catalog.events) - len(matched),
                    "f1": 2 * recall * precision / max(1e-9, recall + precision),
                    "median_time_error_s": matched["time_error_s"].median(),
                    "median_epicentral_error_km": matched["epicentral_error_km"].median(),
                    "picks": {
                        str(row.phase): {"f1": row.f1}
                        for row in catalog.pick_scores[catalog.pick_scores["by"] == "all"].itertuples()
                    },
                },
                "teacher": None,
            }
        )  # fmt: skip
    return {
        "run": run,
        "station_days": len(ledger),
        "ledger": ledger["reason"].value_counts().to_dict(),
        "catalogs": rows,
        "compression": [],
    }


def report_content(n_events: int = 30, with_gathers: bool = True, n_days: int = 2) -> ReportContent:
    """The whole run."""
    random = np.random.default_rng(20240309)
    stations = stations_table(random)
    reference = reference_table(random, n_events, n_days)
    catalogs = [
        catalog_content(stations, reference, random, associator, n_false, n_days)
        for associator, n_false in (("pyocto", 2), ("gamma", 5))
    ]
    if with_gathers:
        read = read_waveforms_of(reference, stations)
        catalogs = [_with_gathers(catalog, stations, reference, read) for catalog in catalogs]
    days = pd.date_range(STARTTIME, periods=n_days).strftime("%Y-%m-%d")
    ledger = ledger_table(stations, list(days))
    return ReportContent(
        run="friuli-2024", starttime=STARTTIME, endtime=STARTTIME + timedelta(days=n_days),
        config_summary={"Source": "SDS archive of OX and NI", "Reference": "truth.quakeml, within ±2 s and 8 km"},
        summary=summary_of("friuli-2024", catalogs, reference, ledger), stations=stations, ledger=ledger,
        reference=reference, catalogs=tuple(catalogs), compressions=(),
        travel_time_s=travel_time_s,
        provenance={"parameters": {"pick": {"threshold_p": 0.3}, "download": {"password": "hunter2"}}},
    )  # fmt: skip


def _with_gathers(
    catalog: CatalogContent, stations: pd.DataFrame, reference: pd.DataFrame, read: ReadWaveforms
) -> CatalogContent:
    choices = choose_events(catalog.events, catalog.matches, reference, {}, GATHER_PARAMS)
    annotate, manual = annotate_of(catalog.picks), manual_picks(stations, reference)
    gathers = tuple(
        gather_for_event(
            choice, stations, catalog.picks, catalog.assignments, manual, read, annotate, travel_time_s, GATHER_PARAMS
        )
        for choice in choices
    )
    return replace(catalog, gathers=gathers)


@cache
def two_catalogs() -> ReportContent:
    """The run, whose two catalogs have no waveforms."""
    return report_content(with_gathers=False)


def text_of(html: str) -> str:
    """What a reader sees, without drawings."""
    tree = lxml.html.fromstring(html)
    for element in tree.xpath("//svg|//style"):
        element.drop_tree()
    return " ".join(" ".join(tree.itertext()).split())
