import logging
import subprocess
import sys

from pickflow.runtime import log_to


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
