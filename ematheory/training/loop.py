"""train(): a task under real torch optimizers, over sweep axes and seeds, into the Dataset that every verb returns."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from ..optimizers import Optimizer
from ..prediction.stability import warn_if_decay_unstable
from ..recording import Every, every, recorded_steps
from ..records import POSITIVE, Grid, Interval, check_choice, check_number, check_whole, grid
from ..results import attributes, run_attribute
from ..schedules import multipliers
from .cache import Cache
from .determinism import TRAINED_DTYPES, check_device
from .groups import Group, checked_groups
from .observables import check_observables, dims_of
from .optimizers import at_points, check_foreach, check_supported
from .progress import Progress
from .request import Job, Observed, Request
from .run import check_epochs, steps_per_epoch
from .tasks import Task
from .tasks.task import check_not_swept
from .workers import completed

MOST_SEED = 2**63 - 1


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
    device: str = "cpu",
    record: Every | Sequence[int] | None = None,
    observables: str | Sequence[str] | None = None,
    evaluate: int | None = None,
    groups: Sequence[Group] = (),
    accumulate: int = 1,
    clip_norm: float | None = None,
    foreach: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
    workers: int = 1,
    ensemble: int = 1,
    progress: bool | Callable[[int, int], Any] | None = None,
) -> xr.Dataset:
    """Train `task` with the real torch optimizer that the record describes.

    Parameters
    ----------
    task : from `ematheory.tasks`.
    optimizer : any optimizer record; its sweep axes become dims. torch.optim's own implementation trains where torch
        has one (AdamW with per-LR, independent or corrected decay, Adam, SGD with L2, NAdam, RMSprop), else the
        record's own `update` on tensors.
    epochs : passes over the training examples, each in a new order; the last partial batch of each is dropped.
    batch_size : examples per step.
    schedule, decay_schedule : multiply lr and weight_decay; update k uses s((k−1)/T). Arrays of T numbers will do.
    seeds : each draws its starting weights and its batches; the dim `seed`.
    dtype : "float64", "float32" or "bfloat16", of weights, gradients and the optimizer's state; the loss of bfloat16
        outputs is taken in float32.
    device : torch's name of it, such as "cuda".
    record : step counts, or `every(n)`; by default once an epoch.
    observables : names of what to measure; see Returns.
    evaluate : losses and accuracies over this many examples, the first of each part; by default all.
    groups : `Group` records: parameters by name with multiples of lr and weight_decay; on top of the task's own
        multiples of lr.
    accumulate : micro-batches that a step's batch is cut into, whose gradients are summed: memory for time.
    clip_norm : the largest norm of a step's gradient, as torch's clip_grad_norm_ clips.
    foreach : torch's choice of implementation (None: torch's default), where torch.optim's own trains.
    cache : a folder in which every finished run (one point, one seed) is kept under the hash of all that can change its
        numbers: settings, data, code, torch, the kind of device. A call that finds a run there does not do it again.
    checkpoint_every : seconds after which a run under way is written there, to go on from to the same bits.
    workers : processes that share the runs out, each with one thread and its own copy of the data; same bits. A script
        needs `if __name__ == "__main__":` around the call.
    ensemble : so many runs at a time are advanced together, by a vectorised gradient (torch.func) and the record's own
        `update`: for wide sweeps of small networks. Each run's numbers are those by itself to rounding. Not in
        bfloat16, and without checkpoints within a run. The loss of a task of one's own is traced once for each shape of
        a batch: it may draw no random numbers there, and do nothing that depends on values or on earlier calls.
    progress : True for a line with the time left on stderr where that is a terminal, or a function of (epochs done,
        epochs in all).

    Returns
    -------
    Dataset with dims (sweep axes, seed, step). By default `train_loss`, `test_loss` (the task's mean loss over training
    and test examples; cross-entropy in nats), `test_accuracy` (share; where targets are classes), `weight_norm` (of all
    trained weights), `rotation` (angle between the weights before and after the step, radians) and `update_cosine`
    (between the weights before the step and u, from the state of torch's AdamW, Adam and SGD; of a record's own update
    from its step once more in float64, which is not rounded to `dtype`; of torch's NAdam and RMSprop, and in an
    ensemble, from the weights themselves, mostly rounding in bfloat16; NaN where η_k = 0 but for the first), both NaN
    at step 0, and `initial_weight_left` = Π(1 − α_k), as `track` has it: L2 under SGD leaves of a weight what SGD's own
    update does without gradients, and it is NaN where no number of the step says it: L2 under an adaptive update,
    cautious decay, AdamP, Amos, Schedule-Free.
    Others: `train_accuracy`; of the recorded step `batch_loss`, `gradient_norm` (before clipping), `update_norm`,
    `update_ratio` (the update's norm over the weights'), `effective_learning_rate` (published: η/‖w‖² of SGD, η/‖w‖;
    infinite where w was 0); `learning_rate` η_k, `decay_per_step` α_k and `timescale_steps` 1/α_k (of SGD with L2 the
    slow pole's; NaN as above), which have a dim `group` where groups differ, as `initial_weight_left` has; and with a
    dim `parameter` `parameter_norm`, `parameter_rotation`, `parameter_update_ratio`, `parameter_gradient_norm`,
    `parameter_effective_learning_rate`.
    The same call gives the same bits on one machine.

    Raises
    ------
    ValueError : a value outside its range, an unknown observable or device; a loss that no ensemble can take.
    TypeError : a task or an optimizer that is none.
    ModuleNotFoundError : without torch or scikit-learn.

    Warns
    -----
    UnstableWarning : a decay per step of 2 or more, with which weights grow without bound.

    Example
    -------
    >>> from ematheory import AdamW, tasks
    >>> run = train(tasks.digits_mlp(width=8, depth=1), AdamW(lr=1e-2, weight_decay=[0.1, 1.0]), epochs=1)
    >>> dict(run.test_accuracy.sizes)
    {'weight_decay': 2, 'seed': 1, 'step': 2}
    """
    start = time.perf_counter()
    if not isinstance(task, Task):
        raise TypeError(f"task must come from ematheory.tasks, such as tasks.digits_mlp(), got {task!r}")
    check_supported(optimizer)
    check_not_swept(
        epochs=epochs, batch_size=batch_size, dtype=dtype, device=device, evaluate=evaluate, accumulate=accumulate,
        clip_norm=clip_norm, foreach=foreach,
    )  # fmt: skip
    check_choice("dtype", dtype, TRAINED_DTYPES)
    seeds = checked_seeds(seeds)
    per_epoch = steps_per_epoch(task, batch_size)
    steps = check_epochs(epochs) * per_epoch
    recorded = recorded_steps(every(per_epoch) if record is None else record, steps)
    request = Request(
        task=task,
        per_epoch=per_epoch,
        batch_size=batch_size,
        schedule=multipliers(schedule, steps),
        decay_schedule=multipliers(decay_schedule, steps, "decay_schedule"),
        recorded=frozenset(recorded.tolist()),
        observables=check_observables(observables, task, optimizer),
        dtype=dtype,
        device=check_device(device),
        foreach=check_foreach(foreach, optimizer),
        accumulate=checked_parts(accumulate, batch_size),
        clip_norm=None if clip_norm is None else check_number("clip_norm", clip_norm, POSITIVE),
        groups=checked_groups(groups),
        evaluate=None if evaluate is None else check_whole("evaluate", evaluate, Interval(1)),
    )
    check_whole("workers", workers, Interval(1))
    check_ensemble(ensemble, dtype, foreach)
    over = checked_grid(optimizer, request.observables)
    warn_if_decay_unstable(optimizer, type(task).__name__)
    jobs = [Job(point, seed) for point in at_points(optimizer, over) for seed in seeds]
    report = Progress(progress, len(jobs) * epochs)
    keeper = None if cache is None else Cache(cache, checkpoint_every, request)
    try:
        observed = completed(request, jobs, report, keeper, workers=workers, ensemble=ensemble)
    finally:
        report.close()
    result = assembled(observed, over, seeds, recorded)
    settings = attributes(
        task=task, optimizer=optimizer, epochs=epochs, batch_size=batch_size, schedule=schedule,
        decay_schedule=decay_schedule, dtype=dtype, device=None if request.device == "cpu" else request.device,
        foreach=foreach, evaluate=evaluate, groups=list(request.groups) or None,
        accumulate=accumulate if accumulate > 1 else None, clip_norm=request.clip_norm,
        ensemble=ensemble if ensemble > 1 else None,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    ran = run_attribute(backend="torch", torch=torch.__version__, threads=1, seconds=seconds)
    return result.assign_attrs(**settings, **ran)


def checked_seeds(seeds: Any) -> list[int]:
    """The seeds as a list. Raises for none, a repeated one, or what is no whole number ≥ 0."""
    values = list(seeds) if isinstance(seeds, Iterable) else [seeds]
    for seed in values:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise TypeError(f"seeds must be whole numbers >= 0, got {seed!r}")
        if seed > MOST_SEED:
            raise ValueError(f"seeds must be at most {MOST_SEED}, which the dim's int64 holds, got {seed}")
    if not values or len(set(values)) < len(values):
        raise ValueError(f"seeds must be different whole numbers, at least one, got {values}")
    return [int(seed) for seed in values]


def checked_parts(accumulate: Any, batch_size: int) -> int:
    """The micro-batches of a step. Raises `ValueError` where the batch cannot be cut into so many equal ones."""
    parts = check_whole("accumulate", accumulate, Interval(1))
    if batch_size % parts:
        raise ValueError(f"accumulate={parts} must divide batch_size={batch_size}, so that micro-batches count alike")
    return parts


def check_ensemble(ensemble: Any, dtype: str, foreach: bool | None) -> None:
    """Raise `ValueError` for what an ensemble of runs cannot have.

    In bfloat16 β₂ = 0.999, which each member has its own of, would be rounded to 1.
    """
    if check_whole("ensemble", ensemble, Interval(1)) == 1:
        return
    if dtype == "bfloat16":
        raise ValueError(
            "ensemble > 1 has each member's coefficients in the weights' dtype: use float32, or ensemble=1"
        )
    if foreach is not None:
        raise ValueError(
            f"foreach={foreach} chooses among torch.optim's implementations, and ensemble={ensemble} trains by the "
            "record's own update of all members; leave foreach out, or use ensemble=1"
        )


def checked_grid(optimizer: Optimizer, observables: Sequence[str]) -> Grid:
    """The grid of the sweep axes. Raises `ValueError` for an axis with a name that the result needs."""
    over = grid(optimizer)
    for dim in over.dims:
        if dim in (*observables, "parameter", "group"):
            raise ValueError(f"a sweep axis cannot be called {dim!r}, as a part of the result is; give it another dim")
    return over


def assembled(observed: list[Observed], over: Grid, seeds: list[int], recorded: Any) -> xr.Dataset:
    """The runs, in order of grid point then seed, as one Dataset."""
    first = observed[0]
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {"seed": np.array(seeds, dtype=np.int64), "step": recorded}
    for name, values in first.values.items():
        stacked = np.array([run.values[name] for run in observed])
        own = dims_of(name, len(first.groups))
        variables[name] = (("seed", "step", *own), stacked.reshape(over.points, len(seeds), *values.shape))
        coords.update({dim: first.parameters if dim == "parameter" else first.groups for dim in own})
    return over.dataset(variables, **coords)
