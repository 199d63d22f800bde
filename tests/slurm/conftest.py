"""These tests start a SLURM on the machine that they run on, and so only where somebody asks for it."""

import os
import signal
from pathlib import Path

import pytest

from tests.slurm import lab as slurm


def pytest_collection_modifyitems(items):
    """Skip, with the reason."""
    reason = slurm.unavailable()
    if os.environ.get("PICKFLOW_SLURM") != "1":
        reason = "they start a SLURM on this machine: make test-slurm (PICKFLOW_SLURM=1)"
    if reason:
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _end_politely():
    """A test that is asked to end tears its SLURM down first."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)
