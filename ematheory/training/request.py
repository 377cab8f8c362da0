"""What a call of train() asks for, the runs that it is made of, and how each is observed to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..typing import FloatArray
from .determinism import TRAINED_DTYPES, deterministic
from .groups import Group
from .observables import OF_GROUPS, PAIRED, WATCHED, Look, check_one_group, measured
from .optimizers import planned
from .run import Run
from .tasks import Task


@dataclass(frozen=True, eq=False)
class Request:
    """All that the runs of one call share; with a `Job` it decides every number of a run.

    `schedule` and `decay_schedule` are multipliers, shape (T,), `recorded` the step counts that are recorded.
    """

    task: Task
    per_epoch: int
    batch_size: int
    schedule: FloatArray
    decay_schedule: FloatArray
    recorded: frozenset[int]
    observables: tuple[str, ...]
    dtype: str = "float64"
    device: str = "cpu"
    foreach: bool | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    groups: tuple[Group, ...] = ()
    evaluate: int | None = None

    @property
    def steps(self) -> int:
        return len(self.schedule)

    def run(self, job: Job) -> Run:
        """The run at its start."""
        return Run(
            self.task,
            job.record,
            planned(job.record, self.schedule, self.decay_schedule),
            batch_size=self.batch_size,
            seed=job.seed,
            dtype=TRAINED_DTYPES[self.dtype],
            foreach=self.foreach,
            accumulate=self.accumulate,
            clip_norm=self.clip_norm,
            device=self.device,
            groups=self.groups,
            evaluate=self.evaluate,
        )

    @property
    def watched(self) -> tuple[bool, bool]:
        """Whether any observable needs the weights before a step, and the step to be watched."""
        return any(name in PAIRED for name in self.observables), any(name in WATCHED for name in self.observables)


class Job(NamedTuple):
    """One run: a record with plain numbers for fields, and a seed."""

    record: Any
    seed: int


class Observed(NamedTuple):
    """One run: each observable's values, shape (records,) or (records, n), and its parameters' and groups' names."""

    values: dict[str, FloatArray]
    parameters: list[str]
    groups: list[str]


class Keeper(Protocol):
    """Whoever keeps a run that is under way for later."""

    def read(self) -> dict[str, Any] | None:
        """What was kept last, None where nothing was."""

    def keep(self, run: Run, rows: dict[str, list[Any]]) -> None:
        """Called after every step, with the run and what it observed so far."""


class Tick(Protocol):
    """Told of every epoch that is done."""

    def __call__(self, epochs: int, fresh: bool = True) -> None:
        """So many more epochs, `fresh` or done in an earlier process."""


def observe(request: Request, job: Job, tick: Tick, keeper: Keeper | None = None) -> Observed:
    """Advance a run to its end, observing it at the recorded steps; `tick` is told of every epoch.

    With a keeper it goes on from what that kept, to the same bits.
    """
    with deterministic():
        run = request.run(job)
        check_one_group(request.observables, run.groups)
        rows: dict[str, list[Any]] = {name: [] for name in request.observables}
        kept = keeper.read() if keeper else None
        if kept is not None:
            run.go_to(kept["run"])
            rows = kept["rows"]
            tick(run.step_count // request.per_epoch, fresh=False)
        else:
            look_at(request, run, None, rows)
        while run.step_count < request.steps:
            advance(request, run, rows)
            if run.step_count % request.per_epoch == 0:
                tick(1)
            if keeper and run.step_count < request.steps:
                keeper.keep(run, rows)
    return observed(request, run.names, [group.label for group in run.groups], rows)


def advance(request: Request, run: Run, rows: dict[str, list[Any]]) -> None:
    """One step, observed where it is recorded."""
    recorded = run.step_count + 1 in request.recorded
    paired, watched = request.watched
    before = [parameter.detach().clone() for parameter in run.parameters] if recorded and paired else None
    run.step(watch=recorded and watched)
    if recorded:
        look_at(request, run, before, rows)


def look_at(request: Request, run: Any, before: Any, rows: dict[str, list[Any]]) -> None:
    """Add a row of every observable, where the run's step is recorded."""
    if run.step_count in request.recorded:
        for name, value in measured(request.observables, Look(run, run.step_count, before)).items():
            rows[name].append(value)


def observed(request: Request, names: Sequence[str], groups: Sequence[str], rows: dict[str, list[Any]]) -> Observed:
    """Rows as arrays; those of one group alone lose its axis."""
    values = {name: np.array(rows[name], dtype=np.float64) for name in request.observables}
    if len(groups) == 1:
        values = {name: array[:, 0] if name in OF_GROUPS else array for name, array in values.items()}
    return Observed(values, list(names), list(groups))
