"""Section ``report`` of a configuration."""

from __future__ import annotations

from typing import ClassVar

from pickflow.run.settings.section import Number, Section, Whole, key


class GatherParams(Section):
    """Which events the report shows with waveforms, and how."""

    AFFECTS: ClassVar = ("report",)

    n_best: Whole = key(2, "Number of events with the most picks that are shown with waveforms; 0 for none.", ge=0)
    n_worst: Whole = key(
        2, "Number of events of each bad kind (largest error, missed, not in the reference) shown with waveforms.", ge=0
    )
    n_stations: Whole = key(10, "Largest number of stations in one of these figures, the nearest first.", ge=1, le=30)
    margin_s: Number = key(
        4.0,
        "Time shown before the origin, in s; twice as much is shown after the S wave at the farthest station.",
        gt=0,
    )
    context_s: Number = key(
        40.0,
        "Time around the shown part, in s, that the picker gets to see in addition; at least half of its window.",
        ge=0,
    )
    highpass_hz: Number = key(1.0, "Corner frequency, in Hz, of the high-pass filter of the drawn waveforms.", gt=0)
