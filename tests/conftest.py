"""Fixtures that all tests share."""

from __future__ import annotations

import logging
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))


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
    """Programs set what is logged for their whole process."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
