"""Tables of stations, waveforms and picks, and the ledger."""

from __future__ import annotations

import pyarrow as pa

from pickflow.schemas.table import TIME, Table

# One row for each requested station and each of its places in the inventory: a station that moves, or whose code is
# used again, has several. Files describe all times: the table is read with `pickflow.io.places.read_stations` only.
STATIONS = Table(
    "stations",
    pa.schema(
        [
            ("network", pa.string()),
            ("station", pa.string()),
            ("latitude_deg", pa.float64()),  # NaN: unknown
            ("longitude_deg", pa.float64()),
            ("elevation_m", pa.float64()),
            ("starttime", TIME),  # half-open [starttime, endtime) as in the inventory, not cut to the run; null: open
            ("endtime", TIME),
            ("remark", pa.string()),  # remark on this place, a sentence; null: none
        ]
    ),
    sort=("network", "station", "starttime"),
    key=("network", "station", "starttime"),
    optional=("starttime", "endtime", "remark"),
)

# One row for every requested station-day. `remarks` holds all codes, comma-separated, worst first; `reason` the first.
MANIFEST = Table(
    "manifest",
    pa.schema(
        [
            ("network", pa.string()),
            ("station", pa.string()),
            ("date", pa.string()),  # YYYY-MM-DD
            ("reason", pa.string()),
            ("remarks", pa.string()),
            ("detail", pa.string()),  # a sentence with the details
            ("usable", pa.bool_()),
            ("location", pa.string()),
            ("channel", pa.string()),  # band+instrument, such as HH
            ("components", pa.string()),  # such as ZNE
            ("alternatives", pa.string()),  # other location.channel sets that were not chosen
            ("sampling_rate_hz", pa.float64()),
            ("coverage", pa.float64()),  # share of the asked part of the day, 0..1
            ("n_gaps", pa.int64()),
            ("sensitivity_counts_per_unit", pa.float64()),  # per m/s or m/s2; NaN: unknown
            ("sha256", pa.string()),  # of the waveform file; empty: no file
        ]
    ),
    sort=("date", "network", "station"),
    key=("date", "network", "station"),
)

PICKS = Table(
    "picks",
    pa.schema(
        [
            ("pick_id", pa.string()),
            ("network", pa.string()),
            ("station", pa.string()),
            ("location", pa.string()),
            ("channel", pa.string()),
            ("phase", pa.string()),
            ("time", TIME),
            ("starttime", TIME),
            ("endtime", TIME),
            ("probability", pa.float64()),
            ("time_uncertainty_s", pa.float64()),  # one standard deviation; NaN: not calibrated
            ("amplitude_m_s", pa.float64()),
            ("snr_db", pa.float64()),
        ]
    ),
    sort=("time", "network", "station", "phase", "pick_id"),
    key=("pick_id",),
    optional=("time_uncertainty_s",),
)

# One row for every usable or unusable station-day of one pick set (signal, model, weights).
PICK_LEDGER = Table(
    "pick_ledger",
    pa.schema(
        [
            ("network", pa.string()),
            ("station", pa.string()),
            ("date", pa.string()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            ("n_p", pa.int64()),
            ("n_s", pa.int64()),
            ("n_artefacts", pa.int64()),  # dropped picks, with reasons in detail
        ]
    ),
    sort=("date", "network", "station"),
    key=("date", "network", "station"),
)

# The whole ledger of a run: the manifest's row, and its outcome in every later stage.
LEDGER = Table(
    "ledger",
    pa.schema(
        [
            *MANIFEST.schema,
            ("stage", pa.string()),  # where the reason arose: download, denoise, pick
            ("n_picks", pa.int64()),  # over all signals, models and weights of the run
            ("n_assigned", pa.int64()),  # over all catalogs of the run
        ]
    ),
    sort=MANIFEST.sort,
    key=MANIFEST.key,
)

# Truth of the synthetic network: one row per event, station and phase, seen or not.
TRUTH_PICKS = Table(
    "truth_picks",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("network", pa.string()),
            ("station", pa.string()),
            ("phase", pa.string()),
            ("time", TIME),
            ("snr_db", pa.float64()),  # peak of the phase over the noise's rms, 2-20 Hz
            ("recorded", pa.bool_()),  # the archive holds samples there
        ]
    ),
    sort=("time", "network", "station", "phase"),
    key=("event_id", "network", "station", "phase"),
)
