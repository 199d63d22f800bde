"""The stations of a day as one digest: a job of the day runs again if it differs, not for every new inventory."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pickflow.provenance import sha256_of_bytes, sha256_of_file
from pickflow.run.layout import RESULTS

# Jobs of a day read waveforms and metadata up to an hour around it (bound of download.padding_s).
AROUND = timedelta(hours=1)
BEGIN, END = "", "9999-12-31T23:59:59"
_DIGITS = 32  # chosen: 128 bits of a digest


class Epoch(NamedTuple):
    """
    Content of the inventory that is valid in a time span.

    Parameters
    ----------
    starttime, endtime : str
        Half-open, ISO 8601 to the second, UTC, so that they sort as text; `BEGIN` and `END` are open.
    content : str
        A digest.
    """

    starttime: str
    endtime: str
    content: str

    def in_span(self, starttime: str, endtime: str) -> str | None:
        """Content and the edges that lie in a span; None outside of it."""
        if self.starttime >= endtime or self.endtime <= starttime:
            return None
        edges = (self.starttime if self.starttime > starttime else "", self.endtime if self.endtime < endtime else "")
        return "|".join([self.content, *edges])


def request_of(settings: Mapping[str, Any], span: Sequence[str]) -> dict[str, Any]:
    """
    Request of an inventory, which is valid as long as the request is the same.

    Parameters
    ----------
    settings : mapping
        Keys of the section `download` that the rule `inventory` reads. Snakemake tracks files that a run makes.
    span : sequence of str
        Of the run, where the answer depends on it.
    """
    paths = [path for path in settings["inventory"] if RESULTS not in Path(path).parents]
    files = {path: sha256_of_file(path) for path in paths if Path(path).is_file()}
    return json.loads(json.dumps({"settings": settings, "span": list(span), "files": files}))


def text(request: Mapping[str, Any], codes: Iterable[str], epochs: Iterable[Epoch]) -> str:
    """
    Content of ``inventory/epochs.json``.

    Parameters
    ----------
    request : mapping
        See `request_of`.
    codes : iterable of str
        The stations asked for.
    epochs : iterable of Epoch
        Of their places and channels.
    """
    rows = [[*epoch[:2], sha256_of_bytes(epoch.content.encode())[:_DIGITS]] for epoch in sorted(set(epochs))]
    content = {"asked": request, "stations": sorted(codes), "epochs": rows}
    return json.dumps(content, separators=(",", ":")).replace("],[", "],\n[") + "\n"


class StationsOfDays:
    """
    Stations of each day in an inventory.

    Parameters
    ----------
    content : str
        See `text`; empty or damaged: there is no inventory yet.
    request : mapping
        See `request_of`.
    """

    def __init__(self, content: str, request: Mapping[str, Any]) -> None:
        try:
            values = json.loads(content or "{}")
            self.is_current = values["asked"] == request
            self._codes = "\n".join(values["stations"])
            self._epochs = [Epoch(*epoch) for epoch in values["epochs"]]
        except (ValueError, TypeError, KeyError):
            self.is_current, self._epochs = False, []
        self._edges = sorted({edge for epoch in self._epochs for edge in epoch[:2]})
        self._digests: dict[tuple[int, int], str] = {}

    def digest(self, day: str) -> str:
        """SHA-256 of the requested stations, and of their places and channels on a day, ``YYYY-MM-DD``."""
        if not self.is_current:
            return "not known yet"
        midnight = datetime.fromisoformat(day)
        span = ((midnight - AROUND).isoformat(), (midnight + timedelta(days=1) + AROUND).isoformat())
        edges = (bisect_right(self._edges, span[0]), bisect_left(self._edges, span[1]))
        if edges not in self._digests:  # days between two changes are the same
            lines = sorted(line for epoch in self._epochs if (line := epoch.in_span(*span)) is not None)
            self._digests[edges] = hashlib.sha256("\n".join([self._codes, *lines]).encode()).hexdigest()
        return self._digests[edges]
