"""Inputs of a gather: the waveforms of a run, and the probabilities of its pickers."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import obspy

from pickflow.annotate import Picker, PickerOptions
from pickflow.codes import code_problem, station_file
from pickflow.io.waveforms import read_stream
from pickflow.models.loading import load_model
from pickflow.run.keys import PickSetKey
from pickflow.run.layout import RunLayout
from pickflow.viewer.gather import Annotate, ReadWaveforms


def annotate_with(run: RunLayout, picks: PickSetKey, backend: str) -> Annotate | None:
    """Probabilities of the picker that made a set of picks; None for denoised waveforms, which are not kept."""
    return _picker(run.model(picks.model, picks.weights), backend).annotate if picks.signal == "none" else None


def waveforms_of(run: RunLayout) -> ReadWaveforms:
    """Reader of the waveforms that a run downloaded; it gives None for a station-day without."""
    return partial(_read_waveforms, run)


@lru_cache(maxsize=4)
def _picker(folder: Path, backend: str) -> Picker:
    return Picker(load_model(folder), PickerOptions(backend=backend), cache=folder)


@lru_cache(maxsize=64)
def _read_waveforms(run: RunLayout, network: str, station: str, date: str) -> obspy.Stream | None:
    if code_problem(network, station):  # of a reference, whose station names may be invalid
        return None
    path = station_file(run.waveforms(date), network, station)
    return read_stream(path) if path.exists() else None
