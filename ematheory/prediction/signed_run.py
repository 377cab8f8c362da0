"""Runs of optimizers that take signs, step by step, and their stationary state: a fixed point, found by iteration."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..typing import FloatArray
from .linear import PeakClock
from .members import Structure
from .moments import settled_covariance, solved
from .signs import (
    LASTING,
    Linearisation,
    SignedStep,
    SignMoments,
    Split,
    advance_signed,
    buffers_alone,
    linearisation,
    of_weights,
    outer,
    ratio,
    remembered,
    sign_images,
    signed_step,
    split,
    swung,
)
from .trajectory import LONGEST_BLOCK, IntArray, Recorded, Run

# Of the new moments so much is taken, of variances as a power: that damps what would oscillate.
TAKEN = 1 / 3
ITERATIONS, ENOUGH, STILL = 300, 1e-12, 1e-8
# Where the iteration goes round in circles the run itself may still come to rest: where a step changes next to nothing.
LAST_STEPS, AT_ONCE = 3000, 1e-13


@dataclass(frozen=True)
class SignRun(Run):
    """A run of an optimizer that takes signs: every step is made anew."""

    pessimism: int = 0

    @cached_property
    def structure(self) -> Structure:
        return Structure(self.optimizer)

    def start(self) -> SignMoments:
        first = self.optimizer.initial(np, self.init)
        return SignMoments.of(self.problem.remembered([getattr(first, name) for name in self.structure.members]))

    def recorded(self, wanted: IntArray) -> Generator[Recorded, None, None]:
        x, place, last = self.start(), 0, int(wanted[-1])
        if wanted[0] == 0:
            yield Recorded(0, x)
            place = 1
        for start in range(0, last, LONGEST_BLOCK):
            steps, began = range(start, min(start + LONGEST_BLOCK, last)), x
            given = self.coefficients(steps)
            clock = self.clock(steps.start, steps.stop)
            alpha = np.broadcast_to(self.optimizer.decay_per_step(clock), given.shape[:2])
            c = self.optimizer.Coefficients(*np.moveaxis(given, -1, 0))
            images, point = sign_images(self.structure, c, given.shape[:2]), self.structure.point_row(c)  # of no time
            for k in steps:
                gradient = self.problem.gradient(x, k)
                a = signed_step(images.at(k - start), point, gradient, self.init.shape)
                x, row, before = advance_signed(x, a, gradient, self.pessimism)
                if wanted[place] == k + 1:
                    yield Recorded(place, self.shown(x, a), before, row, alpha[:, k - start, None])
                    place += 1
            if place < len(wanted) and self.rests(steps, given, began, x):
                seen = Recorded(place, self.shown(x, a), before, row, alpha[:, -1, None])
                yield from (seen._replace(place=later) for later in range(place, len(wanted)))
                return

    def shown(self, x: SignMoments, a: SignedStep) -> SignMoments:
        """The moments to be recorded: where signs are taken to last, with what may swing for good."""
        return swung(x, of_weights(x, a)) if self.pessimism == LASTING else x

    def rests(self, steps: range, given: FloatArray, before: SignMoments, after: SignMoments) -> bool:
        """Whether a block of equal steps changed no bit, and those to come are equal."""
        later = (self.multipliers[steps.start :], self.decay_multipliers[steps.start :])
        return (
            not self.problem.timed
            and all(each.strides == (0,) for each in later)
            and bool((given == given[:, :1]).all())
            and all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        )


class AtRest(NamedTuple):
    """What the stationary state is judged by: I − A, and a margin that is above 0 where the moments stay."""

    left: FloatArray
    margin: FloatArray


def settled_signs(run: SignRun) -> tuple[AtRest, Recorded]:
    """The stationary moments. With the sign's gain given the step is linear, and its moments are solved for."""
    own, shape = run.optimizer, run.init.shape
    time = PeakClock(np.inf, np.ones((1, 1)), own.lr, own.weight_decay)
    c = own.Coefficients(*(np.broadcast_to(value, (len(run.init), 1)) for value in own.coefficients(np, time)))
    decay = np.broadcast_to(own.decay_per_step(time), shape)
    images, point = sign_images(run.structure, c, (len(run.init), 1)), run.structure.point_row(c)
    x, share = wide_start(run), AT_ONCE
    for _ in range(ITERATIONS):
        gradient, before = run.problem.gradient(x, 0), x
        a = signed_step(images, point, gradient, shape)
        s = split(x, a, gradient, run.pessimism)
        step = linearisation(a, s, x.mean)
        left = np.eye(x.mean.shape[-1]) - step.matrix
        left[..., 0, 0] = decay - a.signed[..., 0] * s.gain * a.row[..., 0]  # free of cancellation
        with np.errstate(all="ignore"):
            try:
                x = once_more(run, x, a, s, step, left)
            except np.linalg.LinAlgError:
                break
        if not np.isfinite(x.covariance).all():
            break
        if close(before, x, ENOUGH).all():
            share = STILL
            break
    gradient = run.problem.gradient(x, 0)
    a = signed_step(images, point, gradient, shape)
    after, row, whole = advance_signed(x, a, gradient, run.pessimism)
    for _ in range(LAST_STEPS):
        if close(x, after, share).all() or not np.isfinite(after.covariance).all():
            break
        x = after
        gradient = run.problem.gradient(x, 0)
        a = signed_step(images, point, gradient, shape)
        after, row, whole = advance_signed(x, a, gradient, run.pessimism)
    still = close(x, after, share)
    if run.pessimism and not still.all():
        # The worst that may be is not always a bounded state.
        x = x._replace(covariance=np.where(still[..., None, None], x.covariance, np.inf))
        still = np.ones_like(still)
        left = np.broadcast_to(np.eye(left.shape[-1]), left.shape)
    return AtRest(left, np.where(still, 1.0, -1.0)), Recorded(0, run.shown(x, a), whole, row, decay)


def wide_start(run: SignRun) -> SignMoments:
    """Weights that no slope moves by much, at the optimum where there is one."""
    zero = np.zeros(run.init.shape)
    x = SignMoments.of(run.problem.remembered([zero] * len(run.structure.members)))
    covariance = x.covariance.copy()
    covariance[..., 0, 0] = 1.0
    g = run.problem.gradient(x._replace(covariance=covariance), 0)
    slope = np.broadcast_to(g.slope, zero.shape)
    mean = x.mean.copy()
    mean[..., 0] = np.where(slope != 0, -g.offset / np.where(slope != 0, slope, 1.0), 0.0)
    covariance[..., 0, 0] = 100 * own_square(run, g.scale, slope)
    return x._replace(mean=mean, covariance=covariance)


def own_square(run: SignRun, scale: FloatArray, slope: FloatArray) -> FloatArray:
    """The order of the largest mean square: η², and that of the noise over the slope."""
    noise = np.where(slope != 0, scale / np.where(slope != 0, slope, 1.0), 0.0)
    return np.asarray(run.optimizer.lr**2 + noise * noise)


def once_more(
    run: SignRun, x: SignMoments, a: SignedStep, s: Split, step: Linearisation, left: FloatArray
) -> SignMoments:
    """The moments that the step linearised at these leaves as they are; `left` is I − A."""
    count = x.mean.shape[-1]
    unit = np.ones_like(x.mean)
    unit[..., 0] = run.optimizer.lr
    scaled = left * (unit[..., None, :] / unit[..., :, None])
    covariance = settled_covariance(scaled, step.own / outer(unit, unit)) * outer(unit, unit)
    mean = x.mean + TAKEN * (solved(scaled, step.offsets / unit) * unit - x.mean)
    covariance = damped(x.covariance, covariance)
    kept, new = remembered(x, a, s, step, covariance)
    orders = np.eye(count) - kept[..., None, None] * step.matrix[..., None, :, :]
    buffers, free = buffers_alone(a)
    apart = settled_covariance(np.eye(count) - buffers, free)
    return SignMoments(mean, covariance, solved(orders, new), apart)


def damped(old: FloatArray, new: FloatArray) -> FloatArray:
    """Covariances with variances between the two; a larger one where there is none, for a smaller gain."""
    was, now = (np.diagonal(each, axis1=-2, axis2=-1) for each in (old, new))
    good = np.isfinite(now) & (now >= 0)
    variances = np.where(good, was ** (1 - TAKEN) * np.where(good, now, 0.0) ** TAKEN, 4 * was)
    variances = np.where((was == 0) & good, now, variances)
    factor = np.sqrt(ratio(variances, np.where(good, now, 0.0)))
    found = np.where(np.isfinite(new), new, 0.0) * outer(factor, factor)
    places = np.arange(was.shape[-1])
    found[..., places, places] = variances
    return found


def close(one: SignMoments, other: SignMoments, share: float) -> FloatArray:
    """Whether the moments of each cell are the same but for a share of them."""
    spread = np.sqrt(np.maximum(np.diagonal(other.covariance, axis1=-2, axis2=-1), 0.0))
    size = np.abs(other.mean) + spread
    same = (np.abs(one.mean - other.mean) <= share * size).all(axis=-1)
    apart = np.abs(one.covariance - other.covariance) <= share * outer(spread, spread)
    return np.asarray(same & apart.all(axis=(-1, -2)))
