"""Tables that stages exchange: columns, types, units and order, and the reason codes of the ledger."""

from __future__ import annotations

from pickflow.schemas.catalog import AMPLITUDES, ASSIGNMENTS, CATALOG_FILE, EVENTS, STATION_CORRECTIONS
from pickflow.schemas.comparison import (
    MATCHES,
    MISSED_EVENTS,
    NEW_EVENTS,
    PICK_MATCHES,
    REFERENCE_PICKS,
    SCORES,
    WADATI,
)
from pickflow.schemas.experiments import IMPLICIT_FITS, IMPLICIT_SCORES, LABELLED_RECORDS, PREDICTIONS
from pickflow.schemas.reasons import AMPLITUDE_REASONS, REASONS, Reason, worst_reason
from pickflow.schemas.records import LEDGER, MANIFEST, PICK_LEDGER, PICKS, STATIONS, TRUTH_PICKS
from pickflow.schemas.table import TIME, Table

__all__ = [
    "AMPLITUDES",
    "AMPLITUDE_REASONS",
    "ASSIGNMENTS",
    "CATALOG_FILE",
    "EVENTS",
    "IMPLICIT_FITS",
    "IMPLICIT_SCORES",
    "LABELLED_RECORDS",
    "LEDGER",
    "MANIFEST",
    "MATCHES",
    "MISSED_EVENTS",
    "NEW_EVENTS",
    "PICKS",
    "PICK_LEDGER",
    "PICK_MATCHES",
    "PREDICTIONS",
    "REASONS",
    "REFERENCE_PICKS",
    "SCORES",
    "STATIONS",
    "STATION_CORRECTIONS",
    "TIME",
    "TRUTH_PICKS",
    "WADATI",
    "Reason",
    "Table",
    "worst_reason",
]
