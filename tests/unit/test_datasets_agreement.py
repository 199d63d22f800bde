"""Arrivals count on which most pickers agree, and those of people always."""

import pickle
from pathlib import Path

import numpy as np
import obspy
import pytest

from pickflow.datasets import archive
from pickflow.datasets.agreement import agreed_samples, labels_of, peak_between, picked_samples
from pickflow.datasets.archive import WINDOW_SAMPLES, archive_windows
from pickflow.datasets.records import Record
from pickflow.datasets.splits import Split, part_of
from pickflow.lab.data import open_sources, write_sources
from pickflow.run.configuration import ConfigError, complete
from pickflow.run.lab import trained_pickers
from pickflow.run.settings.lab import LabSource, LabSplit

N_SAMPLES = 4000


def opinion(p=(), s=(), n_samples=N_SAMPLES, height=0.8):
    """Probabilities of a picker that sees P and S at some samples."""
    samples = np.arange(n_samples)
    rows = [sum((height * np.exp(-0.5 * ((samples - at) / 8) ** 2) for at in times), 0 * samples) for times in (p, s)]
    return np.array(rows, dtype=np.float32)


def test_the_median_of_most_pickers_is_an_arrival_and_the_opinion_of_few_is_none():
    opinions = np.stack([opinion([1000, 3000]), opinion([1004]), opinion([1010.5]), opinion([1500])])
    assert agreed_samples(opinions[:, 0]) == pytest.approx([1004], abs=0.2)
    assert agreed_samples(opinions[:2, 0]) == pytest.approx([1002], abs=0.2)
    assert agreed_samples(opinions[[0, 3], 0]) == []


def test_one_picker_that_is_there_twice_is_no_majority():
    both = opinion([1000, 1016])
    both[0, 1006:1010] = 0  # two stretches above the threshold
    assert agreed_samples(np.stack([both, opinion(), opinion()])[:, 0]) == []


def test_a_pick_lies_between_samples():
    assert picked_samples(opinion([1000.4])[0]) == pytest.approx([1000.4], abs=0.05)
    assert peak_between(np.array([0.9, 0.5, 0.1]), 0) == 0
    assert peak_between(np.array([0.5, 0.5, 0.5]), 1) == 1


def test_manual_picks_stand_and_what_pickers_say_beside_them_does_not_count():
    opinions = np.stack([opinion([1040, 2500], [1500])] * 3)
    labels = labels_of(opinions, {"P": 1000.0})
    assert labels.arrivals["P"] == pytest.approx([1000, 2500], abs=0.1)
    assert labels.arrivals["S"] == pytest.approx([1500], abs=0.1)
    assert labels.probability[0, [1000, 2500]] == pytest.approx([1, 1], abs=0.01)
    assert labels.probability[0, 1055] < 0.01
    assert labels.probability.dtype == np.float32


def test_where_pickers_disagree_the_label_is_their_mean():
    labels = labels_of(np.stack([opinion([1000]), opinion(), opinion(), opinion()]), {})
    assert labels.probability[0].max() == pytest.approx(0.2, abs=0.01)
    assert labels.arrivals["P"].size == 0


@pytest.fixture
def archive_folder(tmp_path):
    """Two stations, of which one belongs to the training part: five minutes, and a minute behind a gap of two."""
    training, *_ = (f"S{number}" for number in range(50) if part_of(f"XX.S{number}") == "train")
    testing, *_ = (f"S{number}" for number in range(50) if part_of(f"XX.S{number}") == "test")
    rng = np.random.default_rng(0)
    for station in (training, testing):
        for component in "ZNE":
            folder = tmp_path / "sds" / "2020" / "XX" / station / f"HH{component}.D"
            folder.mkdir(parents=True)
            header = {"network": "XX", "station": station, "channel": f"HH{component}", "sampling_rate": 100.0}
            pieces = [
                obspy.Trace(rng.normal(size=n).astype(np.float32), {**header, "starttime": obspy.UTCDateTime(start)})
                for n, start in ((30_000, 0), (6_100, 420))
            ]
            obspy.Stream(pieces).write(str(folder / f"XX.{station}..HH{component}.D.2020.001"), format="MSEED")
    return tmp_path / "sds", training


class PickerOfSamples:
    """Sees a P at sample 7000 and another at 8000, an S at 7500, and if it is the first one an S at 20,000."""

    def __init__(self, model):
        self._is_first = model == "first"

    def probability(self, record):
        """Of a record of any length."""
        n_samples = record.samples.shape[1]
        return opinion([7000, 8000], [7500, 20_000] if self._is_first else [7500], n_samples)


def test_windows_of_an_archive_have_all_arrivals_and_doubtful_ones_are_not_used(archive_folder, monkeypatch):
    root, station = archive_folder
    monkeypatch.setattr(archive, "LabellingPicker", PickerOfSamples)
    windows = list(archive_windows(root, "made", Split(), ["first", "second"]))
    assert {window.station for window in windows} == {f"XX.{station}"}
    assert [window.kind for window in windows] == [
        "noise",
        "event",
        "noise",
        "noise",
        "noise",
    ]  # 20,000 is in the fourth
    assert len({window.name for window in windows}) == len(windows)
    event = windows[1]
    assert event.picks == pytest.approx({"P": 1000, "S": 1500}, abs=0.1)
    assert event.probability[0, [1000, 2000]] == pytest.approx([1, 1], abs=0.01)
    assert event.probability.shape == (2, WINDOW_SAMPLES)
    assert np.abs(event.samples).max() == 1


def test_damaged_files_pickles_and_missing_samples_take_nothing_with_them(archive_folder, caplog, tmp_path):
    root, station = archive_folder
    whole = [record for record in archive.read_continuous(root) if record.station == f"XX.{station}"]
    assert [record.samples.shape[1] for record in whole] == [30_000, 6_100]
    folder = root / "2020" / "XX" / station / "HHZ.D"
    (folder / f"XX.{station}..HHZ.D.2020.002").write_bytes(b"no record" * 100)
    (folder / f"XX.{station}..HHZ.D.2020.003").write_bytes(b"")
    executed = tmp_path / "executed"
    content = pickle.dumps(obspy.Stream([Executing(executed)]))
    (folder / f"XX.{station}..HHZ.D.2020.004").write_bytes(content)
    header = {"network": "XX", "station": station, "channel": "HHZ", "sampling_rate": 100.0}
    later = obspy.Trace(np.arange(7_000, dtype=np.int32), {**header, "starttime": obspy.UTCDateTime(600)})
    later.write(str(folder / f"XX.{station}..HHZ.D.2020.005"), format="MSEED")  # of another type, and without N and E
    file = folder / f"XX.{station}..HHZ.D.2020.001"
    stream = obspy.read(str(file))
    stream[0].data[10_000] = np.nan
    stream.write(str(file), format="MSEED")
    records = [record for record in archive.read_continuous(root) if record.station == f"XX.{station}"]
    assert [record.samples.shape[1] for record in records] == [10_000, 19_999, 6_100]
    assert all(np.isfinite(record.samples).all() for record in records)
    assert all(f"2020.00{day}: left out of training: it cannot be read" in caplog.text for day in (2, 3, 4))
    assert not executed.exists()


class Executing(obspy.Trace):
    """Makes a file when it is unpickled."""

    def __init__(self, path=None):
        super().__init__()
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_an_archive_and_a_labelled_set_are_sources_of_a_lab(archive_folder, monkeypatch, tmp_path):
    root, _ = archive_folder
    monkeypatch.setattr(archive, "LabellingPicker", PickerOfSamples)
    monkeypatch.setattr("pickflow.datasets.agreement.LabellingPicker", PickerOfSamples)
    split = LabSplit(by="station", train=0.65, validation=0.15)
    sources = [
        LabSource(name="made", kind="synthetic", n_events=24, n_noise=8),
        LabSource(name="continuous", kind="archive", path=str(root)),
    ]
    folder = tmp_path / "data"
    write_sources(sources, split, ["first", "second"], folder, lambda *_: None, "agreement")
    dataset = open_sources(sources, split, 2, folder)
    records: list[Record] = dataset.read()
    assert {record.part for record in records if record.dataset == "continuous"} == {"train"}
    assert all((record.probability is None) == (record.dataset == "made") for record in records)

    again = [LabSource(name="again", path=str(folder / "made"))]
    write_sources(again, split, ["first", "second"], tmp_path / "again", lambda *_: None, "agreement")
    for record in open_sources(again, split, 2, tmp_path / "again").read():
        for row, phase in enumerate("PS"):
            if phase in record.picks:
                assert record.probability[row, round(record.picks[phase])] > 0.99


def test_an_archive_without_a_station_to_learn_from_is_named(archive_folder, monkeypatch):
    monkeypatch.setattr(archive, "LabellingPicker", PickerOfSamples)
    with pytest.raises(ValueError, match="no window of 60 s .* has 2 stations .* 0 of them in the training part"):
        list(archive_windows(archive_folder[0], "made", Split(shares=(0.0, 0.5, 0.5)), ["first"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": [{"name": "a", "kind": "archive", "path": "sds"}]}, "lab.teachers is empty, .* the archive a"),
        ({"teaching": "agreement"}, "lab.teaching: agreement, and lab.teachers is empty"),
    ],
)
def test_an_archive_and_an_agreement_need_somebody_who_labels(changes, message):
    sources = [{"name": "made", "kind": "synthetic", "n_events": 1, "n_noise": 1}]
    lab = {"variants": ["EQT"], "sources": sources, **changes}
    config = complete({"run": "x", "starttime": "2020-01-01", "endtime": "2020-01-02", "lab": lab})
    with pytest.raises(ConfigError, match=message):
        trained_pickers(config["lab"])
