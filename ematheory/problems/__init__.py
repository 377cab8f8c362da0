"""Problems: where gradients come from, on models whose answer can be known; one record per file."""

from __future__ import annotations

from .noisy_quadratic import NoisyQuadratic, NoisyQuadraticCoefficients
from .problem import Problem, chosen_observables
from .random_walk import RandomWalk, RandomWalkCoefficients
from .scale_invariant import ScaleInvariant, ScaleInvariantCoefficients

__all__ = [
    "RECORDS",
    "REFERENCE_ONLY",
    "NoisyQuadratic",
    "NoisyQuadraticCoefficients",
    "Problem",
    "RandomWalk",
    "RandomWalkCoefficients",
    "ScaleInvariant",
    "ScaleInvariantCoefficients",
    "chosen_observables",
]

RECORDS: tuple[type[Problem], ...] = (NoisyQuadratic, RandomWalk)
# Those that the native engine does not hold: their gradients need sums over a vector.
REFERENCE_ONLY: tuple[type[Problem], ...] = (ScaleInvariant,)
