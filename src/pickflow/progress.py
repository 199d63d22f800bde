"""What long work tells of its progress."""

from __future__ import annotations

from collections.abc import Callable

# Called as ``progress(what, done, total)``.
Progress = Callable[[str, int, int], None]


def silent(*progress: object) -> None:
    """Report nothing."""
