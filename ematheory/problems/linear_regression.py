"""Least squares on samples of random features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..records import FINITE, NON_NEGATIVE, as_field, as_vector
from ..typing import Field, Value
from .problem import Problem, as_batch, common_length

VECTORS = ("curvature", "optimum", "init", "init_std")


class LinearRegressionCoefficients(NamedTuple):
    """Per coordinate: h_i, θ*_i and √h_i; the labels' standard deviation σ and the batch size, the same for all."""

    curvature: Value
    optimum: Value
    feature_scale: Value
    label_noise: Value
    batch_size: Value


@dataclass(frozen=True, eq=False, repr=False)
class LinearRegression(Problem):
    """Least squares on sampled features: y = x·θ* + σn with x ~ N(0, diag h), and the loss ½(x·w − y)².

    Each step draws B samples: g = (1/B) Σ_b x_b (x_b·(w − θ*) − σ n_b). The noise is multiplicative: it falls with the
    distance to the optimum, down to the labels' own (Bordelon et al., arXiv 2402.01092, with h_i = i^−b).

    Parameters
    ----------
    curvature : h_i ≥ 0, the variance of feature i, which is the loss's curvature along it.
    label_noise : σ ≥ 0, the labels' standard deviation; may be a sweep axis.
    optimum : θ*_i.
    init : the starting weights w_0, or their mean.
    init_std : their standard deviation over replicas: w_0 = init + init_std·n with n ~ N(0, 1).
    batch_size : B, a whole number of samples per step; may be a sweep axis.

    The risk is the excess one, ½ Σ h_i E(w_i − θ*_i)²: the test loss is ½σ² more.

    Raises
    ------
    ValueError : NaN or a value outside its range, a batch size that is not whole, vectors of different lengths.
    TypeError : a value that is not a number.

    Example
    -------
    >>> LinearRegression(curvature=[1.0, 0.5, 0.25], batch_size=8).normals_per_step
    32
    """

    curvature: Any
    label_noise: Any = 1.0
    optimum: Any = 0.0
    init: Any = 1.0
    batch_size: Field = 1.0
    init_std: Any = 0.0

    Coefficients = LinearRegressionCoefficients
    name = "linear_regression"
    # A model's output is of all its weights.
    sums_whole = True
    observables = (
        "risk", "weight_mean", "weight_variance", "weight_mean_square", "weight_norm", "rotation", "update_cosine",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "curvature", as_vector("curvature", self.curvature, NON_NEGATIVE))
        object.__setattr__(self, "label_noise", as_field("label_noise", self.label_noise, NON_NEGATIVE))
        for name, allowed in (("optimum", FINITE), ("init", FINITE), ("init_std", NON_NEGATIVE)):
            object.__setattr__(self, name, as_vector(name, getattr(self, name), allowed))
        object.__setattr__(self, "batch_size", as_batch("batch_size", self.batch_size))
        common_length(self, VECTORS)

    @property
    def coordinates(self) -> int:
        return common_length(self, VECTORS)

    @property
    def normals_per_step(self) -> int:
        """(d + 1)·B for the largest batch: of each sample its features, and then its label."""
        return int(np.max(np.asarray(self.batch_size))) * (self.coordinates + 1)

    def coefficients(self, xp: Any) -> LinearRegressionCoefficients:
        scale = xp.sqrt(self.curvature)
        return LinearRegressionCoefficients(self.curvature, self.optimum, scale, self.label_noise, self.batch_size)

    def gradient(self, xp: Any, weight: Value, noise: Value, c: LinearRegressionCoefficients) -> Value:
        width = weight.shape[-1] + 1
        total = xp.zeros_like(weight)
        for sample in range(noise.shape[-1] // width):
            drawn = noise[..., sample * width : (sample + 1) * width]
            found = self.sample_gradient(xp, weight, drawn[..., :-1], drawn[..., -1:], c)
            # A smaller batch takes the first samples of a larger one.
            total = total + xp.where(sample < c.batch_size, found, 0)
        return self.mean_gradient(total, c)

    def sample_gradient(
        self, xp: Any, weight: Value, noise: Value, label: Value, c: LinearRegressionCoefficients
    ) -> Value:
        """One sample's gradient from the normals of its features and of its label."""
        features = c.feature_scale * noise
        return (xp.dot(features, weight - c.optimum) - c.label_noise * label) * features

    def mean_gradient(self, total: Value, c: LinearRegressionCoefficients) -> Value:
        """The batch's gradient from its samples' sum."""
        return total / c.batch_size

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls(curvature=1.0)}
