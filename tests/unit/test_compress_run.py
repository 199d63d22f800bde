import json
from importlib import resources
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest

import pickflow.compress.run as run
from pickflow.annotate import Picker, PickerOptions
from pickflow.codes import band_instrument
from pickflow.compress import CompressParams, compress_run
from pickflow.io.tables import conform, write_table
from pickflow.io.waveforms import write_stream
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.schemas import MANIFEST, PICKS

START = obspy.UTCDateTime("2024-03-05T10:00:00")
MINUTES = 40
PARAMS = {
    "penalty": "group", "n_windows": 40, "pick_share": 0.6, "arrival_weight": 4.0, "n_path": 8,
    "tune": {"steps": 2, "batch_size": 2, "learning_rate": 1e-4}, "int8": True,
    "check_certificate": True, "seed": 0,
}  # fmt: skip


def waveforms(seed):
    """Noise with a burst every 70 s, and the times of the bursts in s."""
    rng = np.random.default_rng(seed)
    onsets_s = np.arange(40.0, MINUTES * 60 - 60, 70.0) + rng.uniform(0, 10)
    samples = rng.normal(size=(3, MINUTES * 6000)) * 100
    for onset_s in onsets_s:
        first = round(onset_s * 100)
        samples[:, first : first + 1500] += rng.normal(size=(3, 1500)) * 4000 * np.exp(-np.arange(1500) / 300)
    return samples, onsets_s


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """One day of two stations, with picks."""
    folder = tmp_path_factory.mktemp("run") / "waveforms" / "2024-03-05"
    picks, manifest = [], []
    for seed, station in enumerate(("AAA", "BBB")):
        samples, onsets_s = waveforms(seed)
        codes = {"network": "XA", "station": station, "location": "", "sampling_rate": 100.0, "starttime": START}
        stream = obspy.Stream(
            [obspy.Trace(row, codes | {"channel": f"HH{letter}"}) for row, letter in zip(samples, "ZNE", strict=True)]
        )
        write_stream(stream, folder / f"XA.{station}.mseed")
        manifest.append({"network": "XA", "station": station, "usable": True, "reason": "ok", "date": "2024-03-05"})
        for onset_s in onsets_s:
            time = pd.Timestamp((START + onset_s).datetime, tz="UTC")
            names = {"network": "XA", "station": station, "location": "", "channel": band_instrument("HHZ")}
            moments = {"time": time, "starttime": time, "endtime": time}
            picks.append(names | moments | {"phase": "P", "probability": 0.9, "pick_id": f"p{station}{onset_s}"})
    write_table(table_of(manifest, MANIFEST), MANIFEST, folder / "manifest.parquet", {})
    table = folder.parents[1] / "picks.parquet"
    write_table(table_of(picks, PICKS), PICKS, table, {})
    return folder, table


def table_of(rows, table):
    """A table whose other columns are empty."""
    empty = conform(pd.DataFrame(), table)
    frame = pd.DataFrame(rows)
    kinds = {name: empty[name].dtype for name in empty if name not in frame}
    fill = {name: 0 if kind.kind in "iufb" else pd.NaT if kind.kind == "M" else "" for name, kind in kinds.items()}
    return conform(frame.assign(**fill), table)


def compressed(day, folder, *names, **changes):
    teacher = Path(str(resources.files("pickflow"))) / "models" / "bundled"
    students = {name: folder / f"bundled-{name}" for name in names}
    params = CompressParams(**(PARAMS | changes))
    return compress_run(teacher, [day], students, params, map), students


@pytest.fixture(scope="module")
def made(day, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "CURVE_MACS", (0.6,))
        return compressed(day, tmp_path_factory.mktemp("a"), "safe-s50", "safe-s50-int8", "magnitude-s50")


def test_students_are_smaller_pickers_with_cards_and_certificates(made):
    found, students = made
    parent = read_card(Path(str(resources.files("pickflow"))) / "models" / "bundled")
    rows = {row["name"]: row for row in found["compression"]["models"]}
    assert json.loads(json.dumps(found)) == found
    assert list(rows) == ["bundled", *(f"bundled-{name}" for name in students)]
    for name, folder in students.items():
        card, row = read_card(folder), rows[f"bundled-{name}"]
        assert (card["model"], card["weights"], card["parent"]) == ("PickflowNet", f"bundled-{name}", parent["sha256"])
        assert row["macs"] <= 0.5 * rows["bundled"]["macs"]
        assert row["n_parameters"] < rows["bundled"]["n_parameters"]
        assert card["exports"]["model.onnx"]["largest_difference"] < 1e-4
        picks, _, _ = Picker(load_model(folder), PickerOptions()).pick(obspy.read()[:0] + stream_of(3))
        assert isinstance(picks, list)
    assert found["latency"]["bundled-safe-s50"]["onnxruntime_ms"]["1"] > 0
    assert rows["bundled-safe-s50"]["n_false_eliminations"] == 0
    assert rows["bundled-safe-s50"]["n_screened"]["gap"] > 0
    certificate = json.loads((students["safe-s50"] / "certificate.json").read_text())
    assert sum(sum(layer["channels"].values()) for layer in certificate["layers"]) == certificate["totals"]["n_groups"]
    assert [point["method"] for point in found["compression"]["curve"]].count("magnitude") == 2


def stream_of(seed):
    samples, _ = waveforms(seed)
    codes = {"network": "XA", "station": "CCC", "sampling_rate": 100.0, "starttime": START}
    return obspy.Stream(
        [obspy.Trace(row[:60000], codes | {"channel": f"HH{c}"}) for row, c in zip(samples, "ZNE", strict=True)]
    )


def test_integers_are_what_picks_and_they_are_checked(made):
    _, students = made
    folder = students["safe-s50-int8"]
    picker = Picker(load_model(folder), PickerOptions())
    assert picker.backend == "onnxruntime"
    assert 0 < read_card(folder)["exports"]["model.int8.onnx"]["largest_difference"] < 0.9
    content = (folder / "model.int8.onnx").read_bytes()
    (folder / "model.int8.onnx").write_bytes(content[:-1])
    try:
        with pytest.raises(ValueError, match=r"model.int8.onnx: absent, or its sha256 is not .* compress the model a"):
            load_model(folder)
    finally:
        (folder / "model.int8.onnx").write_bytes(content)


def test_the_same_run_gives_the_same_student(day, made, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CURVE_MACS", (0.6,))
    again, students = compressed(day, tmp_path, "safe-s50", "safe-s50-int8", "magnitude-s50")
    assert again["compression"] == made[0]["compression"]
    for name, folder in students.items():
        for file in ("model.safetensors", "card.json", "certificate.json", "model.onnx"):
            assert (folder / file).read_bytes() == (made[1][name] / file).read_bytes()


def test_a_loss_of_f1_is_searched_for(day, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CURVE_MACS", (0.8, 0.6, 0.42))
    asked = []

    def scores(known, model):
        asked.append(run.multiply_adds(model) / run.multiply_adds(known.model))
        good = 1.0 if asked[-1] > 0.45 else 0.5
        return {phase: {at: good for at in ("0.1s", "0.3s", "0.5s")} for phase in ("p_f1", "s_f1")}

    monkeypatch.setattr(run, "_scores", scores)
    found, _ = compressed(day, tmp_path, "safe-f0.2", tune={"steps": 0, "batch_size": 2, "learning_rate": 1e-3})
    row = found["compression"]["models"][1]
    share = row["macs"] / found["compression"]["models"][0]["macs"]
    assert 0.45 < share <= 0.6


def test_a_run_without_usable_stations_says_so(day, tmp_path):
    folder, table = day
    row = {"network": "XA", "station": "AAA", "usable": False, "reason": "no_data", "date": "2024-03-05"}
    manifest = table_of([row], MANIFEST)
    write_table(manifest, MANIFEST, tmp_path / "manifest.parquet", {})
    with pytest.raises(ValueError, match="none of the 1 days has a usable station"):
        compressed((tmp_path, table), tmp_path, "safe-s50")
    write_table(conform(pd.DataFrame(), PICKS), PICKS, tmp_path / "none.parquet", {})
    with pytest.raises(ValueError, match="the teacher has no pick"):
        compressed((folder, tmp_path / "none.parquet"), tmp_path, "safe-s50")
