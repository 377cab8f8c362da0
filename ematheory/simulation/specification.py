"""What a simulation is asked to do, checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..optimizers import Optimizer
from ..problems import Problem, chosen_observables
from ..recording import Every, check_steps, recorded_steps
from ..records import Grid, check_choice, check_kind, grid
from ..results import attributes
from ..schedules import Schedule, multipliers
from ..typing import FloatArray
from .normal import MAXIMUM_COLUMNS, MAXIMUM_POINTS, MAXIMUM_REPLICAS, MAXIMUM_STEPS
from .observables import PER_COORDINATE, SCALARS
from .philox import check_seed

DTYPES = ("float64", "float32")
RANDOM_NUMBERS = ("common", "independent")

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
) -> Specification:
    """The checked request. Raises `TypeError` and `ValueError` as `simulate` documents."""
    check_kind("problem", problem, Problem, "NoisyQuadratic(curvature=...)")
    check_kind("optimizer", optimizer, Optimizer, "AdamW(lr=...)")
    check_choice("dtype", dtype, DTYPES)
    check_choice("random_numbers", random_numbers, RANDOM_NUMBERS)
    steps = check_steps(steps)
    check_limit("steps", steps)
    over = grid(optimizer, problem)
    check_limit("points", over.points)
    check_limit("normals per step", max(problem.normals_per_step, problem.coordinates))
    return Specification(
        problem=problem,
        optimizer=optimizer,
        steps=steps,
        schedule=check_schedule("schedule", schedule, steps),
        decay_schedule=check_schedule("decay_schedule", decay_schedule, steps),
        record=recorded_steps(record, steps),
        observables=check_observables(observables, problem),
        replicas=check_replicas(replicas),
        seed=check_seed(seed),
        dtype=dtype,
        random_numbers=random_numbers,
        grid=over,
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


def check_observables(observables: str | Sequence[str] | None, problem: Problem) -> tuple[str, ...]:
    """The observables asked for. Raises `ValueError` for one that a user's problem lists and nothing here measures."""
    names = chosen_observables(problem, observables)
    for name in names:
        if name not in (*SCALARS, *PER_COORDINATE):
            known = ", ".join(map(repr, (*SCALARS, *PER_COORDINATE)))
            raise ValueError(
                f"{type(problem).__name__} lists the observable {name!r}, but simulate measures only {known}"
            )
    return names


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
