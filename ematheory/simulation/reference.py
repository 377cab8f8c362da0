"""The NumPy reference: the records' own `point`, `gradient` and `update`, step by step, in the state's dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..optimizers import Optimizer
from ..problems import Problem
from . import arrays
from .bfloat16 import Rounding
from .clipping import clip
from .sampling import source_of

Array = np.ndarray[Any, Any]


class Reference:
    """Runs any record, a user's own too; the native engine gives the same bits, faster."""

    name = "reference"
    isa = "numpy"
    threads = 1
    # Small blocks stay in cache and let an interrupt through quickly.
    cells_per_block = 2**17
    work_per_call = 2**24

    def advance(
        self,
        *,
        problem: Problem,
        optimizer: Optimizer,
        state: np.ndarray[Any, Any],
        problem_coefficients: np.ndarray[Any, Any],
        coefficients: np.ndarray[Any, Any],
        first_step: int,
        seed: int,
        first_replica: int,
        point_numbers: np.ndarray[Any, Any],
        snapshots_at: np.ndarray[Any, Any],
        snapshots: np.ndarray[Any, Any],
        clip_norm: Array | None = None,
        averaging: Array | None = None,
        rounding: str = "",
    ) -> None:
        """Update `state`, shape (S, points, replicas, d), in place by the steps of `coefficients` (points, steps, K).

        After the j-th of them, for the i-th j in `snapshots_at` (0 is before the first), the weight is copied into
        `snapshots[i]`. Optional are the largest norms of gradients (points,); the shares of averages of the weights,
        (steps, A, 2), which follow the optimizer's arrays in the state and are copied in the weight's place (shape
        (points·A, replicas, d)); and how weights are rounded to bfloat16, which float32 ones may be.
        """
        of_problem = problem.Coefficients(*problem_coefficients[:, :, None, :])
        draw = source_of(problem, of_problem, seed, first_replica, state.shape[2], point_numbers, state.dtype)
        rounds = Rounding(rounding, seed, first_replica, point_numbers)
        places = {int(step): place for place, step in enumerate(snapshots_at)}
        own = len(optimizer.State._fields)
        current, averages = optimizer.State(*state[:own]), state[own:]
        with np.errstate(all="ignore"):
            for step in range(coefficients.shape[1] + 1):
                if step in places:
                    seen = [current.weight] if averaging is None else list(averages)
                    snapshots[places[step]] = np.stack(seen, axis=1).reshape(snapshots.shape[1:])
                if step < coefficients.shape[1]:
                    c = optimizer.Coefficients(*np.moveaxis(coefficients[:, step], -1, 0)[..., None, None])
                    point = optimizer.point(arrays, current, c)
                    gradient = problem.gradient(arrays, point, draw.at(first_step + step), of_problem)
                    if clip_norm is not None:
                        gradient = clip(gradient, clip_norm[:, None])
                    current = optimizer.update(arrays, current, gradient, c)
                    if rounding:
                        current = current._replace(weight=rounds.rounded(current.weight, first_step + step))
                    if averaging is not None:
                        averages[:] = averaged(averages, current.weight, averaging[step])
        for place, member in enumerate(current):
            state[place] = member


def averaged(averages: Array, weight: Array, shares: Array) -> Array:
    """The averages, shape (A, points, replicas, d), with a new weight; `shares` are of the old and the new, (A, 2)."""
    kept, taken = shares.T[..., None, None, None]
    return np.asarray(kept * averages + taken * weight)
