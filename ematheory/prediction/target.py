"""How many steps it takes to a target: a question put to `predict`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from ..optimizers import Optimizer
from ..problems import Problem
from ..records import POSITIVE, check_choice, check_kind, check_number, check_whole
from ..schedules import Schedule
from .observables import EXPECTATIONS, PER_COORDINATE
from .prediction import predict
from .stability import UnstableWarning

# Between two neighbours of the grid on which a crossing is looked for, the step count grows by this much.
RATIO = 2 ** (1 / 16)
# At a constant rate every step is looked at up to this many, and longer runs are made only where they are needed.
EVERY, LONGER = 2**12, 16


def steps_to_target(
    problem: Problem,
    optimizer: Optimizer,
    target: float,
    *,
    max_steps: int = 10**6,
    schedule: Schedule | None = None,
    observable: str = "risk",
) -> xr.DataArray:
    """The fewest updates after which the expected risk is at most `target`, for each point of the sweep axes.

    At a constant rate this is the first passage of one run, 0 where it starts there; with a `schedule`, which spans the
    whole of a run, it is the length of the shortest run that ends at or below the target. It is looked for on step
    counts that grow by 4 %, and then between two neighbours by bisection: a dip shorter than that can be missed. All of
    the first 4096 steps are looked at with a constant rate, and all of the first 16 with a schedule.

    Parameters
    ----------
    problem, optimizer : as for `predict`; their sweep axes are the result's dims.
    target : the value to reach, > 0, in units of the observable.
    max_steps : where the search gives up; such points are NaN.
    schedule : of the learning rate, or None for a constant one.
    observable : an expectation that is one number per state, such as "risk" or "weight_mean_square".

    Returns
    -------
    xarray.DataArray of step counts as floats, NaN where the target is not reached within `max_steps`.

    Raises
    ------
    ValueError : a target that is not positive, an observable with one value per weight, and as `predict` does.
    TypeError : a target that is not one number, a schedule that is none (multipliers are of one length only).

    Source: Zhang et al., arXiv 1907.04164, figure 1 counts steps to a target; Q10.

    Example
    -------
    >>> import ematheory as em
    >>> problem = em.NoisyQuadratic(curvature=[1.0, 0.5], noise=0.0)
    >>> int(em.steps_to_target(problem, em.SGD(lr=0.5), 0.01))
    6
    """
    target = check_number("target", target, POSITIVE)
    if schedule is not None:
        check_kind("schedule", schedule, Schedule, "Cosine(final=0.1), which spans a run of any length", "")
    max_steps = check_whole("max_steps", max_steps, POSITIVE)
    check_observable(problem, observable)

    def reached(steps: Sequence[int]) -> xr.DataArray:
        """Whether the target is reached at each of the step counts, dims (axes, step)."""
        return at(problem, optimizer, steps, schedule, observable) <= target

    for grid in grids(max_steps, schedule is None):
        seen = reached(grid)
        if bool(seen.any("step").all()):
            break
    first = seen.argmax("step")
    found = seen.step[first].where(seen.any("step")).drop_vars("step", errors="ignore")
    counts = np.array([-1, *grid])
    low, high = np.atleast_1d(counts[first.values].astype(float)), np.atleast_1d(np.asarray(found.values, dtype=float))
    while (open_ := high - low > 1).any():
        middle = np.where(open_, np.floor((low + high) / 2), np.nan)
        asked = sorted({int(step) for step in middle[open_]})
        answers = reached(asked).values.reshape(*low.shape, len(asked))
        places = np.searchsorted(asked, np.where(open_, middle, asked[0]))
        hit = np.take_along_axis(answers, places[..., None], axis=-1)[..., 0]
        high, low = np.where(open_ & hit, middle, high), np.where(open_ & ~hit, middle, low)
    counted: xr.DataArray = found.copy(data=high.reshape(found.shape)).rename("steps")
    return counted


def at(
    problem: Problem, optimizer: Optimizer, steps: Sequence[int], schedule: Schedule | None, observable: str
) -> xr.DataArray:
    """The observable after each of the step counts: of one run, or of one run each under a schedule."""
    with warnings.catch_warnings():
        # A point that diverges does not reach its target, which is the answer.
        warnings.simplefilter("ignore", UnstableWarning)
        if schedule is None:
            run = predict(problem, optimizer, steps=steps[-1], record=steps, observables=observable)
            seen: xr.DataArray = run[observable].transpose(..., "step")
            return seen
        runs = [
            predict(problem, optimizer, steps=max(n, 1), schedule=schedule, record=[n], observables=observable)[
                observable
            ]
            for n in steps
        ]
    joined: xr.DataArray = xr.concat(runs, "step").transpose(..., "step")
    return joined


def grids(most: int, constant: bool) -> Iterator[list[int]]:
    """Step counts from 0 to look at: at a constant rate ever longer ones, each with those before it."""
    if not constant:
        yield [0, *step_grid(most)]
        return
    counts = [*range(min(EVERY, most) + 1), *(n for n in step_grid(most) if n > EVERY)]
    longest = min(EVERY, most)
    while longest < most:
        yield [n for n in counts if n <= longest]
        longest = min(LONGER * longest, most)
    yield counts


def step_grid(most: int) -> list[int]:
    """1, 2, … 16 and then step counts that grow by `RATIO`, up to `most`."""
    count = int(np.ceil(np.log(max(most, 2)) / np.log(RATIO)))
    grown = {int(RATIO**i) for i in range(count)}
    return sorted({n for n in {*range(1, 17), *grown} if n < most} | {most})


def check_observable(problem: Problem, observable: str) -> None:
    """Raise `ValueError` for one that is not an expectation, or that has one value per weight."""
    known = [name for name in problem.observables if name in EXPECTATIONS and name not in PER_COORDINATE]
    check_choice(f"observable of {type(problem).__name__}", observable, known)
