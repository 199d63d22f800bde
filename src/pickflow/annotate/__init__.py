"""
The engine: window, normalise, predict, stack, trigger; streaming, and equal to SeisBench's `annotate` and `classify`.

Read in this order: `segments` (records as arrays on one sample grid), `cutting` (which windows, and their samples),
`backends` (who computes), `stacking`, `triggers`, `engine`, which joins them, and
`picker`, which the stages use.
"""

from pickflow.annotate.engine import Annotator, Pick, Settings, resolve_settings
from pickflow.annotate.picker import Picker, PickerOptions, TimedPick

__all__ = ["Annotator", "Pick", "Picker", "PickerOptions", "Settings", "TimedPick", "resolve_settings"]
