"""train(): a task under real torch.optim, over sweep axes and seeds, into the Dataset that every verb returns."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..optimizers import Optimizer
from ..recording import Every, check_steps, every, recorded_steps
from ..records import check_choice, grid
from ..results import attributes, run_attribute
from ..typing import FloatArray
from .determinism import DTYPES, deterministic
from .optimizers import Plan, at_points, check_supported, plan
from .run import Run, steps_per_epoch
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
    progress: bool | None = None,
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
    progress : a line on stderr; by default only when that is a terminal.

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
    settings: dict[str, Any] = {"batch_size": batch_size, "dtype": DTYPES[dtype], "foreach": foreach}
    report = Progress(over.points * len(seeds) * epochs, per_epoch, progress)
    start = time.perf_counter()
    tables, norms, names = [], [], [""]
    with deterministic():
        for point in at_points(optimizer, over):
            schedules = plan(point, steps, schedule, decay_schedule)
            for seed in seeds:
                run = Run(task, point, schedules, seed=seed, **settings)
                table, norm = observe(run, recorded, report)
                tables.append(table)
                norms.append(norm)
                names = run.names
    report.close()
    shape = (over.points, len(seeds))
    values = np.array(tables).reshape(*shape, len(recorded), len(OBSERVABLES))
    variables: dict[str, Any] = {name: (("seed", "step"), values[..., i]) for i, name in enumerate(OBSERVABLES)}
    coords: dict[str, Any] = {"seed": np.array(seeds, dtype=np.int64), "step": recorded}
    if parameters:
        variables["parameter_norm"] = (("seed", "step", "parameter"), np.array(norms).reshape(*shape, len(recorded), -1))
        coords["parameter"] = names
    result = over.dataset(variables, **coords)
    attributed = attributes(
        task=task, optimizer=optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule,
        decay_schedule=decay_schedule, dtype=dtype, foreach=None if foreach is None else int(foreach),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return result.assign_attrs(
        **attributed, **run_attribute(backend="torch.optim", torch=torch.__version__, threads=1, seconds=seconds)
    )


def check_epochs(epochs: Any) -> int:
    try:
        return check_steps(epochs)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("steps", "epochs")) from None


def checked_seeds(seeds: Any) -> list[int]:
    """The seeds as a list. Raises `TypeError` or `ValueError` for none, a repeated one or what is no whole number ≥ 0."""
    values = [seeds] if isinstance(seeds, int) else list(seeds)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"seeds must be different whole numbers, at least one, got {values}")
    for seed in values:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise TypeError(f"seeds must be whole numbers >= 0, got {seed!r}")
    return [int(seed) for seed in values]


def observe(run: Run, recorded: Any, report: Progress) -> tuple[list[list[float]], list[list[float]]]:
    """Advance a run to its end; per recorded step the observables in their order, and each parameter's norm."""
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
    return table, norms


def moved(before: Tensor, after: Tensor, update: Tensor) -> tuple[float, float]:
    """The angle between two weight vectors, 2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖), and the cosine of the first and the update."""
    old, new = before / before.norm(), after / after.norm()
    angle = 2 * math.atan2(float((new - old).norm()), float((new + old).norm()))
    return angle, float(old @ update / update.norm())


class Progress:
    """One line on stderr that says how many epochs of all runs are done; only to a terminal unless asked for."""

    def __init__(self, epochs: int, per_epoch: int, wanted: bool | None) -> None:
        self.epochs, self.per_epoch, self.done = epochs, per_epoch, 0
        self.shown = sys.stderr.isatty() if wanted is None else wanted

    def advance(self, k: int) -> None:
        if k % self.per_epoch == 0:
            self.done += 1
            if self.shown:
                print(f"\rtraining: epoch {self.done} of {self.epochs}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.shown:
            print(file=sys.stderr)


