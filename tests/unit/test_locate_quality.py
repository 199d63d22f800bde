"""Quality classes: the limits of HYPO71, and the mean of fit and geometry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.locate.quality import quality_class

BEST = {
    "rms_s": 0.1, "horizontal_uncertainty_km": 0.5, "depth_uncertainty_km": 1.0, "n_arrivals": 12,
    "azimuthal_gap_deg": 80.0, "nearest_km": 4.0, "depth_km": 8.0,
}  # fmt: skip


def class_of(**changes):
    return quality_class(pd.DataFrame([{**BEST, **changes}])).iloc[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "A"),
        ({"rms_s": 0.2}, "B"),
        ({"horizontal_uncertainty_km": 3.0}, "B"),  # C and A
        ({"horizontal_uncertainty_km": 6.0}, "C"),  # D and A: halves go towards D
        ({"azimuthal_gap_deg": 200.0}, "C"),
        ({"azimuthal_gap_deg": 200.0, "rms_s": 0.2}, "C"),
        ({"azimuthal_gap_deg": 200.0, "rms_s": 0.4}, "D"),
        ({"n_arrivals": 5}, "C"),
        ({"nearest_km": 8.5}, "B"),
        ({"nearest_km": 8.5, "depth_km": 9.0}, "A"),
        ({"nearest_km": 4.9, "depth_km": -1.0}, "A"),
        ({"nearest_km": 51.0}, "C"),
        ({"depth_uncertainty_km": 40.0}, "B"),
        ({"depth_uncertainty_km": np.nan, "azimuthal_gap_deg": np.nan}, "D"),
    ],
)
def test_each_limit_decides(changes, expected):
    assert class_of(**changes) == expected


def test_classes_keep_the_index_of_the_events():
    events = pd.DataFrame([BEST, {**BEST, "rms_s": 9.0}], index=["x", "y"])
    assert quality_class(events).to_dict() == {"x": "A", "y": "C"}


def test_no_events_have_no_classes():
    assert quality_class(pd.DataFrame([BEST])[:0]).empty
