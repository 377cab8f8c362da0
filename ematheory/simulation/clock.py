"""Everything that depends on time alone, for a block of points: an optimizer's coefficients in blocks of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from ..optimizers import Optimizer
from ..problems import Problem
from ..records import VALUE_DIMS, Grid, Record
from ..schedules import Schedule
from ..typing import FloatArray
from . import arrays

Self = TypeVar("Self", bound=Record)


def at_points(record: Self, over: Grid, points: range) -> Self:
    """`records.flattened` for some of the grid's points: fields of shape (points or 1, 1 or d), 1 where none varies.

    A sweep over a vector problem is never flattened whole: that would take points × d numbers.
    """
    positions = dict(zip(over.dims, np.unravel_index(np.asarray(points), over.shape or (1,)), strict=False))
    columns = {
        name: field_at(value, positions)
        for name, value in record.field_values().items()
        if isinstance(value, float) or hasattr(value, "dims")
    }
    return record.substituted(**columns)


def field_at(value: Any, positions: Mapping[str, Any]) -> FloatArray:
    """A field's values at the points whose index on each sweep dim is given."""
    if isinstance(value, float):
        return np.full((1, 1), value)
    own = [dim for dim in VALUE_DIMS if dim in value.dims]
    swept = [dim for dim in value.dims if dim not in own]
    values = value.transpose(*swept, *own).values
    values = values[tuple(positions[dim] for dim in swept)] if swept else values[None]
    return np.asarray(values if own else values[:, None], dtype=np.float64)


def multipliers_of(schedule: Schedule | FloatArray | None, steps: int, first: int, last: int) -> FloatArray:
    """The multipliers of updates first+1 … last, shape (1, last − first): a long run's are never all in memory."""
    if schedule is None:
        return np.ones((1, last - first))
    if isinstance(schedule, Schedule):
        return schedule.multipliers(steps, first, last)[None]
    return schedule[None, first:last]


class HostTime:
    """The clock of a block of steps: arrays that broadcast to (points, steps of the block), in float64."""

    def __init__(self, clock: Clock, first: int, last: int) -> None:
        self.clock = clock
        self.first = first
        self.step = np.arange(first + 1, last + 1, dtype=np.float64)[None]
        self.multiplier = multipliers_of(clock.schedule, clock.steps, first, last)
        self.lr = clock.lr * self.multiplier
        self.weight_decay = clock.weight_decay * multipliers_of(clock.decay_schedule, clock.steps, first, last)
        self.powers: dict[bytes, FloatArray] = {}

    def power(self, base: Any) -> FloatArray:
        """base^k by a running product from k = 1, carried from block to block: any block size gives the same bits."""
        column = np.array(np.broadcast_to(base, np.broadcast_shapes(np.shape(base), (1, 1))), dtype=np.float64)
        key = column.tobytes()
        if key not in self.powers:
            factors = np.repeat(column, self.step.size, axis=1)
            factors[:, :1] *= self.clock.carried(key, column, self.first)
            self.powers[key] = np.multiply.accumulate(factors, axis=1)
            if self.step.size:
                self.clock.carry[key] = (self.first + self.step.size, self.powers[key][:, -1:])
        return self.powers[key]


class Clock:
    """Gives the coefficients of one block of steps after another, for a block of points.

    The schedules are schedules, arrays of T multipliers, or None for 1; the optimizer's fields have shape
    (points or 1, 1).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        points: int,
        steps: int,
        schedule: Schedule | FloatArray | None = None,
        decay_schedule: Schedule | FloatArray | None = None,
        dtype: Any = np.float64,
    ) -> None:
        self.optimizer = optimizer
        self.points = points
        self.lr = np.asarray(optimizer.lr)
        self.weight_decay = np.asarray(optimizer.weight_decay)
        self.steps = steps
        self.schedule = schedule
        self.decay_schedule = decay_schedule
        self.dtype = dtype
        self.carry: dict[bytes, tuple[int, FloatArray]] = {}

    def carried(self, key: bytes, column: FloatArray, first: int) -> FloatArray:
        """base^first, as the last block left it; a base first asked for in mid-run is multiplied up from k = 1."""
        start = (0, np.ones_like(column))
        done, power = self.carry.get(key, start)
        if done > first:
            done, power = start
        for _ in range(first - done):
            power = power * column
        return power

    def learning_rates(self, first: int, last: int) -> FloatArray:
        """η_k of updates first+1 … last in float64, shape (points or 1, steps)."""
        return np.asarray(HostTime(self, first, last).lr)

    def block(self, first: int, last: int) -> tuple[np.ndarray[Any, Any], FloatArray]:
        """Of updates first+1 … last: the coefficients, shape (points, steps, K), and α_k in float64, (points, steps).

        The coefficients are in the order of the optimizer's NamedTuple, computed in float64 and cast at the end.
        """
        time = HostTime(self, first, last)
        shape = (self.points, last - first)
        columns = self.optimizer.coefficients(arrays, time)
        block = np.empty((*shape, len(columns)), dtype=self.dtype)
        for number, column in enumerate(columns):
            block[..., number] = column
        return block, np.broadcast_to(np.asarray(self.optimizer.decay_per_step(time)), shape)


def problem_columns(problem: Problem, shape: tuple[int, int]) -> FloatArray:
    """The problem's coefficients in float64, shape (Q, points, d), from fields of shape (points or 1, 1 or d)."""
    columns = problem.coefficients(arrays)
    return np.stack([np.broadcast_to(np.asarray(column, dtype=np.float64), shape) for column in columns])


def drift_of(problem: Problem, shape: tuple[int, int], dtype: Any) -> np.ndarray[Any, Any]:
    """What is kept of the optimum's displacement at each step, and the scale of its noise, shape (2, points, d)."""
    pair = (1 - np.asarray(problem.drift_reversion), problem.drift)
    return np.stack([np.broadcast_to(np.asarray(part, dtype=dtype), shape) for part in pair])
