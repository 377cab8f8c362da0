"""The moments along a run: stretches of equal steps by matrix powers, the rest step by step."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..optimizers import Optimizer
from ..typing import FloatArray
from .closure import ClosedMoments, Gradient, Linearised, advance_closed, linearised
from .linear import Clock, ProblemMap, StepMap, UpdateMap, clock, composed, update_map
from .members import Structure
from .moments import MomentMap, Moments, advance, certain

IntArray: TypeAlias = npt.NDArray[np.int64]

# Steps whose update maps are made at once (fewer for a large sweep), and the shortest stretch worth a matrix power.
BLOCK_ENTRIES, LONGEST_BLOCK, LONG_STRETCH = 2**18, 1024, 64


class Recorded(NamedTuple):
    """The moments at the recorded step number `place`; for step > 0 also those before it, the step's map, and its α."""

    place: int
    after: Moments | ClosedMoments
    before: Moments | ClosedMoments | None = None
    step: StepMap | Linearised | None = None
    decay: FloatArray | None = None


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

    @property
    def steps(self) -> int:
        return len(self.multipliers)

    def clock(self, start: int, stop: int) -> Clock:
        steps = np.arange(start + 1, stop + 1, dtype=np.float64)
        return clock(self.optimizer, steps, self.multipliers[start:stop], self.decay_multipliers[start:stop])

    def updates(self, start: int, stop: int) -> UpdateMap:
        return update_map(self.optimizer, self.clock(start, stop), self.root)

    def step(self, k: int) -> StepMap:
        return composed(self.updates(k, k + 1).at(0), self.problem)

    def start(self) -> State:
        """The moments before the first update."""
        return certain(*self.optimizer.initial(np, self.init)[:2])

    def gradient(self, x: State) -> ProblemMap:
        return self.problem.at(x)

    def moved(self, x: State, step: StepMap) -> State:
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
        for stretch in stretches(self.multipliers, self.decay_multipliers):
            inside = wanted[index : np.searchsorted(wanted, stretch.stop, side="right")]
            x = yield from self.across(stretch, x, inside, index)
            index += len(inside)

    def across(self, stretch: Stretch, x: State, wanted: IntArray, index: int) -> Walk:
        start = stretch.start
        block = max(1, min(LONGEST_BLOCK, BLOCK_ENTRIES // self.init.size))
        while start < stretch.stop:
            if stretch.level and not self.problem.moving and self.same_step(start, stretch.stop - 1):
                x = yield from self.coast(start, stretch.stop, x, wanted, index)
                return x
            stop = min(start + block, stretch.stop)
            updates = self.updates(start, stop)
            for k in range(start, stop):
                step = composed(updates.at(k - start), self.gradient(x))
                before, x = x, self.moved(x, step)
                if len(wanted) and wanted[0] == k + 1:
                    yield self.seen(index, x, before, step)
                    wanted, index = wanted[1:], index + 1
            start = stop
        return x

    def same_step(self, first: int, last: int) -> bool:
        """Whether updates first+1 and last+1 are equal: under level multipliers so are all those between."""
        pairs = zip(self.updates(first, first + 1), self.updates(last, last + 1), strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)

    def coast(self, start: int, stop: int, x: State, wanted: IntArray, index: int) -> Walk:
        step = self.step(start)
        many = self.many(step)
        for k in wanted.tolist():
            before = many.after(x, k - 1 - start)
            x, start = self.moved(before, step), k
            yield self.seen(index, x, before, step)
            index += 1
        return many.after(x, stop - start)


class Timed(NamedTuple):
    """One step's coefficients, the members known from time alone, and α; each of shape (points, 1)."""

    c: Any
    known: tuple[FloatArray, ...]
    decay: FloatArray


@dataclass(frozen=True)
class ClosedRun(Run):
    """A run of an adaptive optimizer whose second moment depends on the weights': every step is made anew."""

    pessimism: int = 0

    @property
    def structure(self) -> Structure:
        return Structure(self.optimizer)

    def start(self) -> ClosedMoments:
        first = self.optimizer.initial(np, self.init)
        return ClosedMoments.certain([getattr(first, name) for name in self.structure.members])

    def recorded(self, wanted: IntArray) -> Generator[Recorded, None, None]:
        places = {int(step): place for place, step in enumerate(wanted)}
        structure, x = self.structure, self.start()
        if 0 in places:
            yield Recorded(places[0], x)
        for k, time in enumerate(self.timed(int(wanted[-1])), 1):
            found = self.linearised(structure, x, time)
            before, x = x, advance_closed(x, found)
            if k in places:
                yield Recorded(places[k], x, before, found, time.decay)

    def linearised(self, structure: Structure, x: ClosedMoments, time: Timed) -> Linearised:
        g = self.problem.at(x)
        return linearised(structure, x, Gradient(g.slope, g.offset, g.scale), time.c, time.known, self.pessimism)

    def timed(self, steps: int) -> Generator[Timed, None, None]:
        """What the first so many steps need of time."""
        structure, first = self.structure, self.optimizer.initial(np, np.zeros((len(self.init), 1)))
        known = tuple(getattr(first, name) for name in structure.known)
        for start in range(0, steps, LONGEST_BLOCK):
            stop = min(start + LONGEST_BLOCK, steps)
            time = self.clock(start, stop)
            given = self.optimizer.coefficients(np, time)
            shape = (len(self.init), stop - start)
            columns = [np.broadcast_to(value, shape) for value in (*given, self.optimizer.decay_per_step(time))]
            for j in range(stop - start):
                *c, decay = (column[:, j, None] for column in columns)
                yield Timed(type(given)(*c), known, decay)
                known = structure.known_after(type(given)(*c), known)


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
