"""Tables of a catalog, and its files."""

from __future__ import annotations

import pyarrow as pa

from pickflow.schemas.table import TIME, Table

EVENTS = Table(
    "events",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("time", TIME),
            ("latitude_deg", pa.float64()),
            ("longitude_deg", pa.float64()),
            ("depth_km", pa.float64()),
            ("n_picks", pa.int64()),
            ("n_p", pa.int64()),
            ("n_s", pa.int64()),
            ("n_stations", pa.int64()),
            ("rms_residual_s", pa.float64()),
            ("azimuthal_gap_deg", pa.float64()),
            ("magnitude", pa.float64()),  # NaN: unknown
            ("magnitude_type", pa.string()),
            # Of one standard deviation (68 %); NaN: unknown. Horizontal: the long half axis of the ellipse.
            ("time_uncertainty_s", pa.float64()),
            ("horizontal_uncertainty_km", pa.float64()),
            ("depth_uncertainty_km", pa.float64()),
            ("quality", pa.string()),  # A, B, C or D, see docs/location.md; null: unknown
            ("magnitude_uncertainty", pa.float64()),  # of the network's median
            ("n_magnitude_stations", pa.int64()),
        ]
    ),
    sort=("time", "event_id"),
    key=("event_id",),
    optional=(
        "time_uncertainty_s",
        "horizontal_uncertainty_km",
        "depth_uncertainty_km",
        "quality",
        "magnitude_uncertainty",
        "n_magnitude_stations",
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("pick_id", pa.string()),
            ("residual_s", pa.float64()),  # observed - predicted
            ("distance_km", pa.float64()),
            ("azimuth_deg", pa.float64()),  # event to station
        ]
    ),
    sort=("event_id", "pick_id"),
    key=("event_id", "pick_id"),
)

# Correction of the predicted travel time at a station, estimated from the residuals of a catalog.
STATION_CORRECTIONS = Table(
    "station_corrections",
    pa.schema(
        [
            ("network", pa.string()),
            ("station", pa.string()),
            ("phase", pa.string()),
            ("correction_s", pa.float64()),
            ("mad_s", pa.float64()),  # median absolute deviation of the residuals around it
            ("n_picks", pa.int64()),
        ]
    ),
    sort=("network", "station", "phase"),
    key=("network", "station", "phase"),
)

# One row for each event and station with an arrival: its Wood-Anderson amplitude, or the reason why there is none.
AMPLITUDES = Table(
    "amplitudes",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("network", pa.string()),
            ("station", pa.string()),
            ("location", pa.string()),
            ("channel", pa.string()),  # band+instrument, such as HH
            ("amplitude_mm", pa.float64()),  # geometric mean of the horizontal peaks; NaN: see reason
            ("snr_db", pa.float64()),
            ("hypocentral_distance_km", pa.float64()),
            ("magnitude", pa.float64()),  # of this station
            ("reason", pa.string()),  # of AMPLITUDE_REASONS
        ]
    ),
    sort=("event_id", "network", "station"),
    key=("event_id", "network", "station"),
)

# Where a catalog of each format is written to, in the folder of the catalog.
CATALOG_FILE = {
    "csv": "catalog.csv",
    "quakeml": "catalog.quakeml",
    "scml": "catalog.scml",
    "nonlinloc": "catalog.obs",
    "hypodd": "catalog.pha",
    "nordic": "catalog.nordic",
    "pyrocko": "catalog.markers",
}
