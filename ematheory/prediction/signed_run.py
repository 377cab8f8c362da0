"""Runs of optimizers that take signs, step by step, and their stationary state: a fixed point, found by iteration."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from ..optimizers import is_traced
from ..typing import FloatArray
from .closure import Gradient
from .linear import PeakClock
from .members import Row, Structure, number, ratio
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
    remembered,
    sign_images,
    signed_step,
    split,
    swung,
    symmetric,
)
from .stepping import SIGNED, Stepper, calls, signed_name, stepper
from .trajectory import IntArray, Recorded, Run, Walk

# Of the new moments so much is taken, of variances as a power: that damps what would oscillate.
TAKEN = 1 / 3
ITERATIONS, ENOUGH, STILL = 300, 1e-12, 1e-8
# Where the iteration goes round in circles the run itself may still come to rest: where a step changes next to nothing.
LAST_STEPS, AT_ONCE = 3000, 1e-13


# The moments at the end of some steps, and before and after each of those wanted.
Walked: TypeAlias = tuple[SignMoments, list[tuple[SignMoments, SignMoments]]]


@dataclass(frozen=True)
class SignRun(Run):
    """A run of an optimizer that takes signs: every step is made anew."""

    pessimism: int = 0

    @cached_property
    def structure(self) -> Structure:
        return Structure(self.optimizer)

    def start(self) -> SignMoments:
        first = self.optimizer.initial(np, self.init)
        x = self.problem.remembered([getattr(first, name) for name in self.structure.members])
        return SignMoments.at_start(x, self.pessimism)

    @cached_property
    def native(self) -> Stepper | None:
        if not is_traced(self.optimizer, SIGNED):
            return None
        program = signed_name(self.optimizer, self.pessimism) + self.problem.suffix
        return stepper(program, self.problem.rows, self.init.shape)

    def recorded(self, wanted: IntArray) -> Generator[Recorded, None, None]:
        x, index = self.start(), 0
        if wanted[0] == 0:
            yield Recorded(0, x)
            index = 1
        for steps, inside in calls(range(int(wanted[-1])), wanted[index:].tolist(), *self.sizes):
            given = self.coefficients(steps)
            before, x = x, (yield from self.block(x, given, steps, [k - steps.start for k in inside], index))
            index += len(inside)
            if index < len(wanted) and self.rests(steps, given, before.flat(), x.flat()):
                seen = self.seen_step(index, x, x, given, steps, len(steps))
                yield from (seen._replace(place=later) for later in range(index, len(wanted)))
                return

    def block(self, x: SignMoments, given: FloatArray, steps: range, wanted: Sequence[int], index: int) -> Walk:
        """The moments at the wanted numbers of the block's steps, each of which is one of its updates."""
        moved = self.native_block if self.native is not None else self.numpy_block
        end, seen = moved(x, given, steps, wanted)
        for k, (before, after) in zip(wanted, seen, strict=True):
            yield self.seen_step(index, before, after, given, steps, k)
            index += 1
        return end

    def seen_step(
        self, place: int, before: SignMoments, after: SignMoments, given: FloatArray, steps: range, k: int
    ) -> Recorded:
        """What is recorded of the block's k-th step: where signs are taken to last, with what may swing for good."""
        if not self.stepwise and self.pessimism != LASTING:
            return Recorded(place, after)
        a, gradient = self.signed_step(before, given, steps, k - 1)
        shown = swung(after, of_weights(after, a)) if self.pessimism == LASTING else after
        _, row, whole = advance_signed(before, a, gradient, self.pessimism)
        time = self.clock(steps.start + k - 1, steps.start + k)
        decay = np.broadcast_to(self.optimizer.decay_per_step(time), (len(self.init), 1))
        return Recorded(place, shown, whole, row, decay)

    def signed_step(self, x: SignMoments, given: FloatArray, steps: range, j: int) -> tuple[SignedStep, Gradient]:
        c = self.optimizer.Coefficients(*(column[:, j, None] for column in np.moveaxis(given, -1, 0)))
        gradient = self.problem.gradient(x, steps.start + j)
        return signed_step(sign_images(self.structure, c), self.structure.point_row(c), gradient), gradient

    def numpy_block(self, x: SignMoments, given: FloatArray, steps: range, wanted: Sequence[int]) -> Walked:
        seen = []
        for j in range(len(steps)):
            before, x = x, advance_signed(x, *self.signed_step(x, given, steps, j), self.pessimism)[0]
            if j + 1 in wanted:
                seen.append((before, x))
        return x, seen

    def native_block(self, x: SignMoments, given: FloatArray, steps: range, wanted: Sequence[int]) -> Walked:
        assert self.native is not None
        places = sorted({place for end in wanted for place in (end - 1, end)})
        end, found = self.stepped(self.native, x, given, steps, places)
        states = {place: self.state(state) for place, state in zip(places, found, strict=True)}
        return self.state(end), [(states[k - 1], states[k]) for k in wanted]

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> SignMoments:
        return SignMoments.of(flat, self.members, self.pessimism)

    @cached_property
    def members(self) -> int:
        """How many there are, with those of the noise's own state."""
        return len(self.start().means)


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
    images, point = sign_images(run.structure, c), run.structure.point_row(c)

    def step_at(x: SignMoments) -> tuple[SignedStep, Gradient]:
        gradient = run.problem.gradient(x, 0)
        return signed_step(images, point, gradient), gradient

    x, share = wide_start(run), AT_ONCE
    for _ in range(ITERATIONS):
        before, (a, gradient) = x, step_at(x)
        s = split(x, a, gradient, run.pessimism)
        step = linearisation(a, s, x.means)
        left = np.eye(len(x.means)) - filled(step.matrix, shape)
        left[..., 0, 0] = decay - number(a.signed[0]) * s.gain * number(a.row[0])  # free of cancellation
        with np.errstate(all="ignore"):
            try:
                x = once_more(run, x, a, s, gradient, step, left)
            except np.linalg.LinAlgError:
                break
        if not all(np.isfinite(each).all() for each in x.covariances):
            break
        if close(before, x, ENOUGH).all():
            share = STILL
            break
    a, gradient = step_at(x)
    after, row, whole = advance_signed(x, a, gradient, run.pessimism)
    for _ in range(LAST_STEPS):
        if close(x, after, share).all() or not all(np.isfinite(each).all() for each in after.covariances):
            break
        x = after
        a, gradient = step_at(x)
        after, row, whole = advance_signed(x, a, gradient, run.pessimism)
    still = close(x, after, share)
    if run.pessimism and not still.all():
        # The worst that may be is not always a bounded state.
        x = x._replace(covariances=tuple(np.where(still, each, np.inf) for each in x.covariances))
        still = np.ones_like(still)
        left = np.broadcast_to(np.eye(left.shape[-1]), left.shape)
    shown = swung(x, of_weights(x, a)) if run.pessimism == LASTING else x
    return AtRest(left, np.where(still, 1.0, -1.0)), Recorded(0, shown, whole, row, decay)


def wide_start(run: SignRun) -> SignMoments:
    """Weights that no slope moves by much, at the optimum where there is one."""
    zero = np.zeros(run.init.shape)
    x = run.problem.remembered([zero] * len(run.structure.members))
    wide = x._replace(covariances=(zero + 1.0, *x.covariances[1:]))
    g = run.problem.gradient(wide, 0)
    slope = np.broadcast_to(g.slope, zero.shape)
    mean = np.where(slope != 0, -g.offset / np.where(slope != 0, slope, 1.0), 0.0)
    variance = 100 * own_square(run, g.scale, slope) + zero
    wide = x._replace(means=(mean, *x.means[1:]), covariances=(variance, *x.covariances[1:]))
    return SignMoments.at_start(wide, run.pessimism)


def own_square(run: SignRun, scale: FloatArray, slope: FloatArray) -> FloatArray:
    """The order of the largest mean square: η², and that of the noise over the slope."""
    noise = np.where(slope != 0, scale / np.where(slope != 0, slope, 1.0), 0.0)
    return np.asarray(run.optimizer.lr**2 + noise * noise)


def once_more(
    run: SignRun, x: SignMoments, a: SignedStep, s: Split, g: Gradient, step: Linearisation, left: FloatArray
) -> SignMoments:
    """The moments that the step linearised at these leaves as they are; `left` is I − A."""
    count, shape = len(x.means), run.init.shape
    unit = np.ones((*shape, count))
    unit[..., 0] = run.optimizer.lr
    scaled = left * (unit[..., None, :] / unit[..., :, None])
    own = step.own(a, s)
    added = filled([tuple(own(max(i, j), min(i, j)) for j in range(count)) for i in range(count)], shape)
    covariance = settled_covariance(scaled, added / outer(unit, unit)) * outer(unit, unit)
    mean = row_of(x.means, shape)
    mean = mean + TAKEN * (solved(scaled, row_of(step.offsets, shape) / unit) * unit - mean)
    covariance = damped(filled(x.columns, shape), covariance)
    columns = symmetric(triangle(covariance), count)
    kept, new = remembered(x, a, s, g, step, columns)
    matrix = filled(step.matrix, shape)
    higher = [
        entries(solved(np.eye(count) - each[..., None, None] * matrix, row_of(fresh, shape)))
        for each, fresh in zip(kept, new, strict=True)
    ]
    buffers, noises = buffers_alone(a)
    noise = row_of(noises, shape)
    apart = settled_covariance(np.eye(count - 1) - filled(buffers, shape), outer(noise, noise))
    return SignMoments(entries(mean), triangle(covariance), tuple(higher), triangle(apart))


def row_of(row: Row, shape: tuple[int, ...]) -> FloatArray:
    """The entries along a last axis."""
    return np.stack([np.broadcast_to(number(each), shape) for each in row], axis=-1).astype(np.float64)


def filled(matrix: Sequence[Row], shape: tuple[int, ...]) -> FloatArray:
    """The matrix on two last axes."""
    return np.stack([row_of(row, shape) for row in matrix], axis=-2)


def entries(row: FloatArray) -> tuple[FloatArray, ...]:
    return tuple(np.moveaxis(row, -1, 0))


def triangle(covariance: FloatArray) -> tuple[FloatArray, ...]:
    """The lower triangle, row by row."""
    return tuple(covariance[..., i, j] for i in range(covariance.shape[-1]) for j in range(i + 1))


def outer(one: FloatArray, other: FloatArray) -> FloatArray:
    """one_i·other_j of the members."""
    return one[..., :, None] * other[..., None, :]


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
    count = len(one.means)
    spread = [np.sqrt(np.maximum(other.columns[i][i], 0.0)) for i in range(count)]
    same = [np.abs(one.means[i] - other.means[i]) <= share * (np.abs(other.means[i]) + spread[i]) for i in range(count)]
    for i in range(count):
        for j in range(i + 1):
            same.append(np.abs(one.columns[i][j] - other.columns[i][j]) <= share * (spread[i] * spread[j]))
    return np.asarray(np.logical_and.reduce(np.broadcast_arrays(*same)))
