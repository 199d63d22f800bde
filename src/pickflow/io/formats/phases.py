"""Which names of phases stand for P and which for S."""

from __future__ import annotations

import re

from pickflow.io.formats.bulletin import MEASUREMENT, NotUsedError

# P and S, first or of crust and mantle (Pg, Pn, Pb, P*, P1); small letters alone, as pickers write them; and as cards
# have them, with onset before, and first motion and weight behind: IPU0, EP, ES 2.
_NAME = re.compile(r"[ps]|[PS][gnbGNB*1]?|[IEie][ ]?([PS])[gnb*1]?[ ]?[UDCRudcr+-]?[ ]?[0-4]?")

# Names in the column of phases that are none: amplitudes (IASPEI's names, SEISAN's, ISC's), back azimuths, ends.
_MEASUREMENT = re.compile(r"I?A(M\w*)?|IV\w*|PG[AVD]|BAZ.*|END|MSG", re.IGNORECASE)


def phase_of(hint: str) -> str:
    """
    P or S of Pg, Pn, S1, IPU0, …

    Other phases are neither, though they begin with these letters: pP, PKP, PcP, Pdif, SKS, ScP, SS, …

    Parameters
    ----------
    hint : str
        Name as written; capital and small letters differ.

    Returns
    -------
    str

    Raises
    ------
    NotUsedError
        If it is an amplitude or the like.
    ValueError
        If it is another phase.
    """
    name = _NAME.fullmatch(hint.strip())
    if name is None and _MEASUREMENT.fullmatch(hint.strip()):
        raise NotUsedError(MEASUREMENT, "amplitude")
    if name is None:
        raise ValueError(f"phase {hint!r} is neither P nor S")
    return (name.group(1) or name.group()[0]).upper()
