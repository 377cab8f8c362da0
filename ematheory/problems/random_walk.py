"""Gradients that are pure noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import FINITE, NON_NEGATIVE, POSITIVE, Interval, as_field, as_vector, check_whole
from ..typing import Field, Value
from .problem import Problem, common_length


class RandomWalkCoefficients(NamedTuple):
    """Per coordinate: the gradient's standard deviation."""

    noise_scale: Value


@dataclass(frozen=True, eq=False, repr=False)
class RandomWalk(Problem):
    """Gradients that are pure noise, g_i = √(c_i/B)·n (Kosson et al., arXiv 2305.17212): no loss, only a walk.

    Parameters
    ----------
    size : the number of coordinates C ≥ 1 of the one weight vector.
    noise : c_i ≥ 0, the gradient variances at batch size 1.
    init : the starting weights w_0, or their mean.
    init_std : their standard deviation over replicas: w_0 = init + init_std·n with n ~ N(0, 1).
    batch_size : B > 0; may be a sweep axis.

    Raises
    ------
    ValueError : NaN or a value outside its range, vectors of a length other than `size`, an empty axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> RandomWalk(size=1024).coordinates
    1024
    """

    size: int = 1
    noise: Any = 1.0
    init: Any = 0.0
    batch_size: Field = 1.0
    init_std: Any = 0.0

    Coefficients = RandomWalkCoefficients
    name = "random_walk"
    observables = (
        "weight_mean_square", "weight_mean", "weight_variance", "weight_norm", "rotation", "update_cosine",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_whole("size", self.size, Interval(1)))
        object.__setattr__(self, "noise", as_vector("noise", self.noise, NON_NEGATIVE))
        object.__setattr__(self, "init", as_vector("init", self.init, FINITE))
        object.__setattr__(self, "init_std", as_vector("init_std", self.init_std, NON_NEGATIVE))
        object.__setattr__(self, "batch_size", as_field("batch_size", self.batch_size, POSITIVE))
        length = common_length(self, ("noise", "init", "init_std"))
        if length not in (1, self.size):
            raise ValueError(
                f"RandomWalk: noise, init and init_std must have one value or size={self.size} values, got {length}"
            )

    @property
    def coordinates(self) -> int:
        return self.size

    def coefficients(self, xp: Any) -> RandomWalkCoefficients:
        return RandomWalkCoefficients(noise_scale=xp.sqrt(self.noise / self.batch_size))

    def gradient(self, xp: Any, weight: Value, noise: Value, c: RandomWalkCoefficients) -> Value:
        return c.noise_scale * noise

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls()}
