"""Questions put to `predict`: how many steps to a target, and which hyperparameters end lowest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from ..optimizers import Optimizer
from ..problems import Problem
from ..records import POSITIVE, VALUE_DIMS, check_choice, check_values, check_whole
from ..schedules import Schedule
from ..typing import FloatArray
from .prediction import predict
from .stability import UnstableWarning

# Between two neighbours of the grid on which a crossing is looked for, the step count grows by this much.
RATIO = 2 ** (1 / 16)

# Points per axis of a search grid, how often it closes in, and how far beside the minimum the certificate looks.
POINTS, ROUNDS, BESIDE = 13, 4, 0.01

# Where a search begins and ends unless told otherwise: decades around any rate in use.
BOUNDS = {"lr": (1e-6, 1e2), "weight_decay": (1e-8, 1e4), "momentum": (1e-3, 0.9999)}


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

    At a constant rate this is the first passage of one run; with a `schedule`, which spans the whole of a run, it is
    the length of the shortest run that ends at or below the target. It is looked for on step counts that grow by 4 %
    (all of them up to 16), and then between two neighbours by bisection: a dip shorter than that can be missed.

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

    Source: Zhang et al., arXiv 1907.04164, figure 1 counts steps to a target; Q10.

    Example
    -------
    >>> import ematheory as em
    >>> problem = em.NoisyQuadratic(curvature=[1.0, 0.5], noise=0.0)
    >>> int(em.steps_to_target(problem, em.SGD(lr=0.5), 0.01))
    6
    """
    check_values("target", target, POSITIVE)
    max_steps = check_whole("max_steps", max_steps, POSITIVE)
    check_choice("observable", observable, [n for n in problem.observables if n in ("risk", "weight_mean_square")])

    def reached(steps: Sequence[int]) -> xr.DataArray:
        """Whether the target is reached at each of the step counts, dims (axes, step)."""
        return at(problem, optimizer, steps, schedule, observable) <= target

    grid = step_grid(max_steps)
    seen = reached(grid)
    first = seen.argmax("step")
    found = seen.step[first].where(seen.any("step")).drop_vars("step", errors="ignore")
    counts = np.array([0, *grid])
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
            predict(problem, optimizer, steps=n, schedule=schedule, record=[n], observables=observable)[observable]
            for n in steps
        ]
    joined: xr.DataArray = xr.concat(runs, "step").transpose(..., "step")
    return joined


def step_grid(most: int) -> list[int]:
    """1, 2, … 16 and then step counts that grow by `RATIO`, up to `most`."""
    count = int(np.ceil(np.log(max(most, 2)) / np.log(RATIO)))
    grown = {int(RATIO**i) for i in range(count)}
    return sorted({n for n in {*range(1, 17), *grown} if n < most} | {most})


@dataclass(frozen=True)
class Best:
    """The hyperparameters that end lowest.

    `values` and `value`: the arguments of the minimum and the observable there. `lower` and `upper`: 1 % below
    and above, with the observable at them, the others at their best, in `value_lower` and `value_upper`: that both are
    above `value` is the certificate that the minimum is interior, `interior[name]`. Where it is not, the best value
    lies at (or beyond) that end of `bounds`.
    """

    values: Mapping[str, float]
    value: float
    lower: Mapping[str, float]
    upper: Mapping[str, float]
    value_lower: Mapping[str, float]
    value_upper: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]
    optimizer: Optimizer

    @property
    def interior(self) -> dict[str, bool]:
        return {name: min(self.value_lower[name], self.value_upper[name]) > self.value for name in self.values}

    @property
    def timescale_steps(self) -> float:
        """1/(lr·weight_decay), in steps at the peak rate."""
        return 1 / (float(self.optimizer.lr) * float(self.optimizer.weight_decay))


def best_hyperparameters(
    problem: Problem,
    optimizer: Optimizer,
    over: Sequence[str] | Mapping[str, tuple[float, float]] = ("lr",),
    *,
    steps: int | None = None,
    schedule: Schedule | None = None,
    observable: str = "risk",
) -> Best:
    """The `lr`, `weight_decay` (or both) at which the expected risk at the end of the run is lowest.

    A grid in the logarithms closes in on its lowest point, so that no minimum wider than a grid step is missed and none
    is assumed to be the only one; Nelder and Mead's simplex ends the search. A minimum is called interior where the
    observable 1 % below and 1 % above is higher.

    Parameters
    ----------
    problem, optimizer : as for `predict`, without sweep axes.
    over : one or two names of the optimizer's fields, or a mapping of them to (low, high), the bounds of the search.
    steps, schedule : the run, as for `predict`; without steps the stationary state.
    observable : "risk" or "weight_mean_square".

    Returns
    -------
    Best : with `.values`, `.value`, `.interior` (the certificate), `.timescale_steps` and the `.optimizer` itself.

    Raises
    ------
    ValueError : an unknown name, bounds that are not 0 < low < high, records with sweep axes, no point that converges,
        and as `predict` does.

    Example
    -------
    >>> import ematheory as em
    >>> problem = em.NoisyQuadratic(curvature=1.0, noise=4.0, optimum=2.0)
    >>> found = em.best_hyperparameters(problem, em.SGD(lr=0.1), over=["weight_decay"])
    >>> round(found.values["weight_decay"], 3), found.interior
    (0.026, {'weight_decay': True})
    """
    bounds = checked_bounds(problem, optimizer, over)

    def ends(values: Mapping[str, FloatArray]) -> FloatArray:
        """The observable on the outer product of the values, infinite where the run diverges."""
        return final(problem, optimizer, values, steps, schedule, observable)

    start = grid_minimum(ends, bounds)
    logs = [(np.log(low), np.log(high)) for low, high in bounds.values()]
    polished = minimize(
        lambda place: float(ends(dict(zip(bounds, np.exp(place)[:, None], strict=True))).item()),
        start, method="Nelder-Mead", bounds=logs, options={"xatol": 1e-6, "fatol": 0.0, "maxfev": 400},
    )  # fmt: skip
    best = {name: float(np.exp(x)) for name, x in zip(bounds, polished.x, strict=True)}
    lower = {name: max(value * (1 - BESIDE), bounds[name][0]) for name, value in best.items()}
    upper = {name: min(value * (1 + BESIDE), bounds[name][1]) for name, value in best.items()}

    def beside(name: str, other: float) -> float:
        return float(ends({each: np.array([{**best, name: other}[each]]) for each in best}).item())

    return Best(
        best,
        float(polished.fun),
        lower,
        upper,
        {name: beside(name, lower[name]) for name in best},
        {name: beside(name, upper[name]) for name in best},
        bounds,
        type(optimizer)(**{**settings(optimizer), **best}),
    )


def grid_minimum(
    ends: Callable[[Mapping[str, FloatArray]], FloatArray], bounds: Mapping[str, tuple[float, float]]
) -> FloatArray:
    """The lowest point of grids that close in on it, in logarithms; one that lies on a grid's edge is moved to."""
    box = {name: (np.log(low), np.log(high)) for name, (low, high) in bounds.items()}
    for _ in range(ROUNDS):
        axes = {name: np.linspace(low, high, POINTS) for name, (low, high) in box.items()}
        found = ends({name: np.exp(axis) for name, axis in axes.items()})
        if not np.isfinite(found).any():
            raise ValueError(f"no point within {dict(bounds)} converges")
        place = dict(zip(box, np.unravel_index(np.argmin(found), found.shape), strict=True))
        width = {name: (4 if 0 < place[name] < POINTS - 1 else POINTS - 1) * (a[1] - a[0]) for name, a in axes.items()}
        box = {name: clipped(axes[name][place[name]], width[name], bounds[name]) for name in box}
    return np.array([axes[name][place[name]] for name in box])


def settings(optimizer: Optimizer) -> dict[str, Any]:
    return {name: value for name, value in optimizer.field_values().items() if name not in optimizer.repeated}


def clipped(middle: float, width: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """An interval of this width around `middle`, moved and cut so that it lies within the bounds, in logarithms."""
    first, last = np.log(bounds[0]), np.log(bounds[1])
    low = min(max(middle - width / 2, first), max(first, last - width))
    return low, min(low + width, last)


def checked_bounds(
    problem: Problem, optimizer: Optimizer, over: Sequence[str] | Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    names = [over] if isinstance(over, str) else list(over)
    if not 1 <= len(names) <= 2:
        raise ValueError(f"over must be one or two of the optimizer's fields, got {names}")
    for record in (problem, optimizer):
        for name, value in record.field_values().items():
            if isinstance(value, xr.DataArray) and set(value.dims) - set(VALUE_DIMS):
                raise ValueError(f"{type(record).__name__}.{name} is a sweep axis; give one value to search beside")
    for name in names:
        check_choice("over", name, [each for each in BOUNDS if each in optimizer.field_values()])
    bounds = {name: tuple(over[name]) if isinstance(over, Mapping) else BOUNDS[name] for name in names}
    for name, (low, high) in bounds.items():
        if not 0 < low < high < np.inf:
            raise ValueError(f"bounds of {name} must be 0 < low < high, got {(low, high)}")
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def final(
    problem: Problem,
    optimizer: Optimizer,
    values: Mapping[str, FloatArray],
    steps: int | None,
    schedule: Schedule | None,
    observable: str,
) -> FloatArray:
    swept = type(optimizer)(**{**settings(optimizer), **{name: list(axis) for name, axis in values.items()}})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A point that diverges is not the best, which is all that is asked of it.
        warnings.simplefilter("ignore", UnstableWarning)
        if steps is None:
            return at_rest(problem, optimizer, values, observable)
        record = [steps]
        run = predict(problem, swept, steps=steps, schedule=schedule, record=record, observables=observable)
    found = run[observable].isel(step=0).transpose(*values).values
    return np.where(np.isfinite(found), found, np.inf)


def at_rest(problem: Problem, optimizer: Optimizer, values: Mapping[str, FloatArray], observable: str) -> FloatArray:
    """The stationary observable on the outer product, infinite where there is no stationary state."""
    shape = tuple(map(len, values.values()))
    found = np.full(shape, np.inf)
    for place in np.ndindex(shape):
        chosen = {name: float(axis[i]) for (name, axis), i in zip(values.items(), place, strict=True)}
        try:
            one = predict(problem, type(optimizer)(**{**settings(optimizer), **chosen}), observables=observable)
        except ValueError:
            # Unstable there, or nothing pulls the weight back.
            continue
        found[place] = float(one[observable])
    return found
