"""The verb `simulate`: specification → backend → moments over replicas → Dataset."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from ..optimizers import Optimizer
from ..prediction.stability import warn_if_unstable
from ..problems import Problem
from ..recording import Every
from ..results import attributes, run_attribute
from ..schedules import Schedule
from ..typing import FloatArray
from .backends import Backend, choose, is_separable
from .checkpoint import Checkpoint
from .interruption import INTERRUPTED, dataset_so_far, shares_of
from .journal import Journal
from .memory import check_fits, estimate
from .progress import Progress
from .runs import cut_of, run
from .specification import Specification, specify
from .statistics import dataset


def simulate(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int,
    schedule: Schedule | Sequence[float] | FloatArray | None = None,
    decay_schedule: Schedule | Sequence[float] | FloatArray | None = None,
    record: Every | Sequence[int] | None = None,
    observables: str | Sequence[str] | None = None,
    quantiles: Sequence[float] | None = None,
    lags: Sequence[int] | None = None,
    first_passage: Mapping[str, float] | None = None,
    trajectories: Sequence[int] | None = None,
    histogram: Mapping[str, Sequence[float] | FloatArray] | None = None,
    groups: int | Sequence[int] | None = None,
    iterate_average: float | Sequence[float] | None = None,
    tail_average: float | Sequence[float] | None = None,
    clip_norm: Any = None,
    clip_each: str = "replica",
    weights: str | None = None,
    rounding: str = "nearest",
    replicas: int | range = 64,
    seed: int = 0,
    dtype: str = "float64",
    random_numbers: str = "common",
    backend: str = "auto",
    isa: str = "auto",
    threads: int | None = None,
    memory_limit: float | None = None,
    progress: bool | Callable[[int, int], Any] | None = None,
    partial: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
) -> xr.Dataset:
    """Run an optimizer on a problem, many replicas at once, and return statistics over the replicas.

    Parameters
    ----------
    problem, optimizer : records; their sweep axes span the grid, the optimizer's first.
    steps : T ≥ 1, the updates of a run.
    schedule, decay_schedule : multiply lr and weight_decay: a schedule, T multipliers, or None (1).
    record : the recorded step counts: a list, `every(n)`, or None for the start and the end. Step 0 is the start.
    observables : names among the problem's; default its first. On every problem also

        `update_norm`, `update_ratio` : ‖w_t − w_{t−1}‖ of the step that led to the record, and that over ‖w_{t−1}‖;
        `effective_learning_rate`, `effective_learning_rate_exact` : η_t/‖w_{t−1}‖² of SGD and η_t/‖w_{t−1}‖ of the Adam
        family and of sign updates; the exact form is that over 1 − α_t, α_t the decay per step;
        `weight_second_moment` : E w² per coordinate;
        `first_moment_mean_square`, `second_moment_mean` : E (1/d) Σ m_i² and E (1/d) Σ v_i of the optimizer's arrays as
        they are held, without bias correction (each record ends a call of the engine, so record sparsely);
        `coordinate_first_moment`, `coordinate_second_moment`, and each with `_square` : E m_i, E v_i, E m_i², E v_i² of
        every coordinate, of the same arrays;
        `diverged` : the share of replicas of which a weight is infinite or NaN.
    quantiles : probabilities p in [0, 1]: `<name>_quantiles` of each observable with one number per replica, along
        `probability`: the least value that at least a share p of the replicas does not exceed, NaN ranking above ∞.
        Takes memory for every replica's value at every record.
    lags : whole numbers of steps ℓ: `autocovariance` along `lag`, the mean over coordinates and replicas of
        (w_t − E w_t)(w_{t−ℓ} − E w_{t−ℓ}) at each record t, NaN where t < ℓ. The mean E w is taken over each leaf of 64
        replicas, which leaves the estimate unbiased; `autocovariance_error_covariance` is between the errors of two
        lags. See `autocorrelation_timescale`.
    first_passage : targets by observable, such as {"risk": 0.1}: the first recorded step at which a replica is at or
        below the target; record densely, for no step in between is seen. `<name>_first_passage` is its mean over the
        replicas that got there by the last record, `…_missed` the share that did not, and `…_quantiles` (those asked
        for, or the quartiles) are over all replicas, infinite where they fall on one that did not.
    trajectories : replica numbers, whose weights at the records are `trajectory` along (`replica`, `step`,
        `coordinate`).
    histogram : edges of bins by observable with one number per replica, or of `weight` (every coordinate), such as
        {"weight_norm": np.linspace(0, 2, 21)}: `<name>_histogram` counts along `<name>_bin`, whose coordinate is the
        lower edge and `<name>_bin_upper` the upper one, how many numbers lie in each bin. A bin holds its lower edge,
        and the last its upper one too. `…_histogram_outside` counts along `outside` those below, above (infinities are
        there) and NaN.
    groups : the size of the vectors, such as layers or neurons, that consecutive coordinates make up: one that divides
        d, or a list that adds up to it. Observables with one number per replica are then of each group, along `group`,
        and so are autocovariances and a histogram of the weights; `risk` and `diverged` stay totals. What sums over a
        vector in a step, the gradient of ScaleInvariant (whose prediction is that of a group's size) and of
        RayleighQuotient, AdamP and Amos, sums over each group.
    iterate_average : γ in [0, 1), per step: the observables are of w̃ ← γw̃ + (1 − γ)w, started at w_0, in the weights'
        place, as `predict` has them; a sequence gives the dim `iterate_average`, at no more cost than one run's.
    tail_average : s in (0, 1]: they are of the uniform mean of the weights from step ⌈(1 − s)T⌉ on, which is the weight
        itself until then; a sequence gives the dim `tail_average`. Averages are kept in the state's dtype.
    clip_norm : c > 0, per step: the gradient g of each replica becomes g·min(1, c/(‖g‖ + 1e-6)), as
        `torch.nn.utils.clip_grad_norm_` does it, with the norm and the factor in float64; may be a sweep axis.
    clip_each : of what ‖g‖ is: ``"replica"``, its whole gradient, or ``"group"``, each of the `groups` by itself.
    weights : ``"bfloat16"`` rounds the weights (at the start, to the nearest, and after every step) to what bfloat16
        holds; all else, the optimizer's other arrays too, stays float32, which `dtype` must be.
    rounding : of such weights, after a step: ``"nearest"``, ties to even, or ``"stochastic"``, whose mean is the number
        that is rounded.
    replicas : n for range(n), or range(a, b): absolute numbers, each with the same trajectory in any range.
    seed : the noise's key, in 0…2^64 − 1.
    dtype : ``"float64"`` or ``"float32"``, of the state; statistics are float64.
    random_numbers : ``"common"`` gives every point of the grid the same noise, ``"independent"`` its own.
    backend : ``"auto"``, ``"cpu"`` (native), ``"cuda"`` (a GPU), ``"reference"`` (NumPy). Auto takes a
        GPU where there is one and the request has 2³² particle-steps or more.
    isa, threads : one of `isas()`; a number, by default all of this process's CPUs. Neither they nor the backend
        change a bit of the result.
    memory_limit : bytes; by default what the machine has available. A run whose estimate is more is refused before it
        starts; the estimate is `memory_bytes` in the attribute `run`.
    progress : True for a line on a terminal's stderr (share done, particle-steps per second, time left), or a function
        of (done, total) particle-steps.
    partial : True to return, on Ctrl-C, what is recorded so far instead of raising `KeyboardInterrupt`. The Dataset has
        the attribute `interrupted` and the variable `replicas_done`, over how many replicas each point and record is
        (0: NaN). A block of points that is begun counts with those of its replicas that have run to the end; where
        none have, its replicas under way count with the records that they have reached, without first passages. With
        no record at all `KeyboardInterrupt` is raised.
    checkpoint : the path of a file, in a folder that is there, to which the run is saved at most every
        `checkpoint_every` seconds (and seldom enough to take at most 5 % of the time), and once more when it is
        interrupted. The same call with the same path goes on from there, on any backend and number of threads, to the
        same bits, also after the process was killed. A file of another request or version, or one that is damaged, is
        refused. It is removed once the run is done. A problem or optimizer of your own is known by its name and its
        fields: delete the file when you change its functions.

    Returns
    -------
    Dataset with the axes in grid order, then `step`, then `coordinate` where per coordinate or `group` where of groups.
    Each observable comes with `<name>_sem`, its standard error (NaN for one replica), and `<sample>_central_sums` along
    `order`, which `combine` needs. What is of a step is NaN at step 0. A replica that diverged stays in every mean,
    which is then infinite or NaN with a standard error of NaN, ranks last in quantiles, reaches no target, lies outside
    every bin, and counts in `diverged`; it changes no bit of another replica. Memory is that of the result plus a block
    of about 100 MB (400 MB for a GPU), or of one point's 64 replicas if that is more.

    Raises
    ------
    ValueError : a value outside its range, an unknown word (the known ones are listed), a backend that cannot run this,
        a run that would not fit into memory, a checkpoint that is not this run's.
    KeyboardInterrupt : on Ctrl-C, within half a second (and the time that a checkpoint takes to write).
    TypeError : what is not a number, record or range where one is needed.

    Warns UnstableWarning, with the bound, where the weights grow without bound at the peak rate.

    Source: DESIGN.md §3, the Arithmetic, Reductions, Noise and Result contracts.

    Example
    -------
    >>> import ematheory as em
    >>> problem = em.NoisyQuadratic(curvature=[1.0, 0.5])
    >>> result = em.simulate(problem, em.SGD(lr=[0.1, 0.2]), steps=10, backend="reference")
    >>> dict(result.risk.sizes)
    {'lr': 2, 'step': 2}
    """
    specification = specify(
        problem, optimizer, steps=steps, schedule=schedule, decay_schedule=decay_schedule, record=record,
        observables=observables, replicas=replicas, seed=seed, dtype=dtype, random_numbers=random_numbers,
        quantiles=quantiles, lags=lags, first_passage=first_passage, trajectories=trajectories, histogram=histogram,
        groups=groups, clip_norm=clip_norm, clip_each=clip_each, iterate_average=iterate_average,
        tail_average=tail_average, weights=weights, rounding=rounding,
    )  # fmt: skip
    engine = choose(
        backend, isa, threads, problem, optimizer, work_of(specification), groups=specification.groups,
        options=specification.step_options,
    )  # fmt: skip
    kept = None if checkpoint is None else Checkpoint(checkpoint, checkpoint_every, specification)
    journal = (kept and kept.read()) or Journal(cut_of(specification, engine))
    journal.keeper = kept
    memory = check_fits(estimate(specification, engine, journal.layout, kept is not None), memory_limit)
    if is_separable(problem, optimizer):
        # The bound is that of an affine gradient, which a user's own need not have.
        warn_if_unstable(problem, optimizer)
    started = time.monotonic()
    result = carried_out(specification, engine, journal, progress, partial)
    if kept is not None and INTERRUPTED not in result.attrs:
        kept.remove()
    ran = run_attribute(
        backend=engine.name, isa=engine.isa, threads=engine.threads, seconds=time.monotonic() - started,
        memory_bytes=memory,
    )  # fmt: skip
    return result.assign_attrs({**specification.attributes, **ran})


def carried_out(
    specification: Specification,
    engine: Backend,
    journal: Journal,
    progress: bool | Callable[[int, int], Any] | None,
    partial: bool,
) -> xr.Dataset:
    """The run from where its journal is to the end, or to an interrupt where what is found by then is wanted."""
    updates = journal.updates(specification.replicas, int(specification.record[-1]))
    try:
        done = updates * specification.problem.coordinates
        with Progress(progress, work_of(specification), done) as reported:
            return dataset(specification, run(specification, engine, reported, journal))
    except BaseException as stopped:
        if journal.keeper is not None:
            journal.keeper.write(journal)
        shares = shares_of(specification, journal) if partial and isinstance(stopped, KeyboardInterrupt) else []
        if not shares:
            raise
        return dataset_so_far(specification, shares).assign_attrs(attributes(**{INTERRUPTED: True}))


def work_of(specification: Specification) -> int:
    """The particle-steps of the whole request."""
    cells = specification.grid.points * len(specification.replicas) * specification.problem.coordinates
    return cells * int(specification.record[-1])
