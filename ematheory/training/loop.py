"""train(): a task under real torch.optim, over sweep axes and seeds, into the Dataset that every verb returns."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..optimizers import Optimizer
from ..recording import Every, every, recorded_steps
from ..records import Grid, check_choice, grid
from ..results import attributes, run_attribute
from .determinism import DTYPES, deterministic
from .optimizers import at_points, check_supported, plan
from .run import Run, check_epochs, steps_per_epoch
from .tasks import Task

OBSERVABLES = (
    "train_loss", "test_loss", "test_accuracy", "weight_norm", "rotation", "update_cosine", "initial_weight_left",
)  # fmt: skip


def train(
    task: Task,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int = 64,
    schedule: Any = None,
    decay_schedule: Any = None,
    seeds: Sequence[int] = (0,),
    dtype: str = "float64",
    record: Every | Sequence[int] | None = None,
    parameters: bool = False,
    foreach: bool | None = None,
    progress: bool | Callable[[int, int], Any] | None = None,
) -> xr.Dataset:
    """Train `task` with the real torch.optim optimizer that the record describes.

    Parameters
    ----------
    task : from `ematheory.tasks`.
    optimizer : `AdamW` (per-LR, independent or corrected decay), `Adam` or `SGD` (L2); its sweep axes become dims.
    epochs : passes over the training images, each in a new order; the last partial batch of each is dropped.
    batch_size : images per step.
    schedule, decay_schedule : multiply lr and weight_decay; update k uses s((k−1)/T). Arrays of T numbers will do.
    seeds : each draws its starting weights and its batches; the dim `seed`.
    dtype : "float64" or "float32", of weights, gradients and torch's state.
    record : step counts, or `every(n)`; by default once an epoch.
    parameters : also record each parameter's norm, as `parameter_norm` with a dim `parameter`.
    foreach : torch's choice of implementation (None: torch's default).
    progress : True for a line on stderr where that is a terminal, or a function of (epochs done, epochs in all).

    Returns
    -------
    Dataset with dims (sweep axes, seed, step): `train_loss`, `test_loss` (mean cross-entropy over all training and
    test images, nats), `test_accuracy` (share), `weight_norm` (of all trained weights), `rotation` (angle between the
    weights before and after the step, radians) and `update_cosine` (between the weights before the step and u, which
    comes from torch's own state), both NaN at step 0, and `initial_weight_left` = Π(1 − α_k) (1 for L2 decay, which
    does not multiply the weight). The same call gives the same bits on one machine.

    Raises
    ------
    ValueError : a value outside its range, or decay that torch.optim does not have (cautious; SGD's per LR).
    TypeError : a task or an optimizer that is none.
    ModuleNotFoundError : without torch or scikit-learn.

    Example
    -------
    >>> from ematheory import AdamW, tasks
    >>> run = train(tasks.digits_mlp(width=8, depth=1), AdamW(lr=1e-2, weight_decay=[0.1, 1.0]), epochs=1)
    >>> dict(run.test_accuracy.sizes)
    {'weight_decay': 2, 'seed': 1, 'step': 2}
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must come from ematheory.tasks, such as tasks.digits_mlp(), got {task!r}")
    check_supported(optimizer)
    check_choice("dtype", dtype, DTYPES)
    seeds = checked_seeds(seeds)
    per_epoch = steps_per_epoch(task, batch_size)
    steps = check_epochs(epochs) * per_epoch
    recorded = recorded_steps(every(per_epoch) if record is None else record, steps)
    over = grid(optimizer)
    report = Progress(progress, over.points * len(seeds) * epochs, per_epoch)
    start = time.perf_counter()
    observed: list[Observed] = []
    with deterministic():
        for point in at_points(optimizer, over):
            schedules = plan(point, steps, schedule, decay_schedule)
            for seed in seeds:
                run = Run(
                    task, point, schedules, batch_size=batch_size, seed=seed, dtype=DTYPES[dtype], foreach=foreach
                )
                observed.append(observe(run, recorded, report))
    report.close()
    result = assembled(observed, over, seeds, recorded, parameters)
    settings = attributes(
        task=task, optimizer=optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule,
        decay_schedule=decay_schedule, dtype=dtype, foreach=foreach,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    ran = run_attribute(backend="torch.optim", torch=torch.__version__, threads=1, seconds=seconds)
    return result.assign_attrs(**settings, **ran)


class Observed(NamedTuple):
    """One run: per recorded step the observables and each parameter's norm; the parameters' names."""

    table: list[list[float]]
    norms: list[list[float]]
    names: list[str]


def assembled(observed: list[Observed], over: Grid, seeds: list[int], recorded: Any, parameters: bool) -> xr.Dataset:
    """The runs, in order of grid point then seed, as one Dataset."""
    shape = (over.points, len(seeds), len(recorded))
    values = np.array([run.table for run in observed]).reshape(*shape, len(OBSERVABLES))
    variables: dict[str, Any] = {name: (("seed", "step"), values[..., i]) for i, name in enumerate(OBSERVABLES)}
    coords: dict[str, Any] = {"seed": np.array(seeds, dtype=np.int64), "step": recorded}
    if parameters:
        norms = np.array([run.norms for run in observed]).reshape(*shape, -1)
        variables["parameter_norm"] = (("seed", "step", "parameter"), norms)
        coords["parameter"] = observed[0].names
    return over.dataset(variables, **coords)


def checked_seeds(seeds: Any) -> list[int]:
    """The seeds as a list. Raises for none, a repeated one, or what is no whole number ≥ 0."""
    values = [seeds] if isinstance(seeds, int | float | np.integer) else list(seeds)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"seeds must be different whole numbers, at least one, got {values}")
    for seed in values:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise TypeError(f"seeds must be whole numbers >= 0, got {seed!r}")
    return [int(seed) for seed in values]


def observe(run: Run, recorded: Any, report: Progress) -> Observed:
    """Advance a run to its end, observing it at the recorded steps."""
    table: list[list[float]] = []
    norms: list[list[float]] = []
    left = np.concatenate([[1.0], np.cumprod(1 - run.plan.decay_per_step)])
    wanted = set(recorded.tolist())
    for k in range(run.plan.steps + 1):
        before = run.weights() if k and k in wanted else None
        if k:
            run.step()
            report.advance(k)
        if k in wanted:
            motion = (math.nan, math.nan) if before is None else moved(before, run.weights(), run.update())
            table.append([*run.losses(), float(run.weights().norm()), *motion, float(left[k])])
            norms.append([float(parameter.detach().to(torch.float64).norm()) for parameter in run.parameters])
    return Observed(table, norms, run.names)


def moved(before: Tensor, after: Tensor, update: Tensor) -> tuple[float, float]:
    """The angle between two weight vectors, 2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖), and the cosine of the first and the update."""
    old, new = before / before.norm(), after / after.norm()
    angle = 2 * math.atan2(float((new - old).norm()), float((new + old).norm()))
    return angle, float(old @ update / update.norm())


class Progress:
    """Counts epochs over all runs; `wanted` as for `train`."""

    def __init__(self, wanted: bool | Callable[[int, int], Any] | None, total: int, per_epoch: int) -> None:
        if not (wanted is None or isinstance(wanted, bool) or callable(wanted)):
            raise TypeError(f"progress must be True, None or a function of (done, total), got {wanted!r}")
        self.total, self.per_epoch, self.done = total, per_epoch, 0
        self.call = wanted if callable(wanted) else None
        self.line = wanted is True and sys.stderr.isatty()

    def advance(self, k: int) -> None:
        """Step k of a run is done."""
        if k % self.per_epoch:
            return
        self.done += 1
        if self.call is not None:
            self.call(self.done, self.total)
        if self.line:
            print(f"\rtraining: epoch {self.done} of {self.total}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.line:
            print(file=sys.stderr)
