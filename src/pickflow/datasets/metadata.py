"""What the metadata of a set in SeisBench's format say of its traces, in one form for all sets."""

from __future__ import annotations

import re
from functools import reduce
from pathlib import Path

import pandas as pd

# Our columns, and those of sets from which they are taken: the first with a value counts. The names are those of
# SeisBench, of older versions of it, and of STEAD and INSTANCE as their authors publish them.
TEXTS = {
    "place": ("trace_name",),
    "original_name": ("trace_name_original",),
    "network": ("station_network_code", "network_code", "station_network"),
    "code": ("station_code", "receiver_code", "station_name"),
    "location": ("station_location_code", "location_code"),
    "channel": ("trace_channel", "receiver_type"),
    "event": ("source_id", "source_event_id", "event_id", "source_public_id", "ev_id"),
    "origin_time": ("source_origin_time", "origin_time"),
    "start_time": ("trace_start_time",),
    "category": ("trace_category", "trace_type"),
    "split": ("split", "trace_split"),
    "components": ("trace_component_order",),
}
NUMBERS = {
    "rate_hz": ("trace_sampling_rate_hz", "sampling_rate_hz", "sampling_rate"),
    "interval_s": ("trace_dt_s", "trace_dt"),
    "n_stored": ("trace_npts",),
    "magnitude": ("source_magnitude", "source_mag"),
    "distance_km": ("path_ep_distance_km", "path_hyp_distance_km", "source_distance_km", "path_distance_km"),
}
# First arrivals of each phase, under the names of SeisBench's sets, in small letters.
ARRIVALS = {
    "p": re.compile(r"(trace_)?(p|p1|pg|pn|pb)_arrival_sample"),
    "s": re.compile(r"(trace_)?(s|s1|sg|sn|sb)_arrival_sample"),
}
_NOTHING = ("", "nan", "none", "null", "<na>", "nat")
_KNOWN = {name for names in (*TEXTS.values(), *NUMBERS.values()) for name in names}


def read_metadata(path: str | Path) -> pd.DataFrame:
    """
    Read the metadata of a set, or of a chunk of it.

    Parameters
    ----------
    path : str or Path
        The CSV file. Small and capital letters of its columns are one.

    Returns
    -------
    DataFrame
        The columns of `TEXTS` (str, empty where nothing is said), of `NUMBERS` (float, NaN where nothing is said),
        and ``p`` and ``s``, the first arrivals in samples of the trace as it is stored.

    Raises
    ------
    ValueError
        If it cannot be read as a table, or names no trace.
    """
    try:
        # Lines that are longer than the first do not make an index of the first column.
        raw = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            usecols=_is_known,
            index_col=False,
            encoding_errors="replace",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, OSError, ValueError) as error:
        raise ValueError(f"{path}: no table ({error}); is the file whole, and a CSV?") from error
    raw = raw.fillna("")  # lines that are too short
    columns: dict[str, list[pd.Series]] = {}
    for position, name in enumerate(raw.columns):
        columns.setdefault(_plain(name), []).append(raw.iloc[:, position])
    if "trace_name" not in columns:
        raise ValueError(f"{path}: no column trace_name, by which waveforms are found")
    if raw.empty:
        raise ValueError(f"{path}: it names no trace")
    frame = pd.DataFrame(index=pd.RangeIndex(len(raw)))
    for name, sources in TEXTS.items():
        frame[name] = _first([column for source in sources for column in columns.get(source, [])], frame.index)
    for name, sources in NUMBERS.items():
        frame[name] = _numbers(
            _first([column for source in sources for column in columns.get(source, [])], frame.index)
        )
    for name, pattern in ARRIVALS.items():
        arrivals = [_numbers(column) for source in columns if pattern.fullmatch(source) for column in columns[source]]
        frame[name] = pd.concat(arrivals, axis=1).min(axis=1) if arrivals else float("nan")
    return frame


def _plain(name: str) -> str:
    return str(name).strip().lower()


def _is_known(name: str) -> bool:
    return _plain(name) in _KNOWN or any(pattern.fullmatch(_plain(name)) for pattern in ARRIVALS.values())


def _first(columns: list[pd.Series], index: pd.Index) -> pd.Series:
    """First text of each row that says something."""
    cleaned = [column.str.strip().mask(column.str.strip().str.lower().isin(_NOTHING), "") for column in columns]
    return reduce(
        lambda column, column_after: column.mask(column == "", column_after),
        cleaned,
        pd.Series("", index=index, dtype=object),
    )


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce").astype(float)
