"""The weights before the first update: given, or normal about what is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problems import Problem
from .normal import normals
from .observables import pieces

# The stream of the initial weights (DESIGN.md, Noise).
INITIAL_STREAM = 1
# How many numbers the drawing of one normal takes on the way.
PER_NORMAL = 16

Array = np.ndarray[Any, Any]


def initial_weights(problem: Problem, seed: int, replicas: range, numbers: Array, columns: int, dtype: Any) -> Array:
    """w_0 = init + init_std·n, made in float64 and cast, shape (points, replicas, columns).

    The problem's fields have shape (points or 1, 1 or columns); `numbers` are the points' own in the noise.
    """
    mean, spread = (np.asarray(field)[:, None, :] for field in map(np.atleast_2d, (problem.init, problem.init_std)))
    weight = np.empty((len(numbers), len(replicas), columns), dtype=dtype)
    weight[...] = mean
    if not spread.any():
        return weight
    drawn, place = np.unique(numbers, return_inverse=True)
    for some in pieces(len(replicas), PER_NORMAL * len(numbers) * columns):
        noise = normals(seed, [0], range(columns), replicas[some], drawn, INITIAL_STREAM)[0]
        weight[:, some] = mean + spread * noise[place].astype(np.float64)
    return weight
