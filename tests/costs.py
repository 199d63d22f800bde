"""How the cost of a function grows with its input: tests of speed that hold on busy machines of any kind."""

import gc
from collections.abc import Callable
from time import thread_time

# Ten times the input: a linear cost grows tenfold, a quadratic one a hundredfold.
MOST_GROWTH = 35.0


def growth(work: Callable[[int], object], few: int, many: int, repeats: int = 3) -> float:
    """CPU time of this thread for ``work(many)`` over that for ``work(few)``, each the least of some repeats."""
    return _least_s(lambda: work(many), repeats) / _least_s(lambda: work(few), repeats)


def _least_s(work: Callable[[], object], repeats: int) -> float:
    """CPU time in s, without collecting the garbage of other tests."""
    times_s = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            begin_s = thread_time()
            work()
            times_s.append(thread_time() - begin_s)
    finally:
        gc.enable()
    return min(times_s)
