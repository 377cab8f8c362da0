"""How a simulation is cut up: points and replicas into blocks of bounded memory, steps into calls of bounded work.

No cut changes a bit of the answer; tests/metamorphic checks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reductions import LEAF

# The most numbers that one call's coefficients, and its snapshots, hold.
COEFFICIENTS = 2**20
SNAPSHOTS = 2**21


@dataclass(frozen=True)
class Layout:
    """Points per block, and replicas per block as 2^`level` leaves of 64, aligned."""

    points: int
    level: int

    @property
    def replicas(self) -> int:
        return LEAF << self.level


def layout(points: int, replicas: int, coordinates: int, cells: int) -> Layout:
    """Blocks of at most `cells` cells, or of one point's 64 replicas where those alone are more."""
    per_point = min(replicas, LEAF) * coordinates
    together = max(1, min(points, cells // per_point))
    leaves = min(-(-replicas // LEAF), max(1, cells // (together * per_point)))
    return Layout(together, leaves.bit_length() - 1)


def point_blocks(points: int, size: int, first: int = 0) -> Iterator[range]:
    return (range(start, min(start + size, points)) for start in range(first, points, size))


def replica_block(replicas: range, size: int, number: int) -> range:
    """The absolute replica numbers of aligned block `number` that are among `replicas`."""
    return range(max(replicas.start, number * size), min(replicas.stop, (number + 1) * size))


@dataclass(frozen=True)
class Call:
    """Updates first+1 … last, the records among them, and where the weight is copied.

    `records` slices the recorded steps; `at` are the offsets of the snapshots; `now` and `before` say which snapshot
    each record is and which is one step earlier (`before` is empty where nothing needs it).
    """

    first: int
    last: int
    records: slice
    at: np.ndarray[Any, np.dtype[np.int64]]
    now: np.ndarray[Any, np.dtype[np.int64]]
    before: np.ndarray[Any, np.dtype[np.int64]]


def calls(
    record: np.ndarray[Any, np.dtype[np.int64]], longest: int, snapshots: int, pairs: bool, first: int = 0
) -> Iterator[Call]:
    """The calls that reach the last recorded step: each of at most `longest` steps and `snapshots` snapshots.

    A record at step 0 belongs to the first call; every other to the call that makes its update. After `first` updates
    made by calls like these, only those that are left.
    """
    place = int(np.searchsorted(record, first, side="right")) if first else 0
    most = max(1, snapshots // 2 if pairs else snapshots)
    while place < len(record):
        last = min(first + longest, int(record[-1]))
        until = min(int(np.searchsorted(record, last, side="right")), place + most)
        if until < len(record) and until == place + most:
            last = min(last, int(record[until - 1]))
        yield call(record, first, last, slice(place, until), pairs)
        first, place = last, until


def call(record: np.ndarray[Any, np.dtype[np.int64]], first: int, last: int, records: slice, pairs: bool) -> Call:
    now = record[records] - first
    # Step 0 has no step before; its own place stands in, and the value there is made NaN.
    before = np.maximum(now - 1, 0) if pairs else now[:0]
    at = np.union1d(now, before)
    return Call(first, last, records, at, np.searchsorted(at, now), np.searchsorted(at, before))


def longest_call(work: int, cells: int, points: int, coefficients: int) -> int:
    """The most steps of a call such that its work and its coefficients are bounded."""
    return max(1, min(work // max(cells, 1), COEFFICIENTS // (points * max(coefficients, 1))))
