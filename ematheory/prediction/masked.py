"""Moments under cautious decay, which acts only where update and weight have one sign: statistical linearisation.

The step is that of decay everywhere, and α·f for what the mask spares: f = w·1[u·w < 0], u being the update. For
jointly normal (w, u) the regression of f on the two (Stein's lemma) gives its mean and its gains, which go into the
step of the moment closure. What is left of f is uncorrelated with both, but remembers: it is a function of u, whose
parts of order j in Hermite's polynomials keep the correlation ρ^j where u keeps ρ. So it is followed as one more
member that keeps a share of itself. No formula of an optimizer stands here: α is its own decay per step, and u what its
own `update` divides by the root of the second moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erf, owens_t

from ..typing import FloatArray, Value
from .closure import AfterSecond, ClosedMoments, Gradient, Linearised, after_second, linearised, update_beyond
from .members import combined, number, product, ratio, total
from .signs import ORDERS, hermite
from .stepping import Stepper
from .trajectory import ClosedRun, SeenStep

# Two ways of expecting the worst of the mask: more of the decay spared, or less.
SPARING, DECAYING = 3, 4
PESSIMISMS = (SPARING, DECAYING)
# So many standard deviations are as good as certain.
CERTAIN = 40.0
# So many times the noise's own variance is all of it.
MOST_FED = 100.0
# An update keeps at most so much of itself: one that is foretold for good is certain.
MOST_KEPT = 1 - 1e-6


class Spared(NamedTuple):
    """f = w·1[u·w < 0] of jointly normal w and u: its mean, its gains on w and u, and the variance that is left."""

    mean: FloatArray
    of_weight: FloatArray
    of_update: FloatArray
    left: FloatArray


class Pair(NamedTuple):
    """The means, variances and covariance of a weight and of the update that is subtracted from it."""

    weight: FloatArray
    update: FloatArray
    weight_variance: FloatArray
    update_variance: FloatArray
    covariance: FloatArray


def spared(p: Pair) -> Spared:
    """What cautious decay leaves alone, by regression on w and u.

    Stein's lemma: the gain on w is P(u·w < 0), that on u the jump of f at u = 0, −p_u(0)·E[|w| | u = 0], and E f and
    E f² follow from those of w·1 and w·f in the same way.
    """
    spread, spread_update = (np.sqrt(np.maximum(each, 0.0)) for each in (p.weight_variance, p.update_variance))
    h, k = standardised(p.weight, spread), standardised(p.update, spread_update)
    rho = np.clip(ratio(p.covariance, spread * spread_update), -1.0, 1.0)
    rest = np.sqrt((1 - rho) * (1 + rho))
    off = opposed(h, k, rho, rest)
    at_zero, update_at_zero = density(h), density(k)
    # w where u = 0, and u in its own units where w = 0.
    size, sign = folded(p.weight - rho * spread * k, spread * rest)
    update_sign = folded(k - rho * h, rest)[1]
    gain = -size * ratio(update_at_zero, spread_update)
    mean = p.weight * off - spread * (at_zero * update_sign + rho * update_at_zero * sign)
    square = p.weight * mean + p.weight_variance * off + p.covariance * gain
    explained = off * off * p.weight_variance + gain * (2 * off * p.covariance + gain * p.update_variance)
    # A step of exactly 0 spares nothing.
    still = (spread_update == 0) & (p.update == 0)
    found = (mean, off, gain, np.maximum(square - mean * mean - explained, 0.0))
    return Spared(*(np.where(still, 0.0, each) for each in found))


def standardised(mean: FloatArray, spread: FloatArray) -> FloatArray:
    """The mean in units of the spread; what is certain is far from 0, but for 0 itself."""
    certain = np.sign(mean) * CERTAIN
    return np.asarray(np.where(spread > 0, np.clip(ratio(mean, spread), -CERTAIN, CERTAIN), certain))


def density(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def folded(mean: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """E|x| and E sign(x) of a normal x."""
    at = standardised(mean, spread)
    sign = erf(at / np.sqrt(2))
    return mean * sign + 2 * spread * density(at), sign


def opposed(h: FloatArray, k: FloatArray, rho: FloatArray, rest: FloatArray) -> FloatArray:
    """P(x·y < 0) of normals of unit variance, means h and k and correlation ρ, by Owen's T function."""
    central = (h == 0) & (k == 0)
    found = 2 * owens(h, k - rho * h, rest) + 2 * owens(k, h - rho * k, rest)
    found = found + np.where((np.sign(h) * np.sign(k) < 0) | ((h == 0) ^ (k == 0)) & (h + k < 0), 1.0, 0.0)
    return np.clip(np.where(central, 0.5 - np.arcsin(rho) / np.pi, found), 0.0, 1.0)


def owens(x: FloatArray, other: FloatArray, rest: FloatArray) -> FloatArray:
    """T(x, other/(x·rest)), where a ratio of two zeros is 0 and x = 0 counts as +0."""
    below = np.where(x == 0, 0.0, x) * rest
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(other == 0, 0.0, other / below)
    return np.asarray(owens_t(x, slope))


def masked(x: ClosedMoments, a: Linearised, decay: FloatArray, pessimism: int) -> Linearised:
    """The step with decay only where the mask is on, from `a` with decay everywhere; the last member is what is left.

    That member, of variance 1, is the part of f that neither w nor u tells.
    """
    s, row = after_second(x, a), a.quotient[0]
    beyond = update_beyond(a, s, 0)
    update = joint(x, a, s, beyond)
    f = spared(update)
    rho = persistence(x, a)
    if pessimism:
        f = doubted(f, doubt(x, a, f, update, rho, decay), x.means[0], pessimism)
    kept = remembered(update, rho)
    felt = 1 - decay * f.of_update
    offset = f.mean - f.of_weight * x.means[0] + f.of_update * (number(combined(row, x.means)) + beyond)

    def stronger(entries: tuple[Value | None, ...]) -> tuple[Value | None, ...]:
        return (product(entries[0], felt), *entries[1:])

    own = [total([entry, product(-(decay * f.of_update), by)]) for entry, by in zip(a.matrix[0], row, strict=True)]
    own[0] = number(own[0]) + decay * f.of_weight
    own[-1] = decay * np.sqrt(f.left)
    return a._replace(
        matrix=(tuple(own), *a.matrix[1:-1], (*a.matrix[-1][:-1], kept)),
        offsets=(number(a.offsets[0]) + decay * offset, *a.offsets[1:]),
        noises=stronger(a.noises),
        quotient=(tuple(product(entry, felt) for entry in row), *a.quotient[1:]),
        quotient_noises=stronger(a.quotient_noises),
        update=stronger(a.update),
        skewed=stronger(a.skewed),
        weight_gradient=a.weight_gradient * felt,
        decaying=1 - f.of_weight,
        fresh=1 - kept * kept,
    )


def joint(x: ClosedMoments, a: Linearised, s: AfterSecond, beyond: Value) -> Pair:
    """The weight and the update u, which is the part of −w' that is divided by the root, with its lean on v'."""
    row, noise, lean = a.quotient[0], a.quotient_noises[0], a.lean[0]
    with_members = [combined(row, x.column(j)) for j in range(len(x.means))]
    with_second = total([combined(row, s.crossed), product(noise, a.square_noise)])
    variance = total([
        combined(row, with_members), product(noise, noise), product(lean, with_second), product(lean, with_second),
        product(product(lean, lean), s.variance),
    ])  # fmt: skip
    with_weight = total([with_members[0], product(lean, s.crossed[0])])
    parts = (x.means[0], -(number(a.update[0]) + beyond), x.weight_variance, number(variance), -number(with_weight))
    return Pair(*np.broadcast_arrays(*parts))


def persistence(x: ClosedMoments, a: Linearised) -> FloatArray:
    """The correlation of u with the next one, as far as the members make it."""
    row, noise = a.quotient[0], a.quotient_noises[0]
    with_members = [combined(row, x.column(j)) for j in range(len(x.means))]
    later = [total([combined(a.matrix[i], with_members), product(a.noises[i], noise)]) for i in range(len(x.means))]
    variance = number(total([combined(row, with_members), product(noise, noise)]))
    return np.clip(ratio(np.asarray(number(combined(row, later))), np.asarray(variance)), 0.0, MOST_KEPT)


def remembered(p: Pair, rho: FloatArray) -> FloatArray:
    """What of the part that is left stays from one step to the next: as much as gives it its sum over all lags."""
    centre = standardised(p.update, np.sqrt(np.maximum(p.update_variance, 0.0)))
    squares = np.stack(hermite(centre, 2 * density(centre)), axis=-1) ** 2
    powers = rho[..., None] ** np.array(ORDERS)
    lasting = ratio((squares * (1 + powers) / (1 - powers)).sum(axis=-1), squares.sum(axis=-1))
    return np.asarray(np.maximum(lasting - 1, 0.0) / (lasting + 1))


def doubt(x: ClosedMoments, a: Linearised, f: Spared, p: Pair, rho: FloatArray, decay: FloatArray) -> FloatArray:
    """The share of the way to a mask that is always off, or always on, that what is not normal can be worth.

    While an update keeps its sign decay takes α/(1 − ρ) of the weight, and what is no small part of it makes no normal
    sum. Where the weights make more of the update's variance than the noise alone does, the runs go round the point
    where the mask switches. A mask that is certain is not in doubt.
    """
    kick = np.abs(decay * f.of_update)
    gone = decay / (1 - rho) + kick / (1 + kick) * fed_back(a, p)
    return np.asarray(4 * f.of_weight * (1 - f.of_weight) * gone / (1 + gone))


def fed_back(a: Linearised, p: Pair) -> FloatArray:
    """What the weights' fluctuations make of the update's variance, over what the noise alone makes of it for long."""
    noise, by = number(a.quotient_noises[0]), number(a.quotient[0][1])
    buffer, kept = number(a.noises[1]), number(a.matrix[1][1])
    alone = noise * noise + by * by * buffer * buffer / (1 - kept * kept)
    return np.minimum(ratio(np.maximum(p.update_variance - alone, 0.0), np.asarray(alone)), MOST_FED)


def doubted(f: Spared, share: FloatArray, weight: FloatArray, pessimism: int) -> Spared:
    """So much nearer to f = w, a mask that is off, or to f = 0."""
    less = (1 - share) * f.mean, (1 - share) * f.of_weight, (1 - share) * f.of_update, (1 - share) ** 2 * f.left
    if pessimism == DECAYING:
        return Spared(*less)
    return Spared(less[0] + share * weight, less[1] + share, less[2], f.left)


@dataclass(frozen=True)
class MaskedRun(ClosedRun):
    """A run with cautious decay: that of decay everywhere, with what the mask spares, and one member more."""

    @property
    def of_second(self) -> int:
        return 0 if self.pessimism in PESSIMISMS else self.pessimism

    @cached_property
    def native(self) -> Stepper | None:
        return None

    def remembered(self, means: Sequence[FloatArray]) -> ClosedMoments:
        x = super().remembered(means)
        zero = np.zeros_like(means[0])
        count = len(x.means)
        return x._replace(
            means=(*x.means, zero),
            covariances=(*x.covariances, *[zero] * count, zero + 1),
            with_second=(*x.with_second, zero),
        )

    def seen_from(
        self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], decay: FloatArray, step: float = np.inf
    ) -> SeenStep:
        return super().seen_from(x, g, c, known, decay, step)._replace(everywhere=self.everywhere(x, g, c, known))

    def everywhere(self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value]) -> Linearised:
        """The step with decay everywhere."""
        return linearised(self.structure, x, g, c, known, self.of_second)

    def step_from(
        self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], decay: FloatArray, step: float = np.inf
    ) -> Linearised:
        return masked(x, self.everywhere(x, g, c, known), decay, self.pessimism - self.of_second)

    def moved_still(self, before: ClosedMoments, after: ClosedMoments, share: float) -> npt.NDArray[np.bool_]:
        """The mask depends on them even where the second moment does not."""
        size = np.sqrt(after.mean_square)
        mean = np.abs(after.weight_mean - before.weight_mean) > share * size
        variance = np.abs(after.weight_variance - before.weight_variance) > share * size * size
        return np.asarray(mean | variance)

    def widened(self, g: Gradient) -> Gradient:
        return g._replace(
            foretold=(*g.foretold, None),
            memory=(*((*row, None) for row in g.memory), (None,) * (len(g.memory) + 1)),
            memory_noises=(*g.memory_noises, None),
        )
