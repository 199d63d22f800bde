"""Collections of records: which data sets are one, or parts of one."""

from __future__ import annotations

import re

import pandas as pd

# Data sets that are one, or of which one is a part, by names in small letters: their records are the same ones.
FAMILIES = {
    "STEAD": r"stead.*|merged",
    "NCEDC": r"ncedc.*",
    "INSTANCE": r"instance.*",
    "ETHZ": r"ethz.*",
    "SCEDC": r"scedc.*|meier2019jgr|ross2018.*",
    "PNW": r"pnw.*",
    "CWA": r"cwa.*",
    "GEOFON": r"geofon.*",
    "NEIC": r"neic.*|mlaapde.*",
    "OBS": r"obs.*",
    "Iquique": r"iquique.*",
    "LenDB": r"lendb.*",
}
# Traces of STEAD are known by their names: station, network, time, and earthquake or noise.
_STEAD_TRACE = re.compile(r"\w+\.\w+_\d{14}_(EV|NO)")


def family_of(dataset: str, trace: str = "") -> str:
    """
    Name of the collection that a data set, or a trace of it, belongs to; that of the set if it is not known.

    Parameters
    ----------
    dataset : str
        Name of the set: ``stead50``, ``STEADmicro`` and ``STEAD`` are one.
    trace : str
        Name of the trace: one of STEAD is known by it, whatever the set is called.
    """
    if _STEAD_TRACE.fullmatch(trace):
        return "STEAD"
    families = (family for family, pattern in FAMILIES.items() if re.fullmatch(pattern, dataset.lower()))
    return next(families, dataset)


def families_of(table: pd.DataFrame) -> pd.Series:
    """`family_of` of each trace of a table."""
    pairs = [family_of(dataset, name) for dataset, name in zip(table.dataset, table.name, strict=True)]
    return pd.Series(pairs, index=table.index, dtype=object)
