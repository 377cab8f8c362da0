"""Moments of adaptive optimizers, whose step is linear but for the root of the second moment v (Q9).

The state (w, m, v) is followed as its means and covariances: the step is linearised at the means, and the means are
corrected to second order in the fluctuations. Where the gradient's noise is large v̂ is nearly constant and this is
the frozen preconditioner; where the signal is large v̂ follows the gradient, and takes much of its noise out of the
update. No formula of an optimizer stands here: its `update` is evaluated at arguments that show what it does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..optimizers import Adam, AdamW, Optimizer
from ..typing import FloatArray, Value
from .linear import FrozenRoot, ProblemMap, StepMap, UpdateMap, composed, images
from .moments import Moments

# Two ways of expecting the worst of the second moment's fluctuations; the stated error is what both change together.
SLOWER, NOISIER = 1, 2
PESSIMISMS = (SLOWER, NOISIER)


def is_adaptive(optimizer: Optimizer) -> bool:
    """Whether its moments close only to some order in the second moment's fluctuations."""
    return isinstance(optimizer, Adam | AdamW)


class SecondMoment(NamedTuple):
    """Of v: its mean, covariances with w and m, and variance; shape (points, d)."""

    mean: FloatArray
    with_weight: FloatArray
    with_buffer: FloatArray
    variance: FloatArray


class Square(NamedTuple):
    """The square s that v averages, v' = kept·v + taken·s: s = (g + pull·w)², with its mean, and that of its root."""

    kept: FloatArray
    taken: FloatArray
    pull: FloatArray
    root: FloatArray
    variance: FloatArray

    @property
    def mean(self) -> FloatArray:
        return self.variance + self.root * self.root


class Linearised(NamedTuple):
    """One step at its means: (w, m) ↦ (w⁰, m') as `step` says with √v̂ frozen, v ↦ v', and w' = w⁰ + lean·v'.

    `square_weight` and `square_noise` are what δw and n contribute to δv', `jitter` the variance that n² adds to v';
    `curve` and `lean` are −½f''/f and −f'/f of f(v') = 1/(√v̂ + ε), times the update.
    """

    step: StepMap
    updates: UpdateMap
    square: Square
    second_mean: FloatArray
    square_weight: FloatArray
    square_noise: FloatArray
    jitter: FloatArray
    slant: FloatArray
    curve: FloatArray
    lean: FloatArray

    @property
    def matrix(self) -> FloatArray:
        """What (δw, δm, δv) are multiplied by, shape (points, d, 3, 3)."""
        s, shape = self.step, self.second_mean.shape
        rows = (
            (s.weight_weight + self.lean * self.square_weight, s.weight_buffer, self.lean * self.square.kept),
            (s.buffer_weight, s.buffer_buffer, 0.0),
            (self.square_weight, 0.0, self.square.kept),
        )
        return np.stack([np.stack([np.broadcast_to(e, shape) for e in row], axis=-1) for row in rows], axis=-2)

    @property
    def noise(self) -> FloatArray:
        """The covariance that one step's noise adds, shape (points, d, 3, 3)."""
        s, shape = self.step, self.second_mean.shape
        linear = (s.weight_noise + self.lean * self.square_noise, s.buffer_noise, self.square_noise)
        squared = (self.lean, 0.0, 1.0)
        e, z = (np.stack([np.broadcast_to(part, shape) for part in parts], axis=-1) for parts in (linear, squared))
        jitter = np.asarray(self.jitter)[..., None, None]
        return np.asarray(e[..., :, None] * e[..., None, :] + jitter * z[..., :, None] * z[..., None, :])


class SeenRoot:
    """An array namespace that keeps the last square root that was taken."""

    where = staticmethod(np.where)
    root: FloatArray

    def sqrt(self, value: Value) -> Value:
        self.root = np.sqrt(value)
        return self.root


def averaged_square(optimizer: Optimizer, x: Moments, g: ProblemMap, c: Any) -> Square:
    """What the optimizer's second moment averages: g², or (g + λw)² with L2."""

    def second(before: float, weight: float, gradient: float) -> Value:
        state = optimizer.State(weight, 0.0, before)
        return optimizer.update(FrozenRoot(1.0), state, gradient, c).second_moment

    taken = second(0.0, 0.0, 1.0)
    pull = np.sqrt(second(0.0, 1.0, 0.0) / taken)
    slope = g.slope + pull
    return Square(
        second(1.0, 0.0, 0.0),
        taken,
        pull,
        slope * x.weight_mean + g.offset,
        slope * slope * x.weight_variance + g.scale * g.scale,
    )


def linearised(
    optimizer: Optimizer, x: Moments, y: SecondMoment, g: ProblemMap, c: Any, decay: FloatArray, pessimism: int
) -> Linearised:
    """The step from a state of these moments; `c` and α have shape (points, 1).

    With `pessimism` the drift is smaller (`SLOWER`), or the noise larger and less of it taken out of the update
    (`NOISIER`), by what the second moment's fluctuations may still be worth.
    """
    square = averaged_square(optimizer, x, g, c)
    seen = SeenRoot()
    after = optimizer.update(seen, optimizer.State(0.0, 0.0, y.mean), np.sqrt(square.mean), c)
    root, mean = seen.root, np.where(after.second_moment > 0, after.second_moment, 1.0)
    share = root / np.where(root > 0, root + c.eps, 1.0)
    slant = share / (2 * mean)
    jitter = 2 * (square.taken * square.variance) ** 2
    doubt = 1 + share_in_doubt(x, y, g, square, mean) if pessimism else 1.0
    if pessimism == SLOWER:
        root, g = root * doubt, g.louder(doubt)
    if pessimism == NOISIER:
        slant, jitter, g = slant / doubt, 3 * jitter, g.louder(np.sqrt(doubt))
    updates = UpdateMap(*map(np.asarray, (*images(optimizer, FrozenRoot(root), c), decay)))
    step = composed(updates, g)
    direct = 1 - decay
    update = (direct - step.weight_weight) * x.weight_mean - step.weight_buffer * x.buffer_mean - step.weight_offset
    return Linearised(
        step,
        updates,
        square,
        after.second_moment,
        2 * square.taken * square.root * (g.slope + square.pull),
        2 * square.taken * square.root * g.scale,
        jitter,
        slant,
        update * share * (2 * share + 1) / (8 * mean * mean),
        update * slant,
    )


def advance_closed(x: Moments, y: SecondMoment, a: Linearised) -> tuple[Moments, SecondMoment]:
    """The moments after the step: the covariances of (w⁰, m', v'), then those with w' = w⁰ + lean·v'."""
    s = a.step
    ww = s.weight_weight * x.weight_variance + s.weight_buffer * x.covariance
    wm = s.weight_weight * x.covariance + s.weight_buffer * x.buffer_variance
    wv = s.weight_weight * y.with_weight + s.weight_buffer * y.with_buffer
    mw = s.buffer_weight * x.weight_variance + s.buffer_buffer * x.covariance
    mm = s.buffer_weight * x.covariance + s.buffer_buffer * x.buffer_variance
    mv = s.buffer_weight * y.with_weight + s.buffer_buffer * y.with_buffer
    kept = a.square.kept
    # Cov(w, v') of the old weight.
    crossed = a.square_weight * x.weight_variance + kept * y.with_weight
    weight = ww * s.weight_weight + wm * s.weight_buffer + s.weight_noise * s.weight_noise
    both = ww * s.buffer_weight + wm * s.buffer_buffer + s.weight_noise * s.buffer_noise
    buffer = mw * s.buffer_weight + mm * s.buffer_buffer + s.buffer_noise * s.buffer_noise
    weight_second = ww * a.square_weight + wv * kept + s.weight_noise * a.square_noise
    buffer_second = mw * a.square_weight + mv * kept + s.buffer_noise * a.square_noise
    second = (
        a.square_weight * (crossed + kept * y.with_weight)
        + kept * kept * y.variance
        + a.square_noise * a.square_noise
        + a.jitter
    )
    # E U of U = S·f(v') to second order, less its value at the means.
    update_second = (1 - s.decay) * crossed - weight_second
    more = a.curve * second - a.slant * update_second
    return (
        Moments(
            s.weight_weight * x.weight_mean + s.weight_buffer * x.buffer_mean + s.weight_offset - more,
            s.buffer_weight * x.weight_mean + s.buffer_buffer * x.buffer_mean + s.buffer_offset,
            weight + a.lean * (2 * weight_second + a.lean * second),
            both + a.lean * buffer_second,
            buffer,
        ),
        SecondMoment(a.second_mean, weight_second + a.lean * second, buffer_second, second),
    )


def settled_doubt(optimizer: Optimizer) -> FloatArray:
    """`share_in_doubt` of pure noise after many steps: v̂ averages about 1/(1−β₂) independent squares."""
    return np.asarray(1 - optimizer.beta2)  # type: ignore[attr-defined]


def share_in_doubt(x: Moments, y: SecondMoment, g: ProblemMap, square: Square, mean: FloatArray) -> FloatArray:
    """By how much drift and noise may be off, relative: by v's variance over its squared mean after the step.

    Its effect on the noise of the update is of that order, about 1 − β₂ for white noise and more at the start, where v̂
    averages few gradients. A weight that itself fluctuates makes g² fluctuate for long, and counts in full.
    """
    drifting = g.slope * g.slope * x.weight_variance
    jitter = 2 * square.variance * (square.variance + 2 * square.root * square.root)
    variance = square.kept * square.kept * y.variance + square.taken * square.taken * jitter
    return np.asarray(variance / (mean * mean) + 2 * drifting * square.taken / mean)
