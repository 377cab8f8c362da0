"""Averages of the iterates: exponential at several rates, or uniform over the tail of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr

from ..records import UNIT, Interval, as_field
from ..typing import FloatArray

EXPONENTIAL, TAIL = "iterate_average", "tail_average"
SHARE = Interval(0.0, 1.0, closed_low=False, closed_high=True)


@dataclass(frozen=True)
class Averages:
    """Averages of one kind, w̃ ← (1 − taken)·w̃ + taken·w after each step, started at w_0.

    `name` is the kind, `values` the rates γ or the shares s; `swept` says whether they are an axis of the result.
    """

    name: str = ""
    values: tuple[float, ...] = ()
    swept: bool = False

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def given(self) -> Any:
        """The values as they were given, for a result's attributes."""
        return np.asarray(self.values if self.swept else self.values[0])

    def taken(self, first: int, last: int, steps: int) -> FloatArray:
        """What updates first+1 … last of a run take of the new weight, shape (last − first, averages), in float64."""
        number = np.arange(first + 1, last + 1, dtype=np.float64)[:, None]
        if self.name == EXPONENTIAL:
            return np.broadcast_to(1 - np.array(self.values), (len(number), len(self.values)))
        start = np.array([tail_start(share, steps) for share in self.values], dtype=np.float64)
        return np.asarray(1 / np.maximum(number - start + 1, 1))

    def block(self, first: int, last: int, steps: int, dtype: Any) -> np.ndarray[Any, Any]:
        """The shares of the old average and of the new weight, shape (last − first, averages, 2), cast at the end."""
        taken = self.taken(first, last, steps)
        return np.stack([1 - taken, taken], axis=-1).astype(dtype)


def tail_start(share: float, steps: int) -> int:
    """⌈(1 − s)T⌉, the step of the first weight in the mean, exact for the decimals that were written.

    >>> tail_start(0.29, 100), tail_start(0.1, 99), tail_start(1, 99)
    (71, 90, 0)
    """
    return math.ceil((1 - Fraction(repr(float(share)))) * steps)


def check_averages(iterate_average: Any, tail_average: Any) -> Averages:
    """The averages asked for. Raises `ValueError` for both kinds at once, or a value outside its range."""
    if iterate_average is None and tail_average is None:
        return Averages()
    if iterate_average is not None and tail_average is not None:
        raise ValueError(
            "iterate_average and tail_average both stand in the weights' place: ask for one at a time (the same seed "
            "gives the same trajectories)"
        )
    name, value, allowed = (EXPONENTIAL, iterate_average, UNIT) if tail_average is None else (TAIL, tail_average, SHARE)
    field = as_field(name, value, allowed)
    if isinstance(field, xr.DataArray) and field.dims != (name,):
        raise ValueError(f"{name} must be a number or a 1-D sequence of numbers, got dims {field.dims}")
    return Averages(name, tuple(np.atleast_1d(np.asarray(field)).tolist()), isinstance(field, xr.DataArray))
