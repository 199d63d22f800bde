import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from pickflow.provenance import sha256_of_bytes
from pickflow.run.job import device_of, log_to, provenance_of


class Job:
    resources: ClassVar = {"gpu": 1}


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error_unless_the_cpu_is_named(monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("PICKFLOW_DEVICE", raising=False)
    with pytest.raises(ValueError, match="asks for a GPU"):
        device_of(Job())
    monkeypatch.setenv("PICKFLOW_DEVICE", "cpu")
    assert device_of(Job()) == "cpu"
    assert "PICKFLOW_DEVICE" in caplog.text


def test_the_log_holds_the_traceback_and_the_console_one_line(tmp_path):
    log = tmp_path / "stage" / "job.log"
    code = f"from pickflow.run.job import log_to; log_to({str(log)!r}); raise ValueError('XX.AAA: broken')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("ERROR XX.AAA: broken\n")
    assert "Traceback" not in run.stderr
    assert "Traceback" in log.read_text()


def test_sums_do_not_depend_on_the_threads_of_the_job(tmp_path):
    code = f"""
from types import SimpleNamespace
from pickflow.run.job import start_job
start_job(SimpleNamespace(log=[{str(tmp_path / "job.log")!r}], config={{}}))
import numpy, threadpoolctl
print({{pool["num_threads"] for pool in threadpoolctl.threadpool_info()}})
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == "{1}\n"


def test_messages_go_to_the_log(tmp_path):
    root = logging.getLogger()
    before = root.handlers[:]
    hook = sys.excepthook
    try:
        log_to(tmp_path / "job.log")
        logging.getLogger("pickflow.x").info("read 3 files")
        assert (tmp_path / "job.log").read_text() == "INFO pickflow.x: read 3 files\n"
    finally:
        logging.captureWarnings(False)
        sys.excepthook = hook
        root.handlers[:] = before


class Settings(dict):
    """Parameters of a rule, as Snakemake gives them."""

    __getattr__ = dict.__getitem__


class Reader:
    """A job that reads a table, a folder of waveforms, and files that its settings name."""

    def __init__(self, folder):
        run = folder / "results" / "run"
        self.log = [str(run / "logs" / "locate" / "job.log")]
        self.input = [str(run / "picks.parquet"), str(run / "waveforms" / "2024-05-01")]
        settings = {"inventory": "text", "reference": {"file": str(folder / "one" / "same.xml")}}
        velocity = {"file": str(folder / "other" / "same.xml")}
        self.params = Settings(stage_version=1, settings=settings, velocity_model=velocity, stations=["digest"])
        files = [self.input[0], f"{self.input[1]}/manifest.parquet", settings["reference"]["file"], velocity["file"]]
        for number, path in enumerate(map(Path, files)):
            path.parent.mkdir(parents=True)
            path.write_bytes(bytes([number]))


def test_a_table_names_every_file_that_its_job_has_read(tmp_path):
    tables_origin = provenance_of(Reader(tmp_path), "locate", tmp_path / "results/run/picks.parquet")
    digests = [sha256_of_bytes(bytes([number])) for number in range(4)]
    names = ["picks.parquet", "waveforms/2024-05-01/manifest.parquet", "same.xml", "other/same.xml"]
    assert tables_origin["inputs"] == dict(zip(names, digests, strict=True))
    assert tables_origin["parameters"]["velocity_model"]["file"].endswith("other/same.xml")
    assert "stations" not in tables_origin["parameters"]


def test_a_file_below_another_folder_of_results_is_not_taken_for_one_of_the_run(tmp_path):
    survey = tmp_path / "results" / "survey" / "picks.parquet"
    survey.parent.mkdir(parents=True)
    survey.write_bytes(b"survey")
    names = provenance_of(Reader(tmp_path), "locate", survey)["inputs"]
    assert names["picks.parquet"] == sha256_of_bytes(bytes([0]))
    assert names["survey/picks.parquet"] == sha256_of_bytes(b"survey")
