"""The run of a request: every block of points on every block of replicas, to moments over all replicas."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..typing import FloatArray
from . import arrays
from .autocovariance import AUTOCOVARIANCE, KEPT, Lagged, kept_at_once, sources
from .backends import Backend
from .bfloat16 import nearest
from .blocks import SNAPSHOTS, Call, Layout, calls, layout, longest_call, point_blocks, replica_block
from .clock import Clock, at_points, drift_of, problem_columns
from .distributions import PASSAGE, TRAJECTORY, VALUES, first_reached
from .histograms import HISTOGRAM, counted, weight_counts
from .journal import Journal, Midway, end_to_end, side_by_side
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
from .specification import Specification, matched_rate_of
from .starting import initial_weights


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
