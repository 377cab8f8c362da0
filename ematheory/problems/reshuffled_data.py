"""A finite data set that is passed through again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..records import FINITE, NON_NEGATIVE, Interval, as_vector, check_choice, check_whole
from ..typing import Field, Value
from .problem import Problem, as_batch, common_length

SAMPLINGS = ("reshuffled", "replaced")
VECTORS = ("curvature", "noise", "optimum", "init", "init_std")


class ReshuffledDataCoefficients(NamedTuple):
    """Per coordinate: h_i, θ*_i, the standard deviation √c_i of one item's gradient, and the batch size."""

    curvature: Value
    optimum: Value
    noise_scale: Value
    batch_size: Value


@dataclass(frozen=True, eq=False, repr=False)
class ReshuffledData(Problem):
    """N items, each a quadratic with its own noise: g = h (w − θ*) + the mean of the batch's n_j, n_j ~ N(0, c).

    Every trajectory has a data set of its own. In an epoch of N/B steps each item is seen once, in an order drawn anew
    (``sampling="reshuffled"``), or every step draws its items anew, with replacement (``"replaced"``). The data's mean
    is not the population's: where the weights are pulled to is off by √(c/N)/h.

    Parameters
    ----------
    curvature : h_i ≥ 0, the same for every item.
    size : N ≥ 1, the number of items.
    noise : c_i ≥ 0, the variance of the items' gradients, or ``"curvature"`` for c_i = h_i.
    optimum : θ*_i, the population's.
    init : the starting weights w_0, or their mean.
    init_std : their standard deviation over replicas: w_0 = init + init_std·n with n ~ N(0, 1).
    batch_size : B, a whole number that divides N; may be a sweep axis.
    sampling : "reshuffled" or "replaced".

    The risk is the population's, ½ Σ h_i E(w_i − θ*_i)², the mean being over data sets too.

    Raises
    ------
    ValueError : NaN or a value outside its range, a batch that does not divide the data, an unknown sampling.
    TypeError : a value that is not a number.

    Source: THEORY.md, T3.

    Example
    -------
    >>> ReshuffledData(curvature=1.0, size=60, batch_size=4).sampling
    'reshuffled'
    """

    curvature: Any
    size: int
    noise: Any = "curvature"
    optimum: Any = 0.0
    init: Any = 1.0
    batch_size: Field = 1.0
    sampling: str = "reshuffled"
    init_std: Any = 0.0

    Coefficients = ReshuffledDataCoefficients
    name = "reshuffled_data"
    observables = ("risk", "weight_mean", "weight_variance", "weight_mean_square", "weight_norm")

    def __post_init__(self) -> None:
        object.__setattr__(self, "curvature", as_vector("curvature", self.curvature, NON_NEGATIVE))
        object.__setattr__(self, "size", check_whole("size", self.size, Interval(1)))
        if isinstance(self.noise, str):
            check_choice("noise", self.noise, ("curvature",))
            object.__setattr__(self, "noise", self.curvature)
        for name, allowed in (
            ("noise", NON_NEGATIVE),
            ("optimum", FINITE),
            ("init", FINITE),
            ("init_std", NON_NEGATIVE),
        ):
            object.__setattr__(self, name, as_vector(name, getattr(self, name), allowed))
        object.__setattr__(self, "batch_size", as_batch("batch_size", self.batch_size))
        check_choice("sampling", self.sampling, SAMPLINGS)
        batches = np.atleast_1d(np.asarray(self.batch_size))
        if self.sampling == "reshuffled" and (self.size % batches).any():
            uneven = int(batches[self.size % batches != 0][0])
            raise ValueError(f"batch_size must divide size={self.size}, so that epochs end with a step; got {uneven}")
        common_length(self, VECTORS)

    @property
    def coordinates(self) -> int:
        return common_length(self, VECTORS)

    @property
    def normals_per_step(self) -> int:
        """d·B for the largest batch: the noise of each of its items."""
        return int(np.max(np.asarray(self.batch_size))) * self.coordinates

    def coefficients(self, xp: Any) -> ReshuffledDataCoefficients:
        return ReshuffledDataCoefficients(self.curvature, self.optimum, xp.sqrt(self.noise), self.batch_size)

    def gradient(self, xp: Any, weight: Value, noise: Value, c: ReshuffledDataCoefficients) -> Value:
        """The gradient, given for each coordinate the mean of the batch's standard normals."""
        return c.curvature * (weight - c.optimum) + c.noise_scale * noise

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls(curvature=1.0, size=1)}
