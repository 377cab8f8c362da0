"""The NumPy reference: the records' own `point`, `gradient` and `update`, step by step, in the state's dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..optimizers import Optimizer
from ..problems import Problem
from . import arrays
from .altered_steps import AlteredSteps
from .groups import GroupArrays, Groups
from .options import NO_OPTIONS, StepArrays
from .sampling import source_of


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
        groups: Groups = (),
        options: StepArrays = NO_OPTIONS,
    ) -> None:
        """Update `state`, shape (S, points, replicas, d), in place by the steps of `coefficients` (points, steps, K).

        After the j-th of them, for the i-th j in `snapshots_at` (0 is before the first), the weight is copied into
        `snapshots[i]`. Dot products are over each of the `groups`, where there are any. The averages that the `options`
        ask for, and how far the optimum has moved, follow the optimizer's arrays in the state and are copied in the
        weight's place and after it, (points·copies, replicas, d).
        """
        of_groups = GroupArrays(groups) if groups else arrays
        of_gradient = arrays if problem.sums_whole else of_groups
        of_problem = problem.Coefficients(*problem_coefficients[:, :, None, :])
        draw = source_of(problem, of_problem, seed, first_replica, state.shape[2], point_numbers, state.dtype)
        places = {int(step): place for place, step in enumerate(snapshots_at)}
        own = len(optimizer.State._fields)
        altered = AlteredSteps(options, state[own:], seed, first_replica, point_numbers)
        current = optimizer.State(*state[:own])
        with np.errstate(all="ignore"):
            for step in range(coefficients.shape[1] + 1):
                if step in places:
                    snapshots[places[step]] = altered.seen(current.weight)
                if step < coefficients.shape[1]:
                    c = optimizer.Coefficients(*np.moveaxis(coefficients[:, step], -1, 0)[..., None, None])
                    point = altered.shifted(optimizer.point(arrays, current, c))
                    gradient = problem.gradient(of_gradient, point, draw.at(first_step + step), of_problem)
                    current = optimizer.update(of_groups, current, altered.clipped(gradient), c)
                    current = altered.after(current, step, first_step + step)
        for place, member in enumerate(current):
            state[place] = member
