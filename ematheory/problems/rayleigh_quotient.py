"""The Rayleigh quotient: a loss with a signal on weights whose scale does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..records import FINITE, NON_NEGATIVE, POSITIVE, as_field, as_vector, check_choice
from ..typing import Field, Value
from .problem import Problem, common_length
from .scale_invariant import tangential

VECTORS = ("curvature", "noise", "init", "init_std")


class RayleighQuotientCoefficients(NamedTuple):
    """Per coordinate: h_i and the standard deviation of the gradient's noise at unit norm, √(c_i/B)."""

    curvature: Value
    noise_scale: Value


@dataclass(frozen=True, eq=False, repr=False)
class RayleighQuotient(Problem):
    """The loss ½ ŵᵀHŵ of weights whose scale does not matter, H = diag h and ŵ = w/‖w‖, with a noisy gradient.

    g = (Hŵ − (ŵᵀHŵ)ŵ + n − ŵ(ŵ·n))/‖w‖ with n ~ N(0, c/B): at right angles to w, falling as 1/‖w‖, and 0 without noise
    where w is an eigenvector. `ScaleInvariant` is this without a signal. A gradient takes three sums over the vector.

    Parameters
    ----------
    curvature : h_i ≥ 0, one per coordinate; a number added to all of them changes no gradient.
    noise : c_i ≥ 0, the variance of each coordinate's gradient at unit norm and batch size 1, before what lies along w
        is taken off; or ``"curvature"`` for c_i = h_i.
    init : the starting weights w_0, or their mean; not all 0 without an `init_std`.
    init_std : their standard deviation over replicas: w_0 = init + init_std·n with n ~ N(0, 1).
    batch_size : B > 0; may be a sweep axis.

    The risk is the loss less its infimum, ½ E(ŵᵀHŵ − min h); of `groups` it is the sum over them, each with its own
    infimum, for each is a vector of its own.

    Raises
    ------
    ValueError : NaN or a value outside its range, vectors of different lengths or of one coordinate, starting weights
        of norm 0, an empty axis.
    TypeError : a value that is not a number.

    Source: the derivative of the loss by w, which the tests take numerically; for its scale, arXiv 2010.02916.

    Example
    -------
    >>> RayleighQuotient(curvature=[1.0, 0.5, 0.25], batch_size=8).coordinates
    3
    """

    curvature: Any
    noise: Any = "curvature"
    init: Any = 1.0
    batch_size: Field = 1.0
    init_std: Any = 0.0

    Coefficients = RayleighQuotientCoefficients
    name = "rayleigh_quotient"
    sums_groups = True
    observables = (
        "risk", "weight_norm", "rotation", "update_cosine", "weight_mean_square", "weight_mean", "weight_variance",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "curvature", as_vector("curvature", self.curvature, NON_NEGATIVE))
        if isinstance(self.noise, str):
            check_choice("noise", self.noise, ("curvature",))
            object.__setattr__(self, "noise", self.curvature)
        for name, allowed in (("noise", NON_NEGATIVE), ("init", FINITE), ("init_std", NON_NEGATIVE)):
            object.__setattr__(self, name, as_vector(name, getattr(self, name), allowed))
        object.__setattr__(self, "batch_size", as_field("batch_size", self.batch_size, POSITIVE))
        if common_length(self, VECTORS) < 2:
            raise ValueError("RayleighQuotient needs at least two coordinates: one has no direction to turn to")
        self.check_start()

    def check_start(self, groups: Sequence[int] = ()) -> None:
        """Raise `ValueError` where at some point of a sweep all coordinates of a vector are 0 in every replica."""
        away = xr.DataArray((self.init != 0) | (self.init_std != 0))
        ends = np.cumsum(groups or (self.coordinates,)).tolist()
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            own = away.isel(coordinate=slice(start, end)).any("coordinate") if "coordinate" in away.dims else away
            if not np.all(own):
                where = f" in group {number}" if groups else ""
                raise ValueError(
                    f"init must not be all 0{where} without an init_std: a vector of norm 0 has no direction"
                )

    @property
    def coordinates(self) -> int:
        return common_length(self, VECTORS)

    def coefficients(self, xp: Any) -> RayleighQuotientCoefficients:
        return RayleighQuotientCoefficients(self.curvature, noise_scale=xp.sqrt(self.noise / self.batch_size))

    def gradient(self, xp: Any, weight: Value, noise: Value, c: RayleighQuotientCoefficients) -> Value:
        square = xp.dot(weight, weight)
        norm = xp.sqrt(square)
        # The pull is of w rather than ŵ, so that all sums are known after one pass over the vector.
        pull = tangential(xp, c.curvature * weight, weight, square) / norm
        return (pull + tangential(xp, c.noise_scale * noise, weight, square)) / norm

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls(curvature=[1.0, 0.0])}
