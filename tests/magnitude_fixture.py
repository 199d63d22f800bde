"""A station with a known instrument that stands on ground that moves in a known way."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from obspy.core.inventory.response import InstrumentSensitivity
from scipy.signal import lsim

from pickflow.io.tables import conform
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, MANIFEST, PICKS, STATIONS
from pickflow.synthesize.instruments import INSTRUMENTS

RATE_HZ = 100.0
DAY = "2026-01-15"
START = pd.Timestamp("2026-01-15T12:00:00Z")
DURATION_S = 120.0
# Volts and counts do not matter here.
SENSITIVITY = 6.0e8


def magnitude_params(**changes) -> MagnitudeParams:
    """The defaults, with changes."""
    return MagnitudeParams(**changes)


def time_s(duration_s=DURATION_S):
    return np.arange(int(duration_s * RATE_HZ)) / RATE_HZ


def displacement_m(onset_s, frequency_hz, peak_m, duration_s=DURATION_S):
    """A wave packet that begins smoothly at its onset, and is over after six periods."""
    since = time_s(duration_s) - onset_s
    length_s = 6 / frequency_hz
    inside = (since >= 0) & (since <= length_s)
    envelope = np.where(inside, np.sin(np.pi * np.clip(since / length_s, 0, 1)) ** 2, 0.0)
    return peak_m * envelope * np.sin(2 * np.pi * frequency_hz * since)


def derivative(samples, order):
    """Exact derivative of a record that begins and ends with zeros."""
    frequency = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    return np.fft.irfft(np.fft.rfft(samples) * (2j * np.pi * frequency) ** order, samples.size)


def wood_anderson_mm(displacement, gain=2080.0, damping=0.7):
    """Peak of the seismometer's equation of motion, integrated in time: another way than the one under test."""
    natural = 2 * np.pi / 0.8
    system = ([gain, 0, 0], [1, 2 * damping * natural, natural**2])
    _, trace, _ = lsim(system, displacement, np.arange(displacement.size) / RATE_HZ)
    return 1000 * np.abs(trace).max()


def flat_response(sensitivity=SENSITIVITY, units="M/S"):
    return Response(instrument_sensitivity=InstrumentSensitivity(sensitivity, 1.0, units, "COUNTS"))


def recorded_by(band, displacement):
    """Counts of one of the generator's instruments, exact in frequency."""
    frequency = np.fft.rfftfreq(displacement.size, 1 / RATE_HZ)
    spectrum = np.fft.rfft(derivative(displacement, 1))
    response = np.zeros(frequency.size, dtype=complex)
    response[1:] = INSTRUMENTS[band].velocity_response(frequency[1:])
    return np.fft.irfft(spectrum * response, displacement.size)


def inventory_of(responses, station="AAA", elevation_m=0.0):
    """Inventory of one station; ``responses`` by channel code."""
    place = {"latitude": 46.0, "longitude": 13.0, "elevation": elevation_m}
    dips = {"Z": -90.0}
    channels = [
        Channel(code, "", depth=0.0, azimuth=0.0, dip=dips.get(code[-1], 0.0), response=response, **place)
        for code, response in responses.items()
    ]
    return Inventory([Network("XX", [Station(station, channels=channels, **place)])])


def stream_of(components, station="AAA", start=START):
    """One trace for each channel code."""
    header = {"network": "XX", "station": station, "sampling_rate": RATE_HZ, "starttime": obspy.UTCDateTime(start)}
    return obspy.Stream(
        obspy.Trace(np.asarray(samples), header | {"channel": code}) for code, samples in components.items()
    )


def manifest_row(station="AAA", channel="HH", usable=True, remarks="ok"):
    row = dict.fromkeys(MANIFEST.schema.names, "")
    numbers = {"sampling_rate_hz": RATE_HZ, "coverage": 1.0, "n_gaps": 0, "sensitivity_counts_per_unit": SENSITIVITY}
    codes = {"network": "XX", "station": station, "date": DAY, "channel": channel, "components": "ZNE"}
    return row | codes | numbers | {"reason": remarks.split(",")[0], "remarks": remarks, "usable": usable}


def stations_of(*names, latitude_deg=46.0):
    rows = [("XX", name, latitude_deg, 13.0, 0.0) for name in names]
    return conform(pd.DataFrame(rows, columns=STATIONS.schema.names[:5]), STATIONS)


def events_of(**times):
    """Events 30 km south of the station, 10 km deep."""
    rows = []
    for event_id, time in times.items():
        row = {"event_id": event_id, "time": time, "latitude_deg": 45.73, "longitude_deg": 13.0, "depth_km": 10.0}
        counts = {"n_picks": 2, "n_p": 1, "n_s": 1, "n_stations": 1}
        unknown = {"rms_residual_s": 0.0, "azimuthal_gap_deg": 360.0, "magnitude": np.nan, "magnitude_type": None}
        rows.append(row | counts | unknown)
    return conform(pd.DataFrame(rows), EVENTS)


def arrivals_of(*arrivals):
    """`PICKS` and `ASSIGNMENTS` from (event, station, phase, time)."""
    rows = [
        {"event_id": event, "pick_id": f"{event}.{station}.{phase}", "station": station, "phase": phase, "time": time}
        for event, station, phase, time in arrivals
    ]
    table = pd.DataFrame(rows).assign(network="XX", location="", channel="HH")
    table = table.assign(starttime=table.time, endtime=table.time, probability=1.0, amplitude_m_s=0.0, snr_db=0.0)
    table = table.assign(residual_s=0.0, distance_km=30.0, azimuth_deg=0.0)
    return conform(table, PICKS), conform(table, ASSIGNMENTS)
