"""Moments of adaptive optimizers, whose step is linear but for the root of the second moment v (Q9).

The state, the weight with the optimizer's buffers and v, is followed as its means and covariances: the step is
linearised at the means, and the means are corrected to second order in the fluctuations. Where the gradient's noise is
large v̂ is nearly constant and this is the frozen preconditioner; where the signal is large v̂ follows the gradient, and
takes much of its noise out of the update. No formula of an optimizer stands here: its `update` is evaluated at
arguments that show what it does. Everything is + − × ÷ √ on whatever numbers it is given: arrays, or values that are
traced into the native engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..optimizers import Optimizer
from ..typing import FloatArray, Value
from .members import (
    FrozenRoot,
    Images,
    Matrix,
    Row,
    SeenRoot,
    Structure,
    combined,
    each_pair,
    number,
    product,
    total,
)

# Two ways of expecting the worst of the second moment's fluctuations; the stated error is what both change together.
SLOWER, NOISIER = 1, 2
PESSIMISMS = (SLOWER, NOISIER)


def is_adaptive(optimizer: Optimizer) -> bool:
    """Whether its moments close only to some order in the second moment's fluctuations."""
    return "second_moment" in optimizer.State._fields


def starts_large(optimizer: Optimizer) -> bool:
    """Whether v starts empty and is not corrected for it (RMSprop, AdamW without bias correction).

    The first steps, where v averages few gradients and the closure is worst, are then also the largest.
    """
    corrects = getattr(optimizer, "bias_correction", True)
    return not (corrects and {"inverse_correction2", "correction"} & set(optimizer.Coefficients._fields))


class Followed(Protocol):
    """What is followed along a run: the weight's moments, and those of all members, the weight first."""

    @property
    def weight_mean(self) -> Value: ...

    @property
    def weight_variance(self) -> Value: ...

    @property
    def mean_square(self) -> Value: ...

    @property
    def means(self) -> tuple[Value, ...]: ...

    @property
    def columns(self) -> tuple[tuple[Value, ...], ...]:
        """The members' covariances."""


class Taken(Protocol):
    """What a step makes of the weight: a row on the members, an offset, and a share of this step's noise."""

    @property
    def weight_row(self) -> Row: ...

    @property
    def weight_offset(self) -> Value: ...

    @property
    def weight_noise(self) -> Value: ...


class Gradient(NamedTuple):
    """g = slope·w + offset + scale·n at the weight w, n of mean 0 and variance 1, plus `foretold` by past noise.

    `third` and `excess` are the noise's third moment and its excess kurtosis, and `lasting` is the relative variance of
    g² that no averaging over steps takes away; `few` is 1/C where C coordinates share one noise. `foretold` has an
    entry for each member of the noise's own state: those follow the optimizer's in `ClosedMoments`, and step as
    `memory` and `memory_noises` say. `across` says that g is at right angles to the weights, whatever they are.
    """

    slope: Value
    offset: Value
    scale: Value
    third: Value | None = None
    excess: Value = 0
    lasting: Value = 0
    foretold: Row = ()
    memory: Matrix = ()
    memory_noises: Row = ()
    few: Value = 0
    across: bool = False

    def row(self, point: Row) -> Row:
        """What each member contributes to g, taken at the `point`."""
        return (*(None if part is None else self.slope * part for part in point), *self.foretold)


class ClosedMoments(NamedTuple):
    """Of the linear members x (the weight first) and of v: each entry of shape (points, d), or traced.

    `covariances` is the lower triangle of Cov(x), row by row; `with_second` is Cov(x, v).
    """

    means: tuple[Value, ...]
    covariances: tuple[Value, ...]
    second_mean: Value
    with_second: tuple[Value, ...]
    second_variance: Value

    @classmethod
    def of(cls, flat: Sequence[Value] | FloatArray, members: int) -> ClosedMoments:
        """From the entries in a row, as `flat` gives them."""
        means, covariances = tuple(flat[:members]), tuple(flat[members : members + members * (members + 1) // 2])
        second, *with_second, variance = flat[members + len(covariances) :]
        return cls(means, covariances, second, tuple(with_second), variance)

    @staticmethod
    def size(members: int) -> int:
        return 2 + 2 * members + members * (members + 1) // 2

    @classmethod
    def certain(cls, means: Sequence[Value]) -> ClosedMoments:
        """The moments of members that are known, with no second moment yet."""
        zero = np.zeros_like(means[0])
        return cls.of([*means, *[zero] * (cls.size(len(means)) - len(means))], len(means))

    def flat(self) -> tuple[Value, ...]:
        return (*self.means, *self.covariances, self.second_mean, *self.with_second, self.second_variance)

    def covariance(self, i: int, j: int) -> Value:
        return self.covariances[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)]

    def column(self, j: int) -> tuple[Value, ...]:
        """Cov(x, x_j)."""
        return tuple(self.covariance(i, j) for i in range(len(self.means)))

    @property
    def weight_mean(self) -> Value:
        return self.means[0]

    @property
    def columns(self) -> tuple[tuple[Value, ...], ...]:
        """Cov(x), as `moments.Moments` gives it."""
        return tuple(self.column(j) for j in range(len(self.means)))

    @property
    def weight_variance(self) -> Value:
        return self.covariances[0]

    def at_point(self, row: Row) -> ClosedMoments:
        """The moments with this combination of the members in the weight's place; Cov with others is left as it is."""
        if not any(part is not None for part in row[1:]):
            return self
        row = (*row, *(None,) * (len(self.means) - len(row)))
        means = (number(combined(row, self.means)), *self.means[1:])
        return self._replace(means=means, covariances=(spread(row, self), *self.covariances[1:]))

    @property
    def mean_square(self) -> Value:
        """E w² of each coordinate."""
        return self.weight_variance + self.weight_mean * self.weight_mean


class Square(NamedTuple):
    """The square s that v averages, v' = kept·v + taken·s: s = r², r = row·x + offset + scale·n.

    `pull` is what L2 adds of the weight to the gradient (None without), `root` the mean of r, `variance` its variance,
    and `drifting` the part of it that the members' own fluctuations make through the problem's slope.
    """

    kept: Value
    taken: Value
    pull: Value | None
    row: Row
    root: Value
    variance: Value
    drifting: Value

    @property
    def mean(self) -> Value:
        return self.variance + self.root * self.root


class Linearised(NamedTuple):
    """One step at its means: x ↦ matrix·x + offsets + noises·n with √v̂ frozen, v ↦ v', then row i + lean_i·δv'.

    `quotient` are the rows of what is divided by √v̂ + ε, `update` its mean. `square_row` and `square_noise` are what
    δx and n contribute to δv', `jitter` the variance that n² adds to v'; `slant` and `curve` are −f'/f and ½f''/f of
    f(v') = 1/(√v̂ + ε). `decaying` is the share of the decay that acts on a weight's fluctuation, and `fresh` the
    variance that the last member gets from noise of its own (`masked`). Where v is one number for a vector, `copies` is
    how many coordinates each column stands for, and `shared` the variance that they give v together. `others` is what
    one more noise, of the rest of the vector, gives each member, `others_second` what it gives v', and `lost` what a
    step takes of the weight directly where its decay does not say (`mean_field`).
    """

    matrix: Matrix
    offsets: Row
    noises: Row
    quotient: Matrix
    quotient_noises: Row
    update: Row
    square: Square
    second_mean: Value
    square_row: Row
    square_noise: Value
    skewed: Row
    jitter: Value
    slant: Value
    curve: Value
    weight_gradient: Value
    decaying: Value = 1
    fresh: Value | None = None
    copies: Value | None = None
    shared: Value | None = None
    others: Row = ()
    others_second: Value | None = None
    lost: Value | None = None

    @property
    def lean(self) -> Row:
        return tuple(None if mean is None else -(self.slant * mean) for mean in self.update)

    @property
    def weight_row(self) -> Row:
        """What the members contribute to the weight, with √v̂ frozen."""
        return self.matrix[0]

    @property
    def weight_offset(self) -> Value:
        return number(self.offsets[0])

    @property
    def weight_noise(self) -> Value:
        return number(self.noises[0])


def averaged_square(
    structure: Structure, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], xp: Any = np
) -> Square:
    """What the optimizer's second moment averages: g², or (g + λw)² with L2."""

    def second(before: float, weight: float, gradient: float) -> Value:
        state = structure.state({0: weight}, before, known)
        return structure.optimizer.update(FrozenRoot(1.0), state, gradient, c).second_moment

    taken = second(0, 0, 1)
    pull = xp.sqrt(second(0, 1, 0) / taken) if structure.has_l2 else None
    slopes = g.row(structure.point_row(c))
    row = (total([slopes[0], pull]), *slopes[1:])
    return Square(
        second(1, 0, 0),
        taken,
        pull,
        row,
        number(total([combined(row, x.means), g.offset])),
        spread(row, x) + g.scale * g.scale,
        spread(slopes, x),
    )


def spread(row: Row, x: ClosedMoments) -> Value:
    """Var(row·x)."""
    return number(combined(row, [combined(row, x.column(j)) for j in range(len(x.means))]))


class Root(NamedTuple):
    """√v̂ as a step is to take it, what is left of its fluctuations (as in `Linearised`), and the gradient with it."""

    root: Value
    second_mean: Value
    slant: Value
    curve: Value
    jitter: Value
    gradient: Gradient
    skewness: Value | None = None


def expected_root(
    structure: Structure, x: ClosedMoments, g: Gradient, square: Square, c: Any, known: Sequence[Value], xp: Any
) -> Root:
    """√v̂ at the expectation of v after the step."""
    seen = SeenRoot(xp)
    state = structure.state({}, x.second_mean, known)
    after = structure.optimizer.update(seen, state, xp.sqrt(square.mean), c).second_moment
    mean = xp.where(after > 0, after, 1.0)
    share = seen.root / xp.where(seen.root > 0, seen.root + c.eps, 1.0)
    shaken = square.taken * square.variance
    slant, curve = leaning(share, mean)
    return Root(seen.root, after, slant, curve, 2 * (shaken * shaken), g)


def leaning(share: Value, mean: Value) -> tuple[Value, Value]:
    """−f'/f and ½f''/f of f(v) = 1/(√v + ε) at the mean of v, `share` being what √v is of √v + ε."""
    curve = share * (2 * share + 1) / (8 * mean * mean)
    return share / (2 * mean), curve


def doubted(r: Root, x: ClosedMoments, square: Square, pessimism: int, xp: Any) -> Root:
    """The root at its worst: a smaller drift, or a larger noise of which less is taken out of the update."""
    g, mean = r.gradient, xp.where(r.second_mean > 0, r.second_mean, 1.0)
    doubt = 1 + share_in_doubt(x, square, mean, g.excess) + g.lasting
    if pessimism == SLOWER:
        return r._replace(root=r.root * doubt, gradient=g._replace(scale=g.scale * doubt))
    shaken = square.taken * square.variance
    return r._replace(
        slant=r.slant / doubt,
        jitter=3 * r.jitter + g.excess * (shaken * shaken),
        gradient=g._replace(scale=g.scale * xp.sqrt(doubt)),
        skewness=None if g.third is None else g.third * doubt,
    )


def linearised(
    structure: Structure, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], pessimism: int, xp: Any = np
) -> Linearised:
    """The step from a state of these moments; on arrays `c` and `known` have entries of shape (points, 1).

    With `pessimism` the drift is smaller (`SLOWER`), or the noise larger and less of it taken out of the update
    (`NOISIER`), by what the second moment's fluctuations may still be worth.
    """
    square = averaged_square(structure, x, g, c, known, xp)
    r = expected_root(structure, x, g, square, c, known, xp)
    if pessimism:
        r = doubted(r, x, square, pessimism, xp)
    g = r.gradient
    whole, direct = structure.whole(r.root, c, known), structure.direct(c, known)
    quotient = structure.quotient(whole, direct)
    slopes = g.row(structure.point_row(c))
    rows, still = with_gradient(quotient, slopes), (None,) * len(g.foretold)
    update = tuple(
        total([combined(row, x.means), product(by, g.offset)]) for row, by in zip(rows, quotient.gradient, strict=True)
    )
    return Linearised(
        matrix=(*with_gradient(whole, slopes), *(((None,) * len(whole.rows)) + row for row in g.memory)),
        offsets=(*(product(by, g.offset) for by in whole.gradient), *still),
        noises=(*(product(by, g.scale) for by in whole.gradient), *g.memory_noises),
        quotient=(*rows, *((None,) * len(slopes) for _ in still)),
        quotient_noises=(*(product(by, g.scale) for by in quotient.gradient), *still),
        update=(*update, *still),
        square=square,
        second_mean=r.second_mean,
        square_row=tuple(product(2 * square.taken * square.root, part) for part in square.row),
        square_noise=2 * square.taken * square.root * g.scale,
        skewed=tuple(product(by, r.skewness) for by in (*quotient.gradient, *still)),
        jitter=r.jitter,
        slant=r.slant,
        curve=r.curve,
        weight_gradient=number(whole.gradient[0]),
    )


def with_gradient(images: Images, slopes: Row) -> Matrix:
    """The rows with the gradient's slope put in."""
    return tuple(
        tuple(total([entry, product(by, slope)]) for entry, slope in zip_longest(row, slopes))
        for row, by in zip(images.rows, images.gradient, strict=True)
    )


def advance_closed(x: ClosedMoments, a: Linearised) -> ClosedMoments:
    """The moments after the step: those of the linear step with v', then with each row's lean on v'."""
    count = len(x.means)
    members = range(count)
    moved = [[number(combined(a.matrix[i], x.column(j))) for j in members] for i in members]
    s = after_second(x, a)
    lean = a.lean

    def mean(i: int) -> Value:
        linear = total([combined(a.matrix[i], x.means), a.offsets[i]])
        return number(linear) if a.update[i] is None else number(total([linear, update_beyond(a, s, i)]))

    def covariance(i: int, j: int) -> Value:
        linear = total([combined(a.matrix[j], moved[i]), product(a.noises[i], a.noises[j])])
        leaning = total([product(lean[i], s.after_with[j]), product(lean[j], s.after_with[i])])
        own = a.fresh if i == j == count - 1 else None
        besides = product(a.others[i], a.others[j]) if a.others else None
        return number(total([linear, leaning, product(product(lean[i], lean[j]), s.variance), own, besides]))

    return ClosedMoments(
        tuple(mean(i) for i in members),
        each_pair(count, covariance),
        a.second_mean,
        tuple(number(total([s.after_with[i], product(lean[i], s.variance)])) for i in members),
        s.variance,
    )


class AfterSecond(NamedTuple):
    """Of v' after a step: Cov(x, v') of the old members, Cov(A x + e n, v') of the new ones, and Var v'."""

    crossed: tuple[Value, ...]
    after_with: tuple[Value, ...]
    variance: Value


def after_second(x: ClosedMoments, a: Linearised) -> AfterSecond:
    members, kept = range(len(x.means)), a.square.kept
    crossed = [number(total([combined(a.square_row, x.column(j)), kept * x.with_second[j]])) for j in members]
    after_with = [
        number(total([combined(a.matrix[i], crossed), product(a.noises[i], a.square_noise)])) for i in members
    ]
    if a.others:
        after_with = [number(total([own, product(a.others[i], a.others_second)])) for i, own in enumerate(after_with)]
    lagging = [crossed[j] + kept * x.with_second[j] for j in members]
    moved, old, new = combined(a.square_row, lagging), kept * kept * x.second_variance, a.square_noise * a.square_noise
    if a.copies is None:
        return AfterSecond(tuple(crossed), tuple(after_with), number(total([moved, old, new, a.jitter])))
    own = number(total([moved, new, a.jitter]))
    pooled = a.copies * np.sum(own, axis=-1, keepdims=True)
    variance = np.broadcast_to(number(total([pooled, old, a.shared])), np.shape(own))
    return AfterSecond(tuple(crossed), tuple(after_with), variance)


def update_beyond(a: Linearised, s: AfterSecond, i: int) -> Value:
    """E U of U = Q·f(v') to second order, less its value at the means."""
    with_update = total([
        combined(a.quotient[i], s.crossed),
        product(a.quotient_noises[i], a.square_noise),
        product(a.skewed[i], a.square.taken),
    ])  # fmt: skip
    return number(a.update[i]) * a.curve * s.variance - a.slant * number(with_update)


def share_in_doubt(x: ClosedMoments, square: Square, mean: Value, excess: Value) -> Value:
    """By how much drift and noise may be off, relative: by v's variance over its squared mean after the step.

    Its effect on the noise of the update is of that order, about 1 − β₂ for white noise and more at the start, where v̂
    averages few gradients. A weight that itself fluctuates makes g² fluctuate for long, and counts in full.
    """
    jitter = square.variance * ((2 + excess) * square.variance + 4 * square.root * square.root)
    variance = square.kept * square.kept * x.second_variance + square.taken * square.taken * jitter
    return variance / (mean * mean) + 2 * square.drifting * square.taken / mean
