"""Soft labels are a teacher's probabilities, sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
import seisbench.models
import torch

from pickflow.datasets.reading import open_dataset
from pickflow.datasets.streams import record_stream
from pickflow.datasets.synthetic import synthetic_record
from pickflow.datasets.teachers import soft_labels
from pickflow.train.reading import read_teacher


@pytest.fixture(scope="module")
def teachers(shared):
    names = [("PhaseNet", "stead"), ("PhaseNet", "instance_medium_17"), ("EQTransformer", "original_converted")]
    return [read_teacher(shared / "seisbench_cache", *name) for name in names]


def test_every_sample_has_a_probability_and_picks_of_the_teacher_are_near_those_of_people(shared, teachers):
    records = open_dataset(shared / "data/labelled/stead50").read(range(6))
    for labelled_record in soft_labels(records, teachers):
        assert labelled_record.probability.shape == (2, labelled_record.samples.shape[1])
        assert labelled_record.probability.dtype == np.float32
        assert 0 <= labelled_record.probability.min() <= labelled_record.probability.max() <= 1
        for row, phase in enumerate("PS"):
            assert abs(labelled_record.probability[row].argmax() - labelled_record.picks[phase]) < 50


def test_soft_labels_peak_where_seisbench_has_its_peaks(shared, teachers):
    """Windows begin elsewhere, so that the values differ a little."""
    [record] = open_dataset(shared / "data/labelled/ncedc154").read([3])
    [soft] = soft_labels([record], teachers[:1])
    for row, phase in enumerate("PS"):
        [trace] = teachers[0].annotate(record_stream(record)).select(channel=f"*_{phase}")
        first = round(trace.stats.starttime.timestamp * 100)
        assert abs(int(soft.probability[row].argmax()) - first - int(np.nanargmax(trace.data))) <= 5


def test_the_mean_of_teachers_lies_between_them(shared, teachers):
    [record] = open_dataset(shared / "data/labelled/stead50").read([0])
    groups = (teachers[:1], teachers[1:2], teachers[:2])
    first, second, mean = (next(soft_labels([record], group)).probability for group in groups)
    np.testing.assert_allclose(mean, (first + second) / 2, atol=1e-6)
    assert not np.allclose(first, second)


def test_a_record_shorter_than_a_window_is_labelled_as_well(shared, teachers):
    record = open_dataset(shared / "data/labelled/stead50").read([0])[0]
    first = int(record.picks["P"]) - 300
    short = replace(record, samples=record.samples[:, first : first + 2000], picks={})
    [soft] = soft_labels([short], teachers[2:])
    assert soft.probability.shape == (2, 2000)
    assert abs(soft.probability[0].argmax() - 300) < 50


def test_the_order_of_labels_does_not_matter():
    torch.manual_seed(0)
    first = seisbench.models.PhaseNet(phases="NPS").eval()
    second = seisbench.models.PhaseNet(phases="PSN").eval()
    state = first.state_dict()
    order = [1, 2, 0]
    for name in ("out.weight", "out.bias"):
        state = {**state, name: state[name][order]}
    second.load_state_dict(state)
    record = synthetic_record(0, 0)
    first_probability, second_probability = (
        next(soft_labels([record], [model])).probability for model in (first, second)
    )
    np.testing.assert_allclose(first_probability, second_probability, atol=1e-6)


def test_a_teacher_without_s_and_no_teacher_are_refused():
    with pytest.raises(ValueError, match="at least one teacher"):
        next(soft_labels([synthetic_record(0, 0)], []))
    model = seisbench.models.PhaseNet(phases="NP")
    with pytest.raises(ValueError, match="PhaseNet has no label S; its labels are NP"):
        next(soft_labels([synthetic_record(0, 0)], [model]))


def test_a_teacher_of_another_rate_is_refused():
    model = seisbench.models.PhaseNet(phases="NPS", sampling_rate=50).eval()
    with pytest.raises(ValueError, match="PhaseNet works at 50 Hz, and records have 100 Hz.*take a teacher of 100 Hz"):
        next(soft_labels([synthetic_record(0, 0)], [model]))
