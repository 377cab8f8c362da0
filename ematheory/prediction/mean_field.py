"""Updates that take sums over the vector (AdamP, Amos) by mean field: each sum is its expectation over coordinates.

Given the sums a step is linear in each coordinate's members and gradient. The optimizer's own `update` is evaluated at
`Form`s, which hold what it makes of each of them, in a namespace that gives the sums: no formula of an optimizer stands
here. A condition on a sum is met by some runs and not by others: the step is then the mixture of both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..optimizers import Optimizer
from ..typing import FloatArray, Value
from .closure import (
    NOISIER,
    SLOWER,
    ClosedMoments,
    Gradient,
    Linearised,
    Square,
    linearised,
    spread,
    with_gradient,
)
from .members import BEYOND, Beyond, Images, Row, Structure, combined, number, product, total

# Besides those of a moment closure. With one second moment: a larger mean square in the decay, and no fluctuations but
# a coordinate's own. With conditions on sums: met less often, sums without fluctuations; and more often, sums that
# fluctuate for as long as the weights remember.
DECAYING, ALONE, RARER, OFTENER = 3, 4, 5, 6
POOLED, PROJECTED = (SLOWER, NOISIER, DECAYING, ALONE), (SLOWER, NOISIER, RARER, OFTENER)
# The step of v, in parts of it, by which its derivatives are read off in the complex plane: to about 10⁻⁸.
SHIFT = 1e-4
# A gradient on samples has its residual in all coordinates: of Gaussian ones the squares of two are correlated by a
# sixth of the excess kurtosis of each.
SHARED = 1 / 6


class Sum:
    """A sum over the vector: its expectation, its variance, and the largest size that it may have.

    `fresh` is what a step's own noise gives of the variance; `mixed` says that buffers go into the sum, and so does
    noise of before. `own` is each coordinate's part of the variance, `factors` what the sum is of: the first one's
    mean, and the second one's row, noise and gradient.
    """

    __array_ufunc__ = None

    def __init__(
        self,
        mean: Value,
        variance: Value = 0.0,
        most: Value = np.inf,
        fresh: Value = 0.0,
        mixed: bool = False,
        own: Value = 0.0,
        factors: Any = None,
    ) -> None:
        self.mean, self.variance, self.most, self.fresh, self.mixed = mean, variance, most, fresh, mixed
        self.own, self.factors = own, factors

    def larger(self) -> Sum:
        """The sum when it is larger by its standard deviation."""
        return Sum(self.mean + np.sqrt(np.maximum(self.variance, 0.0)))

    def lasting(self, kept: Value, span: Value) -> Value:
        """By what factor the sum's steps add up to a larger variance than those of white noise.

        That of noise which the buffer keeps, and `span` for the rest, which lasts.
        """
        kept = kept if self.mixed else 0.0
        old = 1 - kept * kept
        noise = np.minimum(self.fresh / old, self.variance)
        slow = self.variance - noise
        share = np.where(self.variance > 0, slow / np.where(self.variance > 0, self.variance, 1.0), 0.0)
        return (1 - share) * ((1 + kept) / (1 - kept)) + share * span

    def __mul__(self, other: Any) -> Any:
        if other is self:
            return SquaredSum(self, 1.0)
        if isinstance(other, Form):
            return other * self
        if isinstance(other, Sum):
            mean = self.mean * other.mean
            return Sum(mean, (relative(self) + relative(other)) * mean * mean)
        return Sum(self.mean * other, self.variance * other * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Value:
        return self.mean / (other.mean if isinstance(other, Sum) else other)


def relative(value: Sum) -> Value:
    """A sum's variance over its squared mean."""
    square = value.mean * value.mean
    return np.where(square > 0, value.variance / np.where(square > 0, square, 1.0), 0.0)


class SquaredSum:
    """A multiple of a normal sum's square, which is below a bound in some runs."""

    __array_ufunc__ = None

    def __init__(self, of: Sum, factor: Value) -> None:
        self.of, self.factor = of, factor

    def __mul__(self, other: Any) -> SquaredSum:
        return SquaredSum(self.of, self.factor * (other.mean if isinstance(other, Sum) else other))

    __rmul__ = __mul__

    def __lt__(self, bound: Sum) -> Chance:
        return Chance(self, bound)


class Chance(NamedTuple):
    """The condition that a sum's square is below a bound."""

    squared: SquaredSum
    bound: Sum

    @property
    def certain(self) -> npt.NDArray[np.bool_]:
        """Whether no sum can be so large as not to meet it."""
        most = self.squared.of.most
        sure = self.bound.mean >= self.squared.factor * most * most * (1 - 1e-12)
        return np.asarray(sure & (self.bound.mean > 0), dtype=np.bool_)

    def probability(self, widened: Value = 1.0) -> FloatArray:
        """Of a normal sum, with the bound of its size widened by a factor."""
        from scipy.special import ndtr

        mean, factor = self.squared.of.mean, self.squared.factor
        limit = np.sqrt(np.maximum(self.bound.mean / factor, 0.0)) * widened
        deviation = np.sqrt(np.maximum(self.squared.of.variance, 0.0))
        usable = np.where(deviation > 0, deviation, 1.0)
        found = ndtr((limit - mean) / usable) - ndtr((-limit - mean) / usable)
        found = np.where(self.certain, 1.0, found)
        return np.asarray(np.where(deviation > 0, found, np.abs(mean) < limit), dtype=np.float64)


class Squared:
    """The square of what differs between coordinates, and what the second moment makes of it."""

    __array_ufunc__ = None

    def __add__(self, _: Any) -> Squared:
        return self

    __radd__ = __mul__ = __rmul__ = __add__


SQUARED = Squared()


class Form:
    """rest·weight + Σ parts·members + by·g + offset of a coordinate, and besides `whole` times the weight.

    `whole` is kept apart, so that what a step takes of the weight loses nothing beside 1.
    """

    __array_ufunc__ = None

    def __init__(self, parts: tuple[Value, ...], by: Value = 0, offset: Value = 0, whole: int = 0) -> None:
        self.parts, self.by, self.offset, self.whole = parts, by, offset, whole

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Form):
            return Form(self.parts, self.by, self.offset + other, self.whole)
        parts = tuple(a + b for a, b in zip(self.parts, other.parts, strict=True))
        return Form(parts, self.by + other.by, self.offset + other.offset, self.whole + other.whole)

    __radd__ = __add__

    def __neg__(self) -> Form:
        return Form(tuple(-part for part in self.parts), -self.by, -self.offset, -self.whole)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Form):
            return SQUARED
        value = other.mean if isinstance(other, Sum) else other
        weight, *others = self.parts
        parts = ((weight + self.whole) * value, *(part * value for part in others))
        return Form(parts, self.by * value, self.offset * value)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Beyond):
            return 0
        return self * (1 / other)

    def row(self) -> Row:
        return (self.parts[0] + self.whole, *self.parts[1:])

    @property
    def is_weight(self) -> bool:
        """Whether it is a multiple of the weight."""
        return not any(np.any(part) for part in (*self.parts[1:], self.by, self.offset))

    @property
    def is_gradient(self) -> bool:
        return not any(np.any(part) for part in (*self.row(), self.offset))


class Field:
    """The vector that a step is taken on: the moments of its coordinates, their gradient and their number.

    `copies` is how many coordinates each column stands for.
    """

    def __init__(self, x: ClosedMoments, g: Gradient, slopes: Row, coordinates: int, pessimism: int) -> None:
        self.x, self.g, self.slopes, self.coordinates, self.pessimism = x, g, slopes, coordinates, pessimism
        self.shape = np.shape(x.means[0])
        self.copies = coordinates // self.shape[-1]

    def over_members(self, form: Form) -> tuple[Row, Value, Value]:
        """A form's row on all that is followed, its offset, and its share of the new noise."""
        rest = (None,) * (len(self.slopes) - len(form.parts))
        row = tuple(
            total([own, product(form.by, slope)]) for own, slope in zip((*form.row(), *rest), self.slopes, strict=True)
        )
        return row, form.offset + form.by * self.g.offset, form.by * self.g.scale

    def dot(self, one: Form, other: Form) -> Sum:
        """Σ one·other over the vector: its expectation, and its variance as that of normal coordinates."""
        if self.g.across and any(a.is_weight and b.is_gradient for a, b in ((one, other), (other, one))):
            return Sum(np.zeros((self.shape[0], 1)))
        (a, a_offset, a_noise), (b, b_offset, b_noise) = self.over_members(one), self.over_members(other)
        a_mean = number(combined(a, self.x.means)) + a_offset
        b_mean = number(combined(b, self.x.means)) + b_offset
        across = [number(combined(b, self.x.column(j))) for j in range(len(self.x.means))]
        both = number(combined(a, across)) + a_noise * b_noise
        a_own, b_own = spread(a, self.x) + a_noise * a_noise, spread(b, self.x) + b_noise * b_noise
        square = a_own * b_own + both * both + a_own * b_mean * b_mean + b_own * a_mean * a_mean
        return Sum(
            self.over(both + a_mean * b_mean),
            self.over(square + 2 * both * a_mean * b_mean),
            # Cauchy and Schwarz
            np.sqrt(self.over(a_own + a_mean * a_mean) * self.over(b_own + b_mean * b_mean)),
            self.over((a_own + a_mean * a_mean) * b_noise * b_noise + (b_own + b_mean * b_mean) * a_noise * a_noise),
            any(not (form.is_weight or form.is_gradient) for form in (one, other)),
            square + 2 * both * a_mean * b_mean,
            (a_mean, (b, b_noise, other.by)),
        )

    def over(self, value: Value) -> FloatArray:
        """The sum over the vector, shape (points, 1)."""
        return np.asarray(self.copies * np.broadcast_to(value, self.shape).sum(axis=-1, keepdims=True))


class Sums:
    """An array namespace for `Form`s: sums over the vector of a `field`, or those `given` in their order before.

    The root of what differs between coordinates is `root`. `seen` are the sums, `shares` how often the conditions are
    met, all of them `met` where that is given.
    """

    def __init__(self, root: Value | Beyond, field: Field | None, given: Sequence[Sum] | None = None) -> None:
        self.root, self.field, self.given = root, field, given
        self.seen: list[Sum] = []
        self.shares: list[FloatArray] = []
        self.met: FloatArray | None = None

    def sqrt(self, value: Any) -> Any:
        if value is SQUARED:
            return self.root
        return np.sqrt(value.mean if isinstance(value, Sum) else value)

    def zeros_like(self, form: Form) -> Form:
        return Form((0,) * len(form.parts))

    def dot(self, one: Any, other: Any) -> Sum:
        self.seen.append(self.sum_of(one, other))
        return self.seen[-1]

    def sum_of(self, one: Any, other: Any) -> Sum:
        if self.given is not None:
            return self.given[len(self.seen)]
        # Without a vector any numbers show which entries there are.
        return Sum(0.5, 0.1) if self.field is None else self.field.dot(one, other)

    def where(self, condition: Chance, one: Any, other: Any) -> Any:
        self.shares.append(self.share(condition))
        return mixed(self.shares[-1], one, other)

    def share(self, condition: Chance) -> FloatArray:
        """How often the condition is met, or as a pessimist has it."""
        if self.met is not None:
            return self.met
        if self.field is None or self.field.pessimism not in (RARER, OFTENER):
            return condition.probability()
        doubt = np.sqrt(relative(condition.bound) + SHARED * self.field.g.excess)
        if self.field.pessimism == OFTENER:
            return condition.probability(1 + doubt)
        rarer = condition.probability(1 / (1 + doubt)) * np.maximum(1 - doubt, 0.0)
        return np.asarray(np.where(condition.certain, 1.0, rarer))


def mixed(share: FloatArray, one: Form, other: Any) -> Any:
    """share·one + (1 − share)·other; where the share is 0 the one may be no number."""

    def taken(value: Value) -> Value:
        return np.where(share > 0, value, 0.0) * share

    return Form(tuple(taken(part) for part in one.row()), taken(one.by), taken(one.offset)) + other * (1 - share)


class VectorStructure(Structure):
    """The structure of an optimizer whose step takes sums over the vector; `field` is the vector, once there is one.

    `sums` and `weight` are of the last whole step.
    """

    field: Field | None = None
    sums: Sums
    weight: Form

    def __init__(self, optimizer: Optimizer, coordinates: int) -> None:
        super().__init__(optimizer)
        self.coordinates = coordinates
        if not optimizer.vector_members:
            # Found once, and not for each vector.
            _ = self.mask, self.direct_mask, self.quotient_mask, self.point_mask, self.divided

    def on(self, x: ClosedMoments, g: Gradient, c: Any, pessimism: int) -> VectorStructure:
        """The structure on a vector of these moments."""
        found = copy.copy(self)
        found.field = Field(x, g, g.row(self.point_row(c)), self.coordinates, pessimism)
        return found

    def form(self, place: int) -> Form:
        """The member of this number."""
        zero = (0,) * len(self.members)
        return Form(zero, whole=1) if place == 0 else Form((*zero[:place], 1, *zero[place + 1 :]))

    def after(self, xp: Any, c: Any, known: dict[str, Value]) -> Any:
        """The state after a step, as forms of that before; `known` are the members that are not linear."""
        named: dict[str, Any] = {name: self.form(place) for place, name in enumerate(self.members)}
        gradient = Form((0,) * len(self.members), 1)
        return self.optimizer.update(xp, self.optimizer.State(**{**named, **known}), gradient, c)

    def stepped(self, xp: Sums, c: Any) -> Any:
        """The state after a step whose second moment differs between coordinates."""
        return self.after(xp, c, {"second_moment": SQUARED})

    def images(self, root: Value | Beyond, c: Any, known: Sequence[Value]) -> Images:
        """As for one coordinate; without what is divided by √v̂ the sums stay those of the whole step before."""
        xp = Sums(root, self.field, self.sums.seen if root is BEYOND else None)
        state = self.stepped(xp, c)
        if root is not BEYOND:
            self.sums, self.weight = xp, state.weight
        forms = [getattr(state, name) for name in self.members]
        return Images(tuple(form.row() for form in forms), tuple(form.by for form in forms))

    def weight_if(self, met: float, c: Any, moved: int | None = None) -> Value:
        """What a step leaves of the weight where every condition is met (1) or none (0), the sums as they were.

        That of the number `moved` is larger by its standard deviation.
        """
        seen = list(self.sums.seen)
        if moved is not None:
            seen[moved] = seen[moved].larger()
        xp = Sums(self.sums.root, self.field, seen)
        xp.met = np.full_like(self.sums.shares[0], met)
        return self.stepped(xp, c).weight.row()[0]


def mean_field(
    structure: VectorStructure,
    x: ClosedMoments,
    g: Gradient,
    c: Any,
    known: Sequence[Value],
    pessimism: int,
    step: float,
) -> Linearised:
    """Update step+1 from a state of these moments, as `closure.linearised`."""
    own = structure.on(x, g, c, pessimism)
    return pooled(own, x, g, c) if structure.optimizer.vector_members else projected(own, x, g, c, known, step)


def projected(
    own: VectorStructure, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], step: float
) -> Linearised:
    """The step of an optimizer with a second moment for each coordinate and conditions on sums."""
    assert own.field is not None
    pessimism = own.field.pessimism if own.field.pessimism in (SLOWER, NOISIER) else 0
    if pessimism:
        # A sum over few coordinates is not its expectation.
        own.images(1.0, c, known)
        g = g._replace(lasting=g.lasting + own.sums.shares[0] / own.coordinates)
    a = linearised(own, x, g, c, known, pessimism)
    share, plain, met = own.sums.shares[0], own.weight_if(0.0, c), own.weight_if(1.0, c)
    # Some runs meet the condition and others do not: what that makes of the weight differs between them.
    differs = np.where(share > 0, met - plain, 0.0)
    shaken = share * (1 - share) * differs * differs
    if not g.across:
        # So do the sums that it is made of, in steps that last as the buffer does, and at worst as the weights do.
        kept, worst = number(a.matrix[1][1]), own.field.pessimism == OFTENER
        lost = np.maximum(-own.weight.parts[0], 1e-300)
        span = np.minimum(2 * step + 2, 2 / lost) if worst else 1.0
        for place, each in enumerate(own.sums.seen):
            deviation = np.sqrt(np.maximum(each.variance, 0.0))
            swing = np.where(share > 0, own.weight_if(1.0, c, place) - met, 0.0)
            if own.field.pessimism != RARER:
                rest = np.where(each.variance > 0, 1 - each.own / np.where(each.variance > 0, each.variance, 1.0), 0.0)
                shaken = shaken + (2 if worst else 1) * share * swing * swing * rest * each.lasting(kept, span)
            if each.mixed:
                push = share * np.where(deviation > 0, swing / np.where(deviation > 0, deviation, 1.0), 0.0)
                a = with_own(a, x, each, push * x.means[0])
    others = (np.sqrt(np.maximum(shaken, 0.0) * x.mean_square), *(None,) * (len(a.matrix) - 1))
    return a._replace(lost=number(a.lost) - own.weight.parts[0], others=others)


def with_own(a: Linearised, x: ClosedMoments, each: Sum, push: Value) -> Linearised:
    """The step with what a coordinate's own part of a sum does to its weight, `push` times it.

    The sum's mean is in the step before: only the part's fluctuations are added.
    """
    mean, (row, noise, by) = each.factors
    push = push * mean
    moved = tuple(product(push, entry) for entry in row)
    first = tuple(total([one, other]) for one, other in zip(a.matrix[0], moved, strict=True))
    # The part is divided by √v̂ as the update is.
    share = 1 + push * by / np.where(a.weight_gradient, a.weight_gradient, 1.0)
    return a._replace(
        matrix=(first, *a.matrix[1:]),
        offsets=(total([a.offsets[0], -number(combined(moved, x.means))]), *a.offsets[1:]),
        noises=(total([a.noises[0], push * noise]), *a.noises[1:]),
        update=(product(a.update[0], share), *a.update[1:]),
        lost=number(a.lost) - number(moved[0]),
    )


class Pool(NamedTuple):
    """The mean square of a vector's gradient, and what its fluctuations are made of.

    `mean` is E mean(g²); `each` is the variance that a coordinate's own square has where it is normal, `drifting` the
    largest variance of a coordinate that the members make, `shared` the variance of the mean that all coordinates have
    in common.
    """

    row: Row
    root: FloatArray
    variance: FloatArray
    mean: FloatArray
    each: FloatArray
    drifting: FloatArray
    shared: FloatArray


def pool(f: Field) -> Pool:
    """What Amos's second moment averages; v is one number, so the other coordinates' fluctuations add up in it."""
    g, row, x = f.g, f.slopes, f.x
    root = np.broadcast_to(number(total([combined(row, x.means), g.offset])), f.shape)
    drifting = np.broadcast_to(spread(row, x), f.shape)
    variance = drifting + g.scale * g.scale
    mean = f.over(variance + root * root) / f.coordinates
    common = SHARED * g.excess * (f.over(variance) / f.coordinates) ** 2
    each = variance * (2 * variance + 4 * root * root)
    return Pool(row, root, variance, mean, each, drifting.max(axis=-1, keepdims=True), common)


class MeanSquares(Sums):
    """The sums of a vector whose gradient has this mean square."""

    def __init__(self, own: VectorStructure, square: Value) -> None:
        super().__init__(1.0, own.field)
        self.square, self.coordinates = square, own.coordinates

    def sum_of(self, one: Form, other: Form) -> Sum:
        return Sum(self.coordinates * (self.square if one.is_gradient and other.is_gradient else 1.0))


def pooled(own: VectorStructure, x: ClosedMoments, g: Gradient, c: Any) -> Linearised:
    """The step of an optimizer with one second moment for the vector."""
    f = own.field
    assert f is not None
    p, count, scalar = pool(f), len(own.members), own.optimizer.vector_members
    numbers = {name: x.means[own.members.index(name)][..., :1] for name in scalar if name != "second_moment"}

    def after(before: Value, square: Value) -> Any:
        return own.after(MeanSquares(own, square), c, {**numbers, "second_moment": before})

    before = x.second_mean[..., :1]
    kept, taken = after(1.0, 0.0).second_moment, after(0.0, 1.0).second_moment
    second = kept * before + taken * p.mean
    usable = np.where(second > 0, second, 1.0)
    doubt = 1 + doubt_of(f, p, kept, taken, usable) + g.lasting
    factor = doubt * doubt if f.pessimism == SLOWER else 1.0
    more = doubt if f.pessimism == DECAYING else 1.0
    scale = g.scale * {SLOWER: doubt, NOISIER: np.sqrt(doubt)}.get(f.pessimism, 1.0)

    def moved(v: Value, square: Value) -> tuple[Any, Images]:
        """The state after the step with v' and the new square moved, and its members' rows."""
        held = np.where(kept > 0, (v - taken * square) / np.where(kept > 0, kept, 1.0), 0.0)
        state = after(factor * (before + held), factor * (more * p.mean + square))
        return state, images_of(own, state)

    state, whole = moved(0.0, 0.0)
    # Derivatives along the imaginary axis lose nothing; v' moves with the new square where it has no other past.
    step = SHIFT * usable
    by_second, by_square = moved(1j * step, 0.0)[1], moved(0.0, 1j * step)[1]
    divided = each_entry(lambda entry: -np.imag(entry) / step, by_second)
    bending = number(by_second.gradient[0])
    first = np.imag(bending) / step
    bent = (number(whole.gradient[0]) - np.real(bending)) / (step * step)
    curve = np.where(first != 0, -bent / np.where(first != 0, first, 1.0), 0.0)
    pushed = at_means(each_entry(lambda entry: np.imag(entry) / step, by_square), p.row, x, g)
    each = taken / own.coordinates
    slant, jitter, skewness = 1.0, 2 * (each * p.variance) ** 2, None
    if f.pessimism == NOISIER:
        slant = 1 / doubt
        jitter = 3 * jitter + g.excess * (each * p.variance) ** 2
        skewness = None if g.third is None else g.third * doubt
    # The new square is moved by the coordinate's own fluctuations and by all others'.
    leaning = 2 * p.root / own.coordinates
    linear = 4 * p.root * p.root * p.variance
    rest = np.sqrt(np.maximum(f.over(p.each) - linear, 0.0) / own.coordinates**2 + p.shared)
    still = (None,) * len(g.foretold)
    alone = f.pessimism == ALONE
    nothing: Row = (None,) * len(p.row)
    numbered = tuple(np.broadcast_to(getattr(state, name), f.shape) if name in scalar else None for name in own.members)
    return Linearised(
        matrix=(
            *(
                tuple(
                    total([entry, product(product(push, leaning), slope)])
                    for entry, slope in zip(row, p.row, strict=True)
                )
                for row, push in zip(with_gradient(whole, p.row), pushed, strict=True)
            ),
            *(((None,) * count) + row for row in g.memory),
        ),
        offsets=(
            *(
                # The row has what the mean square's own mean does; its fluctuations have none.
                total([fixed, product(by, g.offset), product(push, -leaning * number(combined(p.row, x.means)))])
                for fixed, by, push in zip(numbered, whole.gradient, pushed, strict=True)
            ),
            *still,
        ),
        noises=(
            *(
                total([product(by, scale), product(push, leaning * scale)])
                for by, push in zip(whole.gradient, pushed, strict=True)
            ),
            *g.memory_noises,
        ),
        quotient=(*with_gradient(divided, p.row), *(nothing for _ in still)),
        quotient_noises=(*(product(by, scale) for by in divided.gradient), *still),
        update=(*at_means(divided, p.row, x, g), *still),
        square=Square(kept, each, None, p.row, p.root, p.variance, p.drifting),
        second_mean=np.broadcast_to(second, f.shape),
        square_row=tuple(product(2 * each * p.root, part) for part in p.row),
        square_noise=2 * each * p.root * scale,
        skewed=(*(product(by, skewness) for by in divided.gradient), *still),
        jitter=jitter,
        slant=slant,
        curve=curve,
        weight_gradient=number(whole.gradient[0]),
        copies=None if alone else f.copies,
        shared=taken * taken * p.shared,
        others=() if alone else (*(product(push, rest) for push in pushed), *still),
        others_second=taken * rest,
    )


def images_of(own: VectorStructure, state: Any) -> Images:
    """The rows of the members, with nothing for those that are one number."""
    nothing: Row = (None,) * len(own.members)
    numbers = own.optimizer.vector_members
    forms = [None if name in numbers else getattr(state, name) for name in own.members]
    return Images(
        tuple(nothing if form is None else form.row() for form in forms),
        tuple(None if form is None else form.by for form in forms),
    )


def each_entry(change: Callable[[Value], Value], images: Images) -> Images:
    def of(row: Row) -> Row:
        return tuple(None if entry is None else change(entry) for entry in row)

    return Images(tuple(of(row) for row in images.rows), of(images.gradient))


def at_means(images: Images, slopes: Row, x: ClosedMoments, g: Gradient) -> Row:
    """What the images make of the means."""
    return tuple(
        total([combined(row, x.means), product(by, g.offset)])
        for row, by in zip(with_gradient(images, slopes), images.gradient, strict=True)
    )


def doubt_of(f: Field, p: Pool, kept: Value, taken: Value, second: Value) -> FloatArray:
    """v's variance over its squared mean, with what the weights' fluctuations make of it for long."""
    own = taken / f.coordinates
    old = kept * kept * f.x.second_variance[..., :1]
    variance = old + f.over(own * own * (p.each + f.g.excess * p.variance * p.variance)) + taken * taken * p.shared
    return np.asarray(variance / (second * second) + 2 * p.drifting * own / second)
