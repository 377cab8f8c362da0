"""What is measured of recorded weights: one number per replica, or the weight itself where it is per coordinate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..arithmetic import arctan2
from ..typing import FloatArray
from .reductions import LEAF, Moments, concatenated, replica_moments, vector_sum

# The most float64 numbers that one temporary array of a measurement holds.
TEMPORARY = 2**20


class View(NamedTuple):
    """Recorded weights in float64, shape (records, points, replicas, d), with the weights one step before.

    `decay` is α of the update between the two, shape (records, points, 1, 1); `problem` the problem's coefficients,
    each of shape (points, 1, d). Without a step before, `previous` and `decay` are NaN. `cautious`: only coordinates
    with u·w ≥ 0 decayed.
    """

    weight: FloatArray
    previous: FloatArray
    decay: FloatArray
    problem: Any
    cautious: bool = False


def risk(view: View) -> FloatArray:
    """½ Σ h_i (w_i − θ*_i)²."""
    distance = view.weight - view.problem.optimum
    return 0.5 * vector_sum(view.problem.curvature * (distance * distance))


def weight_mean_square(view: View) -> FloatArray:
    """(1/d) Σ w_i²."""
    return np.asarray(vector_sum(view.weight * view.weight) / view.weight.shape[-1])


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


# One number per replica: its function, by the name of the observable that is its mean over replicas.
SCALARS: Mapping[str, Callable[[View], FloatArray]] = {
    "risk": risk,
    "weight_mean_square": weight_mean_square,
    "weight_norm": weight_norm,
    "rotation": rotation,
    "update_cosine": update_cosine,
}
PAIRED = ("rotation", "update_cosine")

# The sample whose moments over replicas an observable is read off: its own, or the weight per coordinate.
WEIGHT = "weight"
PER_COORDINATE = ("weight_mean", "weight_variance")


def samples_of(observables: tuple[str, ...]) -> tuple[str, ...]:
    """The samples that the observables need, in order."""
    return tuple(dict.fromkeys(WEIGHT if name in PER_COORDINATE else name for name in observables))


def needs_previous(samples: tuple[str, ...]) -> bool:
    return any(name in PAIRED for name in samples)


def pieces(length: int, weight: int) -> Iterator[slice]:
    """Slices of an axis such that `weight` numbers per entry fill at most one temporary array."""
    step = max(1, TEMPORARY // max(weight, 1))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def measure(
    sample: str,
    weights: Any,
    previous: Any | None,
    decay: FloatArray | None,
    problem: Any,
    first_replica: int,
    cautious: bool = False,
) -> Moments:
    """A sample's moments over replicas at each record: arrays (records, points), or (records, points, d) of the weight.

    `weights` has shape (records, points, replicas, d) in any dtype, and so has `previous` where the sample needs it.
    """
    if sample == WEIGHT:
        return weight_moments(weights, first_replica)
    records, points, replicas, d = weights.shape
    values = np.empty((records, points, replicas))
    with np.errstate(all="ignore"):
        for some, few in product(pieces(records, points * min(replicas, LEAF) * d), pieces(replicas, points * d)):
            view = view_of(weights[some, :, few], previous, decay, problem, (some, slice(None), few))
            values[some, :, few] = SCALARS[sample](view._replace(cautious=cautious))
        return replica_moments(np.moveaxis(values, -1, 0), first_replica)


def view_of(
    weights: Any, previous: Any | None, decay: FloatArray | None, problem: Any, where: tuple[slice, ...]
) -> View:
    weight = np.asarray(weights, dtype=np.float64)
    if previous is None or decay is None:
        return View(weight, np.full((1, 1, 1, 1), np.nan), np.full((1, 1, 1, 1), np.nan), problem)
    return View(weight, np.asarray(previous[where], dtype=np.float64), decay[where[0], :, None, None], problem)


def weight_moments(weights: Any, first_replica: int) -> Moments:
    """The weights' moments per coordinate, a bounded number of coordinates at a time."""
    records, points, replicas, d = weights.shape
    places = points * -(-replicas // LEAF) * LEAF
    columns = list(pieces(d, places))
    with np.errstate(all="ignore"):
        parts = [
            concatenated([column_moments(weights[some, ..., few], first_replica) for few in columns], axis=2)
            for some in pieces(records, places * min(d, columns[0].stop))
        ]
    return concatenated(parts)


def column_moments(weights: Any, first_replica: int) -> Moments:
    return replica_moments(np.moveaxis(np.asarray(weights, dtype=np.float64), 2, 0), first_replica)
