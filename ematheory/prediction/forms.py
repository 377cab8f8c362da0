"""What a step that takes sums over the vector makes of each coordinate, given the sums: linear forms of its members.

An optimizer's own `update` is evaluated at `Form`s in the namespace `Sums`: no formula of an optimizer stands here. A
condition on a sum is met by some runs and not by others: the step is then the mixture of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import FloatArray, Value
from .closure import ClosedMoments, Gradient, spread
from .members import Beyond, Row, combined, number, product, total

# Pessimism besides that of a moment closure, with conditions on sums: met less often, sums without fluctuations; and
# more often, sums that fluctuate for as long as the weights remember.
RARER, OFTENER = 5, 6
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
