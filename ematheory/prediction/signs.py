"""Moments of optimizers whose update is the sign of something linear (Lion, SignSGD): statistical linearisation.

The members, the weight and the buffer, are linear but for sign(a) of an argument a that is linear in them and in the
gradient. For a normal a Hermite's polynomials split sign(a) into its mean, a part linear in a, and parts c_j·h_j of
higher order that are uncorrelated with a. The first two close the moments as those of a linear step. The others are
noise that remembers: where a's correlation with a later one is ρ, theirs is ρ^j, which is the arcsine law (R4) term by
term. So their covariances with the members are followed too, along the part of the argument that the members make.
No formula of an optimizer stands here: its own `update` says what it takes the sign of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..typing import FloatArray, Value
from .closure import ClosedMoments, Gradient
from .members import Row, Structure

# The orders of Hermite's polynomials that are followed; what is beyond them is white at first.
ORDERS = tuple(range(2, 12))
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


class SignedStep(NamedTuple):
    """x' = matrix·x + offsets + noises·n + signed·sign(a) with a = row·x + offset + noise·n.

    Shapes (points, d, K, K), (points, d, K) and (points, d): the gradient is put in.
    """

    matrix: FloatArray
    offsets: FloatArray
    noises: FloatArray
    signed: FloatArray
    row: FloatArray
    offset: FloatArray
    noise: FloatArray


def stacked(entries: Sequence[Value], shape: tuple[int, ...]) -> FloatArray:
    parts = [np.broadcast_to(0.0 if each is None else each, shape) for each in entries]
    return np.stack(parts, axis=-1).astype(np.float64)


class SignImages(NamedTuple):
    """What the update makes of each member, of the gradient and of the sign, and what its argument takes of each.

    Shapes (…, K, K), (…, K), (…, K), (…, K) and (…): with other entries for each step of a block.
    """

    members: FloatArray
    gradient: FloatArray
    signed: FloatArray
    row: FloatArray
    of_gradient: FloatArray

    def at(self, step: int) -> SignImages:
        """The images of one step, from those with the shape (points, steps) first; now (points, 1)."""
        return SignImages(*(entry[:, step : step + 1] for entry in self))


def sign_images(structure: Structure, c: Any, shape: tuple[int, ...]) -> SignImages:
    """The optimizer's update at unit arguments; the coefficients broadcast to `shape`."""

    def image(values: dict[int, float], gradient: float, sign: float) -> tuple[FloatArray, FloatArray]:
        xp = SeenSign(sign)
        after = structure.optimizer.update(xp, structure.state(values, 0, ()), gradient, c)
        new = stacked([getattr(after, name) for name in structure.members], shape)
        return new, np.broadcast_to(xp.argument, shape)

    units = [image({place: 1.0}, 0.0, 0.0) for place in range(len(structure.members))]
    of_gradient, argument = image({}, 1.0, 0.0)
    columns, seen = (np.stack(parts, axis=-1) for parts in zip(*units, strict=True))
    return SignImages(columns, of_gradient, image({}, 0.0, 1.0)[0], seen, argument)


def signed_step(images: SignImages, point: Row, g: Gradient, shape: tuple[int, ...]) -> SignedStep:
    """The step with the gradient's map put in, taken at the `point`; the noise's own state follows the members."""
    count, remembered = images.row.shape[-1], len(g.memory)
    full = count + remembered

    def widened(vector: FloatArray) -> FloatArray:
        wide = np.zeros((*shape, full))
        wide[..., :count] = vector
        return wide

    of_gradient, slopes = widened(images.gradient), stacked(g.row(point), shape)
    matrix = outer(of_gradient, slopes)
    matrix[..., :count, :count] += images.members
    noises = of_gradient * np.broadcast_to(g.scale, shape)[..., None]
    for place, (row, by) in enumerate(zip(g.memory, g.memory_noises, strict=True), start=count):
        matrix[..., place, count:] = stacked(row, shape)
        noises[..., place] = 0.0 if by is None else by
    offset, argument = np.broadcast_to(g.offset, shape), images.of_gradient
    return SignedStep(
        matrix,
        of_gradient * offset[..., None],
        noises,
        widened(images.signed),
        widened(images.row) + argument[..., None] * slopes,
        argument * offset,
        argument * np.broadcast_to(g.scale, shape),
    )


class SignMoments(NamedTuple):
    """Of the members x, the weight first: means (…, K), covariances (…, K, K), and `higher` (…, J, K).

    `higher` is Cov(x, h_j(p)) of each order j, with p the standardised part of the next argument that x makes; the last
    one stands for all that are left. `apart` is the covariance that the noise alone gives the buffers.
    """

    mean: FloatArray
    covariance: FloatArray
    higher: FloatArray
    apart: FloatArray

    @classmethod
    def of(cls, x: ClosedMoments) -> SignMoments:
        shape, count = np.broadcast_shapes(*(np.shape(mean) for mean in x.means)), len(x.means)
        covariance = np.stack([stacked(x.column(j), shape) for j in range(count)], axis=-1)
        return cls(stacked(x.means, shape), covariance, np.zeros((*shape, len(ORDERS) + 1, count)), covariance)

    @property
    def means(self) -> tuple[FloatArray, ...]:
        return tuple(np.moveaxis(self.mean, -1, 0))

    @property
    def columns(self) -> tuple[tuple[FloatArray, ...], ...]:
        return tuple(tuple(np.moveaxis(each, -1, 0)) for each in np.moveaxis(self.covariance, -1, 0))

    @property
    def weight_mean(self) -> FloatArray:
        return self.mean[..., 0]

    @property
    def weight_variance(self) -> FloatArray:
        return self.covariance[..., 0, 0]

    @property
    def mean_square(self) -> FloatArray:
        return self.weight_variance + self.weight_mean * self.weight_mean


class LinearRow(NamedTuple):
    """What the step makes of the weight, on the members and, as the last one, what of the sign is not linear."""

    weight_row: Row
    weight_offset: FloatArray
    weight_noise: FloatArray


def dot(row: FloatArray, column: FloatArray) -> FloatArray:
    """Σ row_i·column_i of the members."""
    return np.asarray((row * column).sum(axis=-1))


def times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Matrix times vector."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def ratio(one: FloatArray, other: FloatArray) -> FloatArray:
    """one/other, 0 where there is no other."""
    return np.asarray(np.where(other > 0, one / np.where(other > 0, other, 1.0), 0.0))


def hermite(centre: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """E sign(centre + z), the coefficient of z in it, and those of h_j(z) for `ORDERS`, z normal."""
    from scipy.special import erf

    # c_j = 2φ·He_{j−1}(−centre)/√j!: by the recursion of the normalised h_j.
    density = 2 * np.exp(-centre * centre / 2) / np.sqrt(2 * np.pi)
    before, now, found = np.zeros_like(centre), np.ones_like(centre), []
    for j in range(1, ORDERS[-1] + 1):
        found.append(density * now / np.sqrt(j))
        before, now = now, (-centre * now - np.sqrt(j - 1) * before) / np.sqrt(j)
    return np.asarray(erf(centre / np.sqrt(2))), found[0], np.stack(found[1:], axis=-1)


class Split(NamedTuple):
    """The sign: its mean, its gain on the argument, and the rest, uncorrelated with the argument.

    Of the rest: its variance, its covariances with the members, the coefficients of its parts, and the power to which
    each takes the argument's correlations. `spread` is the argument's deviation, `foretold` the variance of the part
    of it that the members make.
    """

    mean: FloatArray
    gain: FloatArray
    variance: FloatArray
    with_members: FloatArray
    coefficients: FloatArray
    orders: FloatArray
    spread: FloatArray
    foretold: FloatArray


def of_weights(x: SignMoments, a: SignedStep) -> FloatArray:
    """What the weights' fluctuations make of the argument, over the variance that the noise alone makes of it.

    The noise's part is as normal as the noise, more so where the buffer averages it; the weights' is a sum of signs.
    """
    alone = dot(a.row, times(x.apart, a.row)) + a.noise * a.noise
    variance = dot(a.row, times(x.covariance, a.row)) + a.noise * a.noise
    weights = a.row[..., 0] ** 2 * x.covariance[..., 0, 0] + np.abs(variance - alone)
    return ratio(np.asarray(weights), alone)


def doubt(x: SignMoments, a: SignedStep, g: Gradient, spread: FloatArray) -> FloatArray:
    """By what share the argument's density in the middle may differ from a normal one's."""
    largest = np.maximum(a.noise * a.noise, dot(a.row, a.noises) ** 2)
    found = OF_WEIGHTS * of_weights(x, a) + OF_KURTOSIS * g.excess * ratio(largest, spread * spread)
    return np.asarray(np.minimum(found + OF_LASTING * g.lasting + OF_FEW * g.few, MOST_DOUBT))


def swung(x: SignMoments, share: FloatArray) -> SignMoments:
    """The moments with a part of the weight's deviation in its mean too; `share` is `of_weights`.

    Steps that are large beside the noise swing for good about the optimum, in every run alike: what normal arguments
    would spread out then stays in the mean. That is so or not, and no expansion: it is counted where doubt is large.
    """
    mean = x.mean.copy()
    moved = np.minimum((OF_WEIGHTS * share) ** 2, MOST_SWING) * np.sqrt(np.maximum(x.weight_variance, 0.0))
    mean[..., 0] += np.where(mean[..., 0] < 0, -moved, moved)
    return x._replace(mean=mean)


def split(x: SignMoments, a: SignedStep, g: Gradient, pessimism: int) -> Split:
    """The sign of an argument of these moments; one that is certain has a sign without a gain and without a rest."""
    foretold = np.maximum(dot(a.row, times(x.covariance, a.row)), 0.0)
    spread = np.sqrt(foretold + a.noise * a.noise)
    orders = np.broadcast_to(np.array([*ORDERS, ORDERS[-1] + 1.0]), (*spread.shape, len(ORDERS) + 1))
    middle = spread
    if pessimism:
        factor = 1 + doubt(x, a, g, spread)
        if pessimism == LASTING:
            # Items that come again are no normal pair: equal or independent, and so are then all functions of them.
            orders = np.maximum(orders / factor[..., None], 1.0) if not g.foretold else np.ones_like(orders)
        else:
            middle = spread * factor if pessimism == BLUNTER else spread / factor
    centre = dot(a.row, x.mean) + a.offset
    certain = spread <= 0
    middle = np.where(certain, 1.0, middle)
    mean, first, others = hermite(np.where(certain, 0.0, centre / middle))
    mean = np.where(certain, np.sign(centre), mean)
    gain = np.where(certain, 0.0, first / middle)
    others = np.where(certain[..., None], 0.0, others)
    last = np.sqrt(np.maximum(1 - mean * mean - first * first - (others * others).sum(axis=-1), 0.0))
    last = np.where(certain, 0.0, last) if pessimism == LASTING else np.zeros_like(mean)
    others = np.concatenate([others, last[..., None]], axis=-1)
    share = np.sqrt(ratio(foretold, spread * spread))[..., None] ** orders
    with_members = ((others * share)[..., None] * x.higher).sum(axis=-2)
    left = 1 - mean * mean - gain * gain * spread * spread - 2 * gain * dot(a.row, with_members)
    left = np.where(certain, 0.0, np.maximum(left, 0.0))
    return Split(mean, gain, left, with_members, others, orders, spread, foretold)


class Linearisation(NamedTuple):
    """x' = matrix·x + offsets + noises·n + signed·rest, and how the covariances with the rest's parts go on.

    `own` is the covariance that the step adds. Cov(x', h_j') is remembered·matrix·Cov(x, h_j) + new.
    """

    matrix: FloatArray
    offsets: FloatArray
    noises: FloatArray
    own: FloatArray


def linearisation(a: SignedStep, s: Split, mean: FloatArray) -> Linearisation:
    matrix = a.matrix + outer(a.signed * s.gain[..., None], a.row)
    noises = a.noises + a.signed * (s.gain * a.noise)[..., None]
    # What the linear row leaves of the sign's mean.
    offsets = a.offsets + a.signed * (s.mean - s.gain * dot(a.row, mean))[..., None]
    crossed = outer(times(matrix, s.with_members), a.signed)
    own = outer(noises, noises) + s.variance[..., None, None] * outer(a.signed, a.signed)
    return Linearisation(matrix, offsets, noises, own + crossed + np.swapaxes(crossed, -1, -2))


def remembered(
    x: SignMoments, a: SignedStep, s: Split, step: Linearisation, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What is left of each order's covariances after the step to this `covariance`, and what is new in them."""
    foretold = np.maximum(dot(a.row, times(covariance, a.row)), 0.0)
    pushed = times(step.matrix, times(x.covariance, a.row))
    with_old = dot(a.row, pushed + a.signed * dot(a.row, s.with_members)[..., None])
    with_argument = dot(a.row, pushed + step.noises * a.noise[..., None])
    kept = correlation(with_old, np.sqrt(foretold * s.foretold))[..., None] ** s.orders
    taken = correlation(with_argument, np.sqrt(foretold) * s.spread)[..., None] ** s.orders
    return kept, outer(taken * s.coefficients, a.signed)


def advance_signed(
    x: SignMoments, a: SignedStep, g: Gradient, pessimism: int
) -> tuple[SignMoments, LinearRow, SignMoments]:
    """The moments after the step, the weight's row in it, and the moments before with the rest as a last member."""
    s = split(x, a, g, pessimism)
    step = linearisation(a, s, x.mean)
    covariance = step.matrix @ x.covariance @ np.swapaxes(step.matrix, -1, -2) + step.own
    kept, new = remembered(x, a, s, step, covariance)
    higher = kept[..., None] * (x.higher @ np.swapaxes(step.matrix, -1, -2)) + new
    buffers, free = buffers_alone(a)
    apart = buffers @ x.apart @ np.swapaxes(buffers, -1, -2) + free
    after = SignMoments(times(step.matrix, x.mean) + step.offsets, covariance, higher, apart)
    return after, weight_row(a, step), with_rest(x, s)


def buffers_alone(a: SignedStep) -> tuple[FloatArray, FloatArray]:
    """The step of the buffers without the weight, and the covariance that the noise adds."""
    matrix, noises = a.matrix.copy(), a.noises.copy()
    matrix[..., :, 0] = matrix[..., 0, :] = noises[..., 0] = 0.0
    return matrix, outer(noises, noises)


def weight_row(a: SignedStep, step: Linearisation) -> LinearRow:
    row = (*np.moveaxis(step.matrix[..., 0, :], -1, 0), a.signed[..., 0])
    return LinearRow(row, step.offsets[..., 0], step.noises[..., 0])


def correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    """A correlation from a covariance and two deviations; one below 0 remembers nothing."""
    return np.asarray(np.clip(ratio(one, other), 0.0, 1.0))


def outer(one: FloatArray, other: FloatArray) -> FloatArray:
    """one_i·other_j of the members."""
    return one[..., :, None] * other[..., None, :]


def with_rest(x: SignMoments, s: Split) -> SignMoments:
    """The moments with the rest of the coming sign as a last member, of mean 0."""
    mean = np.concatenate([x.mean, np.zeros_like(x.mean[..., :1])], axis=-1)
    top = np.concatenate([x.covariance, s.with_members[..., None]], axis=-1)
    last = np.concatenate([s.with_members, s.variance[..., None]], axis=-1)
    return SignMoments(mean, np.concatenate([top, last[..., None, :]], axis=-2), x.higher, x.apart)
