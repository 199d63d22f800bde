"""From records to probabilities and picks, streaming."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import obspy
import seisbench.models
from seisbench.models.base import WaveformModel

from pickflow.annotate.backends import Backend
from pickflow.annotate.cutting import GRIDS, cut, window_starts
from pickflow.annotate.filtering import make_filter
from pickflow.annotate.segments import Segment, make_segments
from pickflow.annotate.stacking import Stack
from pickflow.annotate.triggers import Trigger
from pickflow.models.seisbench_internals import annotate_defaults, groups_by_instrument
from pickflow.sampling.timeline import timed_traces

PHASES = ("P", "S")
DETECTION = "Detection"  # of an earthquake, by pickers that have such a label
# Chosen: samples leave the stack in blocks of this size; work on long arrays is fast, and memory stays small.
FLUSH_SAMPLES = 60_000
# A model that overrides one of these methods needs SeisBench's own windows, stacks and triggers.
_SEISBENCH_METHODS = (
    "annotate_stream_pre",
    "stream_to_array",
    "_cut_fragments_array",
    "_get_in_pred_samples",
    "_predict_windows",
    "_stack_predictions_array_ext",
    "_predictions_to_stream",
    "picks_from_annotations",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a record is annotated; `resolve_settings` takes defaults from the weights."""

    step: int  # samples between neighbouring windows
    blinding: tuple[int, int]
    stacking: str
    thresholds: Mapping[str, float]
    grid: str = "absolute"
    bridge_s: float = 0.0


class Pick(NamedTuple):
    """A pick; samples are counted in its segment."""

    segment: Segment
    phase: str
    peak: int
    on: int
    off: int
    probability: float


def refusal(model: WaveformModel) -> str | None:
    """Why a model cannot go through this engine, but only through SeisBench's own `annotate`; None if it can."""
    if model.output_type != "array":
        return f"it predicts a {model.output_type} for a window, not one value for each sample"
    if not isinstance(model.component_order, str) or not model.in_samples or not model.sampling_rate:
        return "components, window or sampling rate are not fixed"
    if isinstance(model.labels, str | list | tuple) is False:
        return "its labels are not a list"
    predicted = model.pred_sample if isinstance(model.pred_sample, tuple | list) else (0, model.pred_sample)
    if tuple(predicted) != (0, model.in_samples):
        return f"it predicts the samples {tuple(predicted)} of a window of {model.in_samples}"
    if not groups_by_instrument(model) or model.allow_padding:
        return "it groups or pads stations in its own way"
    if isinstance(model.filter_args, dict):
        return "its weights filter channels in different ways"
    overrides = [name for name in _SEISBENCH_METHODS if getattr(type(model), name) is not getattr(WaveformModel, name)]
    return f"{type(model).__name__} has its own {', '.join(overrides)}" if overrides else None


def resolve_settings(
    model: WaveformModel,
    *,
    overlap_samples: int | None = None,
    stacking: str | None = None,
    blinding: tuple[int, int] | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    grid: str = "absolute",
    bridge_s: float = 0.0,
) -> Settings:
    """
    Settings for a model: the argument, else the value stored with the weights, else the default of its class.

    Detections are triggered only if ``thresholds`` has one for them.

    Raises
    ------
    ValueError
        If the windows overlap by a window or more, or the grid is unknown.
    """
    defaults = annotate_defaults(model)
    overlap = defaults["overlap"] if overlap_samples is None else overlap_samples
    overlap = int(overlap * model.in_samples) if 0 < overlap < 1 else int(overlap)
    if not 0 <= overlap < model.in_samples:
        raise ValueError(f"overlap {overlap}: {model.name} has windows of {model.in_samples} samples; overlap by less")
    if grid not in GRIDS:
        raise ValueError(f"grid {grid!r} is not one of {', '.join(GRIDS)}")
    phase_thresholds = thresholds or {}
    by_phase = {}
    detections = [DETECTION] if phase_thresholds.get(DETECTION) is not None else []
    for phase in [label for label in model.labels if label in (*PHASES, *detections)]:
        default = defaults.get(f"{phase}_threshold", defaults.get("*_threshold", 0.3))
        value = phase_thresholds.get(phase)
        by_phase[phase] = float(default if value is None else value)
    return Settings(
        step=model.in_samples - overlap,
        blinding=tuple(blinding or defaults.get("blinding", (0, 0))),  # type: ignore[arg-type]
        stacking=stacking or defaults["stacking"],
        thresholds=by_phase,
        grid=grid,
        bridge_s=bridge_s,
    )


class Annotator:
    """
    A model with its settings and backend.

    Parameters
    ----------
    model : WaveformModel
        One for which `refusal` returns None.
    settings : Settings
        From `resolve_settings`.
    backend : Backend
        From `choose_backend`.
    batch_size : int or None
        Windows per forward pass; None takes the backend's.

    Raises
    ------
    ValueError
        If the model cannot go through this engine.
    """

    def __init__(
        self,
        model: seisbench.models.WaveformModel,
        settings: Settings,
        backend: Backend,
        batch_size: int | None = None,
    ):
        reason = refusal(model)
        if reason:
            raise ValueError(f"{model.name} cannot be annotated by this engine: {reason}")
        self.labels = list(model.labels)
        self.in_samples = int(model.in_samples)
        self.rate_hz = float(model.sampling_rate)
        self.component_order = str(model.component_order)
        self.name = type(model).__name__
        self.settings, self.backend = settings, backend
        self._filtered = make_filter(model.filter_args, model.filter_kwargs)
        self._batch_size = batch_size or backend.batch_size

    @property
    def filters(self) -> bool:
        """Whether the weights define a filter, so that `segments` are not as recorded."""
        return self._filtered is not None

    def segments(self, stream: Iterable[obspy.Trace]) -> tuple[list[Segment], list[str]]:
        """`make_segments` with this model's components, rate and filter."""
        return make_segments(stream, self.component_order, self.rate_hz, self.settings.bridge_s, self._filtered)

    def probabilities(self, segments: Iterable[Segment]) -> Iterator[tuple[Segment, int, np.ndarray, bool]]:
        """
        Stacked probabilities, piece by piece; windows of several segments, even stations, share a batch.

        Parameters
        ----------
        segments : iterable of Segment
            In any order; consumed lazily. Those shorter than a window give nothing.

        Yields
        ------
        segment : Segment
        first : int
            First sample of the values.
        values : ndarray of float32, shape (n_labels, n_samples)
            NaN where blinded. The pieces of a segment are contiguous.
        last : bool
            Whether the segment ends with them.
        """
        batch: list[tuple[Segment, int, int]] = []  # segment, start, samples finished after it (-1: all)
        stack: Stack | None = None
        for segment in segments:
            starts = window_starts(segment, self.in_samples, self.settings.step, self.settings.grid).tolist()
            for start, next_start in zip(starts, [*starts[1:], -1][: len(starts)], strict=True):
                batch.append((segment, start, next_start))
                if len(batch) == self._batch_size:
                    stack = yield from self._stack(batch, stack)
                    batch = []
        if batch:
            yield from self._stack(batch, stack)

    def _stack(
        self, batch: list[tuple[Segment, int, int]], stack: Stack | None
    ) -> Generator[tuple[Segment, int, np.ndarray, bool], None, Stack | None]:
        """Predict a batch and yield the finished samples; returns the stack of the last segment if it continues."""
        probabilities = self.backend.predict([cut(segment, start, self.in_samples) for segment, start, _ in batch])
        for (segment, start, next_start), window in zip(batch, probabilities, strict=True):
            if stack is None:
                settings = self.settings
                stack = Stack(len(self.labels), self.in_samples, settings.stacking, settings.blinding)
            stack.add(start, window)
            if next_start < 0:
                yield segment, *stack.take(segment.n_samples), True
                stack = None
            elif next_start + self.settings.blinding[0] - stack.first >= FLUSH_SAMPLES:
                yield segment, *stack.take(next_start + self.settings.blinding[0]), False
        return stack

    def picks(self, segments: Iterable[Segment]) -> Iterator[Pick]:
        """
        Picks of P and S, in order of time within a segment and phase.

        Parameters
        ----------
        segments : iterable of Segment
            See `probabilities`.
        """
        triggers: dict[str, Trigger] = {}
        for segment, first, values, last in self.probabilities(segments):
            triggers = triggers or {phase: Trigger(value) for phase, value in self.settings.thresholds.items()}
            for phase, trigger in triggers.items():
                stretches = trigger.feed(first, values[self.labels.index(phase)])
                for stretch in stretches + (trigger.flush() if last else []):
                    yield Pick(segment, phase, stretch.peak, stretch.on, stretch.off, stretch.value)
            if last:
                triggers = {}

    def annotate(self, stream: obspy.Stream) -> obspy.Stream:
        """
        Probabilities as traces, as SeisBench's `annotate` gives them: ``<class>_<label>``, without blinded ends.

        They have the times of the record's samples, and a trace for each of its clocks.

        Parameters
        ----------
        stream : Stream
            One instrument of one station.
        """
        annotations = obspy.Stream()
        pieces: list[np.ndarray] = []
        for segment, _, values, last in self.probabilities(self.segments(stream)[0]):
            pieces.append(values)
            if last:
                annotations.traces += self._traces(segment, np.concatenate(pieces, axis=1), stream[0].stats)
                pieces = []
        return annotations

    def _traces(self, segment: Segment, values: np.ndarray, codes: Mapping[str, Any]) -> list[obspy.Trace]:
        valid = np.flatnonzero(~np.isnan(values[0]))
        if not valid.size:
            return []
        begin, end = int(valid[0]), int(valid[-1]) + 1
        header = {name: codes[name] for name in ("network", "station", "location")}
        return [
            trace
            for index, label in enumerate(self.labels)
            for trace in timed_traces(
                values[index, begin:end], segment.timeline, header | {"channel": f"{self.name}_{label}"}, begin
            )
        ]
