"""Tables of what a comparison with a reference finds."""

from __future__ import annotations

import pyarrow as pa

from pickflow.schemas.table import TIME, Table

MATCHES = Table(
    "matches",
    pa.schema(
        [
            ("reference_id", pa.string()),  # null: not in the reference
            ("event_id", pa.string()),  # null: missed
            ("time_error_s", pa.float64()),  # catalog - reference
            ("epicentral_error_km", pa.float64()),
            ("depth_error_km", pa.float64()),
            ("east_error_km", pa.float64()),
            ("north_error_km", pa.float64()),
            ("magnitude_error", pa.float64()),
        ]
    ),
    sort=("reference_id", "event_id"),
    key=("reference_id", "event_id"),
    optional=("east_error_km", "north_error_km", "magnitude_error"),
)

REFERENCE_PICKS = Table(
    "reference_picks",
    pa.schema(
        [
            ("reference_pick", pa.int64()),  # number of the row
            ("event_id", pa.string()),  # of the reference; empty: of no event
            ("network", pa.string()),  # empty: unknown, any network
            ("station", pa.string()),
            ("phase", pa.string()),
            ("time", TIME),
            ("distance_km", pa.float64()),
            ("magnitude", pa.float64()),  # of the event
        ]
    ),
    sort=("reference_pick",),
    key=("reference_pick",),
)

# Every pick of a pick set inside the time of the comparison, and every missed pick of the reference.
PICK_MATCHES = Table(
    "pick_matches",
    pa.schema(
        [
            ("pick_id", pa.string()),  # null: missed
            ("reference_pick", pa.int64()),  # -1: not in the reference
            # matched, confused (P and S), missed, true (but not expected), extra, unjudged; see docs/analysis.md
            ("verdict", pa.string()),
            ("network", pa.string()),
            ("station", pa.string()),
            ("phase", pa.string()),  # null: missed
            ("reference_phase", pa.string()),  # null: not in the reference
            ("time", TIME),  # of the pick, else of the reference
            ("probability", pa.float64()),
            ("time_error_s", pa.float64()),  # pick - reference
            ("reference_event_id", pa.string()),  # of a pick that the reference lacks: of the nearest one that it has
            ("distance_km", pa.float64()),  # from that event
            ("magnitude", pa.float64()),
        ]
    ),
    sort=("time", "network", "station", "pick_id", "reference_pick"),
    key=("pick_id", "reference_pick"),
)

# Precision and recall of picks or events, whole (by: all) or by groups.
SCORES = Table(
    "scores",
    pa.schema(
        [
            ("subject", pa.string()),  # picks, events
            ("phase", pa.string()),  # P, S; empty: both, or events
            ("by", pa.string()),  # all, threshold, station, distance_km, magnitude, hour, n_picks, min_n_picks
            ("bin", pa.string()),
            ("low", pa.float64()),  # edges [low, high) of a bin of numbers
            ("high", pa.float64()),
            ("n_reference", pa.int64()),
            ("n_found", pa.int64()),
            ("n_judged", pa.int64()),
            ("n_true", pa.int64()),
            ("recall", pa.float64()),  # n_found / n_reference; NaN: of nothing
            ("precision", pa.float64()),  # n_true / n_judged
            ("f1", pa.float64()),
        ]
    ),
    sort=("subject", "phase", "by", "low", "bin"),
    key=("subject", "phase", "by", "bin"),
)

MISSED_EVENTS = Table(
    "missed_events",
    pa.schema(
        [
            ("event_id", pa.string()),  # of the reference
            ("time", TIME),
            ("latitude_deg", pa.float64()),
            ("longitude_deg", pa.float64()),
            ("depth_km", pa.float64()),
            ("magnitude", pa.float64()),
            ("n_reference_picks", pa.int64()),
            ("n_picks", pa.int64()),  # of ours where its arrivals should be
            ("n_assigned", pa.int64()),  # of these, to events of ours
            ("why", pa.string()),  # no_picks, too_few_picks, other_event, located_far, not_associated
            ("other_event_id", pa.string()),  # event of ours that has most of these picks
            ("other_time_difference_s", pa.float64()),  # its origin - the reference's
            ("other_distance_km", pa.float64()),
        ]
    ),
    sort=("time", "event_id"),
    key=("event_id",),
)

NEW_EVENTS = Table(
    "new_events",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("time", TIME),
            ("latitude_deg", pa.float64()),
            ("longitude_deg", pa.float64()),
            ("depth_km", pa.float64()),
            ("magnitude", pa.float64()),
            ("n_picks", pa.int64()),
            ("n_stations", pa.int64()),
            ("rms_residual_s", pa.float64()),
            ("azimuthal_gap_deg", pa.float64()),
            ("mean_probability", pa.float64()),
            ("kind", pa.string()),  # double, displaced, like_matched, poorer
            ("reference_id", pa.string()),  # nearest in time
            ("reference_time_difference_s", pa.float64()),  # origin - the reference's
            ("reference_distance_km", pa.float64()),
        ]
    ),
    sort=("time", "event_id"),
    key=("event_id",),
)

WADATI = Table(
    "wadati",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("n_stations", pa.int64()),  # with P and S
            ("vp_vs", pa.float64()),
            ("vp_vs_uncertainty", pa.float64()),
            ("rms_s", pa.float64()),  # of S - P around the line
        ]
    ),
    sort=("event_id",),
    key=("event_id",),
)
