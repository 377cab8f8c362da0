"""Moments on a finite data set that is passed through in epochs (T3): the noise of one epoch adds up to nothing.

Over all data sets and orders the batches' noises are exchangeable within an epoch. Less their mean over the data they
sum to zero, so that what is left of an epoch foretells the next noise: with R the sum of the batches to come, k of
them, E[n | past] = R/k. The covariances with R therefore close the recursion. The data's own mean stays for good, and
the weights' response to it is followed as a mean is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..typing import FloatArray
from .gradient_maps import EpochMap, EpochRows, EpochTime, ProblemMap
from .linear import StepMap, UpdateMap
from .moments import Moments, advance, stationary
from .trajectory import Recorded, Run


class Epochs(NamedTuple):
    """Of (w, m): the moments without the data's mean, covariances with R, and responses to the data's mean."""

    weight_mean: FloatArray
    buffer_mean: FloatArray
    weight_variance: FloatArray
    covariance: FloatArray
    buffer_variance: FloatArray
    with_weight: FloatArray
    with_buffer: FloatArray
    pull_weight: FloatArray
    pull_buffer: FloatArray

    @property
    def weights(self) -> Moments:
        return Moments(self.weight_mean, self.buffer_mean, self.weight_variance, self.covariance, self.buffer_variance)


@dataclass(frozen=True)
class EpochRun(Run):
    """A run on an `EpochMap`, stepped one by one: within an epoch no two steps are alike."""

    def start(self) -> Epochs:
        return Epochs._make([*super().start(), *(np.zeros_like(self.init),) * 4])

    def gradient(self, x: Epochs, updates: UpdateMap) -> ProblemMap:
        return self.problem

    def moved(self, x: Epochs, step: StepMap, number: int) -> Epochs:
        assert isinstance(self.problem, EpochMap)
        return advance_epoch(x, step, self.problem.rows, self.problem.times(float(number)))

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> Epochs:
        return Epochs(*flat)

    def seen(self, place: int, x: Epochs, before: Epochs, step: StepMap | None) -> Recorded:
        return Recorded(place, with_pull(x.weights, x.pull_weight, x.pull_buffer))


def with_pull(x: Moments, weight: FloatArray, buffer: FloatArray) -> Moments:
    """The moments over data sets too: what the data's mean does is independent of the orders."""
    return x._replace(
        weight_variance=x.weight_variance + weight * weight,
        covariance=x.covariance + weight * buffer,
        buffer_variance=x.buffer_variance + buffer * buffer,
    )


def advance_epoch(
    x: Epochs, a: StepMap, rows: EpochRows, t: EpochTime, moved: Callable[[Moments, StepMap], Moments] = advance
) -> Epochs:
    """The moments after a step whose noise is R/k and something new."""
    own = a._replace(weight_noise=a.weight_noise * rows.within_root, buffer_noise=a.buffer_noise * rows.within_root)
    after = moved(x.weights, own)
    rest_weight = a.weight_weight * x.with_weight + a.weight_buffer * x.with_buffer
    rest_buffer = a.buffer_weight * x.with_weight + a.buffer_buffer * x.with_buffer
    later = rows.within * t.later  # the covariance of the batch with the sum of the later ones
    return Epochs(
        after.weight_mean,
        after.buffer_mean,
        after.weight_variance + 2 * a.weight_noise * t.foretold * rest_weight,
        after.covariance + t.foretold * (a.weight_noise * rest_buffer + a.buffer_noise * rest_weight),
        after.buffer_variance + 2 * a.buffer_noise * t.foretold * rest_buffer,
        t.kept * rest_weight + a.weight_noise * later,
        t.kept * rest_buffer + a.buffer_noise * later,
        a.weight_weight * x.pull_weight + a.weight_buffer * x.pull_buffer + a.weight_noise * rows.shared,
        a.buffer_weight * x.pull_weight + a.buffer_buffer * x.pull_buffer + a.buffer_noise * rows.shared,
    )


def settled_epochs(a: StepMap, lost: FloatArray, problem: EpochMap) -> Moments:
    """The stationary moments where the items are drawn anew at each step."""
    within = np.sqrt(problem.within)
    x = stationary(a._replace(weight_noise=a.weight_noise * within, buffer_noise=a.buffer_noise * within), lost)
    pulled = a._replace(
        weight_offset=a.weight_noise * problem.shared,
        buffer_offset=a.buffer_noise * problem.shared,
        weight_noise=np.zeros_like(within),
        buffer_noise=np.zeros_like(within),
    )
    mean = stationary(pulled, lost)
    return with_pull(x, mean.weight_mean, mean.buffer_mean)
