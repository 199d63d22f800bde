import logging
import subprocess
import sys
from typing import ClassVar

import pytest

from pickflow.runtime import device, log_to


class Job:
    resources: ClassVar = {"gpu": 1}


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error_unless_the_cpu_is_named(monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("PICKFLOW_DEVICE", raising=False)
    with pytest.raises(ValueError, match="asks for a GPU"):
        device(Job())
    monkeypatch.setenv("PICKFLOW_DEVICE", "cpu")
    assert device(Job()) == "cpu"
    assert "PICKFLOW_DEVICE" in caplog.text


def test_the_log_holds_the_traceback_and_the_console_one_line(tmp_path):
    log = tmp_path / "stage" / "job.log"
    code = f"from pickflow.runtime import log_to; log_to({str(log)!r}); raise ValueError('XX.AAA: broken')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("ERROR XX.AAA: broken\n")
    assert "Traceback" not in run.stderr
    assert "Traceback" in log.read_text()


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
