"""Records of a data set in an order that is mixed anew each time, with a part of them in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset
from pickflow.datasets.records import Record

_BLOCK = 64  # neighbouring records, which are read at once
_BYTES_PER_SAMPLE = 12  # three components of float32
_N_HELD = 2  # parts of a large set that are in memory: a batch may begin in one and end in the next


class Shelf:
    """
    Records by their position in an endless order that takes every record once before any for another time.

    A set that fits into memory is read once and mixed as a whole. Of a larger one, blocks of neighbouring records are
    mixed, and as many as fit are read together and mixed among themselves.

    Parameters
    ----------
    dataset : Dataset
        Its ``table`` has ``n_samples``, and ``read`` gives records by their rows.
    seed : int
        Of the order.
    memory_gb : float
        Most memory of records, GB.
    """

    def __init__(self, dataset: Dataset, seed: int, memory_gb: float):
        self._dataset, self._seed = dataset, seed
        self.n_records = len(dataset.table)
        n_bytes = float(dataset.table.n_samples.sum()) * _BYTES_PER_SAMPLE
        n_parts = max(int(np.ceil(n_bytes / (memory_gb * 1e9) * _N_HELD)), 1) if n_bytes > memory_gb * 1e9 else 1
        n_blocks = -(-self.n_records // _BLOCK)
        self._part_size = _BLOCK * max(n_blocks // n_parts, 1) if n_parts > 1 else self.n_records
        self._parts: OrderedDict[tuple[int, int], dict[int, Record]] = OrderedDict()
        self._lock = threading.Lock()
        self._order = lru_cache(maxsize=2)(self._make_order)

    def records(self, positions: Sequence[int] | NDArray[np.int64]) -> list[Record]:
        """
        Records at positions of the order.

        Another record of the same part stands for one that cannot be read, which the data set's account names.

        Raises
        ------
        ValueError
            If none of a part can be read.
        """
        with self._lock:
            return [self._record(at) for at in map(int, positions)]

    def _record(self, position: int) -> Record:
        cycle, place = divmod(position, self.n_records)
        if self._part_size == self.n_records:
            return self._part(0, 0)[int(self._order(cycle)[place])]
        return self._part(cycle, place // self._part_size)[int(self._order(cycle)[place])]

    def _part(self, cycle: int, part: int) -> dict[int, Record]:
        """Records of a part by their rows, read if need be."""
        if (cycle, part) not in self._parts:
            if len(self._parts) >= _N_HELD:
                self._parts.popitem(last=False)
            order = self._order(cycle)[part * self._part_size : (part + 1) * self._part_size]
            self._parts[cycle, part] = self._read(np.sort(order))
        return self._parts[cycle, part]

    def _read(self, rows: NDArray[np.int64]) -> dict[int, Record]:
        table = self._dataset.table.iloc[rows]
        names = list(zip(table.dataset, table.name, strict=True))
        records = {(record.dataset, record.name): record for record in self._dataset.read(rows)}
        if not records:
            raise ValueError(
                f"training: none of {len(rows)} records of {self._dataset.name} can be read, such as {names[0][1]};"
                " see the account of what was left out"
            )
        usable = [records[name] for name in names if name in records]
        return {
            int(row): records.get(name, usable[index % len(usable)])
            for index, (row, name) in enumerate(zip(rows, names, strict=True))
        }

    def _make_order(self, cycle: int) -> NDArray[np.int64]:
        """All rows, mixed; of a large set blocks are mixed, and the rows within each part."""
        rng = np.random.default_rng([self._seed, 11, cycle])
        if self._part_size == self.n_records:
            return rng.permutation(self.n_records)
        blocks = np.array_split(np.arange(self.n_records), np.arange(_BLOCK, self.n_records, _BLOCK))
        order = np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])
        for first in range(0, self.n_records, self._part_size):
            rng.shuffle(order[first : first + self._part_size])
        return order
