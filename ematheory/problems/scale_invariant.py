"""Noise on weights whose scale does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..records import FINITE, NON_NEGATIVE, POSITIVE, Interval, as_field, check_whole
from ..typing import Field, Value
from .problem import Problem


class ScaleInvariantCoefficients(NamedTuple):
    """The standard deviation of each of the gradient's coordinates at unit norm."""

    noise_scale: Value


def tangential(xp: Any, given: Value, weight: Value, square: Value) -> Value:
    """What of a vector is at right angles to the weight: x − ŵ(ŵ·x), `square` being ‖w‖²."""
    return given - (xp.dot(weight, given) / square) * weight


@dataclass(frozen=True, eq=False, repr=False)
class ScaleInvariant(Problem):
    """Noise on weights whose scale does not matter: g = (n − ŵ(ŵ·n))/‖w‖, n ~ N(0, c/B) (arXiv 2006.08419, 2010.02916).

    Where a loss does not depend on ‖w‖ its gradient is at right angles to w and falls as 1/‖w‖; this is that gradient
    without a signal. E‖g̃‖² = (C − 1)c/B at unit norm.

    Parameters
    ----------
    size : the number of coordinates C ≥ 2 of the one weight vector.
    noise : c ≥ 0, the variance of each coordinate's gradient at unit norm and batch size 1; may be a sweep axis.
    init : the starting value of every coordinate, or its mean, not 0 without an `init_std`; may be a sweep axis.
    init_std : its standard deviation over replicas and coordinates: w_0 = init + init_std·n with n ~ N(0, 1); may be a
        sweep axis.
    batch_size : B > 0; may be a sweep axis.

    Raises
    ------
    ValueError : NaN or a value outside its range, an empty axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> ScaleInvariant(size=1024, init=0.1).coordinates
    1024
    """

    size: int = 1024
    noise: Any = 1.0
    init: Field = 1.0
    batch_size: Any = 1.0
    init_std: Field = 0.0

    Coefficients = ScaleInvariantCoefficients
    name = "scale_invariant"
    sums_groups = True
    observables = (
        "weight_norm", "rotation", "update_cosine", "weight_mean_square", "weight_mean", "weight_variance",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_whole("size", self.size, Interval(2)))
        limits = {"noise": NON_NEGATIVE, "init": FINITE, "batch_size": POSITIVE, "init_std": NON_NEGATIVE}
        for name, allowed in limits.items():
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))
        if not np.all(np.asarray(self.init)) and not np.all(np.asarray(self.init_std)):
            raise ValueError("init must not be 0 without an init_std: a vector of norm 0 has no direction")

    @property
    def coordinates(self) -> int:
        return self.size

    def coefficients(self, xp: Any) -> ScaleInvariantCoefficients:
        return ScaleInvariantCoefficients(noise_scale=xp.sqrt(self.noise / self.batch_size))

    def gradient(self, xp: Any, weight: Value, noise: Value, c: ScaleInvariantCoefficients) -> Value:
        square = xp.dot(weight, weight)
        return tangential(xp, c.noise_scale * noise, weight, square) / xp.sqrt(square)

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls()}
