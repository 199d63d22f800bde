"""
What the fuzz tests share, and their count: files tried, crashes, hangs, rows unaccounted for.

`make test` tries a few files of each kind, always the same; `make test-fuzz` (PICKFLOW_FUZZ=1) tries thousands.
"""

from __future__ import annotations

import os
import resource
import signal
import traceback
from contextlib import contextmanager
from pathlib import Path

import pytest

NIGHTLY = os.environ.get("PICKFLOW_FUZZ") == "1"
HANG_S = 30.0
MEMORY_BYTES = 2 << 30  # more than any damaged file of a test may take
SOURCE = Path(__file__).parents[2] / "src"
KINDS = {"file": "files tried", "crash": "crashes", "hang": "hangs", "row": "rows unaccounted"}


class _Hang(BaseException):
    """Not an Exception: no guard of the code that is tested may take it for a damaged file."""


class Book:
    """What a test tried, and what became of it; the test fails at its end if anything did."""

    def __init__(self):
        self.n_files = 0
        self.failures = []
        self.memory_bytes = _peak_memory_bytes()

    @contextmanager
    def file(self, label, documented=()):
        """Try one damaged file: what the block raises, except documented errors, is a crash; too long is a hang."""
        self.n_files += 1
        before = signal.signal(signal.SIGALRM, _hang)
        signal.setitimer(signal.ITIMER_REAL, HANG_S, 1.0)  # repeated: C code may swallow an exception
        try:
            yield
        except documented:
            pass
        except _Hang:
            self.failures.append(("hang", f"{label}: more than {HANG_S:g} s"))
        except Exception as error:
            self.failures.append(("crash", f"{label}: {type(error).__name__} {error} at {_place(error)}"))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)

    def lost(self, label, reason):
        """Note a row, an event or a pick that is neither used nor named."""
        self.failures.append(("row", f"{label}: {reason}"))

    def counts(self):
        """Counts of each kind."""
        return {"file": self.n_files} | {
            kind: sum(name == kind for name, _ in self.failures) for kind in list(KINDS)[1:]
        }

    def close(self):
        """Fail if anything was noted, or if the files took more memory than they may."""
        assert self.n_files > 0
        listed = "\n".join(f"{kind}: {failure}" for kind, failure in self.failures[:20])
        assert not self.failures, f"{len(self.failures)} failures, the first:\n{listed}"
        assert _peak_memory_bytes() - self.memory_bytes < MEMORY_BYTES


def seeds(n_nightly, n_daily=1):
    """Seeds of a fuzz test: few in `make test`, many in the night."""
    return range(n_nightly if NIGHTLY else n_daily)


def _peak_memory_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(error):
    """Innermost line of pickflow's source; of the test's where none was reached."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(SOURCE)] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _hang(*_):
    raise _Hang


@pytest.fixture
def fuzz(request):
    """The book of a test."""
    book = Book()
    yield book
    request.node.user_properties += book.counts().items()
    book.close()


def pytest_terminal_summary(terminalreporter):
    reports = [report for listed in terminalreporter.stats.values() for report in listed]
    entries = [
        entry
        for report in reports
        if getattr(report, "when", "") == "teardown" and report.nodeid.startswith("tests/fuzz")
        for entry in report.user_properties
    ]
    if entries:
        counts = [f"{sum(n for name, n in entries if name == kind)} {title}" for kind, title in KINDS.items()]
        terminalreporter.write_line(f"fuzz: {', '.join(counts)}")
