"""A picker that is ready for records: this engine where the model allows it, SeisBench's own methods elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import obspy
from seisbench.models.base import WaveformModel

from pickflow.annotate.backends import choose_backend
from pickflow.annotate.engine import DETECTION, PHASES, Annotator, Pick, refusal, resolve_settings
from pickflow.annotate.segments import Segment, make_segments
from pickflow.sampling.timeline import NS_PER_S, timed_traces

logger = logging.getLogger(__name__)
SEISBENCH_BATCH = 16  # for memory; SeisBench's default is 256


@dataclass(frozen=True, kw_only=True)
class PickerOptions:
    """Options of a user; None takes the value stored with the weights, and no detections."""

    p_threshold: float | None = None
    s_threshold: float | None = None
    detection_threshold: float | None = None
    overlap_samples: int | None = None
    stacking: str | None = None
    batch_size: int | None = None
    backend: str = "auto"
    mode: str = "exact"
    bridge_gaps_s: float = 0.0
    grid: str = "absolute"


class TimedPick(NamedTuple):
    """A pick or detection in time: ns since 1970; ``time_ns`` is that of the largest probability."""

    phase: str
    time_ns: int
    starttime_ns: int
    endtime_ns: int
    probability: float


class Picker:
    """
    A model and its options.

    Parameters
    ----------
    model : WaveformModel
        SeisBench's or ours, in evaluation mode, on its device.
    options : PickerOptions
        The backend ``seisbench`` takes SeisBench's own `classify` and `annotate` for any model; models that this engine
        cannot handle take it always, with a warning.
    cache : Path or None
        Folder for exported networks.
    """

    def __init__(self, model: WaveformModel, options: PickerOptions, cache: Path | None = None):
        self._model, self._options = model, options
        self._annotator: Annotator | None = None
        self.backend = "seisbench"
        reason = "as requested" if options.backend == "seisbench" else refusal(model)
        if reason:
            logger.warning("%s is annotated by SeisBench itself: %s", model.name, reason)
            return
        settings = resolve_settings(
            model,
            overlap_samples=options.overlap_samples,
            stacking=options.stacking,
            thresholds={"P": options.p_threshold, "S": options.s_threshold, DETECTION: options.detection_threshold},
            grid=options.grid,
            bridge_s=options.bridge_gaps_s,
        )
        backend = choose_backend(model, options.backend, options.mode, cache)
        self.backend = backend.name
        self._annotator = Annotator(model, settings, backend, options.batch_size)

    @property
    def in_samples(self) -> int | None:
        """Length of a window."""
        return self._model.in_samples

    @property
    def component_order(self) -> str:
        """Of the segments that `pick` returns."""
        return self._annotator.component_order if self._annotator else "ZNE"

    def pick(self, stream: obspy.Stream) -> tuple[list[TimedPick], list[Segment], list[str]]:
        """
        Picks of one instrument of one station, in order of time.

        Parameters
        ----------
        stream : Stream
            Gaps are separate traces.

        Returns
        -------
        picks : list of TimedPick
        segments : list of Segment
            The record as it was recorded, but at the model's rate, to measure picks on.
        rates : list of str
            What was resampled.
        """
        if self._annotator is None:
            segments, rates = self.segments(stream)
            return sorted(self._seisbench_picks(segments), key=_order), segments, rates
        segments, rates = self._annotator.segments(stream)
        picks = sorted(map(_timed, self._annotator.picks(segments)), key=_order)
        if self._annotator.filters and picks:
            segments, _ = self.segments(stream)
        return picks, segments, rates

    def segments(self, stream: obspy.Stream) -> tuple[list[Segment], list[str]]:
        """The record as it was recorded, at the model's rate, and what was resampled; see `pick`."""
        bridge_s = self._options.bridge_gaps_s if self._annotator else 0.0
        return make_segments(stream, self.component_order, self._model.sampling_rate, bridge_s)

    def pick_many(self, streams: Iterable[obspy.Stream]) -> Iterator[tuple[int, TimedPick]]:
        """
        Picks of many records, whose windows share batches, so that a GPU is busy.

        Parameters
        ----------
        streams : iterable of Stream
            One instrument of one station each; consumed lazily.

        Yields
        ------
        index : int
            Number of the stream.
        pick : TimedPick
        """
        if self._annotator is None:
            for index, stream in enumerate(streams):
                for pick in sorted(self._seisbench_picks(self.segments(stream)[0]), key=_order):
                    yield index, pick
            return
        stream_indices: dict[int, int] = {}
        annotator = self._annotator

        def segments() -> Iterator[Segment]:
            for index, stream in enumerate(streams):
                for segment in annotator.segments(stream)[0]:
                    stream_indices[id(segment)] = index
                    yield segment

        for sample_pick in annotator.picks(segments()):
            yield stream_indices[id(sample_pick.segment)], _timed(sample_pick)

    def annotate(self, stream: obspy.Stream) -> obspy.Stream:
        """Probabilities as traces ``<class>_<label>``, as SeisBench's `annotate` gives them."""
        if self._annotator is not None:
            return self._annotator.annotate(stream)
        annotations = obspy.Stream()
        for segment in self.segments(stream)[0]:
            record = seisbench_stream(segment, self.component_order)
            for trace in self._model.annotate(record, **self._seisbench_arguments()):
                header = {name: stream[0].stats[name] for name in ("network", "station", "location")}
                header["channel"] = trace.stats.channel
                first = (trace.stats.starttime.ns - segment.start_ns) * segment.rate_hz / NS_PER_S
                step = segment.rate_hz / trace.stats.sampling_rate
                annotations.traces += timed_traces(trace.data, segment.timeline, header, first, step)
        return annotations

    def _seisbench_arguments(self) -> Mapping[str, float | int | str]:
        options = self._options
        arguments: dict[str, float | int | str | None] = {
            "P_threshold": options.p_threshold,
            "S_threshold": options.s_threshold,
            "detection_threshold": options.detection_threshold,
            "overlap": options.overlap_samples,
            "stacking": options.stacking,
            "batch_size": options.batch_size or SEISBENCH_BATCH,
        }
        return {name: value for name, value in arguments.items() if value is not None}

    def _seisbench_picks(self, segments: Iterable[Segment]) -> Iterator[TimedPick]:
        # One by one: at the model's rate, segments with slow clocks would overlap the next segment.
        for segment in segments:
            record = seisbench_stream(segment, self.component_order)
            output = self._model.classify(record, **self._seisbench_arguments())
            times = [
                (pick.phase, pick.peak_time, pick.start_time, pick.end_time, pick.peak_value)
                for pick in output.picks
                if pick.phase in PHASES
            ]
            if self._options.detection_threshold is not None:
                times += [
                    (DETECTION, detection.start_time, detection.start_time, detection.end_time, detection.peak_value)
                    for detection in getattr(output, "detections", [])
                ]
            for phase, *moments, value in times:
                peak_ns, on_ns, off_ns = (
                    segment.time_ns((time.ns - segment.start_ns) * segment.rate_hz / NS_PER_S) for time in moments
                )
                yield TimedPick(phase, peak_ns, on_ns, off_ns, float(value))


def seisbench_stream(segment: Segment, component_order: str) -> obspy.Stream:
    """
    A segment for SeisBench: float64, stamped with the model's rate from its first sample on.

    It is scaled so that its median deviation is 1: pickers add small constants to what they divide by, and go blind on
    records in SI units.
    """
    named = zip(component_order, segment.components, strict=True)
    components = {letter: np.asarray(samples[:], dtype=np.float64) for letter, samples in named if samples is not None}
    centred = {letter: samples - np.median(samples) for letter, samples in components.items()}
    deviations = np.concatenate([np.abs(samples) for samples in centred.values()])
    scale = float(np.median(deviations)) or float(deviations.max()) or 1.0
    header = {"starttime": obspy.UTCDateTime(ns=segment.start_ns), "sampling_rate": segment.rate_hz}
    return obspy.Stream(
        obspy.Trace(samples / scale, {**header, "channel": f"HH{letter}"}) for letter, samples in centred.items()
    )


def _timed(pick: Pick) -> TimedPick:
    peak_ns, on_ns, off_ns = (pick.segment.time_ns(index) for index in (pick.peak, pick.on, pick.off))
    return TimedPick(pick.phase, peak_ns, on_ns, off_ns, pick.probability)


def _order(pick: TimedPick) -> tuple[int, str, float]:
    return pick.time_ns, pick.phase, -pick.probability
