"""What a simulation is asked to do, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..optimizers import SGD, Adam, AdamP, AdamW, AdEMAMix, Lion, NAdam, Optimizer, RMSprop, SignSGD
from ..optimizers.optimizer import SymbolicTime
from ..problems import MEASURED, Problem, chosen_observables
from ..recording import Every, check_steps, recorded_steps
from ..records import FINITE, Grid, as_field, check_choice, check_kind, grid
from ..results import attributes
from ..schedules import Schedule, multipliers
from ..typing import FloatArray
from .averaging import EXPONENTIAL, TAIL, Averages
from .groups import Groups, check_groups, shortest
from .histograms import Edges, check_edges
from .normal import MAXIMUM_COLUMNS, MAXIMUM_POINTS, MAXIMUM_REPLICAS, MAXIMUM_STEPS
from .observables import BUFFERS, EFFECTIVE, PAIRED, PER_COORDINATE, SCALARS, WEIGHT, samples_of
from .options import StepOptions, check_options
from .philox import check_seed

DTYPES = ("float64", "float32")
RANDOM_NUMBERS = ("common", "independent")

# Optimizers whose updates do not fall with the norm of scale-invariant weights: SGD's gradients do.
UNIT_UPDATES = (AdamW, Adam, AdEMAMix, NAdam, RMSprop, AdamP, Lion, SignSGD)
# Dims of results that no sweep axis may have for its own.
RESULT_DIMS = (
    "step", "order", "lag", "lag_again", "probability", "replica", "group", "outside", EXPONENTIAL, TAIL,
)  # fmt: skip

# What the Noise contract's counter has numbers for.
LIMITS = {
    "steps": MAXIMUM_STEPS,
    "normals per step": MAXIMUM_COLUMNS,
    "replicas": MAXIMUM_REPLICAS,
    "points": MAXIMUM_POINTS,
}


@dataclass(frozen=True)
class Specification:
    """A checked request: all that can change the answer, and the numbers it stands for."""

    problem: Problem
    optimizer: Optimizer
    steps: int
    schedule: Schedule | FloatArray | None
    decay_schedule: Schedule | FloatArray | None
    record: np.ndarray[Any, np.dtype[np.int64]]
    observables: tuple[str, ...]
    replicas: range
    seed: int
    dtype: str
    random_numbers: str
    grid: Grid
    lags: tuple[int, ...]
    quantiles: tuple[float, ...]
    trajectories: tuple[int, ...]
    first_passage: Mapping[str, float]
    groups: Groups = ()
    histogram: Edges = field(default_factory=dict)
    options: StepOptions = StepOptions()

    @property
    def averages(self) -> Averages:
        return self.options.averages

    @property
    def result_grid(self) -> Grid:
        """The grid of what is measured: with the averages as its last axis, where there are several."""
        if not self.averages.swept:
            return self.grid
        return Grid({**self.grid.coords, self.averages.name: np.array(self.averages.values)})

    @property
    def per_point(self) -> int:
        """How many averages are measured of each point, or the weights alone."""
        return max(1, len(self.averages.values))

    @property
    def drifts(self) -> bool:
        """Whether the optimum moves anywhere on the grid."""
        return bool(np.any(np.asarray(self.problem.drift)))

    @property
    def copies(self) -> int:
        """How many arrays are copied of each point at a record."""
        return self.per_point + self.drifts

    @property
    def step_options(self) -> tuple[str, ...]:
        """What is asked for of a step besides, which the compiled engines do to whole vectors."""
        return (*self.options.names, *(["drift"] if self.drifts else []))

    @property
    def measured(self) -> tuple[str, ...]:
        """The samples that are measured at the records, of observables, first passages and histograms."""
        counted = (name for name in self.histogram if name != WEIGHT)
        return tuple(dict.fromkeys((*samples_of(self.observables), *self.first_passage, *counted)))

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything that can change the answer, as the Dataset carries it."""
        return attributes(
            problem=self.problem,
            optimizer=self.optimizer,
            steps=self.steps,
            schedule=self.schedule,
            decay_schedule=self.decay_schedule,
            seed=self.seed,
            dtype=self.dtype,
            random_numbers=self.random_numbers,
            replicas_start=self.replicas.start,
            replicas_stop=self.replicas.stop,
            first_passage=dict(self.first_passage) or None,
            groups=shortest(self.groups) if self.groups else None,
            histogram=dict(self.histogram) or None,
            **self.options.attributes,
        )


def specify(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int,
    schedule: Schedule | Sequence[float] | FloatArray | None,
    decay_schedule: Schedule | Sequence[float] | FloatArray | None,
    record: Every | Sequence[int] | None,
    observables: str | Sequence[str] | None,
    replicas: int | range,
    seed: int,
    dtype: str,
    random_numbers: str,
    lags: Sequence[int] | None = None,
    quantiles: Sequence[float] | None = None,
    trajectories: Sequence[int] | None = None,
    first_passage: Mapping[str, float] | None = None,
    groups: int | Sequence[int] | None = None,
    histogram: Mapping[str, Sequence[float] | FloatArray] | None = None,
    clip_norm: Any = None,
    clip_each: str = "replica",
    iterate_average: float | Sequence[float] | None = None,
    tail_average: float | Sequence[float] | None = None,
    weights: str | None = None,
    rounding: str = "nearest",
) -> Specification:
    """The checked request. Raises `TypeError` and `ValueError` as `simulate` documents."""
    check_kind("problem", problem, Problem, "NoisyQuadratic(curvature=...)")
    check_kind("optimizer", optimizer, Optimizer, "AdamW(lr=...)")
    check_choice("dtype", dtype, DTYPES)
    check_choice("random_numbers", random_numbers, RANDOM_NUMBERS)
    steps = check_steps(steps)
    check_limit("steps", steps)
    vectors = check_groups(groups, problem.coordinates)
    problem.check_start(vectors)
    options = check_options(
        clip_norm, clip_each, vectors, iterate_average, tail_average, weights, rounding, dtype
    )  # fmt: skip
    over = grid(optimizer, problem, options)
    check_axes(over)
    names, numbers = check_observables(observables, problem, optimizer), check_replicas(replicas)
    targets = check_first_passage(first_passage, problem, optimizer)
    bins = check_histogram(histogram, problem, optimizer)
    check_averaged((*names, *targets, *bins), options)
    check_limit("points", over.points)
    check_limit("normals per step", max(problem.normals_per_step, problem.coordinates))
    return Specification(
        problem=problem,
        optimizer=optimizer,
        steps=steps,
        schedule=check_schedule("schedule", schedule, steps),
        decay_schedule=check_schedule("decay_schedule", decay_schedule, steps),
        record=recorded_steps(record, steps),
        observables=names,
        replicas=numbers,
        seed=check_seed(seed),
        dtype=dtype,
        random_numbers=random_numbers,
        grid=over,
        lags=check_lags(lags, steps),
        quantiles=check_quantiles(quantiles, names),
        trajectories=check_trajectories(trajectories, numbers),
        first_passage=targets,
        groups=vectors,
        histogram=bins,
        options=options,
    )


def check_schedule(
    name: str, schedule: Schedule | Sequence[float] | FloatArray | None, steps: int
) -> Schedule | FloatArray | None:
    """A schedule that fits the run's length, an array of its multipliers, or None. Raises as `multipliers` does."""
    if isinstance(schedule, Schedule):
        schedule.over(steps)
        return schedule
    return None if schedule is None else multipliers(schedule, steps, name)


def check_limit(name: str, value: int) -> None:
    if value > LIMITS[name]:
        raise ValueError(
            f"{name} must be at most {LIMITS[name]} (2^{LIMITS[name].bit_length() - 1}), got {value}: "
            "the noise's counter has no more numbers"
        )


def check_axes(over: Grid) -> None:
    """Raise `ValueError` for a sweep axis with the name of something measured."""
    for dim in over.dims:
        if dim in (*MEASURED, *RESULT_DIMS):
            raise ValueError(f"a sweep axis cannot be called {dim!r}, as a part of the result is; give it another name")


def check_observables(
    observables: str | Sequence[str] | None, problem: Problem, optimizer: Optimizer
) -> tuple[str, ...]:
    """The observables asked for.

    Raises `ValueError` for one that a user's problem lists and nothing here measures, or that the optimizer lacks.
    """
    names = chosen_observables(problem, observables, measured=True)
    check_measured(names, optimizer)
    for name in names:
        if name not in (*SCALARS, *PER_COORDINATE):
            known = ", ".join(map(repr, (*SCALARS, *PER_COORDINATE)))
            raise ValueError(
                f"{type(problem).__name__} lists the observable {name!r}, but simulate measures only {known}"
            )
    return names


def check_measured(names: Sequence[str], optimizer: Optimizer) -> None:
    """Raise `ValueError` where the optimizer has no such array, effective rate or decay per step."""
    kind = type(optimizer).__name__
    for name in names:
        held = optimizer.State._fields
        if name in BUFFERS and BUFFERS[name] not in held:
            raise ValueError(f"{name} needs an optimizer that holds a {BUFFERS[name]}; {kind} holds {', '.join(held)}")
        if name in EFFECTIVE and not matched_rate_of(optimizer):
            raise ValueError(
                f"{name} of {kind} is not known: it is that of SGD and of updates whose size does not fall with the "
                f"norm ({', '.join(each.__name__ for each in UNIT_UPDATES)})"
            )
        some = optimizer.decays_where_aligned
        if name == "effective_learning_rate_exact" and (some or not decays_weights(optimizer)):
            why = "decays only some coordinates" if some else "has no decay apart from the gradient"
            raise ValueError(
                f"{name} needs an optimizer that multiplies every weight by 1 − α each step, but this {kind} {why}; "
                "use decay='per_lr' where it has one, or effective_learning_rate"
            )
        if name == "effective_learning_rate_exact" and optimizer.decays_after_step:
            raise ValueError(
                f"{name} divides by 1 − α for decay of the old weight, but this {kind} decays after the step, which "
                "turns no weight: effective_learning_rate is exact for it"
            )


def check_averaged(names: Sequence[str], options: StepOptions) -> None:
    """Raise `ValueError` for an observable of the optimizer's steps or arrays where averages are measured."""
    kind = options.averages.name
    for name in names:
        if kind and name in (*PAIRED, *BUFFERS):
            raise ValueError(f"{name} is of the optimizer's own steps: leave out {kind}")


def matched_rate_of(optimizer: Optimizer) -> str:
    """The result of the derivation `effective-learning-rate` that is this optimizer's; empty where none is."""
    if isinstance(optimizer, SGD):
        return "matched_lr"
    return "matched_lr_of_signs" if isinstance(optimizer, UNIT_UPDATES) else ""


def decays_weights(optimizer: Optimizer) -> bool:
    """Whether a step multiplies the old weight by 1 − α at all, whatever λ."""
    share = optimizer.decay_per_step(SymbolicTime(step=1.0, lr=1.0, weight_decay=1.0, multiplier=1.0))
    return bool(np.any(np.asarray(share)))


def check_list(name: str, given: Any, kind: str, is_one: Callable[[Any], bool]) -> tuple[Any, ...]:
    """A list's values, increasing and each once. Raises `TypeError` for what is not a list of such numbers."""
    if given is None:
        return ()
    values = np.asarray(given)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf" or not all(map(is_one, values.tolist())):
        raise ValueError(f"{name} must be a list of {kind}, got {given!r}")
    return tuple(sorted(set(values.tolist())))


def is_whole(value: Any) -> bool:
    return isinstance(value, int)


def check_lags(lags: Sequence[int] | None, steps: int) -> tuple[int, ...]:
    return check_list(
        "lags", lags, f"whole numbers of steps in 0…{steps}", lambda lag: is_whole(lag) and 0 <= lag <= steps
    )


def check_quantiles(quantiles: Sequence[float] | None, names: tuple[str, ...]) -> tuple[float, ...]:
    """The probabilities. Raises `ValueError` where no observable is one number per replica."""
    shares = check_list("quantiles", quantiles, "probabilities in [0, 1]", lambda share: 0 <= share <= 1)
    if shares and not any(name in SCALARS for name in names):
        raise ValueError(
            f"quantiles are of observables with one number per replica, such as 'weight_norm', got {names}"
        )
    return tuple(map(float, shares))


def check_trajectories(trajectories: Sequence[int] | None, replicas: range) -> tuple[int, ...]:
    return check_list(
        "trajectories", trajectories, f"replica numbers in {replicas.start}…{replicas.stop - 1}",
        lambda number: is_whole(number) and number in replicas,
    )  # fmt: skip


def check_first_passage(targets: Any, problem: Problem, optimizer: Optimizer) -> dict[str, float]:
    """The target of each observable. Raises as `check_observables` does, and for what has many numbers per replica."""
    if targets is None:
        return {}
    if not isinstance(targets, Mapping) or not targets:
        raise TypeError(f"first_passage must map observables to targets, such as {{'risk': 0.1}}, got {targets!r}")
    names = check_observables(tuple(targets), problem, optimizer)
    for name in names:
        if name not in SCALARS:
            raise ValueError(f"first_passage needs an observable with one number per replica, got {name!r}")
        if not isinstance(as_field(f"first_passage[{name!r}]", targets[name], FINITE), float):
            raise TypeError(f"first_passage[{name!r}] must be a number, got {targets[name]!r}")
    return {name: float(targets[name]) for name in names}


def check_histogram(histogram: Any, problem: Problem, optimizer: Optimizer) -> dict[str, FloatArray]:
    """The edges for each observable. Raises as `check_observables` and `check_edges` do."""
    if histogram is None:
        return {}
    if not isinstance(histogram, Mapping) or not histogram:
        raise TypeError(f"histogram must map observables to edges, such as {{'risk': [0, 1, 2]}}, got {histogram!r}")
    names = tuple(name for name in histogram if name != WEIGHT)
    for name in check_observables(names, problem, optimizer) if names else ():
        if name not in SCALARS:
            raise ValueError(f"histogram needs 'weight' or an observable with one number per replica, got {name!r}")
    return {name: check_edges(name, edges) for name, edges in histogram.items()}


def check_replicas(replicas: Any) -> range:
    """The absolute numbers of the replicas: `range(n)` for a number n. Raises `TypeError` or `ValueError`."""
    if isinstance(replicas, int | np.integer) and not isinstance(replicas, bool):
        if replicas < 1:
            raise ValueError(f"replicas must be at least 1, got {replicas}")
        replicas = range(int(replicas))
    if not isinstance(replicas, range):
        raise TypeError(f"replicas must be a whole number or a range(a, b), got {replicas!r}")
    if replicas.step != 1 or not len(replicas) or replicas.start < 0:
        raise ValueError(f"replicas must be a range of step 1 with 0 <= a < b, got {replicas!r}")
    check_limit("replicas", replicas.stop)
    return replicas
