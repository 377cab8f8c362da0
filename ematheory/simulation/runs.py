"""The verb `simulate`: specification → backend → moments over replicas → Dataset."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ..optimizers import Optimizer
from ..prediction.stability import warn_if_unstable
from ..problems import Problem
from ..recording import Every
from ..results import attributes, run_attribute
from ..schedules import Schedule
from ..typing import FloatArray
from . import arrays
from .autocovariance import AUTOCOVARIANCE, KEPT, Lagged, kept_at_once, sources
from .backends import Backend, choose, is_separable
from .bfloat16 import nearest
from .blocks import SNAPSHOTS, Call, Layout, calls, layout, longest_call, point_blocks, replica_block
from .checkpoint import Checkpoint
from .clock import Clock, at_points, drift_of, problem_columns
from .distributions import PASSAGE, TRAJECTORY, VALUES, first_reached
from .histograms import HISTOGRAM, counted, weight_counts
from .interruption import INTERRUPTED, dataset_so_far, shares_of
from .journal import Journal, Midway, end_to_end, side_by_side
from .memory import check_fits, estimate
from .nodes import Node, Statistics, Values, joined_statistics, points_first
from .observables import (
    COORDINATES,
    EFFECTIVE,
    WEIGHT,
    Recorded,
    buffers_of,
    measure,
    needs_previous,
    replica_values,
    samples_of,
    scalar_moments,
)
from .options import StepArrays
from .progress import Progress
from .reductions import joined_tree
from .specification import Specification, matched_rate_of, specify
from .starting import initial_weights
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


def run(specification: Specification, engine: Backend, progress: Progress, journal: Journal) -> Statistics:
    """What was asked of every point, arrays (points, records, …), from where the journal is."""
    cut = journal.layout
    for points in point_blocks(specification.grid.points, cut.points, journal.points_done):
        journal.done[points] = run_points(specification, engine, points, progress, journal)
    return {name: points_first(node) for name, node in side_by_side(list(journal.done.values())).items()}


def cut_of(specification: Specification, engine: Backend) -> Layout:
    """The layout of the engine's blocks, of smaller ones where weights are kept for later records."""
    kept = kept_at_once(sources(specification.record, specification.lags))
    cells = min(engine.cells_per_block, max(1, KEPT // kept)) if kept else engine.cells_per_block
    return layout(specification.grid.points, len(specification.replicas), specification.problem.normals_per_step, cells)


def run_points(
    specification: Specification, engine: Backend, points: range, progress: Progress, journal: Journal
) -> Statistics:
    """What was asked over all replicas of a block of points, arrays (records, points, …)."""
    size, replicas = journal.layout.replicas, specification.replicas
    numbers = range(replicas.start // size, (replicas.stop - 1) // size + 1)
    block = PointBlock(specification, points)
    return joined_tree(
        numbers,
        lambda number: block.run(engine, replica_block(replicas, size, number), progress, journal),
        joined_statistics,
        journal.subtrees_of(points),
    )


class PointBlock:
    """Some points of the grid, with what they need on every block of replicas."""

    def __init__(self, specification: Specification, points: range) -> None:
        self.specification = specification
        self.points = points
        self.dtype = np.dtype(specification.dtype)
        self.options = at_points(specification.options, specification.grid, points)
        self.problem = at_points(specification.problem, specification.grid, points)
        self.optimizer = at_points(specification.optimizer, specification.grid, points)
        self.columns = problem_columns(self.problem, (len(points), specification.problem.coordinates))
        common = specification.random_numbers == "common"
        self.numbers = np.zeros(len(points), np.uint32) if common else np.asarray(points, dtype=np.uint32)
        self.drift = drift_of(self.problem, self.columns.shape[1:], self.dtype) if specification.drifts else None
        self.samples = samples_of(specification.observables)
        self.pairs = needs_previous(specification.measured)
        self.buffers = buffers_of(specification.measured)
        # The steps whose weights are copied: the records, and those that a record is compared with.
        compared = list(sources(specification.record, specification.lags))
        self.copied = np.union1d(specification.record, np.array(compared, dtype=np.int64))

    def start(self, replicas: range) -> np.ndarray[Any, Any]:
        """The state before the first update, shape (S, points, replicas, d)."""
        weight = initial_weights(
            self.problem, self.specification.seed, replicas, self.numbers, self.columns.shape[-1], self.dtype
        )
        if self.options.weights:
            weight = nearest(weight)
        averages = [weight] * len(self.specification.averages.values)
        moved = [np.zeros_like(weight)] if self.specification.drifts else []
        members = [*self.optimizer.initial(arrays, weight), *averages, *moved]
        state = np.empty((len(members), len(self.points), len(replicas), self.columns.shape[-1]), dtype=self.dtype)
        # One member at a time, spread over the replicas on the way: a large state is filled once, and Ctrl-C gets in.
        for place, member in enumerate(members):
            state[place] = member
        return state

    def beginning(self, replicas: range) -> Midway:
        return Midway(self.points, replicas, 0, self.start(replicas), [], {}, {}, {})

    def clock(self) -> Clock:
        asked = self.specification
        return Clock(
            self.optimizer, len(self.points), asked.steps, asked.schedule, asked.decay_schedule, self.dtype
        )  # fmt: skip

    def lagged(self, replicas: range) -> Lagged:
        return Lagged(
            self.specification.record, self.specification.lags, replicas.start, self.specification.groups
        )  # fmt: skip

    def run(self, engine: Backend, replicas: range, progress: Progress, journal: Journal) -> Statistics:
        """What was asked over a block of replicas at every record."""
        specification = self.specification
        here = journal.midway_of(self.points, replicas) or self.beginning(replicas)
        state, parts, arrival = here.state, list(here.found), dict(here.arrival)
        clock, lagged = self.clock(), self.lagged(replicas)
        clock.carry.update(here.powers)
        lagged.weights.update(here.lagged)
        journal.begin(self.points, replicas, parts)
        cells = state[0].size
        drawn = cells // specification.problem.coordinates * specification.problem.normals_per_step
        per_step = len(self.optimizer.Coefficients._fields) + 2 * len(specification.averages.values)
        longest = longest_call(engine.work_per_call, drawn, len(self.points), per_step)
        advance = partial(
            engine.advance,
            problem=specification.problem,
            optimizer=specification.optimizer,
            state=state,
            problem_coefficients=np.ascontiguousarray(self.columns, dtype=self.dtype),
            seed=specification.seed,
            first_replica=replicas.start,
            point_numbers=self.numbers,
            groups=specification.groups,
        )
        # The optimizer's arrays other than the weight are there at the end of a call only: one record a call then.
        most = 1 if self.buffers else max(2, SNAPSHOTS // (cells * specification.copies))
        for call in calls(self.copied, longest, most, self.pairs, here.updates):
            coefficients, decay = clock.block(call.first, call.last)
            shape = (len(call.at), specification.copies * len(self.points), *state.shape[2:])
            snapshots = np.empty(shape, dtype=self.dtype)
            advance(
                coefficients=coefficients, first_step=call.first, snapshots_at=call.at, snapshots=snapshots,
                options=self.step_arrays(call),
            )  # fmt: skip
            snapshots, moved = self.parted(snapshots)
            if specification.lags:
                lagged.keep((call.first + call.at[call.now]).tolist(), snapshots[call.now])
            recording = self.at_records(call)
            if len(recording.now):
                recorded = self.recorded(recording, snapshots, decay, replicas.start)
                recorded = self.with_rates(recorded, clock, recording)._replace(buffers=self.held(state))
                if moved is not None:
                    recorded = recorded._replace(moved=moved[recording.now])
                steps = recording.first + recording.at[recording.now]
                parts.append(self.measured(recorded, steps, replicas, lagged, arrival))
            lagged.forget(call.last)
            progress.advance(cells * (call.last - call.first))
            now = here._replace(updates=call.last, found=parts, arrival=arrival, lagged=lagged.weights)
            journal.reached(now._replace(powers=clock.carry))
        return {**end_to_end(parts), **{name: Values(first[None]) for name, first in arrival.items()}}

    def step_arrays(self, call: Call) -> StepArrays:
        """What a call's steps do besides the gradient and the update."""
        asked = self.specification
        norms = self.options.clip_norm
        return StepArrays(
            clip_norm=None if norms is None else np.array(np.broadcast_to(norms[:, 0], (len(self.points),))),
            clip_groups=asked.groups if self.options.clip_each == "group" else (),
            averaging=asked.averages.block(call.first, call.last, asked.steps, self.dtype) if asked.averages else None,
            rounding=self.options.rounding if self.options.weights else "",
            drift=self.drift,
        )

    def parted(self, snapshots: Any) -> tuple[Any, Any | None]:
        """The copies of the weights or their averages, and how far the optimum of each had moved."""
        if not self.specification.drifts:
            return snapshots, None
        count, cells, own = len(snapshots), snapshots.shape[2:], self.specification.copies
        copies = snapshots.reshape(count, len(self.points), own, *cells)
        weights, moved = copies[:, :, :-1], copies[:, :, -1:]
        shape = (count, len(self.points) * (own - 1), *cells)
        return weights.reshape(shape), np.broadcast_to(moved, weights.shape).reshape(shape)

    def at_records(self, call: Call) -> Call:
        """The call with those of its copies that are records, and not only compared with one."""
        if not self.specification.lags:
            return call
        wanted = np.isin(call.first + call.at[call.now], self.specification.record)
        return replace(call, now=call.now[wanted], before=call.before[wanted] if self.pairs else call.before)

    def measured(
        self, recorded: Recorded, steps: Any, replicas: range, lagged: Lagged, arrival: dict[str, FloatArray]
    ) -> dict[str, Node]:
        """What one call's records give; `arrival`, each replica's first steps at a target, is brought up to date."""
        asked, found = self.specification, dict[str, Node]()
        for name in asked.measured:
            if name in COORDINATES:
                found[name] = measure(name, recorded)
                continue
            values = replica_values(name, recorded, asked.groups)
            if name in self.samples:
                found[name] = scalar_moments(values, recorded.first_replica)
                if asked.quantiles:
                    found[name + VALUES] = Values(values)
            if name in asked.first_passage:
                first = first_reached(values, steps, asked.first_passage[name])
                arrival[name + PASSAGE] = np.minimum(arrival.get(name + PASSAGE, np.inf), first)
            if name in asked.histogram:
                found[name + HISTOGRAM] = counted(values, asked.histogram[name])
        if WEIGHT in asked.histogram:
            found[WEIGHT + HISTOGRAM] = weight_counts(recorded.weights, asked.histogram[WEIGHT], asked.groups)
        if asked.lags:
            with np.errstate(all="ignore"):
                found[AUTOCOVARIANCE] = lagged.moments(steps.tolist(), recorded.weights)
        if asked.trajectories:
            chosen = [number - replicas.start for number in asked.trajectories if number in replicas]
            found[TRAJECTORY] = Values(recorded.weights[:, :, chosen].astype(np.float64))
        return found

    def recorded(self, call: Call, snapshots: Any, decay: FloatArray, first_replica: int) -> Recorded:
        """What one call recorded; what compares two steps is NaN at step 0."""
        columns = np.repeat(self.columns, self.specification.per_point, axis=1)
        of_problem = self.problem.Coefficients(*columns[:, :, None, :])
        weights = snapshots if len(call.now) == len(call.at) else snapshots[call.now]
        found = Recorded(weights, first_replica, of_problem, cautious=self.optimizer.decays_where_aligned)
        if not self.pairs:
            return found
        previous = snapshots[call.before]
        previous[call.at[call.now] + call.first == 0] = np.nan
        return found._replace(previous=previous, decay=self.of_update(call, decay))

    def of_update(self, call: Call, values: FloatArray) -> FloatArray:
        """What a call's updates have, shape (points, steps), of the one that led to each record: (records, points)."""
        if not values.size:
            return np.full((len(call.now), 1), np.nan)
        found = values.T[call.at[call.before]]
        return np.where((call.at[call.now] + call.first == 0)[:, None], np.nan, found)

    def with_rates(self, recorded: Recorded, clock: Clock, call: Call) -> Recorded:
        """With the learning rates of the updates, and how they make an effective one, where that is asked for."""
        if not any(name in EFFECTIVE for name in self.samples):
            return recorded
        lr = self.of_update(call, clock.learning_rates(call.first, call.last))
        return recorded._replace(lr=lr, matched=matched_rate_of(self.specification.optimizer))

    def held(self, state: Any) -> dict[str, Any]:
        """The optimizer's arrays that are measured, as one record."""
        return {name: state[self.optimizer.State._fields.index(name)][None] for name in self.buffers}
