"""Remarks on a station-day, and how they become a row of the manifest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pickflow.schemas import REASONS


class Remark(NamedTuple):
    """A reason code of `pickflow.schemas.REASONS` and a sentence."""

    code: str
    detail: str


class Verdict(NamedTuple):
    """Columns ``reason``, ``remarks``, ``detail`` and ``usable`` of the manifest."""

    reason: str
    remarks: str
    detail: str
    usable: bool


def verdict(remarks: Iterable[Remark], has_data: bool) -> Verdict:
    """
    Sum up the remarks on a station-day.

    Parameters
    ----------
    remarks : iterable of Remark
        In any order; duplicates are dropped.
    has_data : bool
        Whether usable waveforms exist. If they do, errors of other files or servers (an empty file beside good ones, a
        second server that refused) are in the detail only.
    """
    order = list(REASONS)
    unique = sorted(set(remarks), key=lambda remark: (order.index(remark.code), remark.detail))
    codes = dict.fromkeys(remark.code for remark in unique)
    if has_data:
        codes = {code: None for code in codes if REASONS[code].usable}
    elif not any(not REASONS[code].usable for code in codes):
        codes = {"no_data": None, **codes}
    names = list(codes) or ["ok"]
    return Verdict(names[0], ",".join(names), "; ".join(remark.detail for remark in unique if remark.detail), has_data)
