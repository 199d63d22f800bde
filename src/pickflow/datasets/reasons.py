"""Why a trace, or a label of it, is not used."""

from __future__ import annotations

from typing import NamedTuple

REASONS = {
    "file_missing": "the metadata name traces of a chunk whose waveforms are not there, or the other way round",
    "file_damaged": "the file with the waveforms, or the metadata, cannot be opened",
    "trace_missing": "the file does not hold the array or the row that the metadata name",
    "duplicate": "the same trace is in the set before",
    "no_rate": "no sampling rate is said, or one that cannot be",
    "no_components": "which components are stored is not said, or does not fit what is stored",
    "too_short": "less than 1 s long",
    "no_label": "an earthquake whose P and S are both unknown or outside of the trace",
    "s_before_p": "S is not after P",
    "label_in_noise": "called noise, and has an arrival",
    "parts_differ": "its event belongs to one part and its station to another",
    "no_part": "the set's own split does not say to which part it belongs",
    "unreadable": "its samples, or its probabilities, are damaged in the file",
    "not_finite": "samples inside are NaN or infinite",
    "no_signal": "all samples of a component are the same, of every component",
    "other_event": "another event of the catalog arrives in the window",
    "no_waveform": "the run has no waveform of the window, or not all of it",
    "p_outside": "P lies outside of the trace: the trace is used without it",
    "s_outside": "S lies outside of the trace: the trace is used without it",
}
LABELS_ONLY = ("p_outside", "s_outside")


class Refusal(NamedTuple):
    """Why a trace is not used: a key of `REASONS`, and what is particular."""

    reason: str
    detail: str
