"""The verb `predict`: from a problem and an optimizer to a Dataset of moments."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import results
from ..optimizers import SGD, AdamW, Amos, Optimizer, ScheduleFreeAdamW, ScheduleFreeSGD
from ..problems import (
    LinearRegression,
    NoisyQuadratic,
    Problem,
    RandomWalk,
    RayleighQuotient,
    ReshuffledData,
    ScaleInvariant,
    chosen_observables,
)
from ..recording import Every, check_steps, recorded_steps
from ..records import UNIT, as_field, check_kind
from ..schedules import Constant, Schedule, multipliers
from ..typing import FloatArray
from .cells import Cells
from .closure import PESSIMISMS, is_adaptive
from .masked import PESSIMISMS as MASK_PESSIMISMS
from .mean_field import POOLED, PROJECTED
from .observables import EXPECTATIONS, OF_STEPS, PER_COORDINATE
from .signs import PESSIMISMS as SIGN_PESSIMISMS
from .stability import warn_if_unstable
from .stepping import CLOSING, LINEAR, SIGNED, VECTORS, steps_as_read

Multipliers = Schedule | Sequence[float] | FloatArray | None

CLOSED = (
    "the update is linearised in the second moment's fluctuations (moment closure): the error is O(1 − β₂), and larger "
    "in the first 1/(1 − β₂) steps, where v̂ averages few gradients"
)
SIGNS = (
    "the argument of the sign is taken for normal (statistical linearisation), and the sign's part that is not linear "
    "in it for noise with the correlation that a normal argument gives it: the error grows with the share that the "
    "weights' own fluctuations have in the argument, and with how far the gradient's noise is from normal"
)
MASKED = (
    "weight and update are taken for jointly normal where cautious decay asks for their signs (statistical "
    "linearisation): the error grows with the share of the weight that decay takes, and with how far both are from "
    "normal"
)
FIELD = (
    "sums over the vector are their expectations (mean field), with what their fluctuations do to each coordinate: the "
    "error falls with the number of coordinates, and comes to that of the moment closure"
)
MANY = "the limit of many coordinates"
PROBLEMS = (NoisyQuadratic, RandomWalk, ScaleInvariant, LinearRegression, ReshuffledData)


def predict(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int | None = None,
    schedule: Multipliers = None,
    decay_schedule: Multipliers = None,
    record: Every | Sequence[int] | None = None,
    observables: str | Sequence[str] | None = None,
    iterate_average: float | Sequence[float] | None = None,
) -> xr.Dataset:
    """The moments of the weights after each recorded step, or of their stationary state.

    `SGD` (every variant) is exact on `NoisyQuadratic`, `RandomWalk`, `LinearRegression` (multiplicative noise) and
    `ReshuffledData` (epochs), the latter two stepped one by one. On the first two, `AdamW` and `Adam` by
    moment closure (Q9): the weight's and the buffer's moments together with the expectation of the second moment, at
    which its root is taken. That is exact as β₂ → 1, and the error is stated. On `ScaleInvariant` the same, in the
    limit of many coordinates C, where the norm is its own expectation: the error is O(1/C). `Lion` and `SignSGD` on
    all of them by statistical linearisation: what the sign is taken of is taken for normal, and the sign's correlation
    with earlier ones is then the arcsine of its argument's. The error is stated; it is small where the gradient's noise
    is normal and large beside what a step does to the gradient, and on the random walk only that of a series cut off.
    Cautious decay asks for the signs of update and weight: within the closure both are taken for jointly normal, and
    what the mask spares of the decay is replaced by its regression on the two and by noise that remembers. Where the
    mask is certain that is AdamW's own step. `AdamP` and `Amos` on all of them by mean field: the sums that they take
    over a vector are their expectations over its coordinates, AdamP's condition is met by the share of runs that a
    normal sum gives, and the rest is the moment closure.

    Parameters
    ----------
    problem, optimizer : their sweep axes become the first dims of the result.
    steps : T, or None for the stationary state at the constant peak rate (no dim `step`).
    schedule, decay_schedule : of lr and of weight_decay: a schedule, an array of T multipliers, or None (constant).
    record : step counts, `em.every(n)`, or None for the start and the end.
    observables : names among ``problem.observables``; None is the first of them.
    iterate_average : γ in [0, 1), per step: the moments of w̃ ← γw̃ + (1 − γ)w, started at w_0, in the weights' place
        (Q5; arXiv 1907.04164); a sequence gives the dim `iterate_average`. For SGD, not on `ReshuffledData`.

    Returns
    -------
    xarray.Dataset with dims (sweep axes, step, coordinate where the observable has one value per weight). `risk`,
    `weight_mean`, `weight_variance` and `weight_mean_square` are expectations at any size; `weight_norm`, `rotation`
    (radians per step) and `update_cosine` are limits of many coordinates. The attribute `exact` of the Dataset and of
    each variable is 1 or 0; where it is 0 the Dataset's `approximation` says why. With a moment closure each
    expectation has a `<name>_error`: the difference to the same recursion with a smaller drift and a larger noise, by
    the share that the second moment's fluctuations can be worth to first order in 1 − β₂. It is infinite where no such
    share can be told: near the optimum where a step changes the gradient by more than its noise, η·h > σ (the runs then
    go round the optimum, each at a time of its own), and after a first step of RMSprop that overshoots. For AdamW on
    pure noise it is what the second moment's fluctuations make of the weights' variance to second order, with 8 % of a
    step's noise times the step's share of v̂ for the rest (infinite for β₂ < ½, where v̂ hardly averages). For signs it
    is the difference to three recursions: the sign's argument with a lower and with a higher density at 0, by the share
    that the weights' fluctuations, samples that are not normal and 1/C can be worth, and the sign remembered longer.
    Cautious decay adds the differences to a mask that is off more often and to one that is on more often: nearly all of
    the way to never or always where decay takes the whole weight while the update keeps its sign, or where the weights
    make the update's variance.

    Raises
    ------
    ValueError : an unsupported pair, an unknown observable, a schedule of another length, `steps=None` with a
        schedule or record, a stationary state that does not exist (unstable, or nothing pulls the weight back), or a
        closure of moments where a batch is the whole data set.
    TypeError : steps that are not a whole number, records that are not a problem and an optimizer.

    Warns
    -----
    UnstableWarning : the weights grow without bound at the peak rate.

    Example
    -------
    >>> import ematheory as em
    >>> walk = em.predict(em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.5), steps=2, record=[0, 1, 2])
    >>> walk.risk.values
    array([0.5   , 0.25  , 0.1875])
    """
    began = time.perf_counter()
    check_supported(problem, optimizer)
    names = chosen_observables(problem, observables)
    if steps is not None:
        check_start(problem, optimizer)
    if iterate_average is not None:
        check_average(problem, optimizer, names)
    elif steps is None and isinstance(problem, ReshuffledData):
        if problem.sampling == "reshuffled":
            raise ValueError(
                "reshuffled data has no stationary state: its moments differ along every epoch; give steps="
            )
        if is_adaptive(optimizer) or isinstance(optimizer, SIGNED):
            raise ValueError(
                f"{type(optimizer).__name__} on a finite data set is followed along a run only; give steps="
            )
    if steps is None and isinstance(optimizer, ScheduleFreeSGD | ScheduleFreeAdamW):
        raise ValueError("Schedule-Free averages over all of a run and has no stationary state; give steps=")
    if steps is None and isinstance(optimizer, Amos):
        raise ValueError(
            "Amos's steps fall for as long as it runs, so it has no stationary state; give steps= for the transient"
        )
    if steps is None:
        refuse_without_steps(schedule=schedule, decay_schedule=decay_schedule, record=record)
        run: dict[str, Any] = {}
    else:
        steps = check_steps(steps)
        warn_if_unstable(problem, optimizer)
        rates = [
            rate_multipliers(each, steps, name)
            for name, each in (("schedule", schedule), ("decay_schedule", decay_schedule))
        ]
        run = dict(record=recorded_steps(record, steps), multipliers=rates[0], decay_multipliers=rates[1])
    dataset = averaged(problem, optimizer, names, run, iterate_average)
    settings = {"steps": steps, "schedule": schedule, "decay_schedule": decay_schedule}
    if iterate_average is not None:
        settings["iterate_average"] = np.asarray(iterate_average, dtype=np.float64)
    dataset.attrs.update(results.attributes(problem=problem, optimizer=optimizer, **settings))
    dataset.attrs.update(results.run_attribute(backend="moments", seconds=time.perf_counter() - began))
    return dataset


def check_supported(problem: Problem, optimizer: Optimizer) -> None:
    """Raise `ValueError` for a pair whose moments do not close, saying which do; `TypeError` for what is no pair."""
    check_kind("problem", problem, Problem, "NoisyQuadratic(curvature=...)")
    check_kind("optimizer", optimizer, Optimizer, "SGD(lr=...)")
    if np.any(np.asarray(problem.drift)):
        raise ValueError(
            "drift > 0 is not predicted: the weights' moments alone do not tell the risk, which takes those with the "
            "optimum that moves; use simulate"
        )
    if isinstance(problem, RayleighQuotient):
        raise ValueError(
            "RayleighQuotient is not predicted: its gradient is a cubic of the weights' direction over their norm, so "
            "that no equation of their first two moments closes; use simulate, or ScaleInvariant for the noise alone"
        )
    name = type(optimizer).__name__
    if isinstance(problem, PROBLEMS) and isinstance(optimizer, (*LINEAR, *CLOSING, *SIGNED, *VECTORS)):
        check_read(optimizer)
        return
    groups = (LINEAR, CLOSING, SIGNED, VECTORS, PROBLEMS)
    kinds = [", ".join(kind.__name__ for kind in group) for group in groups]
    raise ValueError(
        f"predict has no moments for {name} on {type(problem).__name__}; it takes {kinds[0]} (exact), by moment "
        f"closure {kinds[1]}, by statistical linearisation {kinds[2]}, and by mean field {kinds[3]} on {kinds[4]}; use "
        "simulate for the rest"
    )


def check_read(optimizer: Optimizer) -> None:
    """Raise `ValueError`, with the reason, for words of a record whose step the moments do not follow."""
    name, why = type(optimizer).__name__, ""
    if optimizer.decays_where_aligned and not isinstance(optimizer, AdamW):
        name += " with cautious decay"
        why = "the mask of weights that do not decay is followed for AdamW alone"
    elif optimizer.decays_after_step:
        name += " with decay after the step"
        why = "the moments are of steps that decay the old weight; decay_order='before' differs by O(ηλ)"
    elif not steps_as_read(optimizer) and not optimizer.decays_where_aligned:
        name += " with ε inside the root"
        why = "the moments are of steps divided by √v̂ + ε; eps_placement='outside' is the same where ε is small"
    if why:
        raise ValueError(f"predict has no moments for {name}: {why}; use simulate")


def check_start(problem: Problem, optimizer: Optimizer) -> None:
    """Raise `ValueError` where starting weights that vary are more than a variance to start with."""
    varies = np.any(np.asarray(problem.init_std))
    if varies and (not isinstance(optimizer, LINEAR) or isinstance(problem, ScaleInvariant)):
        kinds = ", ".join(kind.__name__ for kind in LINEAR)
        raise ValueError(
            f"init_std > 0 is predicted where the step is linear in the weights ({kinds}, not on ScaleInvariant): "
            f"elsewhere the moments are closed about weights that start alike; got {type(optimizer).__name__} on "
            f"{type(problem).__name__}; use simulate"
        )


def check_average(problem: Problem, optimizer: Optimizer, names: Sequence[str]) -> None:
    """Raise `ValueError` where an average of the iterates has no moments here, or no such observable."""
    if not isinstance(optimizer, SGD) or isinstance(problem, ReshuffledData):
        raise ValueError(
            f"iterate_average is for SGD on problems without epochs, got {type(optimizer).__name__} on "
            f"{type(problem).__name__}; use simulate"
        )
    for name in names:
        if name in OF_STEPS:
            raise ValueError(f"{name} is of the optimizer's own steps: leave out iterate_average")


def refuse_without_steps(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} needs steps=T: steps=None asks for the stationary state at the constant peak rate"
            )


def rate_multipliers(schedule: Multipliers, steps: int, name: str) -> FloatArray:
    """s_1 … s_T; for a constant a view of one number, so that a run of 10⁹ steps costs no memory."""
    if schedule is None or (isinstance(schedule, Constant) and not schedule.warmup and not schedule.warmup_steps):
        return np.broadcast_to(np.ones(()), (steps,))
    return multipliers(schedule, steps, name)


def observables_of(cells: Cells, names: Sequence[str]) -> dict[str, FloatArray]:
    # An unstable run has been warned of; its moments may grow beyond a float64.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return cells.observables(names)


def averaged(
    problem: Problem,
    optimizer: Optimizer,
    names: Sequence[str],
    run: dict[str, Any],
    iterate_average: float | Sequence[float] | None,
) -> xr.Dataset:
    """The observables of the weights, or of an average of them: of several, joined along a dim of that name."""
    if iterate_average is None:
        return labelled(problem, optimizer, names, run)
    field = as_field("iterate_average", iterate_average, UNIT)
    if isinstance(field, float):
        return labelled(problem, optimizer, names, {**run, "taken": 1 - field})
    if field.dims != ("iterate_average",):
        raise ValueError(f"iterate_average must be a number or a 1-D sequence of numbers, got dims {field.dims}")
    each = [labelled(problem, optimizer, names, {**run, "taken": 1 - float(kept)}) for kept in field]
    return xr.concat(each, field["iterate_average"])


def approximation(optimizer: Optimizer) -> tuple[str | None, tuple[int, ...]]:
    """Why an optimizer's moments are not exact, and the pessimistic runs that tell by how much."""
    if isinstance(optimizer, SIGNED):
        return SIGNS, SIGN_PESSIMISMS
    if optimizer.decays_where_aligned:
        return f"{CLOSED}; {MASKED}", (*PESSIMISMS, *MASK_PESSIMISMS)
    if isinstance(optimizer, VECTORS):
        return FIELD, POOLED if optimizer.vector_members else PROJECTED
    return (CLOSED, PESSIMISMS) if is_adaptive(optimizer) else (None, ())


def refuse_whole_batches(problem: Problem, optimizer: Optimizer) -> None:
    """Raise `ValueError` where a closure of moments is asked to follow runs that are deterministic given their data."""
    if not isinstance(problem, ReshuffledData) or problem.sampling != "reshuffled":
        return
    if np.any(np.asarray(problem.batch_size) == problem.size):
        raise ValueError(
            f"a batch of all {problem.size} items leaves {type(optimizer).__name__}'s runs without noise: the gradient "
            "goes to 0, the second moment forgets it, and no closure of moments follows what each run then does; use "
            "simulate, or a batch_size that is smaller"
        )


def labelled(problem: Problem, optimizer: Optimizer, names: Sequence[str], run: dict[str, Any]) -> xr.Dataset:
    """The observables as a Dataset, each marked as exact or not, and the errors of those that are approximate."""
    why, pessimisms = approximation(optimizer)
    sized = isinstance(problem, ScaleInvariant)
    if pessimisms and not isinstance(optimizer, SIGNED):
        refuse_whole_batches(problem, optimizer)
    cells = Cells(problem, optimizer, **run)
    values = observables_of(cells, names)
    steps = ("step",) if len(cells.record) else ()
    variables = {name: (steps + (("coordinate",) if name in PER_COORDINATE else ()), values[name]) for name in names}
    if pessimisms and (expected := [name for name in names if name in EXPECTATIONS]):
        worse = [observables_of(Cells(problem, optimizer, **run, pessimism=each), expected) for each in pessimisms]
        often = cells.caution
        if isinstance(optimizer, VECTORS):
            # Of a sum over d coordinates each makes a share 1/d itself, which the sum's expectation does not follow.
            often *= 1 + 1 / problem.coordinates
        for name in expected:
            error = often * np.sum([np.abs(each[name] - values[name]) for each in worse], axis=0)
            # The worst that may be is not always a bounded state.
            lost = np.isnan(error) & np.isfinite(values[name]) | cells.unsaid(name in PER_COORDINATE)
            error = np.where(lost, np.inf, error)
            variables[f"{name}_error"] = (variables[name][0], error)
    coords: dict[str, Any] = {"step": cells.record} if steps else {}
    if any(name in PER_COORDINATE for name in names):
        coords["coordinate"] = np.arange(problem.coordinates)
    dataset = cells.over.dataset(variables, **coords)
    exact = {name: int(not pessimisms and not sized and name in EXPECTATIONS) for name in names}
    for name, flag in exact.items():
        dataset[name].attrs["exact"] = flag
    reasons = [why] if why else []
    ratios = [name for name in names if sized or name not in EXPECTATIONS]
    if ratios:
        reasons.append(f"{', '.join(ratios)}: {MANY}")
    dataset.attrs.update(results.attributes(exact=min(exact.values()), approximation="; ".join(reasons) or None))
    return dataset
