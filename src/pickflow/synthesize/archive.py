"""The synthetic archive on disk: SDS waveforms, StationXML, and the truth in several formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
from obspy import Stream, UTCDateTime
from obspy.core import event as quakeml
from obspy.core.inventory import Channel, Inventory, Network, Station
from obspy.core.inventory import Site as SiteName

from pickflow.io.atomic import atomic_path, write_text
from pickflow.io.tables import conform, write_table
from pickflow.io.waveforms import write_stream
from pickflow.progress import silent
from pickflow.provenance import provenance
from pickflow.run.settings.synthesize import Site, SynthesizeParams
from pickflow.schemas import EVENTS, TRUTH_PICKS
from pickflow.synthesize.events import SyntheticEvent, make_events
from pickflow.synthesize.faults import apply_fault
from pickflow.synthesize.instruments import INSTRUMENTS
from pickflow.synthesize.medium import velocity_model
from pickflow.synthesize.records import COMPONENTS, record_station
from pickflow.travel_times.files import nd_text

_CREATED = UTCDateTime(2026, 1, 1)  # arbitrary and fixed, so that the bytes are the same
_ORIENTATION_DEG = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}


def write_archive(params: SynthesizeParams, folder: Path, progress: Callable[[int, int, str], None] = silent) -> None:
    """
    Make a synthetic network and write all its files; the same parameters give the same bytes.

    Parameters
    ----------
    params : SynthesizeParams
        The network.
    folder : Path
        Folder for ``sds/``, ``stations.xml``, ``velocity.nd``, ``truth.quakeml`` (all events), ``reference.quakeml``
        (the detectable ones), ``truth_events.parquet`` and ``truth_picks.parquet``.
    progress : callable
        Called as ``progress(stations done, stations in all, network.station)``.

    Raises
    ------
    ValueError
        If the events do not fit into the window.
    """
    folder = Path(folder)
    events = make_events(params)
    tables = []
    for index, site in enumerate(params.stations):
        code = f"{site.network}.{site.station}"
        record = record_station(site, events, params)
        stream = _with_faults(record.stream, code, params)
        _write_sds(stream, folder / "sds")
        tables.append(_mark_recorded(record.picks, stream, site))
        progress(index + 1, len(params.stations), code)
    picks = conform(pd.concat(tables, ignore_index=True), TRUTH_PICKS)
    catalog = conform(_event_table(events, picks, params.min_snr_db), EVENTS)
    detectable_ids = set(detectable_events(catalog, picks, params.min_stations, params.min_snr_db).event_id)
    source = provenance("synthesize", params.model_dump(), {})
    write_table(catalog, EVENTS, folder / "truth_events.parquet", source)
    write_table(picks, TRUTH_PICKS, folder / "truth_picks.parquet", source)
    _write_quakeml(events, folder / "truth.quakeml")
    _write_quakeml([event for event in events if event.event_id in detectable_ids], folder / "reference.quakeml")
    write_text(folder / "velocity.nd", nd_text(velocity_model(params.layers)))
    with atomic_path(folder / "stations.xml") as temporary:
        inventory(params).write(str(temporary), format="STATIONXML", validate=False)


def detectable_events(
    truth_events: pd.DataFrame, truth_picks: pd.DataFrame, min_stations: int, min_snr_db: float
) -> pd.DataFrame:
    """
    Events whose P was recorded above the noise at enough stations.

    Parameters
    ----------
    truth_events : DataFrame
        `schemas.EVENTS`.
    truth_picks : DataFrame
        `schemas.TRUTH_PICKS`.
    min_stations : int
        Number of stations.
    min_snr_db : float
        Least signal-to-noise ratio of P.

    Returns
    -------
    DataFrame
        Rows of ``truth_events``.
    """
    clear_picks = truth_picks[(truth_picks.phase == "P") & truth_picks.recorded & (truth_picks.snr_db >= min_snr_db)]
    n_stations = clear_picks.groupby("event_id").size()
    event_ids = n_stations.index[n_stations >= min_stations]
    return truth_events[truth_events.event_id.isin(event_ids)].reset_index(drop=True)


def inventory(params: SynthesizeParams) -> Inventory:
    """StationXML of the network, with full responses; without the faults, except a second location."""
    networks: dict[str, list[Station]] = {}
    twins = {fault.station for fault in params.faults if fault.fault == "duplicate_location"}
    for site in params.stations:
        locations = ["", "10"] if f"{site.network}.{site.station}" in twins else [""]
        channels = [
            _channel(site, location, band, component, params.sampling_rate_hz)
            for location in locations
            for band in site.bands
            for component in COMPONENTS
        ]
        station = Station(
            site.station,
            site.latitude_deg,
            site.longitude_deg,
            site.elevation_m,
            channels=channels,
            site=SiteName(name=f"synthetic station {site.station}"),
            creation_date=_CREATED,
            start_date=UTCDateTime(2020, 1, 1),
        )
        networks.setdefault(site.network, []).append(station)
    result = Inventory(
        networks=[Network(code, stations=stations) for code, stations in sorted(networks.items())],
        source="pickflow synthetic network",
        sender="pickflow",
    )
    result.created = _CREATED
    return result


def _channel(site: Site, location: str, band: str, component: str, sampling_rate_hz: float) -> Channel:
    azimuth_deg, dip_deg = _ORIENTATION_DEG[component]
    instrument = INSTRUMENTS[band]
    return Channel(
        band + component,
        location,
        site.latitude_deg,
        site.longitude_deg,
        site.elevation_m,
        0.0,
        azimuth=azimuth_deg,
        dip=dip_deg,
        sample_rate=sampling_rate_hz,
        start_date=UTCDateTime(2020, 1, 1),
        sensor=obspy.core.inventory.Equipment(description=instrument.description),
        response=instrument.response(sampling_rate_hz),
    )


def _with_faults(stream: Stream, station: str, params: SynthesizeParams) -> Stream:
    for fault in params.faults:
        if fault.station == station:
            stream = apply_fault(stream, fault, *params.window)
    return stream


def _write_sds(stream: Stream, root: Path) -> None:
    """Day files ``YEAR/NET/STA/CHA.D/NET.STA.LOC.CHA.D.YEAR.DOY``."""
    files: dict[Path, Stream] = {}
    for trace in stream:
        for piece, day in _split_days(trace):
            stats = piece.stats
            channel = f"{stats.channel}.D"
            name = f"{piece.id}.D.{day.year}.{day.julday:03d}"
            path = root / str(day.year) / stats.network / stats.station / channel / name
            files.setdefault(path, Stream()).append(piece)
    for path, pieces in files.items():
        write_stream(pieces, path)


def _split_days(trace: obspy.Trace) -> list[tuple[obspy.Trace, UTCDateTime]]:
    """Pieces of a trace, each with the midnight before it; no sample twice."""
    pieces = []
    day = UTCDateTime(trace.stats.starttime.date)
    while day <= trace.stats.endtime:
        rate = trace.stats.sampling_rate
        first = max(int(np.ceil(round((day - trace.stats.starttime) * rate, 6))), 0)
        last = max(int(np.ceil(round((day + 86400 - trace.stats.starttime) * rate, 6))), 0)
        if trace.data[first:last].size:
            piece = obspy.Trace(header=trace.stats)
            piece.data = trace.data[first:last]
            piece.stats.starttime = trace.stats.starttime + first / rate
            pieces.append((piece, day))
        day += 86400
    return pieces


def _mark_recorded(picks: pd.DataFrame, stream: Stream, site: Site) -> pd.DataFrame:
    """Whether the archive holds samples of the first band around each pick that are not constant."""
    spans = [
        (trace.stats.starttime.ns, trace.stats.endtime.ns)
        for trace in stream
        if trace.stats.channel.startswith(site.bands[0]) and np.ptp(trace.data) > 0
    ]
    times = [UTCDateTime(time).ns for time in picks.time]
    is_recorded = [any(start <= time <= end for start, end in spans) for time in times]
    return picks.assign(recorded=is_recorded)


def _event_table(events: list[SyntheticEvent], picks: pd.DataFrame, min_snr_db: float) -> pd.DataFrame:
    """Events with the number of their picks above the noise."""
    clear_picks = picks[picks.recorded & (picks.snr_db >= min_snr_db)]
    rows = []
    for event in events:
        event_picks = clear_picks[clear_picks.event_id == event.event_id]
        n_p, n_s = int((event_picks.phase == "P").sum()), int((event_picks.phase == "S").sum())
        rows.append(
            {
                "event_id": event.event_id,
                "time": event.time,
                "latitude_deg": event.latitude_deg,
                "longitude_deg": event.longitude_deg,
                "depth_km": event.earthquake.depth_km,
                "n_picks": n_p + n_s,
                "n_p": n_p,
                "n_s": n_s,
                "n_stations": int(event_picks.station.nunique()),
                "rms_residual_s": np.nan,
                "azimuthal_gap_deg": np.nan,
                "magnitude": event.earthquake.magnitude,
                "magnitude_type": "Mw",
            }
        )
    return pd.DataFrame(rows)


def _write_quakeml(events: list[SyntheticEvent], path: Path) -> None:
    prefix = "smi:pickflow.synthetic"
    catalog = quakeml.Catalog(resource_id=quakeml.ResourceIdentifier(f"{prefix}/catalog"))
    for event in events:
        origin = quakeml.Origin(
            resource_id=quakeml.ResourceIdentifier(f"{prefix}/{event.event_id}/origin"),
            time=UTCDateTime(event.time),
            latitude=event.latitude_deg,
            longitude=event.longitude_deg,
            depth=event.earthquake.depth_km * 1e3,
        )
        magnitude = quakeml.Magnitude(
            resource_id=quakeml.ResourceIdentifier(f"{prefix}/{event.event_id}/magnitude"),
            mag=event.earthquake.magnitude,
            magnitude_type="Mw",
            origin_id=origin.resource_id,
        )
        catalog.append(
            quakeml.Event(
                resource_id=quakeml.ResourceIdentifier(f"{prefix}/{event.event_id}"),
                origins=[origin],
                magnitudes=[magnitude],
                preferred_origin_id=origin.resource_id,
                preferred_magnitude_id=magnitude.resource_id,
            )
        )
    with atomic_path(path) as temporary:
        catalog.write(str(temporary), format="QUAKEML")
