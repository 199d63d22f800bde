import logging
import os
import subprocess
import sys
import time

import pytest

from pickflow.runtime import WORKER_ENVIRONMENT, log_to, station_map


def slow_square(number):
    """Later items finish first, so that order is earned."""
    time.sleep(0.2 if number == 0 else 0.0)
    return number**2


@pytest.mark.parametrize("threads", [1, 2])
def test_results_come_in_the_order_of_the_stations(threads):
    with station_map(threads, None, "square") as mapped:
        assert list(mapped(slow_square, range(6))) == [0, 1, 4, 9, 16, 25]


def environment_of_worker(_):
    return {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}


def test_workers_have_one_thread_and_a_patient_allocator_whatever_the_job_says(monkeypatch):
    for name in WORKER_ENVIRONMENT:
        monkeypatch.setenv(name, "2")
    with station_map(2, None, "environment") as mapped:
        assert list(mapped(environment_of_worker, range(2))) == [WORKER_ENVIRONMENT] * 2


def test_a_running_scheduler_is_used():
    from dask.distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        station_map(8, cluster.scheduler_address, "square") as mapped,
    ):
        assert list(mapped(slow_square, [3])) == [9]


def test_an_unreachable_scheduler_is_named():
    with (
        pytest.raises(ValueError, match=r"compute.dask_scheduler: no Dask scheduler answers at tcp://127.0.0.1:9"),
        station_map(1, "tcp://127.0.0.1:9", "square"),
    ):
        pass


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
