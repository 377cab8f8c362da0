"""Moments of optimizers whose update is the sign of something linear (Lion, SignSGD): statistical linearisation.

The members, the weight and the buffer, are linear but for sign(a) of an argument a that is linear in them and in the
gradient. For a normal a Hermite's polynomials split sign(a) into its mean, a part linear in a, and parts c_j·h_j of
higher order that are uncorrelated with a. The first two close the moments as those of a linear step. The others are
noise that remembers: where a's correlation with a later one is ρ, theirs is ρ^j, which is the arcsine law (R4) term by
term. So their covariances with the members are followed too, along the part of the argument that the members make.
No formula of an optimizer stands here: its own `update` says what it takes the sign of. Everything is + − × ÷ √ and
`gaussian` on whatever numbers it is given: arrays, or values that are traced into the native engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from ..typing import FloatArray, Value
from .closure import ClosedMoments, Gradient, with_gradient
from .gaussian import Numbers, at_least, at_most, bounded, mean_sign, root_of
from .members import Images, Matrix, Row, Structure, combined, each_pair, number, product, total

# The orders of Hermite's polynomials that are followed; what is beyond them is white at first.
ORDERS = tuple(range(2, 12))
LAST = ORDERS[-1] + 1
# Three ways of expecting the worst of an argument that is not quite normal: its density at 0 lower or higher, and what
# is not linear in it remembered for longer, or for good.
BLUNTER, SHARPER, LASTING = 1, 2, 3
PESSIMISMS = (BLUNTER, SHARPER, LASTING)
# An excess kurtosis κ changes the density in the middle by κ/8 to first order (Edgeworth). Weights that are two points
# have κ = −2, and a share f of the argument then f²κ: half of f, and not of f², is taken, since such weights follow no
# first order. The kurtosis of samples counts twice by `caution`, and half here; so do items that come again.
OF_WEIGHTS, OF_KURTOSIS, OF_LASTING = 1 / 2, 1 / 16, 1 / 2
# A gradient at right angles to C weights is correlated with itself across them, by 1/C; `caution` counts that twice.
OF_FEW = 1 / 4
# The density is at most so much lower or higher: where the noise is nothing beside the weights, that is no expansion.
MOST_DOUBT, MOST_SWING = 2.0, 2.0


class SeenSign:
    """An array namespace that keeps what the sign was taken of, and gives a sign of its own."""

    where = staticmethod(np.where)
    argument: Value = None

    def __init__(self, given: Value) -> None:
        self.given = given

    def sign(self, value: Value) -> Value:
        self.argument = value
        return self.given


class SignImages(NamedTuple):
    """What the update makes of each member, of the gradient and of the sign, and what its argument takes of each."""

    members: Images
    signed: Row
    row: Row
    of_gradient: Value


def sign_images(structure: Structure, c: Any) -> SignImages:
    """The optimizer's update at unit arguments, with None for what is always 0."""
    found, there = unit_images(structure, c), unit_images(structure, structure.probe)

    def kept(row: Row, probed: Row) -> Row:
        return tuple(entry if probe != 0 else None for entry, probe in zip(row, probed, strict=True))

    rows = tuple(kept(*pair) for pair in zip(found.members.rows, there.members.rows, strict=True))
    return SignImages(
        Images(rows, kept(found.members.gradient, there.members.gradient)),
        kept(found.signed, there.signed),
        kept(found.row, there.row),
        found.of_gradient,
    )


def unit_images(structure: Structure, c: Any) -> SignImages:
    def image(values: dict[int, float], gradient: float, sign: float) -> tuple[Row, Value]:
        xp = SeenSign(sign)
        after = structure.optimizer.update(xp, structure.state(values, 0, ()), gradient, c)
        return tuple(getattr(after, name) for name in structure.members), xp.argument

    columns, seen = zip(*(image({place: 1}, 0, 0) for place in range(len(structure.members))), strict=True)
    of_gradient, argument = image({}, 1, 0)
    return SignImages(Images(tuple(zip(*columns, strict=True)), of_gradient), image({}, 0, 1)[0], seen, argument)


class SignedStep(NamedTuple):
    """x' = matrix·x + offsets + noises·n + signed·sign(a) with a = row·x + offset + noise·n: the gradient is put in."""

    matrix: Matrix
    offsets: Row
    noises: Row
    signed: Row
    row: Row
    offset: Value
    noise: Value


def signed_step(images: SignImages, point: Row, g: Gradient) -> SignedStep:
    """The step with the gradient's map put in, taken at the `point`; the noise's own state follows the members."""
    slopes, still = g.row(point), (None,) * len(g.memory)
    moved, by, argument = with_gradient(images.members, slopes), images.members.gradient, images.of_gradient
    return SignedStep(
        matrix=(*moved, *((None,) * (len(slopes) - len(still)) + row for row in g.memory)),
        offsets=(*(product(each, g.offset) for each in by), *still),
        noises=(*(product(each, g.scale) for each in by), *g.memory_noises),
        signed=(*images.signed, *still),
        row=tuple(total([own, product(argument, slope)]) for own, slope in zip_longest(images.row, slopes)),
        offset=argument * g.offset,
        noise=argument * g.scale,
    )


class SignMoments(NamedTuple):
    """Of the members x, the weight first: means, and the lower triangle of Cov(x), row by row.

    `higher` is Cov(x, h_j(p)) of each order j, with p the standardised part of the next argument that x makes; the last
    one, for `LASTING` alone, stands for all that are left. `apart` is the triangle that the noise alone gives the
    buffers.
    """

    means: tuple[Value, ...]
    covariances: tuple[Value, ...]
    higher: Matrix
    apart: tuple[Value, ...]

    @classmethod
    def at_start(cls, x: ClosedMoments, pessimism: int) -> SignMoments:
        count, zero = len(x.means), 0 * x.weight_mean
        apart = each_pair(count - 1, lambda i, j: x.covariance(i + 1, j + 1))
        return cls(x.means, x.covariances, ((zero,) * count,) * len(orders_of(pessimism)), apart)

    @classmethod
    def of(cls, flat: Sequence[Value] | FloatArray, members: int, pessimism: int) -> SignMoments:
        """From the entries in a row, as `flat` gives them."""
        entries, orders = iter(flat), len(orders_of(pessimism))

        def taken(count: int) -> tuple[Value, ...]:
            return tuple(next(entries) for _ in range(count))

        triangle = members * (members + 1) // 2
        means, covariances = taken(members), taken(triangle)
        return cls(means, covariances, tuple(taken(members) for _ in range(orders)), taken(triangle - members))

    @staticmethod
    def size(members: int, pessimism: int) -> int:
        return members * (members + 1 + len(orders_of(pessimism)))

    def flat(self) -> tuple[Value, ...]:
        return (*self.means, *self.covariances, *(each for row in self.higher for each in row), *self.apart)

    @property
    def columns(self) -> tuple[tuple[Value, ...], ...]:
        """Cov(x)."""
        return symmetric(self.covariances, len(self.means))

    @property
    def weight_mean(self) -> Value:
        return self.means[0]

    @property
    def weight_variance(self) -> Value:
        return self.covariances[0]

    @property
    def mean_square(self) -> Value:
        return self.weight_variance + self.weight_mean * self.weight_mean


class LinearRow(NamedTuple):
    """What the step makes of the weight, on the members and, as the last one, what of the sign is not linear."""

    weight_row: Row
    weight_offset: Value
    weight_noise: Value


def orders_of(pessimism: int) -> tuple[int, ...]:
    return (*ORDERS, LAST) if pessimism == LASTING else ORDERS


def symmetric(triangle: Sequence[Value], count: int) -> tuple[tuple[Value, ...], ...]:
    """The matrix of which this is the lower triangle, row by row."""
    places = [[max(i, j) * (max(i, j) + 1) // 2 + min(i, j) for j in range(count)] for i in range(count)]
    return tuple(tuple(triangle[place] for place in row) for row in places)


def dot(row: Row, column: Row) -> Value:
    """Σ row_i·column_i of the members."""
    return number(combined(row, column))


def times(matrix: Matrix, vector: Row) -> Row:
    """Matrix times vector."""
    return tuple(combined(row, vector) for row in matrix)


def pushed(matrix: Matrix, covariance: Matrix, own: Any) -> tuple[Value, ...]:
    """The lower triangle of A P Aᵀ plus own(i, j)."""
    moved = [times(covariance, row) for row in matrix]  # rows of A P
    return each_pair(len(matrix), lambda i, j: number(total([combined(matrix[j], moved[i]), own(i, j)])))


def inverse(value: Value, xp: Any) -> Value:
    """1/value, 0 where it is not above 0."""
    return xp.where(value > 0, 1 / xp.where(value > 0, value, 1.0), 0.0)


def deviation(variance: Value, xp: Any) -> Value:
    return xp.sqrt(at_least(variance, 0.0, xp))


def hermite(centre: Value, first: Value) -> list[Value]:
    """The coefficients in sign(centre + z) of h_j(z) for `ORDERS`, z normal, from that of h_1(z) = z.

    c_j = 2φ·He_{j−1}(−centre)/√j!, by the recursion of Hermite's polynomials.
    """
    x = -centre
    found = [first, sqrt(1 / 2) * x * first]
    for j in ORDERS[:-1]:
        found.append(sqrt(1 / (j + 1)) * x * found[-1] - (j - 1) * sqrt(1 / (j * (j + 1))) * found[-2])
    return found[1:]


class Split(NamedTuple):
    """The sign: its mean, its gain on the argument, and the rest, uncorrelated with the argument.

    Of the rest: its variance, its covariances with the members, and the coefficients of its parts. `factor` is by how
    much longer each is remembered. `spread` is the argument's deviation, `foretold` that of the part of it that the
    members make.
    """

    mean: Value
    gain: Value
    variance: Value
    with_members: Row
    coefficients: tuple[Value, ...]
    factor: Value | None
    spread: Value
    foretold: Value


def of_weights(x: SignMoments, a: SignedStep, xp: Any = Numbers) -> Value:
    """What the weights' fluctuations make of the argument, over the variance that the noise alone makes of it.

    The noise's part is as normal as the noise, more so where the buffer averages it; the weights' is a sum of signs.
    """
    buffers, noise = a.row[1:], a.noise * a.noise
    alone = dot(buffers, times(symmetric(x.apart, len(buffers)), buffers)) + noise
    apart = dot(a.row, times(x.columns, a.row)) + noise - alone
    slope = number(a.row[0])
    weights = slope * slope * x.weight_variance + xp.where(apart < 0, -apart, apart)
    return weights * inverse(alone, xp)


def doubt(x: SignMoments, a: SignedStep, g: Gradient, spread: Value, xp: Any) -> Value:
    """By what share the argument's density in the middle may differ from a normal one's."""
    noise, through = a.noise * a.noise, dot(a.row, a.noises)
    through = through * through
    largest = xp.where(through > noise, through, noise)
    found = OF_WEIGHTS * of_weights(x, a, xp) + OF_KURTOSIS * g.excess * (largest * inverse(spread * spread, xp))
    return at_most(found + OF_LASTING * g.lasting + OF_FEW * g.few, MOST_DOUBT, xp)


def swung(x: SignMoments, share: Value) -> SignMoments:
    """The moments with a part of the weight's deviation in its mean too; `share` is `of_weights`.

    Steps that are large beside the noise swing for good about the optimum, in every run alike: what normal arguments
    would spread out then stays in the mean. That is so or not, and no expansion: it is counted where doubt is large.
    """
    moved = np.minimum((OF_WEIGHTS * share) ** 2, MOST_SWING) * deviation(x.weight_variance, Numbers)
    swinging = x.weight_mean + np.where(x.weight_mean < 0, -moved, moved)
    return x._replace(means=(swinging, *x.means[1:]))


def split(x: SignMoments, a: SignedStep, g: Gradient, pessimism: int, xp: Any = Numbers) -> Split:
    """The sign of an argument of these moments; one that is certain has a sign without a gain and without a rest."""
    foretold = deviation(dot(a.row, times(x.columns, a.row)), xp)
    spread = xp.sqrt(foretold * foretold + a.noise * a.noise)
    certain, middle, factor = spread <= 0, spread, None
    if pessimism:
        factor = 1 + doubt(x, a, g, spread, xp)
        if pessimism != LASTING:
            middle, factor = spread * factor if pessimism == BLUNTER else spread / factor, None
    per_middle = 1 / xp.where(certain, 1.0, middle)
    centre = dot(a.row, x.means) + a.offset
    surely = xp.where(centre > 0, 1.0, xp.where(centre < 0, -1.0, 0.0))
    centre = bounded(xp.where(certain, 0.0, centre * per_middle), xp)
    mean, first = mean_sign(centre, xp)
    mean, first = xp.where(certain, surely, mean), xp.where(certain, 0.0, first)
    gain, others = first * per_middle, hermite(centre, first)
    if pessimism == LASTING:
        beyond = 1 - number(total([mean * mean, first * first, *(each * each for each in others)]))
        others.append(xp.where(certain, 0.0, deviation(beyond, xp)))
    shares = powers(foretold * inverse(spread, xp), factor, g, len(others), xp)
    parts = tuple(product(one, share) for one, share in zip(others, shares, strict=True))
    with_members = tuple(combined(parts, column) for column in zip(*x.higher, strict=True))
    linear = gain * spread
    left = 1 - mean * mean - linear * linear - 2 * (gain * dot(a.row, with_members))
    left = xp.where(certain, 0.0, at_least(left, 0.0, xp))
    return Split(mean, gain, left, with_members, tuple(others), factor, spread, foretold)


def powers(correlation: Value, factor: Value | None, g: Gradient, count: int, xp: Any) -> list[Value]:
    """What the argument's correlation makes of the parts of each order: ρ^j, or longer memory by the `factor`.

    Items that come again are no normal pair: equal or independent, and so are then all functions of them.
    """
    if factor is not None and g.foretold:
        return [correlation] * count
    base = correlation if factor is None else root_of(correlation, factor, xp)
    found, last = [], base
    for _ in range(count):
        last = last * base
        found.append(last if factor is None else at_most(last, correlation, xp))
    return found


class Linearisation(NamedTuple):
    """x' = matrix·x + offsets + noises·n + signed·rest; `crossed` is what x has to do with the rest after the step."""

    matrix: Matrix
    offsets: Row
    noises: Row
    crossed: Row

    def own(self, a: SignedStep, s: Split) -> Any:
        """The covariance that the step adds to two members."""

        def added(i: int, j: int) -> Value | None:
            rest = [product(a.signed[j], self.crossed[i]), product(a.signed[i], self.crossed[j])]
            both = product(product(a.signed[i], a.signed[j]), s.variance)
            return total([product(self.noises[i], self.noises[j]), both, *rest])

        return added


def linearisation(a: SignedStep, s: Split, means: tuple[Value, ...]) -> Linearisation:
    gained = [product(each, s.gain) for each in a.signed]
    matrix = tuple(
        tuple(total([entry, product(by, of)]) for entry, of in zip(row, a.row, strict=True))
        for row, by in zip(a.matrix, gained, strict=True)
    )
    # What the linear row leaves of the sign's mean.
    left = s.mean - s.gain * dot(a.row, means)
    return Linearisation(
        matrix,
        tuple(total([own, product(by, left)]) for own, by in zip(a.offsets, a.signed, strict=True)),
        tuple(total([own, product(by, a.noise)]) for own, by in zip(a.noises, gained, strict=True)),
        times(matrix, s.with_members),
    )


def remembered(
    x: SignMoments, a: SignedStep, s: Split, g: Gradient, step: Linearisation, covariance: Matrix, xp: Any = Numbers
) -> tuple[list[Value], Matrix]:
    """What is left of each order's covariances after the step to this `covariance`, and what is new in them."""
    per_foretold = inverse(deviation(dot(a.row, times(covariance, a.row)), xp), xp)
    moved = times(step.matrix, times(x.columns, a.row))
    with_old = total([dot(a.row, moved), product(dot(a.row, a.signed), dot(a.row, s.with_members))])
    with_argument = dot(a.row, moved) + dot(a.row, step.noises) * a.noise
    count = len(s.coefficients)
    kept = powers(within(with_old * per_foretold * inverse(s.foretold, xp), xp), s.factor, g, count, xp)
    taken = powers(within(with_argument * per_foretold * inverse(s.spread, xp), xp), s.factor, g, count, xp)
    parts = [share * each for share, each in zip(taken, s.coefficients, strict=True)]
    return kept, tuple(tuple(product(part, by) for by in a.signed) for part in parts)


def within(correlation: Value, xp: Any) -> Value:
    """The correlation without what rounding made of it; one below 0 remembers nothing."""
    return at_most(at_least(correlation, 0.0, xp), 1.0, xp)


def advance_signed(
    x: SignMoments, a: SignedStep, g: Gradient, pessimism: int, xp: Any = Numbers
) -> tuple[SignMoments, LinearRow, SignMoments]:
    """The moments after the step, the weight's row in it, and the moments before with the rest as a last member."""
    s = split(x, a, g, pessimism, xp)
    step = linearisation(a, s, x.means)
    covariances = pushed(step.matrix, x.columns, step.own(a, s))
    kept, new = remembered(x, a, s, g, step, symmetric(covariances, len(x.means)), xp)
    higher = tuple(
        tuple(number(total([product(share, each), added])) for each, added in zip(moved, fresh, strict=True))
        for share, moved, fresh in zip(kept, (times(step.matrix, row) for row in x.higher), new, strict=True)
    )
    means = tuple(number(total([each, by])) for each, by in zip(times(step.matrix, x.means), step.offsets, strict=True))
    after = SignMoments(means, covariances, higher, apart_after(x, a))
    return after, weight_row(a, step), with_rest(x, s)


def apart_after(x: SignMoments, a: SignedStep) -> tuple[Value, ...]:
    """What the noise alone makes of the buffers, without the weight."""
    matrix, noises = buffers_alone(a)
    return pushed(matrix, symmetric(x.apart, len(noises)), lambda i, j: product(noises[i], noises[j]))


def buffers_alone(a: SignedStep) -> tuple[Matrix, Row]:
    """The step of the buffers without the weight, and their shares of the noise."""
    return tuple(row[1:] for row in a.matrix[1:]), a.noises[1:]


def weight_row(a: SignedStep, step: Linearisation) -> LinearRow:
    return LinearRow((*step.matrix[0], a.signed[0]), number(step.offsets[0]), number(step.noises[0]))


def with_rest(x: SignMoments, s: Split) -> SignMoments:
    """The moments with the rest of the coming sign as a last member, of mean 0."""
    last = (*(number(each) for each in s.with_members), s.variance)
    return x._replace(means=(*x.means, 0.0), covariances=(*x.covariances, *last))
