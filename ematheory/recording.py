"""Which steps of a run are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .records import Interval, check_whole


@dataclass(frozen=True)
class Every:
    """Records at 0, n, 2n, … and at the last step."""

    interval: int


def every(interval: int) -> Every:
    """Record step 0, every `interval` steps, and the last one. Raises `TypeError` or `ValueError` for less than 1.

    >>> recorded_steps(every(4), 10).tolist()
    [0, 4, 8, 10]
    """
    return Every(check_whole("every", interval, Interval(1)))


def check_steps(steps: Any) -> int:
    """The length of a run as an int. Raises `TypeError` or `ValueError` for what is not a whole number ≥ 1."""
    return check_whole("steps", steps, Interval(1))


def recorded_steps(record: Every | Sequence[int] | None, steps: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The recorded step counts, increasing, of a run of `steps` steps; None records the start and the end.

    Raises `ValueError` for a step outside 0…steps, a repeated one, or none at all.
    """
    if record is None:
        return np.array([0, steps], dtype=np.int64)
    if isinstance(record, Every):
        grid = np.arange(0, steps + 1, record.interval, dtype=np.int64)
        return grid if grid[-1] == steps else np.append(grid, steps)
    wanted = np.asarray(record)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or wanted.size == 0:
        raise ValueError(f"record must be every(n) or a list of step counts, got {record!r}")
    if wanted.min() < 0 or wanted.max() > steps or (np.diff(wanted) <= 0).any():
        raise ValueError(f"record must hold increasing step counts in 0…{steps}, got {wanted.tolist()}")
    return wanted.astype(np.int64)
