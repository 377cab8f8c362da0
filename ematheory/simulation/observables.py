"""What is measured of recorded weights: one number per replica, or the weight itself where it is per coordinate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..arithmetic import arctan2, vector_sum
from ..derivations import derive
from ..problems import RayleighQuotientCoefficients
from ..typing import FloatArray
from .groups import Groups, alike, folded, group_sums, unfolded
from .reductions import LEAF, Moments, concatenated, replica_moments

# The most float64 numbers that one temporary array of a measurement holds: several of them stay in a core's cache.
TEMPORARY = 2**17


UNKNOWN = np.full((1, 1, 1, 1), np.nan)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class View(NamedTuple):
    """Recorded weights in float64, shape (records, points, replicas, d), with the weights one step before.

    `decay` is α, and `lr` η, of the update between the two, shape (records, points, 1, 1); `problem` the problem's
    coefficients, each of shape (points, 1, d). Without a step before, `previous`, `decay` and `lr` are NaN. `cautious`:
    only coordinates with u·w ≥ 0 decayed. `matched` is the effective rate's result in its derivation; `buffers` the
    optimizer's other arrays by their names, in the weight's shape. `groups` are the vectors that the coordinates make
    up, () for one.
    """

    weight: FloatArray
    previous: FloatArray
    decay: FloatArray
    problem: Any
    cautious: bool = False
    lr: FloatArray = UNKNOWN
    matched: str = ""
    buffers: Mapping[str, FloatArray] = NOTHING
    groups: Groups = ()

    def of_groups(self, columns: slice, size: int) -> View:
        """Some coordinates in groups of one size, each as if it were a replica; without the problem's coefficients."""
        previous = self.previous
        return self._replace(
            weight=folded(self.weight, columns, size),
            previous=previous if previous is UNKNOWN else folded(previous, columns, size),
            buffers={name: folded(values, columns, size) for name, values in self.buffers.items()},
            problem=None,
        )


class Recorded(NamedTuple):
    """What a block of a run recorded, in the run's dtype: a `View` that is not cut into pieces yet.

    `decay` and `lr` have shape (records, points); what no observable needs is None. `moved` is how far the optimum
    has moved, in the weights' shape.
    """

    weights: Any
    first_replica: int
    problem: Any
    previous: Any | None = None
    decay: FloatArray | None = None
    lr: FloatArray | None = None
    cautious: bool = False
    matched: str = ""
    buffers: Mapping[str, Any] = NOTHING
    moved: Any | None = None

    def view(self, *where: slice) -> View:
        """The pieces in float64."""
        weight, previous, buffers = self.weights, self.previous, self.buffers
        return View(
            weight=np.asarray(weight[where], dtype=np.float64),
            previous=UNKNOWN if previous is None else np.asarray(previous[where], dtype=np.float64),
            decay=UNKNOWN if self.decay is None else self.decay[where[0], :, None, None],
            problem=self.problem_at(where),
            cautious=self.cautious,
            lr=UNKNOWN if self.lr is None else self.lr[where[0], :, None, None],
            matched=self.matched,
            buffers={name: np.asarray(values[where], dtype=np.float64) for name, values in buffers.items()},
        )

    def problem_at(self, where: tuple[slice, ...]) -> Any:
        """The problem's coefficients, with the optimum where it has moved to."""
        if self.moved is None:
            return self.problem
        return self.problem._replace(optimum=self.problem.optimum + np.asarray(self.moved[where], dtype=np.float64))


def risk(view: View) -> FloatArray:
    """½ Σ h_i (w_i − θ*_i)², or of weights whose scale does not matter the sum of `excess_quotients`."""
    if isinstance(view.problem, RayleighQuotientCoefficients):
        return vector_sum(excess_quotients(view))
    distance = view.weight - view.problem.optimum
    return 0.5 * vector_sum(view.problem.curvature * (distance * distance))


def excess_quotients(view: View) -> FloatArray:
    """½ Σ (h_i − min h) w_i²/Σ w_i² of each vector, shape (records, points, replicas, vectors)."""
    groups, curvature = view.groups or (view.weight.shape[-1],), view.problem.curvature
    least = np.minimum.reduceat(curvature, np.cumsum((0, *groups[:-1])), axis=-1)
    square = view.weight * view.weight
    # A difference before the sum: near the optimum that of the quotients would be rounding.
    excess = curvature - np.repeat(least, groups, axis=-1)
    return np.asarray(0.5 * group_sums(excess * square, groups) / group_sums(square, groups))


def mean_square(vectors: FloatArray) -> FloatArray:
    return np.asarray(vector_sum(vectors * vectors) / vectors.shape[-1])


def weight_mean_square(view: View) -> FloatArray:
    """(1/d) Σ w_i²."""
    return mean_square(view.weight)


def first_moment_mean_square(view: View) -> FloatArray:
    """(1/d) Σ m_i², of the running mean of the gradient."""
    return mean_square(view.buffers["first_moment"])


def second_moment_mean(view: View) -> FloatArray:
    """(1/d) Σ v_i, of the running mean of the gradient's square."""
    second = view.buffers["second_moment"]
    return np.asarray(vector_sum(second) / second.shape[-1])


def diverged(view: View) -> FloatArray:
    """1 where some weight is infinite or NaN, else 0."""
    return np.asarray(~np.isfinite(view.weight).all(-1), dtype=np.float64)


def norm(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(vector_sum(vectors * vectors)))


def weight_norm(view: View) -> FloatArray:
    """‖w‖."""
    return norm(view.weight)


def rotation(view: View) -> FloatArray:
    """The angle of one step in radians, 2·atan2(‖ŵ' − ŵ‖, ‖ŵ' + ŵ‖), accurate near 0 and π."""
    before = view.previous / norm(view.previous)[..., None]
    after = view.weight / norm(view.weight)[..., None]
    return 2.0 * arctan2(norm(after - before), norm(after + before))


def update_cosine(view: View) -> FloatArray:
    """cos∠(w_{t−1}, u_t) with u_t ∝ −(w_t − (1 − α_t) w_{t−1}), α_t = 0 where cautious decay left a weight alone."""
    change, shrink = view.previous - view.weight, view.decay * view.previous
    if view.cautious:
        # A weight moves by at least α towards zero where it decayed, and away from it where it did not.
        shrink = np.where(change * view.previous < 0.5 * (shrink * view.previous), 0.0, shrink)
    update = change - shrink
    return vector_sum(view.previous * update) / (norm(view.previous) * norm(update))


def update_norm(view: View) -> FloatArray:
    """‖w_t − w_{t−1}‖, of the whole step that led to the record: the decay's share is in it."""
    return norm(view.weight - view.previous)


def update_ratio(view: View) -> FloatArray:
    """‖w_t − w_{t−1}‖/‖w_{t−1}‖, the update's norm over that of the weights it changed."""
    return np.asarray(update_norm(view) / norm(view.previous))


def effective_learning_rate(view: View) -> FloatArray:
    """The published form, η_t/‖w_{t−1}‖² of SGD and η_t/‖w_{t−1}‖ of updates that do not fall with the norm."""
    return matched_rate(view, np.zeros_like(view.lr))


def effective_learning_rate_exact(view: View) -> FloatArray:
    """The published form over 1 − α_t, α_t the decay per step: exact without memory (R7)."""
    return matched_rate(view, view.decay)


def matched_rate(view: View, decay: FloatArray) -> FloatArray:
    """The learning rate at which weights of norm 1 that do not decay turn as these do."""
    size = norm(view.previous)
    rate = matching(view.matched)(
        lr=view.lr[..., 0], decay_per_step=decay[..., 0], weight_norm=size, other_weight_norm=1.0
    )
    # Weights that overflowed turn at no rate; η/∞ would hide them in the mean as 0.
    return np.asarray(np.where(np.isinf(size), np.nan, rate))


@cache
def matching(result: str) -> Callable[..., Any]:
    return derive("effective-learning-rate").function(result)


# One number per replica: its function, by the name of the observable that is its mean over replicas.
SCALARS: Mapping[str, Callable[[View], FloatArray]] = {
    "risk": risk,
    "weight_mean_square": weight_mean_square,
    "weight_norm": weight_norm,
    "rotation": rotation,
    "update_cosine": update_cosine,
    "update_norm": update_norm,
    "update_ratio": update_ratio,
    "effective_learning_rate": effective_learning_rate,
    "effective_learning_rate_exact": effective_learning_rate_exact,
    "first_moment_mean_square": first_moment_mean_square,
    "second_moment_mean": second_moment_mean,
    "diverged": diverged,
}
# Of all coordinates, however these are grouped; the others are of each group.
TOTALS = ("risk", "diverged")
GROUPED = tuple(name for name in SCALARS if name not in TOTALS)
EFFECTIVE = ("effective_learning_rate", "effective_learning_rate_exact")
# Those of a step: they need the weights one step before the record, and are NaN at step 0.
PAIRED = ("rotation", "update_cosine", "update_norm", "update_ratio", *EFFECTIVE)
# The sample whose moments over replicas an observable is read off: its own, or the weight per coordinate.
WEIGHT = "weight"
OF_WEIGHT = ("weight_mean", "weight_variance")
# The samples per coordinate: of which array, and what each makes of it.
COORDINATES: Mapping[str, tuple[str, Callable[[FloatArray], FloatArray]]] = {
    WEIGHT: (WEIGHT, lambda weight: weight),
    "weight_second_moment": (WEIGHT, lambda weight: weight * weight),
    "coordinate_first_moment": ("first_moment", lambda m: m),
    "coordinate_first_moment_square": ("first_moment", lambda m: m * m),
    "coordinate_second_moment": ("second_moment", lambda v: v),
    "coordinate_second_moment_square": ("second_moment", lambda v: v * v),
}
PER_COORDINATE = (*OF_WEIGHT, *(sample for sample in COORDINATES if sample != WEIGHT))
# Those of the optimizer's other arrays: which one they need, at the record.
BUFFERS: Mapping[str, str] = {
    "first_moment_mean_square": "first_moment",
    "second_moment_mean": "second_moment",
    **{sample: array for sample, (array, _) in COORDINATES.items() if array != WEIGHT},
}


def samples_of(observables: tuple[str, ...]) -> tuple[str, ...]:
    """The samples that the observables need, in order."""
    return tuple(dict.fromkeys(WEIGHT if name in OF_WEIGHT else name for name in observables))


def needs_previous(samples: tuple[str, ...]) -> bool:
    return any(name in PAIRED for name in samples)


def buffers_of(samples: tuple[str, ...]) -> tuple[str, ...]:
    """The optimizer's arrays that the samples need."""
    return tuple(BUFFERS[name] for name in samples if name in BUFFERS)


def pieces(length: int, weight: int) -> Iterator[slice]:
    """Slices of an axis such that `weight` numbers per entry fill at most one temporary array."""
    step = max(1, TEMPORARY // max(weight, 1))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def measure(sample: str, recorded: Recorded) -> Moments:
    """A sample's moments over replicas at each record, one per coordinate: arrays (records, points, d)."""
    array, of = COORDINATES[sample]
    values = recorded.weights if array == WEIGHT else recorded.buffers[array]
    return coordinate_moments(values, recorded.first_replica, of)


def scalar_moments(values: FloatArray, first_replica: int) -> Moments:
    """The moments over the replicas of values (records, points, replicas) or (…, groups)."""
    with np.errstate(all="ignore"):
        return replica_moments(np.moveaxis(values, 2, 0), first_replica)


def replica_values(sample: str, recorded: Recorded, groups: Groups = ()) -> FloatArray:
    """A sample's value of each replica at each record, shape (records, points, replicas), or (…, groups) of each."""
    records, points, replicas, d = recorded.weights.shape
    vectors, groups = groups, groups if sample in GROUPED else ()
    values = np.empty((records, points, replicas, len(groups)) if groups else (records, points, replicas))
    with np.errstate(all="ignore"):
        for some, few in product(pieces(records, points * min(replicas, LEAF) * d), pieces(replicas, points * d)):
            view = recorded.view(some, slice(None), few)._replace(groups=vectors)
            values[some, :, few] = group_values(sample, view, groups) if groups else SCALARS[sample](view)
    return values


def group_values(sample: str, view: View, groups: Groups) -> FloatArray:
    """A sample's value of each group, shape (records, points, replicas, groups)."""
    found = [SCALARS[sample](view.of_groups(columns, size)) for columns, size in alike(groups)]
    return np.concatenate([unfolded(values, view.weight.shape[2]) for values in found], -1)


def coordinate_moments(weights: Any, first_replica: int, of: Callable[[FloatArray], FloatArray]) -> Moments:
    """The moments per coordinate of a function of the weights, a bounded number of coordinates at a time."""
    records, points, replicas, d = weights.shape
    places = points * -(-replicas // LEAF) * LEAF
    columns = list(pieces(d, places))
    with np.errstate(all="ignore"):
        parts = [
            concatenated([column_moments(of, weights[some, ..., few], first_replica) for few in columns], axis=2)
            for some in pieces(records, places * min(d, columns[0].stop))
        ]
    return concatenated(parts)


def column_moments(of: Callable[[FloatArray], FloatArray], weights: Any, first_replica: int) -> Moments:
    return replica_moments(np.moveaxis(of(np.asarray(weights, dtype=np.float64)), 2, 0), first_replica)
