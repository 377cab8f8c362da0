"""The moments along a run: stretches of equal steps by matrix powers, the rest step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..optimizers import Optimizer, is_traced
from ..typing import FloatArray, Value
from .closure import ClosedMoments, Followed, Gradient, Linearised, Taken, advance_closed, linearised
from .gradient_maps import ProblemMap, RelativeMap, SampledMap
from .linear import Clock, StepMap, UpdateMap, clock, composed, update_map
from .mean_field import VectorStructure, mean_field
from .members import Structure, number
from .moments import MomentMap, Moments, advance, certain
from .stepping import CLOSING, FROZEN, LINEAR, Stepper, calls, closed_name, frozen_name, linear_name, stepper

IntArray: TypeAlias = npt.NDArray[np.int64]

# Steps whose update maps are made at once (fewer for a large sweep), and the shortest stretch worth a matrix power.
BLOCK_ENTRIES, LONGEST_BLOCK, LONG_STRETCH = 2**18, 1024, 64


class Recorded(NamedTuple):
    """The moments at the recorded step number `place`; for step > 0 also those before it, the step's map, and its α."""

    place: int
    after: Followed
    before: Followed | None = None
    step: Taken | None = None
    decay: FloatArray | None = None
    # The step with decay everywhere, where a mask takes it off some weights.
    everywhere: Taken | None = None


# Yields what is recorded on the way and returns the moments at the end.
Walk: TypeAlias = Generator[Recorded, Any, Any]
# What a run carries along: `Moments`, or with an average of the iterates more.
State: TypeAlias = Any


class Stretch(NamedTuple):
    """Updates start+1 … stop; `level` when the multipliers are the same throughout."""

    start: int
    stop: int
    level: bool


@dataclass(frozen=True)
class Run:
    """Some cells (points × coordinates) of a run: flattened records, T multipliers, the starting weights.

    `root` stands for √v̂ where an optimizer takes one.
    """

    optimizer: Optimizer
    problem: ProblemMap
    init: FloatArray
    multipliers: FloatArray
    decay_multipliers: FloatArray
    root: FloatArray
    # Whether the steps themselves are asked for, which costs as much as one.
    stepwise: bool = True
    # The starting weights' standard deviation.
    init_std: FloatArray | float = 0.0

    @property
    def steps(self) -> int:
        return len(self.multipliers)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of cells and of points."""
        return self.init.size, len(self.init)

    def clock(self, start: int, stop: int) -> Clock:
        steps = np.arange(start + 1, stop + 1, dtype=np.float64)
        return clock(self.optimizer, steps, self.multipliers[start:stop], self.decay_multipliers[start:stop])

    def updates(self, start: int, stop: int) -> UpdateMap:
        time = self.clock(start, stop)
        return update_map(self.optimizer, time, self.root, self.given(time))

    def given(self, time: Clock) -> Any:
        """The coefficients of the steps."""
        return self.optimizer.coefficients(np, time)

    def step(self, k: int) -> Any:
        return self.made(self.updates(k, k + 1).at(0), self.problem, k)

    def made(self, updates: UpdateMap, problem: ProblemMap, number: int) -> Any:
        """The step of update number+1."""
        return composed(updates, problem)

    def start(self) -> State:
        """The moments before the first update, at which each array is a multiple of the weight."""
        x = certain(*self.optimizer.initial(np, self.init)[:2])
        unit = self.optimizer.initial(np, np.ones_like(self.init))
        share = unit[1] if len(unit) > 1 else 0.0
        variance = np.broadcast_to(np.square(self.init_std), self.init.shape)
        return x._replace(
            weight_variance=variance, covariance=share * variance, buffer_variance=share * share * variance
        )

    def gradient(self, x: State, updates: UpdateMap) -> ProblemMap:
        """The problem's map where the gradient of a step from this state is taken."""
        return self.problem.at(x.at_point(updates.point_weight, updates.point_buffer))

    def moved(self, x: State, step: StepMap, number: int) -> State:
        """The moments after update number+1."""
        return advance(x, step)

    def many(self, step: StepMap) -> Any:
        """Many equal steps at once, by `after(x, steps)`."""
        return MomentMap(step, self.init.shape)

    def seen(self, place: int, x: State, before: State, step: StepMap | None) -> Recorded:
        return Recorded(place, x, before, step, None if step is None else step.decay)

    def recorded(self, wanted: IntArray) -> Generator[Recorded, None, None]:
        """The moments at the wanted step counts, which increase."""
        index = 0
        x = self.start()
        if wanted[0] == 0:
            yield self.seen(0, x, None, None)
            index = 1
        if index == len(wanted):
            return
        for stretch in stretches(self.multipliers, self.decay_multipliers):
            inside = wanted[index : np.searchsorted(wanted, stretch.stop, side="right")]
            last = (
                stretch._replace(stop=int(inside[-1]))
                if index + len(inside) == len(wanted) and len(inside)
                else stretch
            )
            x = yield from self.across(last, x, inside, index)
            index += len(inside)
            if index == len(wanted):
                return

    def across(self, stretch: Stretch, x: State, wanted: IntArray, index: int) -> Walk:
        start = stretch.start
        level = stretch.level and not self.problem.moving
        if self.native is not None and not level:
            x = yield from self.native_across(self.native, stretch, x, wanted, index)
            return x
        block = (
            LONGEST_BLOCK if self.native is not None else max(1, min(LONGEST_BLOCK, BLOCK_ENTRIES // self.init.size))
        )
        while start < stretch.stop:
            # Steps at level rates differ for as long as bias corrections last.
            if level and self.same_step(start, stretch.stop - 1):
                x = yield from self.coast(start, stretch.stop, x, wanted, index)
                return x
            part = Stretch(start, min(start + block, stretch.stop), level)
            inside = wanted[: np.searchsorted(wanted, part.stop, side="right")]
            if self.native is not None:
                x = yield from self.native_across(self.native, part, x, inside, index)
            else:
                x = yield from self.numpy_across(part, x, inside, index)
            wanted, index, start = wanted[len(inside) :], index + len(inside), part.stop
        return x

    def numpy_across(self, stretch: Stretch, x: State, wanted: IntArray, index: int) -> Walk:
        updates = self.updates(stretch.start, stretch.stop)
        for k in range(stretch.start, stretch.stop):
            own = updates.at(k - stretch.start)
            step = self.made(own, self.gradient(x, own), k)
            before, x = x, self.moved(x, step, k)
            if len(wanted) and wanted[0] == k + 1:
                yield self.seen(index, x, before, step)
                wanted, index = wanted[1:], index + 1
        return x

    @cached_property
    def native(self) -> Stepper | None:
        """The native module's steps, for the moments of the weight and one buffer under a gradient that stays."""
        if isinstance(self.problem, RelativeMap | SampledMap):
            return None
        if is_traced(self.optimizer, LINEAR):
            return stepper(self.program + self.problem.suffix, self.problem.rows, self.init.shape)
        if is_traced(self.optimizer, FROZEN) and type(self.problem) is ProblemMap:
            return stepper(frozen_name(self.optimizer), (*self.problem.rows, self.root), self.init.shape)
        return None

    @property
    def program(self) -> str:
        """The native program of a step."""
        return linear_name(self.optimizer, self.memoryless)

    @property
    def memoryless(self) -> bool:
        """Whether the old buffer goes into nothing, as without momentum."""
        updates = self.updates(0, 1)
        return not (updates.weight_buffer.any() or updates.buffer_buffer.any())

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> State:
        """The moments from their entries in a row."""
        return Moments(*flat)

    def native_across(self, native: Stepper, stretch: Stretch, x: State, wanted: IntArray, index: int) -> Walk:
        for steps, inside in calls(range(stretch.start, stretch.stop), wanted.tolist(), *self.sizes):
            ends = [k - steps.start for k in inside]
            places = sorted({place for end in ends for place in (end - 1, end)})
            end, seen = native.across(x, self.columns(self.coefficients(steps), steps), places)
            states = dict(zip(places, seen, strict=True))
            for k in ends:
                step = self.step(steps.start + k - 1) if self.stepwise else None
                yield self.seen(index, self.state(states[k]), self.state(states[k - 1]), step)
                index += 1
            x = self.state(end)
        return x

    def stepped(
        self, native: Stepper, x: Any, given: FloatArray, steps: range, places: Sequence[int]
    ) -> tuple[FloatArray, list[FloatArray]]:
        """The entries of the moments after these steps, and after so many of them as `places` says."""
        return native.across(x.flat(), self.columns(given, steps), places)

    def gradient_at(self, x: Any, given: FloatArray, number: int) -> Gradient:
        """The gradient of update number+1 from these moments, with these coefficients of each point."""
        return self.problem.gradient(x, number)

    def columns(self, given: FloatArray, steps: range) -> FloatArray:
        """Coefficients of updates start+1 … stop, then what the problem's gradient takes of time."""
        return np.concatenate([given, self.problem.timing(steps)], axis=-1)

    def coefficients(self, steps: range) -> FloatArray:
        """The optimizer's coefficients at updates start+1 … stop, shape (points, steps, C)."""
        given = self.given(self.clock(steps.start, steps.stop))
        shape = (len(self.init), len(steps))
        return np.stack([np.broadcast_to(value, shape) for value in given], axis=-1)

    def rests(self, steps: range, given: FloatArray, before: Sequence[FloatArray], after: Sequence[FloatArray]) -> bool:
        """Whether no later step can change a bit: a block of equal steps changed none, and those to come are equal."""
        later = (self.multipliers[steps.start :], self.decay_multipliers[steps.start :])
        return (
            not self.problem.timed
            and all(each.strides == (0,) for each in later)
            and bool((given == given[:, :1]).all())
            and all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        )

    def same_step(self, first: int, last: int) -> bool:
        """Whether updates first+1 and last+1 are equal: under level multipliers so are all those between."""
        pairs = zip(self.updates(first, first + 1), self.updates(last, last + 1), strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)

    def coast(self, start: int, stop: int, x: State, wanted: IntArray, index: int) -> Walk:
        step = self.step(start)
        many = self.many(step)
        for k in wanted.tolist():
            before = many.after(x, k - 1 - start)
            x, start = self.moved(before, step, k - 1), k
            yield self.seen(index, x, before, step)
            index += 1
        return many.after(x, stop - start)


class SeenStep(NamedTuple):
    """A step, its α, and where a mask takes that off some weights the step with decay everywhere."""

    step: Linearised
    decay: FloatArray
    everywhere: Linearised | None = None


class Timed(NamedTuple):
    """Some steps' coefficients with the members known from time alone, (points, steps, C), and α, (points, steps)."""

    columns: FloatArray
    decay: FloatArray
    start: int


# The moments at the end of some steps, and before and after each of those wanted.
Walked: TypeAlias = tuple[ClosedMoments, list[tuple[ClosedMoments, ClosedMoments]]]


@dataclass(frozen=True)
class ClosedRun(Run):
    """A run of an adaptive optimizer whose second moment depends on the weights': every step is made anew."""

    pessimism: int = 0

    @cached_property
    def structure(self) -> Structure:
        return Structure(self.optimizer)

    def start(self) -> ClosedMoments:
        first = self.optimizer.initial(np, self.init)
        return self.remembered([getattr(first, name) for name in self.structure.members])

    def remembered(self, means: Sequence[FloatArray]) -> ClosedMoments:
        """The moments before the first step, of known members and of whatever else has a state."""
        return self.problem.remembered(means)

    @cached_property
    def native(self) -> Stepper | None:
        if not is_traced(self.optimizer, CLOSING):
            return None
        program = closed_name(self.optimizer, self.pessimism) + self.problem.suffix
        return stepper(program, self.problem.rows, self.init.shape)

    def recorded(self, wanted: IntArray) -> Generator[Recorded, None, None]:
        x, index = self.start(), 0
        if wanted[0] == 0:
            yield Recorded(0, x)
            index = 1
        known = self.known_first()
        for steps, inside in calls(range(int(wanted[-1])), wanted[index:].tolist(), *self.sizes):
            block, known = self.timed(steps, known)
            before, x = x, (yield from self.block(x, block, [k - steps.start for k in inside], index))
            index += len(inside)
            if self.rests(steps, block.columns, before.flat(), x.flat()):
                last = self.seen_step(x, block, -1)
                yield from (Recorded(k, x, x, *last) for k in range(index, len(wanted)))
                return

    def overshoots(self) -> npt.NDArray[np.bool_]:
        """Where the first step takes more of the weight than there is.

        Half of it is too much where its norm scales the gradient, and so is noise of that size.
        """
        block, _ = self.timed(range(1), self.known_first())
        first = self.linearised(self.start(), block, 0)
        kept, noise = number(first.weight_row[0]), 2 * np.abs(first.weight_noise)
        over = (2 * kept < 1) | (noise > np.abs(self.init)) if isinstance(self.problem, RelativeMap) else kept < 0
        return np.asarray(np.broadcast_to(over, self.init.shape))

    def block(self, x: ClosedMoments, block: Timed, wanted: Sequence[int], index: int) -> Walk:
        """The moments at the wanted numbers of the block's steps, each of which is one of its updates."""
        moved = self.native_block if self.native is not None else self.numpy_block
        end, seen = moved(x, block, wanted)
        for k, (before, after) in zip(wanted, seen, strict=True):
            if self.stepwise:
                yield Recorded(index, after, before, *self.seen_step(before, block, k - 1))
            else:
                yield Recorded(index, after)
            index += 1
        return end

    def numpy_block(self, x: ClosedMoments, block: Timed, wanted: Sequence[int]) -> Walked:
        seen = []
        for j in range(block.columns.shape[1]):
            before, x = x, advance_closed(x, self.linearised(x, block, j))
            if j + 1 in wanted:
                seen.append((before, x))
        return x, seen

    def native_block(self, x: ClosedMoments, block: Timed, wanted: Sequence[int]) -> Walked:
        assert self.native is not None
        places = sorted({place for end in wanted for place in (end - 1, end)})
        steps = range(block.start, block.start + block.columns.shape[1])
        end, found = self.stepped(self.native, x, block.columns, steps, places)
        states = {place: self.state(state) for place, state in zip(places, found, strict=True)}
        return self.state(end), [(states[k - 1], states[k]) for k in wanted]

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> ClosedMoments:
        return ClosedMoments.of(flat, self.members)

    @cached_property
    def members(self) -> int:
        """How many there are, with those of the noise's own state."""
        return len(self.start().means)

    def gradient_at(self, x: ClosedMoments, given: FloatArray, number: int) -> Gradient:
        kind = self.optimizer.Coefficients
        c = kind(*given.T[: len(kind._fields), :, None])
        return self.problem.gradient(x.at_point(self.structure.point_row(c)), number)

    def linearised(self, x: ClosedMoments, block: Timed, j: int) -> Linearised:
        return self.step_from(*self.situation(x, block, j), block.decay[:, j, None], self.number(block, j))

    def seen_step(self, x: ClosedMoments, block: Timed, j: int) -> SeenStep:
        return self.seen_from(*self.situation(x, block, j), block.decay[:, j, None], self.number(block, j))

    def seen_from(
        self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], decay: FloatArray, step: float = np.inf
    ) -> SeenStep:
        return SeenStep(self.step_from(x, g, c, known, decay, step), decay)

    def number(self, block: Timed, j: int) -> int:
        """Of the block's step j, which may count from the end."""
        return block.start + j % len(block.columns[0])

    def situation(self, x: ClosedMoments, block: Timed, j: int) -> tuple[ClosedMoments, Gradient, Any, Sequence[Value]]:
        """What a step is made from: the moments, the gradient, the coefficients and the members known from time."""
        given = block.columns[:, j]
        kind, columns = self.optimizer.Coefficients, list(given.T[..., None])
        count, gradient = len(kind._fields), self.gradient_at(x, given, self.number(block, j))
        return x, self.widened(gradient), kind(*columns[:count]), columns[count:]

    def moved_still(self, before: ClosedMoments, after: ClosedMoments, share: float) -> npt.NDArray[np.bool_]:
        """Where the weights' moments have yet to come to rest beside v's: they changed by this share of their size."""
        return np.zeros(self.init.shape, dtype=bool)

    def widened(self, g: Gradient) -> Gradient:
        """The gradient, told of members that it takes nothing of."""
        return g

    def step_from(
        self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], decay: FloatArray, step: float = np.inf
    ) -> Linearised:
        """Update step+1 from these moments, with the gradient there; `decay` is α."""
        return linearised(self.structure, x, g, c, known, self.pessimism)

    def known_first(self) -> tuple[FloatArray, ...]:
        first = self.optimizer.initial(np, np.zeros((len(self.init), 1)))
        return tuple(getattr(first, name) for name in self.structure.known)

    def timed(self, steps: range, known: tuple[FloatArray, ...]) -> tuple[Timed, tuple[FloatArray, ...]]:
        """What updates start+1 … stop need of time, and the members known from time alone after them."""
        given = self.coefficients(steps)
        alpha = self.optimizer.decay_per_step(self.clock(steps.start, steps.stop))
        decay = np.broadcast_to(alpha, given.shape[:2])
        if not known:
            return Timed(given, decay, steps.start), known
        # Plain numbers are ten times as fast as arrays of one.
        single = len(given) == 1
        now: Any = tuple(float(value.item()) for value in known) if single else known
        carried = []
        for j in range(len(steps)):
            carried.append(now)
            columns = given[0, j].tolist() if single else [given[:, j, place, None] for place in range(given.shape[-1])]
            now = self.structure.known_after(self.optimizer.Coefficients(*columns), now)
        shape = (len(steps), len(known), len(given))
        last = np.moveaxis(np.reshape(np.asarray(carried, dtype=np.float64), shape), -1, 0)
        known = tuple(np.reshape(np.asarray(value, dtype=np.float64), (-1, 1)) for value in now)
        return Timed(np.concatenate([given, last], axis=-1), decay, steps.start), known


@dataclass(frozen=True)
class VectorRun(ClosedRun):
    """A run of an optimizer whose step takes sums over the vector of `coordinates`, all of which are here."""

    coordinates: int = 1

    @cached_property
    def structure(self) -> VectorStructure:
        return VectorStructure(self.optimizer, self.coordinates)

    @cached_property
    def native(self) -> Stepper | None:
        return None

    def step_from(
        self, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], decay: FloatArray, step: float = np.inf
    ) -> Linearised:
        return mean_field(self.structure, x, g, c, known, self.pessimism, step)


def stretches(multipliers: FloatArray, decay_multipliers: FloatArray) -> list[Stretch]:
    """The run cut where a long stretch of equal multipliers begins or ends."""
    steps = len(multipliers)
    if multipliers.strides == (0,) and decay_multipliers.strides == (0,):
        return [Stretch(0, steps, True)]
    differs = (np.diff(multipliers) != 0) | (np.diff(decay_multipliers) != 0)
    edges = np.concatenate([[0], np.flatnonzero(differs) + 1, [steps]])
    found: list[Stretch] = []
    position = 0
    for i in np.flatnonzero(np.diff(edges) >= LONG_STRETCH):
        if position < edges[i]:
            found.append(Stretch(position, int(edges[i]), False))
        position = int(edges[i + 1])
        found.append(Stretch(int(edges[i]), position, True))
    if position < steps:
        found.append(Stretch(position, steps, False))
    return found
