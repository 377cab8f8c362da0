"""Optimizers as affine maps, read off by evaluating their own `update` at unit arguments, and their steps on a problem.

The state is (w, m): the weight and the optimizer's first buffer. No formula of an optimizer stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..optimizers import Optimizer
from ..typing import FloatArray, Value
from .gradient_maps import ProblemMap
from .members import Structure


@dataclass(frozen=True)
class Clock:
    """The time of a block of updates: `step` k of shape (steps,), rates of shape (points, steps)."""

    step: Value
    multiplier: Value
    lr: Value
    weight_decay: Value

    def power(self, base: Value) -> Value:
        return base**self.step


def clock(optimizer: Optimizer, steps: Value, multiplier: Value, decay_multiplier: Value) -> Clock:
    return Clock(steps, multiplier, optimizer.lr * multiplier, optimizer.weight_decay * decay_multiplier)


class UpdateMap(NamedTuple):
    """(w, m, g) ↦ (w', m'), linear: `weight_buffer` is what m contributes to w', and so on.

    `point_weight` and `point_buffer` make up where the gradient is taken, and `decay` is α, the decay per step. Arrays
    of shape (steps, points, 1), or (steps, points, d) where the map differs between coordinates.
    """

    weight_weight: FloatArray
    weight_buffer: FloatArray
    weight_gradient: FloatArray
    buffer_weight: FloatArray
    buffer_buffer: FloatArray
    buffer_gradient: FloatArray
    point_weight: FloatArray
    point_buffer: FloatArray
    decay: FloatArray

    def at(self, step: int) -> UpdateMap:
        return UpdateMap(*(entry[step] for entry in self))


def images(optimizer: Optimizer, xp_root: Value, c: Any) -> tuple[Value, ...]:
    """The entries of the update map in the order of `UpdateMap` but for α, in whatever numbers `c` holds."""
    structure = Structure(optimizer)
    (weight, buffer), (of_weight, of_buffer) = (found := structure.images(xp_root, c, ())).rows, found.gradient
    return (*weight, of_weight, *buffer, of_buffer, *structure.points(c))


def update_map(optimizer: Optimizer, time: Clock, root: FloatArray, given: Any = None) -> UpdateMap:
    """The update's map at each step of the clock; `root`, shape (points, 1 or d), stands for AdamW's √v̂.

    `given` are the step's coefficients where they are not the optimizer's own at that time.
    """
    points, steps = np.broadcast_shapes(np.shape(time.lr), np.shape(time.weight_decay), (1, np.size(time.step)))
    given = optimizer.coefficients(np, time) if given is None else given
    c = type(given)(*(np.asarray(value)[..., None] for value in given))
    entries = images(optimizer, root[:, None, :], c)
    alpha = np.asarray(optimizer.decay_per_step(time))[..., None]
    width = max(np.shape(entry)[-1] if np.ndim(entry) else 1 for entry in entries)

    def stepwise(entry: Value, width: int) -> FloatArray:
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(entry, (points, steps, width)), 1, 0), dtype=np.float64)

    return UpdateMap(*[stepwise(entry, width) for entry in entries] + [stepwise(alpha, 1)])


def lost_weight(optimizer: Optimizer) -> FloatArray:
    """1 − (the share of the weight that passes a step at the peak rate directly), shape (points, 1).

    In exact rationals, since 1 − (1 − ηλ) in floating point loses what stationary values are made of.
    """
    points = len(optimizer.lr)
    lost = np.empty((points, 1))
    for point in range(points):
        exact = {
            name: Fraction(float(value[point, 0]))
            for name, value in optimizer.field_values().items()
            if isinstance(value, np.ndarray)
        }
        one = optimizer.substituted(**exact)
        peak = PeakClock(Fraction(1), Fraction(1), exact["lr"], exact["weight_decay"])
        lost[point] = float(1 - images(one, Fraction(1), one.coefficients(Settled, peak))[0])
    return lost


class Settled:
    """The roots that coefficients take: of bias corrections, which are 1 once they have settled."""

    @staticmethod
    def sqrt(value: Value) -> Value:
        if value != 1:
            raise ValueError(f"the root of {value!r} is no rational number that is known here")
        return value


class PeakClock(Clock):
    """The clock of the stationary state: k → ∞, so every power of a number below 1 is 0, and 1 stays 1."""

    def power(self, base: Value) -> Value:
        return base == 1


class StepMap(NamedTuple):
    """One step with the problem put in: x' = A x + b + e·n for x = (w, m); arrays that broadcast to (points, d)."""

    weight_weight: FloatArray
    weight_buffer: FloatArray
    buffer_weight: FloatArray
    buffer_buffer: FloatArray
    weight_offset: FloatArray
    buffer_offset: FloatArray
    weight_noise: FloatArray
    buffer_noise: FloatArray
    decay: FloatArray

    @property
    def weight_row(self) -> tuple[FloatArray, FloatArray]:
        """What the weight and the buffer contribute to the weight."""
        return self.weight_weight, self.weight_buffer

    def linear(self) -> StepMap:
        """A alone, without b and e."""
        zero = np.zeros((1, 1))
        return self._replace(weight_offset=zero, buffer_offset=zero, weight_noise=zero, buffer_noise=zero)


def composed(u: UpdateMap, g: ProblemMap) -> StepMap:
    """The step that an update map takes on a problem: the gradient where it is taken substituted for g."""
    return put_in(u, g, bool(u.point_buffer.any()))


def put_in(u: UpdateMap, g: ProblemMap, averaged: bool) -> StepMap:
    """`composed`, told whether the gradient is taken elsewhere than at the weight."""
    slope = g.slope * u.point_weight if averaged else g.slope
    of_buffer = g.slope * u.point_buffer if averaged else 0.0
    return StepMap(
        u.weight_weight + u.weight_gradient * slope,
        u.weight_buffer + u.weight_gradient * of_buffer if averaged else u.weight_buffer,
        u.buffer_weight + u.buffer_gradient * slope,
        u.buffer_buffer + u.buffer_gradient * of_buffer if averaged else u.buffer_buffer,
        u.weight_gradient * g.offset,
        u.buffer_gradient * g.offset,
        u.weight_gradient * g.scale,
        u.buffer_gradient * g.scale,
        u.decay,
    )
