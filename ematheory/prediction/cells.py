"""All cells (points × coordinates) of a prediction, worked through in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..native import native_module
from ..optimizers import Optimizer, is_traced
from ..problems import Problem
from ..records import flattened, grid
from ..typing import FloatArray
from .averaging import AveragedRun, settled_average
from .closure import NOISIER, is_adaptive, starts_large
from .epochs import EpochRun, settled_epochs
from .gradient_maps import EpochMap, ProblemMap, RelativeMap, SampledMap, problem_map
from .linear import StepMap, composed, lost_weight
from .masked import MaskedRun
from .moments import stationary
from .observables import OF_A_STEP, OF_STEPS, PER_COORDINATE, Sums, from_sums, state_sums, step_sums
from .pure_noise import DoubtedRun, NoiseRun
from .sampled import settled_sampled
from .settled import settled, settled_size
from .signed_run import SignRun, settled_signs
from .stability import closed_margins, contraction, peak_updates, restoring, where
from .stepping import FROZEN, SIGNED, VECTORS
from .trajectory import ClosedRun, Recorded, Run, VectorRun

# A NumPy step stays in the processor's cache; the native module keeps its own tiles there.
BLOCK_CELLS, NATIVE_BLOCK_CELLS = 2**13, 2**16


class Block(NamedTuple):
    """Some points and some columns of coordinates."""

    points: slice
    columns: slice


class Cells:
    """A problem under an optimizer, flattened: `observables` are means over its cells' moments.

    Without `record` the moments are those of the stationary state. Where all coordinates are alike one column is
    worked out and stands for all of them.
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: Optimizer,
        record: npt.NDArray[np.int64] | None = None,
        multipliers: FloatArray | None = None,
        decay_multipliers: FloatArray | None = None,
        pessimism: int = 0,
        taken: float | None = None,
    ) -> None:
        self.pessimism, self.taken = pessimism, taken
        self.over = grid(optimizer, problem)
        self.record = np.zeros(0, dtype=np.int64) if record is None else record
        self.multipliers = np.ones(1) if multipliers is None else multipliers
        self.decay_multipliers = np.ones(1) if decay_multipliers is None else decay_multipliers
        self.optimizer = flattened(optimizer, self.over)
        flat = flattened(problem, self.over)
        self.gradient = problem_map(flat, self.over.points)
        self.shape = self.gradient.slope.shape
        given = flat.coefficients(np)
        self.coefficients = type(given)(*(np.broadcast_to(value, self.shape) for value in given))
        self.init = np.broadcast_to(flat.init, self.shape)
        self.init_std = np.broadcast_to(flat.init_std, self.shape)
        self.coordinates = problem.coordinates
        self.copies = self.coordinates // self.shape[1]
        self.stepwise = True
        self.overshooting = np.zeros(self.shape, dtype=bool)

    def observables(self, names: Sequence[str]) -> dict[str, FloatArray]:
        """Each observable, shape (points, records) or (points, records, d); stationary ones without `records`."""
        self.stepwise = any(name in OF_STEPS for name in names)
        records = max(1, len(self.record))
        arrays = {name: np.empty((self.shape[0], records, self.shape[1])) for name in names if name in PER_COORDINATE}
        sums: Sums = {}
        for block in self.blocks():
            for seen in self.recorded(block):
                self.add(sums, seen, block)
                for name, array in arrays.items():
                    array[block.points, seen.place, block.columns] = getattr(seen.after, name)
        values = {name: self.found(name, arrays, sums) for name in names}
        return values if len(self.record) else {name: value[:, 0] for name, value in values.items()}

    def found(self, name: str, arrays: dict[str, FloatArray], sums: Sums) -> FloatArray:
        if name not in arrays:
            return from_sums(name, sums, self.coordinates)
        return np.broadcast_to(arrays[name], (*arrays[name].shape[:2], self.coordinates))

    def add(self, sums: Sums, seen: Recorded, block: Block) -> None:
        """Add a block's sums over its coordinates; those of a step are NaN at step 0, which no step led to."""
        given = type(self.coefficients)(*(value[block.points, block.columns] for value in self.coefficients))
        found = state_sums(seen.after, given, self.copies)
        if seen.before is not None and seen.step is not None and seen.decay is not None:
            everywhere = seen.everywhere or seen.step
            found.update(step_sums(seen.before, seen.step, seen.decay, self.copies, everywhere))
        else:
            found.update(dict.fromkeys(OF_A_STEP, np.full(len(found["square"]), np.nan)))
        for name, value in found.items():
            if name not in sums:
                sums[name] = np.zeros((self.shape[0], max(1, len(self.record))))
            sums[name][block.points, seen.place] += value

    def blocks(self) -> Iterator[Block]:
        points, columns = self.shape
        # What one coordinate does to another's noise, or to a sum over the vector, keeps all of them in one block.
        cells = NATIVE_BLOCK_CELLS if self.native else BLOCK_CELLS
        width = columns if self.gradient.coupled or self.vector else min(columns, cells)
        height = max(1, cells // columns)
        for top in range(0, points, height):
            for left in range(0, columns, width):
                yield Block(slice(top, min(top + height, points)), slice(left, min(left + width, columns)))

    def recorded(self, block: Block) -> Iterable[Recorded]:
        own = {
            name: value[block.points]
            for name, value in self.optimizer.field_values().items()
            if isinstance(value, np.ndarray)
        }
        optimizer = self.optimizer.substituted(**own)
        gradient = self.gradient.block(block.points, block.columns)
        run = Run(
            optimizer,
            gradient,
            np.ascontiguousarray(self.init[block.points, block.columns]),
            self.multipliers,
            self.decay_multipliers,
            np.abs(self.gradient.scale[block.points, block.columns]),
            self.stepwise,
            np.ascontiguousarray(self.init_std[block.points, block.columns]),
        )
        if self.signed:
            run = SignRun(**vars(run), pessimism=self.pessimism)
        elif self.closes:
            given: dict[str, Any] = {**vars(run), "pessimism": self.pessimism}
            if self.vector:
                run = VectorRun(**given, coordinates=self.coordinates)
            else:
                run = MaskedRun(**given) if optimizer.decays_where_aligned else ClosedRun(**given)
            if len(self.record) and starts_large(optimizer):
                self.overshooting[block.points, block.columns] = run.overshoots()
        elif self.known:
            run = (DoubtedRun if self.pessimism == NOISIER else NoiseRun)(**vars(run))
        elif isinstance(gradient, EpochMap):
            run = EpochRun(**vars(run))
        elif self.taken is not None:
            run = AveragedRun(**vars(run), taken=self.taken)
        return run.recorded(self.record) if len(self.record) else [self.stationary(run, block)]

    @property
    def native(self) -> bool:
        """Whether a moment closure is stepped in the native module."""
        plain = self.closes and not self.vector and not self.optimizer.decays_where_aligned
        return (plain or self.signed) and native_module() is not None

    @property
    def signed(self) -> bool:
        """Whether the update is a sign."""
        return isinstance(self.optimizer, SIGNED)

    @property
    def vector(self) -> bool:
        """Whether the update takes sums over the vector."""
        return isinstance(self.optimizer, VECTORS)

    @property
    def pooled(self) -> bool:
        """Whether there is one second moment for a whole vector."""
        return "second_moment" in self.optimizer.vector_members

    @property
    def known(self) -> bool:
        """Whether E v is known from time alone: AdamW's on pure noise, but for a mask."""
        own = self.optimizer
        noise_alone = type(self.gradient) is ProblemMap and not self.gradient.slope.any()
        return is_traced(own, FROZEN) and not own.decays_where_aligned and noise_alone

    @property
    def closes(self) -> bool:
        """Whether the step moves with the weights' moments."""
        return is_adaptive(self.optimizer) and not self.known

    @property
    def caution(self) -> float:
        """How often a stated error counts."""
        return self.gradient.caution * (2.0 if starts_large(self.optimizer) and not self.known else 1.0)

    def unsaid(self, per_coordinate: bool) -> npt.NDArray[np.bool_]:
        """Where a moment closure cannot tell how wrong it is, in the shape of an observable that was worked out.

        That is after a first step too large for it, and near the optimum where a step of the rate η changes the
        gradient by more than its noise, η·h > σ: the runs then go round the optimum, each at a time of its own.
        """
        circling = self.circling
        if not circling.any() and not self.overshooting.any():
            return np.zeros((), dtype=bool)
        moved = self.record > 0 if len(self.record) else np.ones(1, dtype=bool)
        if per_coordinate and not self.vector:
            near = circling[:, None, :] & (self.ways[..., None] > self.apart[:, None, :])
            found = near | (self.overshooting[:, None, :] & moved[:, None])
            found = np.broadcast_to(found, (*found.shape[:2], self.coordinates))
        else:
            nearest = np.where(circling, self.apart, np.inf).min(axis=1)
            any_of = np.asarray(self.overshooting.any(axis=1))
            found = (self.ways > nearest[:, None]) | (any_of[:, None] & moved)
            if per_coordinate:
                found = np.broadcast_to(found[..., None], (*found.shape, self.coordinates))
        return found if len(self.record) else np.asarray(found[:, 0])

    @property
    def circling(self) -> npt.NDArray[np.bool_]:
        g, peak = self.gradient, np.max(np.abs(self.multipliers[:1] if self.level else self.multipliers), initial=0.0)
        scale = g.scale
        if self.pooled:
            scale = np.sqrt((scale * scale).mean(axis=-1, keepdims=True))
        circling = np.asarray((self.optimizer.lr * peak * g.slope > scale) & (scale > 0))
        return circling if is_adaptive(self.optimizer) else np.zeros_like(circling)

    @property
    def level(self) -> bool:
        """Whether the multipliers are a view of one number, which a billion steps may be."""
        return self.multipliers.strides == (0,)

    @property
    def ways(self) -> FloatArray:
        """How far steps of the rate have gone by each recorded step, shape (points, records)."""
        if not len(self.record):
            return np.full((self.shape[0], 1), np.inf)
        gone = self.record * self.multipliers[0] if self.level else np.cumsum(self.multipliers)[self.record - 1]
        return np.asarray(self.optimizer.lr * np.where(self.record > 0, gone, 0.0))

    @property
    def apart(self) -> FloatArray:
        """Half the way to the optimum."""
        g = self.gradient
        optimum = -g.offset / np.where(g.slope > 0, g.slope, 1.0)
        return np.asarray(np.abs(self.init - optimum) / 2)

    def stationary(self, run: Run, block: Block) -> Recorded:
        """The moments that a step at the peak rate leaves as they are. Raises `ValueError` when there are none."""
        if isinstance(run, ClosedRun):
            closed, at_rest, left, still = settled(run)
            self.refuse_unstable(*closed_margins(left), block)
            if self.pessimism:
                # The worst that may be is not always a bounded state.
                spread = (np.where(still > 0, closed.covariances[0], np.inf), *closed.covariances[1:])
                closed = closed._replace(covariances=spread)
            else:
                self.refuse({"its moments do not settle": still}, block)
            return Recorded(0, closed, closed, *at_rest)
        if isinstance(run, SignRun):
            rest, found = settled_signs(run)
            self.refuse_unstable(*closed_margins(rest.left), block)
            self.refuse({"its moments do not settle": rest.margin}, block)
            return found
        updates = peak_updates(run.optimizer, run.root)
        step = composed(updates, run.problem)
        lost = lost_weight(run.optimizer) - updates.weight_gradient * run.problem.slope
        lost = np.broadcast_to(lost, run.init.shape)
        self.refuse_unsettled(step, lost, block)
        if isinstance(run.problem, EpochMap):
            return Recorded(0, settled_epochs(step, lost, run.problem))
        if isinstance(run.problem, RelativeMap):
            x, step = settled_size(lambda size: composed(updates, run.problem.of_size(size)), lost)
        elif isinstance(run.problem, SampledMap):
            x, step, margin = settled_sampled(updates, run.problem, lost)
            self.refuse({"the noise of the samples makes the mean square grow": margin}, block)
        else:
            x = stationary(step, lost)
        if isinstance(run, DoubtedRun):
            x = run.settled(x, step, lost)
        if self.taken is not None:
            return Recorded(0, settled_average(step, lost, self.taken))
        return Recorded(0, x, x, step, step.decay)

    def refuse_unsettled(self, step: StepMap, lost: FloatArray, block: Block) -> None:
        shape = lost.shape
        self.refuse_unstable(
            np.broadcast_to(contraction(step), shape), np.broadcast_to(restoring(step, lost), shape), block
        )

    def refuse_unstable(self, contracting: FloatArray, restored: FloatArray, block: Block) -> None:
        faults = {"the step is unstable": contracting, "nothing pulls the weight back": restored}
        self.refuse(faults, block)

    def refuse(self, faults: dict[str, FloatArray], block: Block) -> None:
        for fault, margin in faults.items():
            failing = np.argwhere(margin <= 0)
            if len(failing):
                point, column = failing[0] + (block.points.start, block.columns.start)
                place = where(self.over, self.optimizer, int(point))
                raise ValueError(
                    f"no stationary state {place}, coordinate {column}: {fault}; "
                    "give steps= for the transient, or leave that point out"
                )
