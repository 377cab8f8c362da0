"""Problems: where gradients come from, on models whose answer can be known; one record per file."""

from __future__ import annotations

from .linear_regression import LinearRegression, LinearRegressionCoefficients
from .noisy_quadratic import NoisyQuadratic, NoisyQuadraticCoefficients
from .problem import MEASURED, Problem, chosen_observables
from .random_walk import RandomWalk, RandomWalkCoefficients
from .rayleigh_quotient import RayleighQuotient, RayleighQuotientCoefficients
from .reshuffled_data import ReshuffledData, ReshuffledDataCoefficients
from .scale_invariant import ScaleInvariant, ScaleInvariantCoefficients

__all__ = [
    "COUPLED",
    "MEASURED",
    "RECORDS",
    "LinearRegression",
    "LinearRegressionCoefficients",
    "NoisyQuadratic",
    "NoisyQuadraticCoefficients",
    "Problem",
    "RandomWalk",
    "RandomWalkCoefficients",
    "RayleighQuotient",
    "RayleighQuotientCoefficients",
    "ReshuffledData",
    "ReshuffledDataCoefficients",
    "ScaleInvariant",
    "ScaleInvariantCoefficients",
    "chosen_observables",
]

RECORDS: tuple[type[Problem], ...] = (NoisyQuadratic, RandomWalk)
# Those whose gradients need sums over a vector, or samples: a whole vector is stepped together.
COUPLED: tuple[type[Problem], ...] = (ScaleInvariant, RayleighQuotient, LinearRegression, ReshuffledData)
