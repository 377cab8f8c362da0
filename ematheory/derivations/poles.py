"""The poles of an optimizer's own linear update, by running it on the unit states: brute force for their formulas."""

from __future__ import annotations

from typing import Any

import mpmath

from ..optimizers import Optimizer
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .evaluation import Number


def slow_pole(record: Optimizer, time: SymbolicTime, xp: Any = x.numbers) -> Number:
    """The larger eigenvalue of what one update without gradient makes of the weight and the first buffer."""
    c = record.coefficients(xp, time)
    rest = (mpmath.mpf(0),) * (len(record.State._fields) - 2)
    units = [record.update(xp, record.State(*unit, *rest), mpmath.mpf(0), c) for unit in ((1, 0), (0, 1))]
    values = mpmath.eig(mpmath.matrix([[column[row] for column in units] for row in (0, 1)]), left=False, right=False)
    return max(mpmath.re(value) for value in values)
