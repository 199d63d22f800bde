"""Records as ObsPy's streams, as pickers want them."""

from __future__ import annotations

import obspy

from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ, Record


def record_stream(record: Record) -> obspy.Stream:
    """A record as a Stream that begins at 1970-01-01; missing components are left out."""
    network, _, station = record.station.partition(".")
    traces = []
    for row, component in enumerate(COMPONENTS):
        if record.samples[row].any():
            header = {"network": network, "station": station, "channel": f"HH{component}"}
            traces.append(obspy.Trace(record.samples[row], header | {"sampling_rate": SAMPLING_RATE_HZ}))
    return obspy.Stream(traces)
