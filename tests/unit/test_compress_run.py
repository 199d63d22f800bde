"""A run of the stage: students with cards, certificates and scores, the same whenever it is repeated."""

import json
from functools import partial
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

import pickflow.compress.latency as latency
import pickflow.compress.run as run
from pickflow.annotate import Picker, PickerOptions
from pickflow.compress import compress_run
from pickflow.compress.teacher import study
from pickflow.inside.comparison import read_compression
from pickflow.io.tables import conform, write_table
from pickflow.models.cards import read_card, read_state
from pickflow.models.loading import load_model
from pickflow.progress import silent
from pickflow.run.settings.compress import CompressParams
from pickflow.schemas import MANIFEST, PICKS
from tests.compress_fixture import manifest_of, stream_of, write_day

BUNDLED = Path(str(resources.files("pickflow"))) / "models" / "bundled" / "PickflowNet"
MINUTES = 40
PARAMS = {
    "penalty": "group", "n_windows": 40, "pick_share": 0.6, "arrival_weight": 4.0, "n_path": 8,
    "tune": {"steps": 2, "batch_size": 2, "learning_rate": 1e-4}, "int8": True,
    "check_certificate": True, "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def hasty():
    """Times of two calls each: the clock is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "milliseconds", partial(latency.milliseconds, n_calls=2))
        yield


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """One day of two stations, with picks."""
    return write_day(tmp_path_factory.mktemp("run"), ("AAA", "BBB"), MINUTES)


def compressed(day, folder, *names, **changes):
    students = {name: folder / f"bundled-{name}" for name in names}
    params = CompressParams(**(PARAMS | changes))
    return compress_run(BUNDLED, [day], students, params, map), students


@pytest.fixture(scope="module")
def compressed_run(day, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "CURVE_MACS", (0.6, 0.3))
        return compressed(day, tmp_path_factory.mktemp("a"), "safe-s50", "safe-s50-int8", "magnitude-s50")


def test_students_are_smaller_pickers_with_cards_and_certificates(compressed_run):
    content, students = compressed_run
    parent = read_card(BUNDLED)
    rows = {row["name"]: row for row in content["compression"]["models"]}
    assert json.loads(json.dumps(content)) == content
    assert list(rows) == ["bundled", *(f"bundled-{name}" for name in students)]
    for name, folder in students.items():
        card, row = read_card(folder), rows[f"bundled-{name}"]
        assert (card["model"], card["weights"], card["parent"]) == ("PickflowNet", f"bundled-{name}", parent["sha256"])
        assert row["macs"] <= 0.5 * rows["bundled"]["macs"]
        assert row["n_parameters"] < rows["bundled"]["n_parameters"]
        assert card["exports"]["model.onnx"]["largest_difference"] < 1e-4
        picks, _, _ = Picker(load_model(folder), PickerOptions()).pick(stream_of("CCC", 10, 3)[0])
        assert picks
    assert content["latency"]["bundled-safe-s50"]["onnxruntime_ms"]["1"] > 0
    assert rows["bundled-safe-s50"]["n_false_eliminations"] == 0
    assert rows["bundled-safe-s50"]["n_screened"]["gap"] > 0
    certificate = json.loads((students["safe-s50"] / "certificate.json").read_text())
    assert sum(sum(layer["channels"].values()) for layer in certificate["layers"]) == certificate["totals"]["n_groups"]
    for layer in certificate["layers"]:
        chosen = layer["path"][layer["chosen"]]["penalty_ratio"]
        for name, channels in layer["kept"].items():
            stays = layer["stays_up_to"][name]
            assert len(stays) == layer["channels"][name]
            assert all(stays[channel] >= chosen for channel in channels)
            assert all(stays[channel] != chosen for channel in set(range(len(stays))) - set(channels))


def test_what_a_student_lacks_is_read_from_its_certificate(compressed_run):
    _, students = compressed_run
    compression = read_compression(students["safe-s50"], read_card(BUNDLED))
    widths = read_card(students["safe-s50"])["compression"]
    left_out = {name: int(dropped.sum()) for name, dropped in compression.dropped.items()}
    assert left_out == {name: widths["teacher_widths"][name] - widths["widths"][name] for name in left_out}
    assert sum(left_out.values()) > 0
    with pytest.raises(ValueError, match="its certificate is empty; only students of the method safe have one"):
        read_compression(students["magnitude-s50"], read_card(BUNDLED))


def test_a_run_gives_what_the_report_reads(compressed_run):
    compression, times = compressed_run[0]["compression"], compressed_run[0]["latency"]
    names = ["bundled", "bundled-safe-s50", "bundled-safe-s50-int8", "bundled-magnitude-s50"]
    assert set(compression) == {
        "teacher", "reference", "n_calibration_windows", "n_test_windows", "models", "curve",
    }  # fmt: skip
    assert compression["teacher"] == {"model": "PickflowNet", "weights": "bundled"}
    # Two records of 40 minutes hold two blocks each that judge.
    assert (compression["n_calibration_windows"], compression["n_test_windows"]) == (40, 4)
    expected = {
        "name", "method", "level", "int8", "n_parameters", "n_nonzero", "macs", "bytes", "n_screened", "n_groups",
        "n_false_eliminations", "not_expressed", "p_f1", "s_f1",
    }  # fmt: skip
    for row in compression["models"]:
        assert set(row) == expected
        assert all(0 <= row[key][at] <= 1 for key in ("p_f1", "s_f1") for at in ("0.1s", "0.3s", "0.5s"))
    teacher, plain, integers, baseline = compression["models"]
    assert teacher["p_f1"] == teacher["s_f1"] == {"0.1s": 1.0, "0.3s": 1.0, "0.5s": 1.0}
    assert (teacher["macs"], teacher["n_parameters"]) == (14_131_200, 85_987)
    assert teacher["bytes"] == (BUNDLED / "model.safetensors").stat().st_size
    assert [row["int8"] for row in compression["models"]] == [False, False, True, False]
    assert integers["macs"] == plain["macs"]
    assert plain["p_f1"]["0.3s"] > baseline["p_f1"]["0.3s"]
    stages = [(point["method"], point["stage"]) for point in compression["curve"]]
    assert sorted(stages) == sorted(
        [
            *[(m, "tuned") for m in ("safe", "magnitude")],
            *[("safe", "corrected")] * 2,
            *[("magnitude", "corrected")] * 2,
        ]
    )
    assert list(times) == names
    for name, times_of_model in times.items():
        assert set(times_of_model) == {"torch_ms", "onnxruntime_ms", "kernels_ms", "peak_mb"}
        assert (times_of_model["torch_ms"] is None) == (times_of_model["kernels_ms"] is None) == name.endswith("int8")
        assert set(times_of_model["onnxruntime_ms"]) == {"1", "16"}
        assert 10 < times_of_model["peak_mb"] < 1000


def test_integers_are_what_picks_and_they_are_checked(compressed_run):
    _, students = compressed_run
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


def test_the_same_run_gives_the_same_student(day, compressed_run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CURVE_MACS", (0.6, 0.3))
    monkeypatch.setattr(run, "latency", lambda *_: {})
    again, students = compressed(day, tmp_path, "safe-s50", "safe-s50-int8", "magnitude-s50")
    assert again["compression"] == compressed_run[0]["compression"]
    for name, folder in students.items():
        for file in ("model.safetensors", "card.json", "certificate.json", "model.onnx"):
            assert (folder / file).read_bytes() == (compressed_run[1][name] / file).read_bytes()


@pytest.fixture(scope="module")
def teacher_study(day):
    """The teacher, studied once."""
    return study(BUNDLED, [day], CompressParams(**(PARAMS | {"check_certificate": False})), map)


def scores_of(loss):
    """What P loses at 0.3 s; S and the other tolerances look better."""
    return {"p_f1": {"0.1s": 1.0, "0.3s": 1 - loss, "0.5s": 1.0}, "s_f1": {"0.1s": 1.0, "0.3s": 1.0, "0.5s": 1.0}}


@pytest.mark.parametrize(("max_loss", "expected"), [(0.001, 1.0), (0.02, 0.85), (0.07, 0.7), (0.25, 0.5), (0.4, 0.42)])
def test_the_smallest_student_that_loses_no_more_is_found(monkeypatch, max_loss, expected):
    losses = {1.0: 0.0, 0.85: 0.01, 0.7: 0.05, 0.6: 0.1, 0.5: 0.2, 0.42: 0.3}
    monkeypatch.setattr(run, "CURVE_MACS", tuple(losses)[1:])

    def finish(teacher, method, budget, params, progress):
        return run.Outcome(budget["macs"], scores_of(losses[budget["macs"]]))

    monkeypatch.setattr(run, "_finish", finish)
    assert run._search(None, "safe", max_loss, None, silent).student == expected
    with pytest.raises(ValueError, match=r"max_f1_loss -1: the largest student of safe already loses more; allow more"):
        run._search(None, "safe", -1.0, None, silent)


def test_a_loss_of_f1_is_a_target(day, monkeypatch):
    teacher_study = study(BUNDLED, [day], CompressParams(**(PARAMS | {"check_certificate": False})), map)
    monkeypatch.setattr(run, "CURVE_MACS", (0.8, 0.6, 0.42))
    teacher = run.multiply_adds(teacher_study.model)
    monkeypatch.setattr(run, "_scores", lambda _, model: scores_of(float(run.multiply_adds(model) < 0.45 * teacher)))
    params = CompressParams(**(PARAMS | {"tune": PARAMS["tune"] | {"steps": 0}}))
    result = run._make(teacher_study, run.read_student("safe-f0.2"), params, silent)
    assert 0.45 < run.multiply_adds(result.student.model) / teacher <= 0.6


def test_weights_that_were_eliminated_stay_zero_through_tuning(day, tmp_path):
    params = CompressParams(**(PARAMS | {"penalty": "element", "n_path": 4, "check_certificate": False}))
    teacher_study = study(BUNDLED, [day], params, map)
    student = run._finish(teacher_study, "safe", {"macs": 0.97}, params, silent).student
    proof = run.certificate(teacher_study, student)
    request = run.read_student("safe-s03")
    run.write_student(
        teacher_study, student.model, read_card(BUNDLED), "bundled-safe-s03", request, tmp_path, params, proof
    )
    state = read_state(tmp_path)
    eliminated = {name: int((mask == 0).sum()) for name, mask in student.masks.items()}
    assert sum(eliminated.values()) > 0
    for name, mask in student.masks.items():
        assert not state[name][mask == 0].any()
        assert state[name][mask == 1].all()
    untuned = teacher_study.student("safe", {"macs": 0.97}).model.state_dict()
    assert any(not untuned[name].equal(state[name]) for name in student.masks)  # the others were tuned
    assert proof["totals"]["n_groups"] > sum(
        channel_set.n_channels for channel_set in teacher_study.wiring.sets
    )  # single weights


def test_a_run_without_usable_stations_says_so(day, tmp_path):
    folder, table = day
    write_table(manifest_of(["AAA"], usable=False), MANIFEST, tmp_path / "manifest.parquet", {})
    with pytest.raises(ValueError, match="none of the 1 days has a usable station"):
        compressed((tmp_path, table), tmp_path, "safe-s50")
    write_table(conform(pd.DataFrame(), PICKS), PICKS, tmp_path / "none.parquet", {})
    with pytest.raises(ValueError, match="the teacher has no pick"):
        compressed((folder, tmp_path / "none.parquet"), tmp_path, "safe-s50")
