"""Moments of an exponential moving average of the iterates, w̃ ← γw̃ + (1 − γ)w (Q5), beside those of the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..typing import FloatArray
from .gradient_maps import ProblemMap
from .linear import StepMap, UpdateMap
from .moments import Arrays, EqualSteps, Moments, advance, in_units, settled_covariance, solved
from .stepping import averaged_name
from .trajectory import Recorded, Run


class Averaged(NamedTuple):
    """Of (w, m, w̃): three means, then the covariances; each of shape (points, d)."""

    weight_mean: FloatArray
    buffer_mean: FloatArray
    mean: FloatArray
    weight_variance: FloatArray
    covariance: FloatArray
    buffer_variance: FloatArray
    with_weight: FloatArray
    with_buffer: FloatArray
    variance: FloatArray

    @property
    def weights(self) -> Moments:
        return Moments(self.weight_mean, self.buffer_mean, self.weight_variance, self.covariance, self.buffer_variance)

    @property
    def average(self) -> Moments:
        """The average's moments in the weight's place; it has no buffer."""
        return only(self.mean, self.variance)


def only(mean: FloatArray, variance: FloatArray) -> Moments:
    zero = np.zeros_like(mean)
    return Moments(mean, zero, variance, zero, zero)


def advance_averaged(
    x: Averaged, a: StepMap, taken: float, moved: Callable[[Moments, StepMap], Moments] = advance
) -> Averaged:
    """The moments after a step and the average of it: w̃' = (1 − taken)·w̃ + taken·w'."""
    after, kept = moved(x.weights, a), 1 - taken
    # Covariances of the old average with the new weight and buffer.
    weight = a.weight_weight * x.with_weight + a.weight_buffer * x.with_buffer
    buffer = a.buffer_weight * x.with_weight + a.buffer_buffer * x.with_buffer
    return Averaged(
        after.weight_mean,
        after.buffer_mean,
        kept * x.mean + taken * after.weight_mean,
        after.weight_variance,
        after.covariance,
        after.buffer_variance,
        kept * weight + taken * after.weight_variance,
        kept * buffer + taken * after.covariance,
        kept * (kept * x.variance + 2 * taken * weight) + taken * taken * after.weight_variance,
    )


class AveragedMap:
    """Many equal steps of `Averaged`."""

    def __init__(self, step: StepMap, taken: float, shape: tuple[int, ...]) -> None:
        def moved(x: Arrays, a: StepMap) -> Arrays:
            return advance_averaged(Averaged(*x), a, taken)

        self.equal = EqualSteps(moved, step, 3, len(Averaged._fields), shape)

    def after(self, x: Averaged, steps: int) -> Averaged:
        return Averaged(*self.equal.after(x, steps))


@dataclass(frozen=True)
class AveragedRun(Run):
    """A run with an average of its iterates, started at w_0, whose moments are recorded in the weight's place."""

    taken: float = 1.0

    def start(self) -> Averaged:
        x = super().start()
        assert isinstance(x, Moments)
        variances = (x.weight_variance, x.covariance, x.buffer_variance)
        return Averaged(*x.means, x.weight_mean, *variances, x.weight_variance, x.covariance, x.weight_variance)

    def gradient(self, x: Averaged, updates: UpdateMap) -> ProblemMap:
        return super().gradient(x.weights, updates)

    def moved(self, x: Averaged, step: StepMap, number: int) -> Averaged:
        return advance_averaged(x, step, self.taken)

    @property
    def program(self) -> str:
        return averaged_name(self.optimizer, self.memoryless)

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> Averaged:
        return Averaged(*flat)

    def coefficients(self, steps: range) -> FloatArray:
        given = super().coefficients(steps)
        return np.concatenate([given, np.full((*given.shape[:2], 1), self.taken)], axis=-1)

    def many(self, step: StepMap) -> AveragedMap:
        return AveragedMap(step, self.taken, self.init.shape)

    def seen(self, place: int, x: Averaged, before: Averaged, step: StepMap | None) -> Recorded:
        return Recorded(place, x.average)


def settled_average(a: StepMap, lost: FloatArray, taken: float) -> Moments:
    """The average's stationary moments; `lost` is 1 − A_ww, as for `moments.stationary`."""
    unit, offset, noise = in_units(a, lost)
    d = np.empty((*lost.shape, 3, 3))
    d[..., 0, 0], d[..., 0, 1], d[..., 0, 2] = lost, -a.weight_buffer / unit, 0.0
    d[..., 1, 0], d[..., 1, 1], d[..., 1, 2] = -a.buffer_weight * unit, 1 - a.buffer_buffer, 0.0
    d[..., 2, 0], d[..., 2, 1], d[..., 2, 2] = taken * (lost - 1), -taken * a.weight_buffer / unit, taken
    full = np.concatenate([noise, taken * noise[..., :1]], axis=-1)
    spread = settled_covariance(d, full[..., :, None] * full[..., None, :])
    mean = solved(d[..., :2, :2], offset)[..., 0] * unit  # in the long run the average's is the weight's
    return only(mean, spread[..., 2, 2] * unit * unit)
