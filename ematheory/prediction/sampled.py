"""The stationary state on sampled features, where the noise grows with the mean square that it causes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import FloatArray
from .gradient_maps import ProblemMap, SampledMap
from .linear import StepMap, UpdateMap, composed
from .moments import Moments, stationary


class Response(NamedTuple):
    """What unit noise of each coordinate makes of its variance, and what is left to the mean square's own growth.

    `own` is 1 − (the share of a coordinate's variance that comes back to it) and `common`, shape (points, 1), 1 − (the
    share of Σ h E δ² that comes back through all coordinates): both are above 0 where the mean square stays bounded.
    """

    variance: FloatArray
    squared_miss: FloatArray
    own: FloatArray
    common: FloatArray

    @property
    def margin(self) -> FloatArray:
        return np.minimum(self.own, self.common)


def response(updates: UpdateMap, problem: SampledMap, lost: FloatArray) -> Response:
    """The response at constant rates: a positive linear map, bounded where its fixed point is positive."""
    unit = ProblemMap(problem.slope, problem.offset, np.ones_like(problem.slope))
    x = stationary(composed(updates, unit), lost)
    back = x.weight_variance * problem.slope * problem.slope / problem.batch_size
    own = 1 - back
    miss = x.weight_mean - problem.optimum
    with np.errstate(divide="ignore"):
        common = 1 - (back / own).sum(axis=-1, keepdims=True)
    return Response(x.weight_variance, miss * miss, own, common)


def settled_sampled(updates: UpdateMap, problem: SampledMap, lost: FloatArray) -> tuple[Moments, StepMap, FloatArray]:
    """The stationary moments, the step there, and the margin by which they exist.

    V = a·(h²(V + miss²) + h(S + σ²))/B with S = Σ h(V + miss²) is linear in V: first S is solved for, then each V.
    """
    r = response(updates, problem, lost)
    h = problem.slope
    still = problem.variance(r.squared_miss) - h * (h * r.squared_miss).sum(axis=-1, keepdims=True) / problem.batch_size
    free = r.variance * still / r.own
    loss = (h * (r.squared_miss + free)).sum(axis=-1, keepdims=True) / r.common
    variance = free + r.variance * h * loss / (problem.batch_size * r.own)
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(problem.variance(variance + r.squared_miss))
    step = composed(updates, ProblemMap(h, problem.offset, scale))
    return stationary(step, lost), step, np.asarray(r.margin)
