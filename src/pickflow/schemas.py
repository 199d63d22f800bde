"""Tables that stages exchange: columns, types, units and order, and the reason codes of the ledger."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

TIME = pa.timestamp("ns", tz="UTC")


class Table(NamedTuple):
    """A table contract: name, Arrow schema, sort order, unique key, columns that are null (integers: 0) if absent."""

    name: str
    schema: pa.Schema
    sort: tuple[str, ...]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()


class Reason(NamedTuple):
    """Meaning of a reason code, and whether the station-day is still used."""

    meaning: str
    usable: bool


# From the worst to the harmless: the ledger names the first that holds, and lists all in `remarks`.
REASONS: dict[str, Reason] = {
    "unauthorized": Reason("the server refused access (401/403): a token or password is missing or wrong", False),
    "server_error": Reason("the server failed after all retries", False),
    "no_data": Reason("the source has no waveforms for this station and day", False),
    "empty_file": Reason("the files found are empty", False),
    "foreign_file": Reason("the files found are not waveforms that ObsPy can read, or say no station", False),
    "no_channel": Reason("no channel of the asked bands; others may exist, see detail", False),
    "gap_too_long": Reason("less of the day is covered than download.min_coverage", False),
    "dead_channel": Reason("every component is constant", False),
    "wrong_rate_unusable": Reason("the sampling rates cannot be", False),
    "download_failed": Reason("reading or judging this record failed in an unforeseen way, see the log", False),
    "denoise_failed": Reason("the denoiser failed on this record", False),
    "pick_failed": Reason("the picker failed on this record", False),
    "too_short": Reason("every piece is shorter than the model's window", True),
    "no_metadata": Reason("no coordinates in the inventory at that time: picked, but not associated", True),
    "clock_jump": Reason("the time stamps jump by a fraction of a sample, or overlapping samples contradict", True),
    "wrong_rate": Reason("the sampling rate is not the one of the inventory, or of the other components", True),
    "metadata_mismatch": Reason("the inventory contradicts the data or itself (epoch, place, angles, response)", True),
    "truncated_file": Reason("a file ends in the middle of a record; the part before was used", True),
    "damaged_file": Reason("parts of a file are damaged or no records; the rest was used", True),
    "dead_component": Reason("a component is constant and was dropped", True),
    "one_component": Reason("only one component", True),
    "two_components": Reason("only two components", True),
    "duplicate_location": Reason("several location codes or instruments; one was chosen by priority", True),
    "saturated": Reason("the recording is clipped", True),
    "step": Reason("the recording has a lasting offset", True),
    "spike": Reason("the recording has isolated spikes", True),
    "overlap": Reason("overlapping, identical samples were merged", True),
    "gap": Reason("the recording has gaps", True),
    "resampled": Reason("the record was resampled to the model's rate", True),
    "no_picks": Reason("everything worked and nothing was picked", True),
    "ok": Reason("nothing to remark", True),
}

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

# What a picker predicts on labelled records: everything above a low threshold, so that others can be chosen later.
PREDICTIONS = Table(
    "predictions",
    pa.schema(
        [
            ("record", pa.string()),  # name in LABELLED_RECORDS
            ("phase", pa.string()),  # P, S, Detection
            ("time_s", pa.float64()),  # since the record's start; of a detection its beginning
            ("end_s", pa.float64()),  # of a detection; else NaN
            ("probability", pa.float64()),
        ]
    ),
    sort=("record", "time_s", "phase"),
    key=("record", "phase", "time_s"),
    optional=("end_s",),
)

# The records that a picker was run on, and their labels; one that it could not be run on has a reason.
LABELLED_RECORDS = Table(
    "labelled_records",
    pa.schema(
        [
            ("record", pa.string()),
            ("dataset", pa.string()),
            ("station", pa.string()),  # network.station
            ("event", pa.string()),  # empty: noise, or not known
            ("kind", pa.string()),  # event, noise
            ("part", pa.string()),  # train, validation, test
            ("p_s", pa.float64()),  # manual picks since the record's start; NaN: none
            ("s_s", pa.float64()),
            ("n_samples", pa.int64()),
            ("duration_s", pa.float64()),
            ("reason", pa.string()),  # why it is left out, a code; empty: it is not
            ("detail", pa.string()),
        ]
    ),
    sort=("dataset", "record"),
    key=("record",),
    optional=("reason", "detail"),
)

# A picker as an implicit model, and what becomes of its picks when weights are eliminated.
_OF_STUDENT = [
    ("form", pa.string()),  # whole: rows with weights of their own; layers: rows that share them
    ("model", pa.string()),
    ("weights", pa.string()),
    ("penalty", pa.string()),  # element, group; none: the teacher
    ("bound", pa.string()),  # of the rows of A: none, everywhere
    ("ratio", pa.float64()),  # penalty over the one that empties a row; 0: the teacher
]
IMPLICIT_SCORES = Table(
    "implicit_scores",
    pa.schema(
        [
            *_OF_STUDENT,
            ("method", pa.string()),  # teacher, lasso, magnitude
            ("refit", pa.bool_()),  # the weights that are left were fitted again
            ("n_weights", pa.int64()),
            ("n_nonzero", pa.int64()),
            ("data", pa.string()),  # synthetic, or the name of a labelled set
            ("perturbation", pa.string()),  # none, noise, gain, dropout, gap_s
            ("level", pa.float64()),
            ("phase", pa.string()),
            ("threshold", pa.float64()),
            ("n_arrivals", pa.int64()),
            ("n_picks", pa.int64()),
            ("f1", pa.float64()),  # within 0.3 s; intervals of 95 %
            ("f1_low", pa.float64()),
            ("f1_high", pa.float64()),
            ("difference", pa.float64()),  # to the teacher, after the same perturbation
            ("difference_low", pa.float64()),
            ("difference_high", pa.float64()),
            ("agreement", pa.float64()),  # F1 against the teacher's picks
        ]
    ),
    sort=(
        *("form", "model", "weights", "data", "perturbation", "level"),
        *("method", "penalty", "bound", "refit", "ratio", "phase"),
    ),
    key=(
        *("form", "model", "weights", "data", "perturbation", "level"),
        *("method", "penalty", "bound", "refit", "ratio", "phase"),
    ),
)

IMPLICIT_FITS = Table(
    "implicit_fits",
    pa.schema(
        [
            *_OF_STUDENT,
            ("place", pa.int64()),  # order of the layers
            ("layer", pa.string()),
            ("n_problems", pa.int64()),
            ("n_weights", pa.int64()),
            ("n_nonzero", pa.int64()),
            ("n_features", pa.int64()),  # weights, or groups of them
            ("n_zero", pa.int64()),
            ("n_screened_safe", pa.int64()),  # proved to be zero by the rule
            ("n_screened_gap", pa.int64()),
            ("n_checked", pa.int64()),  # problems that were solved again without screening
            ("n_false", pa.int64()),  # screened, and not zero in that solution
            ("largest_difference", pa.float64()),  # of coefficients
            ("duality_gap", pa.float64()),  # largest, over the variance of the targets
            ("lost", pa.float64()),  # share of the variance of the teacher's pre-activations
        ]
    ),
    sort=("form", "model", "weights", "place"),
    key=("form", "model", "weights", "place"),
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


def worst_reason(reasons: list[str]) -> str:
    """
    Worst of several reason codes (``ok`` if there are none).

    Raises
    ------
    ValueError
        If a code is not in `REASONS`.
    """
    unknown = [reason for reason in reasons if reason not in REASONS]
    if unknown:
        raise ValueError(f"unknown reason code {unknown[0]!r}; known: {', '.join(REASONS)}")
    order = list(REASONS)
    return min(reasons, key=order.index, default="ok")


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

# Why an event has a magnitude of a station, or none; `usable` is whether it has one.
AMPLITUDE_REASONS: dict[str, Reason] = {
    "no_coordinates": Reason("the station has no coordinates in the inventory", False),
    "no_waveform": Reason("the station-day has no waveforms; the manifest says why", False),
    "one_component": Reason("there is no horizontal component, or only one", False),
    "no_response": Reason("the inventory has neither response nor sensitivity of a horizontal channel", False),
    "gap": Reason("samples are missing between the noise and the end of the window", False),
    "overlapping": Reason("waves of the next or an earlier event lie in the window", False),
    "clipped": Reason("the record is clipped inside the window", False),
    "low_snr": Reason("the signal does not stand out of the noise before P", False),
    "distance": Reason("the law does not reach so near or so far; the amplitude is given", False),
    "cut": Reason("the window was cut where the next event arrives, after the S waves", True),
    "metadata_mismatch": Reason("the response contradicts the sensitivity, which was taken, as flat", True),
    "flat_response": Reason("only the sensitivity is known: the response is taken as flat", True),
    "ok": Reason("nothing to remark", True),
}
