"""Problems' gradients as affine maps with noise, g = slope·w + offset + scale·n, read off their own `gradient`.

Each kind says what the noise depends on besides: the weights' size, all coordinates' misses, the place in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from ..arithmetic import vector_sum
from ..problems import LinearRegression, Problem, ReshuffledData, ScaleInvariant
from ..typing import FloatArray, Value
from .closure import ClosedMoments, Followed, Gradient

Map = TypeVar("Map", bound="ProblemMap")

# So large a weight that a gradient's offset is lost in rounding: gradient(HUGE)/HUGE is the slope to the last bit.
HUGE = 2.0**200


@dataclass(frozen=True)
class ProblemMap:
    """g = slope·w + offset + scale·n, n of mean 0 and variance 1; arrays of shape (points, 1 or d)."""

    slope: FloatArray
    offset: FloatArray
    scale: FloatArray

    # Whether the noise differs between steps at one rate, whether by their number, and whether one coordinate's depends
    # on the others.
    moving: ClassVar[bool] = False
    timed: ClassVar[bool] = False
    coupled: ClassVar[bool] = False
    # What the names of its native programs end in.
    suffix: ClassVar[str] = ""
    # How often a stated error counts: once where the noise is Gaussian and its size does not follow the weights'.
    caution: ClassVar[int] = 1

    @property
    def rows(self) -> tuple[FloatArray, ...]:
        """What a native program is given of each coordinate."""
        return self.slope, self.offset, self.scale

    def timing(self, steps: range) -> FloatArray:
        """What it is given of updates start+1 … stop, shape (points, steps, C)."""
        return np.empty((len(self.slope), len(steps), 0))

    def at(self, x: Followed) -> ProblemMap:
        """The map where the weights have these moments."""
        return self

    def of_size(self, mean_square: FloatArray) -> ProblemMap:
        """The map where the weights have this mean square."""
        return self

    def gradient(self, x: Followed, step: int) -> Gradient:
        """The gradient of update step+1 from a state of these moments."""
        g = self.at(x)
        return Gradient(g.slope, g.offset, g.scale)

    def remembered(self, means: Sequence[FloatArray]) -> ClosedMoments:
        """The moments before the first step, of known members and of what the noise has of a state."""
        return ClosedMoments.certain(means)

    def block(self: Map, points: slice, columns: slice) -> Map:
        """The map of some points and coordinates."""
        return type(self)(*(getattr(self, field.name)[points, columns] for field in fields(self)))


class SizedRows(NamedTuple):
    """What is known of each coordinate of a `RelativeMap`, on arrays or traced."""

    slope: Value
    offset: Value
    scale: Value
    few: Value

    def gradient(self, mean_square: Value, xp: Any = np) -> Gradient:
        return Gradient(self.slope, self.offset, self.scale / xp.sqrt(mean_square), few=self.few)


@dataclass(frozen=True)
class RelativeMap(ProblemMap):
    """A gradient whose scale is that at a mean square of 1: it falls as 1/‖w‖, in the limit of many coordinates.

    `few` is 1/C.
    """

    few: FloatArray

    moving, caution = True, 2
    suffix = "_sized"

    @property
    def rows(self) -> SizedRows:
        return SizedRows(self.slope, self.offset, self.scale, self.few)

    def at(self, x: Followed) -> ProblemMap:
        return self.of_size(x.mean_square)

    def gradient(self, x: Followed, step: int) -> Gradient:
        return self.rows.gradient(x.mean_square)._replace(across=True)

    def of_size(self, mean_square: FloatArray) -> ProblemMap:
        return ProblemMap(self.slope, self.offset, self.scale / np.sqrt(mean_square))


class SampledSums(NamedTuple):
    """Sums over a vector of least squares on samples: of h E (w − θ*)², and the variance of Σ h (w − θ*)²."""

    signals: Value
    spread: Value


class SampledRows(NamedTuple):
    """What is known of each coordinate of a `SampledMap`, on arrays or traced.

    `per_sample` is h/B, and `third_unit` h²/B²: of one sample the noise's third moment is h² E δ (8 h (E δ² + 2 Var δ)
    + 6 Σ h E δ² of the others).
    """

    slope: Value
    offset: Value
    optimum: Value
    label_noise: Value
    per_sample: Value
    third_unit: Value
    excess: Value

    def signal(self, x: Followed) -> tuple[Value, Value, Value]:
        """A coordinate's miss, h Var w and h E (w − θ*)²."""
        miss, own = x.weight_mean - self.optimum, self.slope * x.weight_variance
        return miss, own, own + self.slope * (miss * miss)

    def terms(self, x: Followed) -> SampledSums:
        """What a coordinate adds to the sums, for normal weights."""
        _, own, signal = self.signal(x)
        return SampledSums(signal, own * (4 * signal - 2 * own))

    def gradient(self, x: Followed, sums: SampledSums, xp: Any = np) -> Gradient:
        """A product of two independent Gaussians has excess kurtosis 6, the square of one 12: the worse, over B.

        Each run's own misses make its noise larger or smaller for as long as they last: the relative variance of its
        square is that of the loss.
        """
        miss, own, signal = self.signal(x)
        loss = sums.signals + self.label_noise
        third = self.third_unit * miss * (2 * signal + 16 * own + 6 * loss)
        lasting = sums.spread / xp.where(loss > 0, loss * loss, 1.0)
        scale = xp.sqrt(self.per_sample * (signal + loss))
        return Gradient(self.slope, self.offset, scale, third=third, excess=self.excess, lasting=lasting)


@dataclass(frozen=True)
class SampledMap(ProblemMap):
    """Least squares on samples of Gaussian features: the residuals, and so the noise, grow with every miss w − θ*.

    Of one sample Cov(x xᵀδ) = H δ δᵀ H + H (δᵀ H δ) for Gaussian features of covariance H: per coordinate the noise has
    the variance (h² E δ² + h (Σ h E δ² + σ²))/B. `scale` is that at the optimum, √(h σ²/B).
    """

    optimum: FloatArray
    label_noise: FloatArray
    batch_size: FloatArray

    moving = coupled = True
    suffix, caution = "_sampled", 2

    @cached_property
    def rows(self) -> SampledRows:
        h, batch = self.slope, self.batch_size
        unit = h * h / (batch * batch)
        return SampledRows(h, self.offset, self.optimum, self.label_noise, h / batch, unit, 12 / batch)

    def at(self, x: Followed) -> ProblemMap:
        miss = x.weight_mean - self.optimum
        return ProblemMap(self.slope, self.offset, np.sqrt(self.variance(x.weight_variance + miss * miss)))

    def gradient(self, x: Followed, step: int) -> Gradient:
        sums = SampledSums(*(vector_sum(each)[..., None] for each in self.rows.terms(x)))
        return self.rows.gradient(x, sums)

    def variance(self, squared_miss: FloatArray) -> FloatArray:
        """The noise's variance per coordinate where E (w − θ*)² is this."""
        loss = (self.slope * squared_miss).sum(axis=-1, keepdims=True)
        own = self.slope * self.slope * squared_miss
        return np.asarray((own + self.slope * (loss + self.label_noise)) / self.batch_size)


class EpochTime(NamedTuple):
    """What an update's number in its epoch says, the same at all coordinates: k batches are to come with this one.

    `foretold` is 1/k, `kept` the share 1 − 1/k of the sum R of the batches to come that a step leaves, `new` the
    deviation of what is new in a unit batch, and `later` its covariance with the sum of the later ones.
    """

    foretold: Value
    kept: Value
    new: Value
    later: Value


class EpochRows(NamedTuple):
    """What is known of each coordinate of an `EpochMap`, on arrays or traced; `within_root` is √within."""

    slope: Value
    offset: Value
    scale: Value
    within: Value
    within_root: Value
    shared: Value
    lasting: Value

    def gradient(self, t: EpochTime) -> Gradient:
        """The gradient of a step, whose noise is R/k and something new; the noise's state is R and the data's mean."""
        scale = self.scale * self.within_root
        return Gradient(
            self.slope,
            self.offset,
            scale * t.new,
            lasting=self.lasting,
            foretold=(scale * t.foretold, self.scale * self.shared),
            memory=((t.kept, None), (None, 1)),
            memory_noises=(-t.new, None),
        )


@dataclass(frozen=True)
class EpochMap(ProblemMap):
    """A finite data set passed through in epochs: the noise, of unit variance over all data sets, is correlated.

    `items` is N, `within` the share of its variance that averages out over the data, `shared` the standard deviation of
    the data's own mean, both in units of `scale`; `steps_per_epoch` is M, or infinite where items are drawn anew.
    """

    within: FloatArray
    shared: FloatArray
    steps_per_epoch: FloatArray
    items: FloatArray

    moving = timed = True
    suffix = "_epochs"

    @cached_property
    def rows(self) -> EpochRows:
        """The variance of the data themselves differs from their law's for good, by 2/N relative."""
        return EpochRows(
            self.slope, self.offset, self.scale, self.within, np.sqrt(self.within), self.shared, 2 / self.items
        )

    def times(self, steps: Value) -> EpochTime:
        """Of updates steps+1, shape (points, steps). M is the same at all coordinates.

        Unit batches sum to 0 over M: with k of them to come Var R = k(M − k)/(M − 1), and n = R/k and something new.
        """
        m = self.steps_per_epoch[:, :1]
        left, others = m - np.mod(steps, m), np.maximum(m - 1, 1)
        with np.errstate(invalid="ignore"):
            known = np.where(np.isfinite(left), (m - left) / (left * others), 0.0)
            # A single batch is the whole data: nothing is new in it, and it has no later ones.
            later = np.where(np.isfinite(left), (1 - left) / others, 0.0)
        new = np.sqrt(np.maximum(1 - known, 0.0)) * (m > 1)
        return EpochTime(1 / left, 1 - 1 / left, new, later)

    def timing(self, steps: range) -> FloatArray:
        return np.stack(self.times(np.arange(steps.start, steps.stop, dtype=np.float64)), axis=-1)

    def gradient(self, x: Followed, step: int) -> Gradient:
        return self.rows.gradient(self.times(float(step)))

    def remembered(self, means: Sequence[FloatArray]) -> ClosedMoments:
        zero = np.zeros_like(means[0])
        x = ClosedMoments.certain([*means, zero, zero])
        return x._replace(covariances=(*x.covariances[:-1], zero + 1))


def shape_of(problem: Problem, coefficients: Iterable[Any], points: int) -> tuple[int, ...]:
    """(points, columns) of a flattened problem: one column where all coordinates are alike, from the start on."""
    given = (*coefficients, problem.init, problem.init_std)
    return np.broadcast_shapes((points, 1), *(np.shape(value) for value in given))


def sampled_map(problem: LinearRegression, points: int) -> SampledMap:
    c = problem.coefficients(np)
    shape = shape_of(problem, c, points)
    given = (c.curvature, c.optimum, c.label_noise, c.batch_size)
    h, optimum, noise, batch = (np.broadcast_to(value, shape).copy() for value in given)
    variance = noise * noise
    return SampledMap(h, -h * optimum, np.sqrt(h * variance / batch), optimum, variance, batch)


def epoch_map(problem: ReshuffledData, points: int) -> EpochMap:
    c = problem.coefficients(np)
    shape = shape_of(problem, c, points)
    h, optimum, noise, batch = (np.broadcast_to(value, shape).copy() for value in c)
    shared = batch / problem.size
    anew = problem.sampling == "replaced"
    within = np.broadcast_to(1 - 1 / problem.size if anew else 1 - shared, shape)
    steps = np.full(shape, np.inf) if anew else problem.size / batch
    return EpochMap(
        h, -h * optimum, noise / np.sqrt(batch), within, np.sqrt(shared), steps, np.full(shape, float(problem.size))
    )


def scale_invariant_map(problem: ScaleInvariant, points: int) -> RelativeMap:
    """At ‖w‖² = C·E w² the C − 1 directions across w share the C coordinates' noise."""
    size = problem.size
    scale = np.broadcast_to(problem.coefficients(np).noise_scale, (points, 1)) * (np.sqrt(size - 1) / size)
    zero = np.zeros((points, 1))
    return RelativeMap(zero, zero, scale, zero + 1 / size)


def problem_map(problem: Problem, points: int) -> ProblemMap:
    """The gradient's map of a flattened problem, with one column where all coordinates are alike."""
    if isinstance(problem, ScaleInvariant):
        return scale_invariant_map(problem, points)
    if isinstance(problem, LinearRegression):
        return sampled_map(problem, points)
    if isinstance(problem, ReshuffledData):
        return epoch_map(problem, points)
    c = problem.coefficients(np)
    shape = shape_of(problem, c, points)
    zero, huge = np.zeros(shape), np.full(shape, HUGE)
    offset = problem.gradient(np, zero, zero, c)
    slope = (problem.gradient(np, huge, zero, c) - offset) / HUGE
    scale = (problem.gradient(np, zero, huge, c) - offset) / HUGE
    return ProblemMap(*(np.broadcast_to(part, shape).copy() for part in (slope, offset, scale)))
