"""Which hyperparameters end lowest: a question put to `predict`."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from ..derivations import derive
from ..optimizers import SGD, Optimizer
from ..optimizers.optimizer import SymbolicTime
from ..problems import Problem
from ..recording import check_steps
from ..records import FINITE, VALUE_DIMS, check_choice, check_number
from ..schedules import Schedule
from ..typing import FloatArray
from .prediction import check_supported, predict
from .stability import UnstableWarning
from .target import check_observable

# Points per axis of a search grid, how often it closes in, and how far beside the minimum the certificate looks.
POINTS, ROUNDS, BESIDE = 13, 4, 0.01
# What rounding can be worth, as a share of the observable; on a plateau it alone would make a minimum.
ROUNDING = 1e-10

# Where a search begins and ends unless told otherwise: decades around any rate in use. Timescales are in steps.
BOUNDS = {
    "lr": (1e-6, 1e2), "weight_decay": (1e-8, 1e4), "momentum": (1e-3, 0.9999), "timescale": (1.0, 1e12),
}  # fmt: skip
# The timescale as a share of the run, and the names of what sets λ, of which a search has one at the most.
SHARE = "timescale_run_fraction"
DECAYS = ("weight_decay", "timescale", SHARE)


def decay_per_step(optimizer: Optimizer) -> Any:
    """α, the share of the old weight that a step at the peak rate takes away; 0 where none is taken from it itself.

    L2 without momentum takes ηλ through the gradient, as a decay per learning rate does.
    """
    if isinstance(optimizer, SGD) and optimizer.decay == "l2" and not np.any(np.asarray(optimizer.momentum)):
        return product(optimizer)
    return optimizer.decay_per_step(SymbolicTime(1.0, optimizer.lr, optimizer.weight_decay, 1.0))


def product(optimizer: Any) -> Any:
    """ηλ."""
    return optimizer.lr * optimizer.weight_decay


def timescale_of(optimizer: Optimizer) -> float | None:
    """τ = 1/α in steps at the peak rate, infinite without decay, or None where the optimizer has no τ.

    With momentum and L2 it is that of the slow one of the two averages, 1/(1 − r₊), while its rate is real (the
    derivations momentum-l2 and momentum-nesterov). Adam's L2, and decay that depends on the data, have none.

    >>> timescale_of(SGD(lr=0.5, weight_decay=0.25))
    8.0
    """
    if has_timescale(optimizer):
        alpha = float(decay_per_step(optimizer))
        return 1 / alpha if alpha else np.inf
    if not isinstance(optimizer, SGD):
        return None
    if optimizer.weight_decay == 0:
        return np.inf
    closed = derive("momentum-nesterov" if optimizer.nesterov else "momentum-l2").function("slow_pole_gap")
    momentum: Any = optimizer.momentum
    try:
        gap = float(closed(decay_per_step=product(optimizer), one_minus_momentum=1 - momentum))
    except ValueError:
        # Its rates are no real numbers there: the weight oscillates.
        return None
    return 1 / gap


def has_timescale(optimizer: Optimizer) -> bool:
    """Whether λ sets how much of the old weight a step takes away."""
    return bool(np.all(np.asarray(decay_per_step(optimizer.substituted(weight_decay=1.0))) > 0))


def with_values(optimizer: Optimizer, values: Mapping[str, Any], steps: int | None) -> Optimizer:
    """The optimizer with these hyperparameters; a timescale sets λ such that α = 1/τ at the peak rate.

    >>> with_values(SGD(lr=0.1), {"timescale": 50.0}, None).weight_decay
    0.2
    """
    fields = {name: value for name, value in values.items() if name not in ("timescale", SHARE)}
    made = optimizer_with(optimizer, fields)
    for name, share in (("timescale", 1), (SHARE, steps)):
        if name in values:
            alone = decay_per_step(made.substituted(weight_decay=1.0))
            return optimizer_with(made, {"weight_decay": 1 / (alone * (values[name] * share))})
    return made


def optimizer_with(optimizer: Optimizer, fields: Mapping[str, Any]) -> Optimizer:
    """A checked copy with other values of some fields."""
    made = {each.name for each in dataclasses.fields(optimizer) if each.init}  # type: ignore[arg-type]
    own = {name: v for name, v in optimizer.field_values().items() if name in made and name not in optimizer.repeated}
    return type(optimizer)(**{**own, **fields})


@dataclass(frozen=True)
class Best:
    """The hyperparameters that end lowest.

    `values` and `value`: the arguments of the minimum and the observable there. `lower` and `upper`: 1 % below
    and above, with the observable at them, the others at their best, in `value_lower` and `value_upper`: that both are
    within `bounds` and above `value`, by more than rounding (10⁻¹⁰ of it), is the certificate that the minimum is
    interior, `interior[name]`. Where it is not, the best value lies at (or beyond) an end of `bounds`, or on a plateau.
    `optimizer` is the one there, `steps` the length of the run. `error` is the error that a moment closure states of
    `value` (`<name>_error` of `predict`), None where it is exact; the certificate is about `value` itself.
    """

    values: Mapping[str, float]
    value: float
    lower: Mapping[str, float]
    upper: Mapping[str, float]
    value_lower: Mapping[str, float]
    value_upper: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]
    optimizer: Optimizer
    steps: int | None = None
    error: float | None = None

    @property
    def interior(self) -> dict[str, bool]:
        return {name: self.inside(name) and self.rise(name) > ROUNDING * abs(self.value) for name in self.values}

    def inside(self, name: str) -> bool:
        """Whether there is 1 % to either side."""
        low, high = self.bounds[name]
        return low < self.lower[name] and self.upper[name] < high

    def rise(self, name: str) -> float:
        """How far the observable rises, at the least, 1 % to either side."""
        return min(self.value_lower[name], self.value_upper[name]) - self.value

    @property
    def timescale_steps(self) -> float | None:
        """τ in steps at the peak rate, 1/(lr·weight_decay) for a decay per learning rate; infinite without decay.

        None where the optimizer has no timescale, as with Adam's L2.
        """
        return timescale_of(self.optimizer)

    @property
    def timescale_run_fraction(self) -> float | None:
        """τ at the peak rate as a share of the run; None without `steps`, or where there is no τ."""
        tau = self.timescale_steps
        return None if tau is None or self.steps is None else tau / self.steps


def best_hyperparameters(
    problem: Problem,
    optimizer: Optimizer,
    over: Sequence[str] | Mapping[str, tuple[float, float]] = ("lr",),
    *,
    steps: int | None = None,
    schedule: Schedule | None = None,
    observable: str = "risk",
) -> Best:
    """The hyperparameters, one or two, at which the expected risk at the end of the run is lowest.

    They are fields, `lr`, `weight_decay` and `momentum`, or the timescale τ, which sets λ such that a step at the peak
    rate takes 1/τ of the weight (λ = 1/(ητ) for a decay per learning rate): `timescale` in steps, or
    `timescale_run_fraction` as a share of the run.

    A grid in the logarithms closes in on its lowest point, so that no minimum wider than a grid step is missed and none
    is assumed to be the only one; Nelder and Mead's simplex ends the search. A minimum is called interior where the
    observable 1 % below and 1 % above is higher.

    Parameters
    ----------
    problem, optimizer : as for `predict`, without sweep axes.
    over : one or two of those names, or a mapping of them to (low, high), the bounds of the search. The bounds that
        `timescale_run_fraction` has of itself are those of `timescale`, 1 to 10¹² steps.
    steps, schedule : the run, as for `predict`; without steps the stationary state.
    observable : "risk" or "weight_mean_square".

    Returns
    -------
    Best : with `.values`, `.value`, `.interior` (the certificate), `.timescale_steps` and `.timescale_run_fraction`
        where there is a timescale, and the `.optimizer` itself.

    Raises
    ------
    TypeError : an `over` or bounds of another shape.
    ValueError : an unknown name, one given twice, two names that both set λ, a timescale of an optimizer that has none,
        bounds that are not 0 < low < high, records with sweep axes, no point that converges, and as `predict` does.

    Example
    -------
    >>> import ematheory as em
    >>> problem = em.NoisyQuadratic(curvature=1.0, noise=4.0, optimum=2.0)
    >>> found = em.best_hyperparameters(problem, em.SGD(lr=0.1), over=["weight_decay"])
    >>> round(found.values["weight_decay"], 3), found.interior
    (0.026, {'weight_decay': True})
    >>> found = em.best_hyperparameters(problem, em.SGD(lr=0.1), over=["timescale"], steps=1000)
    >>> round(found.values["timescale"]), round(found.timescale_run_fraction, 3)
    (391, 0.391)
    """
    check_supported(problem, optimizer)
    check_observable(problem, observable)
    steps = None if steps is None else check_steps(steps)
    asked = Search(problem, optimizer, checked_bounds(problem, optimizer, over, steps), steps, schedule, observable)
    return asked.best()


Point = Mapping[str, float]
Points = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Search:
    """What is searched, within which bounds, and for what at the end of which run."""

    problem: Problem
    optimizer: Optimizer
    bounds: Mapping[str, tuple[float, float]]
    steps: int | None
    schedule: Schedule | None
    observable: str

    def best(self) -> Best:
        logs = [(np.log(low), np.log(high)) for low, high in self.bounds.values()]
        polished = minimize(
            lambda place: self.end(dict(zip(self.bounds, np.exp(place), strict=True))),
            self.grid_minimum(), method="Nelder-Mead", bounds=logs,
            options={"xatol": 1e-6, "fatol": np.inf, "maxfev": 400},
        )  # fmt: skip
        best = {name: float(np.exp(x)) for name, x in zip(self.bounds, polished.x, strict=True)}
        lower = {name: max(value * (1 - BESIDE), self.bounds[name][0]) for name, value in best.items()}
        upper = {name: min(value * (1 + BESIDE), self.bounds[name][1]) for name, value in best.items()}
        return Best(
            values=best,
            value=float(polished.fun),
            lower=lower,
            upper=upper,
            value_lower={name: self.end({**best, name: value}) for name, value in lower.items()},
            value_upper={name: self.end({**best, name: value}) for name, value in upper.items()},
            bounds=self.bounds,
            optimizer=with_values(self.optimizer, best, self.steps),
            steps=self.steps,
            error=self.stated_error(best),
        )

    def stated_error(self, point: Point) -> float | None:
        found = self.run({name: np.array([value]) for name, value in point.items()})
        name = f"{self.observable}_error"
        return float(found[name].item()) if name in found else None

    def grid_minimum(self) -> FloatArray:
        """The lowest point of grids that close in on it, in logarithms; one that lies on a grid's edge is moved to."""
        box = {name: (np.log(low), np.log(high)) for name, (low, high) in self.bounds.items()}
        for _ in range(ROUNDS):
            axes = {name: np.linspace(low, high, POINTS) for name, (low, high) in box.items()}
            mesh = np.meshgrid(*axes.values(), indexing="ij")
            found = self.ends({name: np.exp(logs.ravel()) for name, logs in zip(axes, mesh, strict=True)})
            if not np.isfinite(found).any():
                raise ValueError(f"no point within {dict(self.bounds)} converges{self.why()}")
            place = dict(zip(box, np.unravel_index(np.argmin(found), mesh[0].shape), strict=True))
            width = {
                name: (4 if 0 < place[name] < POINTS - 1 else POINTS - 1) * (a[1] - a[0]) for name, a in axes.items()
            }
            box = {name: clipped(axes[name][place[name]], width[name], self.bounds[name]) for name in box}
        return np.array([axes[name][place[name]] for name in box])

    def why(self) -> str:
        """What is said of a point in the middle, where that is refused."""
        try:
            self.predicted({name: np.sqrt([low * high]) for name, (low, high) in self.bounds.items()})
        except ValueError as error:
            return f"; in the middle: {error}"
        return ""

    def end(self, point: Point) -> float:
        return float(self.ends({name: np.array([value]) for name, value in point.items()})[0])

    def ends(self, points: Points) -> FloatArray:
        """The observable at each of the points, infinite where the run diverges or there is no stationary state."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # A point that diverges is not the best, which is all that is asked of it.
            warnings.simplefilter("ignore", UnstableWarning)
            found = self.settled(points) if self.steps is None else self.predicted(points)
        return np.where(np.isfinite(found), found, np.inf)

    def predicted(self, points: Points) -> FloatArray:
        found: FloatArray = self.run(points)[self.observable].values.reshape(-1)
        return found

    def run(self, points: Points) -> xr.Dataset:
        """The end of the run, or the stationary state, at each of the points (the dim `point`)."""
        axes = {name: xr.DataArray(values, dims=("point",)) for name, values in points.items()}
        run: dict[str, Any] = (
            {} if self.steps is None else {"steps": self.steps, "schedule": self.schedule, "record": [self.steps]}
        )
        swept = with_values(self.optimizer, axes, self.steps)
        return predict(self.problem, swept, **run, observables=self.observable)

    def settled(self, points: Points) -> FloatArray:
        """The stationary observable; where one point has no stationary state, those beside it are asked without it."""
        try:
            return self.predicted(points)
        except ValueError:
            # Unstable there, or nothing pulls the weight back.
            count = len(next(iter(points.values())))
            if count == 1:
                return np.array([np.inf])
        halves = ({name: values[part] for name, values in points.items()} for part in halved(count))
        return np.concatenate([self.settled(half) for half in halves])


def halved(count: int) -> tuple[slice, slice]:
    return slice(0, count // 2), slice(count // 2, count)


def clipped(middle: float, width: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """An interval of this width around `middle`, moved and cut so that it lies within the bounds, in logarithms."""
    first, last = np.log(bounds[0]), np.log(bounds[1])
    low = min(max(middle - width / 2, first), max(first, last - width))
    return low, min(low + width, last)


def checked_bounds(
    problem: Problem,
    optimizer: Optimizer,
    over: Sequence[str] | Mapping[str, tuple[float, float]],
    steps: int | None,
) -> dict[str, tuple[float, float]]:
    names = names_in(over)
    for record in (problem, optimizer):
        for name, value in record.field_values().items():
            if isinstance(value, xr.DataArray) and set(value.dims) - set(VALUE_DIMS):
                raise ValueError(f"{type(record).__name__}.{name} is a sweep axis; give one value to search beside")
    known = [name for name in BOUNDS if name == "timescale" or name in optimizer.field_values()] + [SHARE]
    for name in names:
        check_choice("over", name, known)
    check_timescales(optimizer, names, steps)
    shortest, longest = BOUNDS["timescale"]
    default = {**BOUNDS, **({SHARE: (shortest / steps, longest / steps)} if steps is not None else {})}
    given = over if isinstance(over, Mapping) else default
    return {name: ends_of(name, given[name]) for name in names}


def names_in(over: Any) -> list[str]:
    """The hyperparameters to search, one or two different ones."""
    if not isinstance(over, Iterable):
        raise TypeError(
            f"over must be one or two names such as 'lr', or a mapping of them to (low, high), got {over!r}"
        )
    names = [over] if isinstance(over, str) else list(over)
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise ValueError(f"over must be one or two different hyperparameters, got {names}")
    return names


def ends_of(name: str, bounds: Any) -> tuple[float, float]:
    """The bounds of a search, checked."""
    pair = tuple(bounds) if isinstance(bounds, Iterable) else ()
    if len(pair) != 2:
        raise TypeError(f"bounds of {name} must be a pair (low, high), got {bounds!r}")
    low, high = (check_number(f"bounds of {name}", each, FINITE) for each in pair)
    if not 0 < low < high:
        raise ValueError(f"bounds of {name} must be 0 < low < high, got {(low, high)}")
    return low, high


def check_timescales(optimizer: Optimizer, names: Sequence[str], steps: int | None) -> None:
    """Raise `ValueError` where a timescale cannot be searched, saying why."""
    if len(setting := [name for name in names if name in DECAYS]) > 1:
        raise ValueError(f"{' and '.join(setting)} both set the decay; search one of them")
    if not setting or setting == ["weight_decay"]:
        return
    if setting == [SHARE] and steps is None:
        raise ValueError(f"{SHARE} is of a run: give steps=, or search timescale, which is in steps")
    if not has_timescale(optimizer_with(optimizer, {"momentum": 0.5} if "momentum" in names else {})):
        kind = type(optimizer).__name__
        why, other = f"{kind} takes from its weights no share that λ sets", "AdamW"
        if isinstance(optimizer, SGD):
            why, other = "with momentum and L2 λ passes through the buffer", "decay='per_lr'"
        raise ValueError(f"{kind} has no λ = 1/(ητ) for a timescale τ: {why}; search weight_decay, or take {other}")
