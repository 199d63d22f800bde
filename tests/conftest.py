"""Fixtures that all tests share."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A job in the background (`nohup make test &`) is started with SIGINT ignored, and so is all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import HealthCheck, settings

from pickflow.run import lock

# Machines are shared: how long an example takes says nothing about the code. A change is tested with the same examples
# everywhere; make test-long draws others each time (--hypothesis-profile random).
_SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _SHARED, derandomize=True)
settings.register_profile("random", _SHARED)
settings.load_profile("same")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items):
    """Whole runs first: whichever files come last are waited for by one worker alone."""
    items.sort(key=lambda item: item.path.parent.name not in ("e2e", "workflow", "rules"))


@pytest.fixture(scope="session", autouse=True)
def _private_seisbench_cache(tmp_path_factory):
    """SeisBench writes into its cache when it is imported: never into the user's."""
    os.environ["SEISBENCH_CACHE_ROOT"] = str(tmp_path_factory.mktemp("seisbench"))


@pytest.fixture(scope="session")
def shared():
    """Folder with real waveforms, bulletins and weights; tests that need it are skipped without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data in {SHARED}; set PICKFLOW_SHARED to the folder that holds them")
    return SHARED


@pytest.fixture(autouse=True)
def _messages_of_one_test_are_not_those_of_the_next():
    """Programs set what is logged for their whole process, and where to: also to the stderr of one test alone."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def _locks_end():
    """Locks of this process end when the file is closed."""
    yield
    for file in lock._open.values():
        os.close(file)
    lock._open.clear()
