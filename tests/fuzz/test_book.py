"""The book of the fuzz tests sees what it is there to see."""

from __future__ import annotations

import time

import pytest

from tests.fuzz import conftest
from tests.fuzz.conftest import Book


def test_a_file_that_raises_what_is_not_documented_is_a_crash():
    book = Book()
    with book.file("good"):
        pass
    with book.file("refused", documented=ValueError):
        raise ValueError
    with book.file("bad", documented=ValueError):
        raise KeyError("time")
    assert book.counts() == {"file": 3, "crash": 1, "hang": 0, "row": 0}
    with pytest.raises(AssertionError, match="bad: KeyError 'time' at test_book.py"):
        book.close()


def test_a_file_that_takes_too_long_is_a_hang_even_where_every_exception_is_caught(monkeypatch):
    monkeypatch.setattr(conftest, "HANG_S", 0.05)
    book = Book()
    with book.file("slow"):
        try:
            time.sleep(5)
        except Exception:
            pytest.fail("a guard took the alarm for a damaged file")
    assert book.counts() == {"file": 1, "crash": 0, "hang": 1, "row": 0}


def test_a_row_that_is_not_accounted_for_fails_the_test():
    book = Book()
    with book.file("short"):
        book.lost("short", "no row for XA.AAA")
    with pytest.raises(AssertionError, match="no row for XA.AAA"):
        book.close()


def test_memory_beyond_the_limit_fails_the_test(monkeypatch):
    book = Book()
    with book.file("large"):
        monkeypatch.setattr(conftest, "_peak_memory_bytes", lambda: book.memory_bytes + conftest.MEMORY_BYTES)
    with pytest.raises(AssertionError):
        book.close()
