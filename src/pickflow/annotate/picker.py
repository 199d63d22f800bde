"""A picker that is ready for records: this engine where the model allows it, SeisBench's own methods elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import obspy
from seisbench.models.base import WaveformModel

from pickflow.annotate.backends import choose_backend
from pickflow.annotate.engine import PHASES, Annotator, Pick, refusal, resolve_settings
from pickflow.annotate.segments import Segment, make_segments
from pickflow.models.preparation import prepare

logger = logging.getLogger(__name__)
SEISBENCH_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class PickerOptions:
    """What a person may say about picking; None stays as the weights say."""

    p_threshold: float | None = None
    s_threshold: float | None = None
    overlap_samples: int | None = None
    stacking: str | None = None
    batch_size: int | None = None
    backend: str = "auto"
    mode: str = "exact"
    bridge_gaps_s: float = 0.0
    grid: str = "absolute"


class TimedPick(NamedTuple):
    """A pick in time: ns since 1970."""

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
        reason = "it was asked for" if options.backend == "seisbench" else refusal(model)
        if reason:
            logger.warning("%s is annotated by SeisBench itself: %s", model.name, reason)
            return
        settings = resolve_settings(
            model,
            overlap_samples=options.overlap_samples,
            stacking=options.stacking,
            thresholds={"P": options.p_threshold, "S": options.s_threshold},
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
            return sorted(self._seisbench_picks(stream), key=_order), *self.segments(stream)
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
        Picks of many records, whose windows share batches: what a GPU wants.

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
                for pick in sorted(self._seisbench_picks(stream), key=_order):
                    yield index, pick
            return
        owners: dict[int, int] = {}
        annotator = self._annotator

        def segments() -> Iterator[Segment]:
            for index, stream in enumerate(streams):
                for segment in annotator.segments(stream)[0]:
                    owners[id(segment)] = index
                    yield segment

        for found in annotator.picks(segments()):
            yield owners[id(found.segment)], _timed(found)

    def annotate(self, stream: obspy.Stream) -> obspy.Stream:
        """Probabilities as traces ``<class>_<label>``, as SeisBench's `annotate` gives them."""
        if self._annotator is not None:
            return self._annotator.annotate(stream)
        return self._model.annotate(prepare(stream, self._model.sampling_rate)[0], **self._seisbench_arguments())

    def _seisbench_arguments(self) -> Mapping[str, float | int | str]:
        options = self._options
        arguments: dict[str, float | int | str | None] = {
            "P_threshold": options.p_threshold,
            "S_threshold": options.s_threshold,
            "overlap": options.overlap_samples,
            "stacking": options.stacking,
            "batch_size": options.batch_size or SEISBENCH_BATCH,
        }
        return {name: value for name, value in arguments.items() if value is not None}

    def _seisbench_picks(self, stream: obspy.Stream) -> Iterator[TimedPick]:
        ready, _, _ = prepare(stream, self._model.sampling_rate)
        if not ready:
            return
        for pick in self._model.classify(ready, **self._seisbench_arguments()).picks:
            if pick.phase in PHASES:
                yield TimedPick(
                    pick.phase, pick.peak_time.ns, pick.start_time.ns, pick.end_time.ns, float(pick.peak_value)
                )


def _timed(found: Pick) -> TimedPick:
    peak_ns, on_ns, off_ns = (found.segment.time_ns(index) for index in (found.peak, found.on, found.off))
    return TimedPick(found.phase, peak_ns, on_ns, off_ns, found.probability)


def _order(pick: TimedPick) -> tuple[int, str, float]:
    return pick.time_ns, pick.phase, -pick.probability
