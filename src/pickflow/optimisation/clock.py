"""How long a network waits for its windows, and batches that are made while it computes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Clock:
    """
    Time of a training.

    Parameters
    ----------
    waiting_s : float
        Time that the network waited for windows, s.
    computing_s : float
        Time of all else in its steps, s.
    """

    waiting_s: float = 0.0
    computing_s: float = 0.0

    @property
    def waiting_share(self) -> float:
        """Share of the time that the network waits for windows, 0 to 1."""
        return self.waiting_s / max(self.waiting_s + self.computing_s, 1e-12)

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches, and the time that each takes, apart from the time until the next is asked for."""
        iterator = iter(batches)
        while True:
            request_s = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            arrival_s = time.perf_counter()
            self.waiting_s += arrival_s - request_s
            yield batch
            self.computing_s += time.perf_counter() - arrival_s


def in_order(make: Callable[[int], T], first: int, last: int, n_threads: int) -> Iterator[T]:
    """
    Results of a function for consecutive numbers, in order, made by threads while the last one is used.

    Parameters
    ----------
    make : callable
        From a number to a result; the number alone decides it.
    first, last : int
        First number, and the one after the last.
    n_threads : int
        Threads; each makes one result in advance. With 0 nothing is made in advance.
    """
    if not n_threads:
        yield from map(make, range(first, last))
        return
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[T]] = deque()
        for number in range(first, last):
            waiting.append(pool.submit(make, number))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
