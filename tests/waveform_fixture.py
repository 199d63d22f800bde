"""Small seeded waveforms, their inventory, and parameters of the download stage for tests."""

from __future__ import annotations

import copy
import io
import struct
from datetime import timedelta
from pathlib import Path

import numpy as np
import obspy
from obspy.core.inventory import (
    Channel,
    InstrumentSensitivity,
    Inventory,
    Network,
    Response,
    Station,
)

from pickflow.download import download_day, fetch_inventory, requested_stations
from pickflow.provenance import sha256_of_file
from pickflow.run.configuration import complete
from pickflow.run.settings.download import DownloadParams
from pickflow.windows import parse_time

DAY = "2024-03-05"
START = parse_time("2024-03-05T10:00:00Z")
END = START + timedelta(minutes=5)
ORIENTATION = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0), "1": (0.0, 0.0), "2": (90.0, 0.0)}


def noise(n_samples, seed=0, amplitude=200.0):
    """Integer counts with the colour of seismic noise, and an earthquake in the middle."""
    generator = np.random.default_rng(seed)
    white = generator.normal(size=n_samples + 50)
    coloured = np.convolve(white, np.hanning(12), mode="full")[25 : 25 + n_samples]
    after = np.arange(n_samples) - n_samples // 2
    quake = np.where(after > 0, np.exp(-np.clip(after, 0, None) / 800.0) * 40.0, 0.0)
    return np.rint(amplitude * coloured * (1.0 + quake)).astype(np.int32)


def trace(
    channel="HHZ",
    starttime=START,
    seconds=300.0,
    rate=100.0,
    network="XA",
    station="AAA",
    location="",
    data=None,
    seed=None,
):
    """One trace; samples are noise unless given."""
    n_samples = round(seconds * rate)
    if seed is None:
        seed = sum(map(ord, network + station + location + channel))
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "sampling_rate": rate,
        "starttime": obspy.UTCDateTime(starttime),
    }
    return obspy.Trace(noise(n_samples, seed) if data is None else np.asarray(data), header)


def station_stream(station="AAA", channels=("HHZ", "HHN", "HHE"), **kwargs):
    """Traces of one station."""
    return obspy.Stream([trace(channel, station=station, **kwargs) for channel in channels])


def miniseed(stream, record_length=512, **options):
    """MiniSEED of a trace or stream."""
    content = io.BytesIO()
    stream.write(content, format="MSEED", reclen=record_length, **options)
    return content.getvalue()


def with_field(content, position, kind, value, records=None, record_length=512):
    """MiniSEED (big endian) with another value in a field of the header of some records, or of all."""
    changed = bytearray(content)
    for record in range(len(content) // record_length) if records is None else records:
        struct.pack_into(f">{kind}", changed, record * record_length + position, value)
    return bytes(changed)


def channel_of(code, location="", rate=100.0, sensitivity=1e9, dip=None, start=None, end=None):
    """A channel of an inventory."""
    azimuth_deg, dip_deg = ORIENTATION[code[-1]]
    return Channel(
        code,
        location,
        latitude=46.0,
        longitude=13.0,
        elevation=100.0,
        depth=0.0,
        azimuth=azimuth_deg,
        dip=dip_deg if dip is None else dip,
        sample_rate=rate,
        start_date=start,
        end_date=end,
        response=Response(
            instrument_sensitivity=InstrumentSensitivity(sensitivity, 1.0, "M/S", "COUNTS"), response_stages=[]
        ),
    )


def with_digests(manifest, folder):
    """A manifest with the SHA-256 of the files that are there."""
    paths = [Path(folder, f"{row.network}.{row.station}.mseed") for row in manifest.itertuples()]
    return manifest.assign(sha256=[sha256_of_file(path) if path.exists() else "" for path in paths])


def _at(latitude_deg, channels):
    """Channels at the place of their station."""
    moved = [copy.copy(channel) for channel in channels]
    for channel in moved:
        channel.latitude = latitude_deg
    return moved


def inventory_of(stations, channels=None, network="XA"):
    """Inventory with stations half a degree apart; ``stations`` maps codes to channels, or lists codes."""
    channels = channels or [channel_of(code) for code in ("HHZ", "HHN", "HHE")]
    listed = stations if isinstance(stations, dict) else dict.fromkeys(stations, channels)
    return Inventory(
        networks=[
            Network(
                network,
                stations=[
                    Station(code, 46.0 + 0.5 * index, 13.0, 100.0, channels=_at(46.0 + 0.5 * index, of_station))
                    for index, (code, of_station) in enumerate(listed.items())
                ],
            )
        ],
        source="pickflow tests",
    )


def download_params(**section):
    """Parameters of the download stage: the defaults but for the keys given."""
    download = {"cache": "cache", **section}
    config = {"run": "test", "starttime": START.isoformat(), "endtime": END.isoformat(), "download": download}
    return DownloadParams(**complete(config)["download"])


def write_sds(stream, root):
    """Day files of an SDS archive; a trace belongs to the day it starts in."""
    files = {}
    for piece in stream:
        stats = piece.stats
        folder = Path(root, str(stats.starttime.year), stats.network, stats.station, f"{stats.channel}.D")
        name = f"{piece.id}.D.{stats.starttime.year}.{stats.starttime.julday:03d}"
        files.setdefault(folder / name, obspy.Stream()).append(piece)
    for path, pieces in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        pieces.write(str(path), format="MSEED")


def download(params, inventory=None, window=(START, END), date=DAY, folder="waveforms", **kwargs):
    """Download a day; rows of its table by station, one for each station asked for."""
    inventory = fetch_inventory(params, *window) if inventory is None else inventory
    stations = requested_stations(inventory, params)
    table = download_day(date, window, stations, inventory, params, folder, **kwargs)
    assert table["station"].tolist() == stations["station"].unique().tolist()
    return {row["station"]: row for row in table.to_dict("records")}
