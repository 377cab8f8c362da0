"""Stepping many cells' moments: on the native module where it was built, else in NumPy.

Both do the same operations in the same order: csrc/core/moments.h is traced from the functions that NumPy runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..native import check_threads, isas, native_module
from ..optimizers import (
    SGD,
    Adam,
    AdamP,
    AdamW,
    AdEMAMix,
    Amos,
    Lion,
    NAdam,
    Optimizer,
    RMSprop,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    SignSGD,
)
from ..typing import FloatArray
from . import signs
from .closure import PESSIMISMS

IntArray: TypeAlias = npt.NDArray[np.int64]

# Those whose moments are followed exactly, those whose moments close where √v̂ is nearly constant, and those whose
# update is the sign of something linear: for nearly normal arguments.
LINEAR: tuple[type[Optimizer], ...] = (SGD, ScheduleFreeSGD)
AVERAGED: tuple[type[Optimizer], ...] = (SGD,)
# Those of the closing ones that are linear where the gradient is pure noise.
FROZEN: tuple[type[Optimizer], ...] = (AdamW,)
CLOSING: tuple[type[Optimizer], ...] = (AdamW, Adam, NAdam, AdEMAMix, RMSprop, ScheduleFreeAdamW)
SIGNED: tuple[type[Optimizer], ...] = (SignSGD, Lion)
# Those whose update takes sums over the vector: by mean field, in NumPy alone.
VECTORS: tuple[type[Optimizer], ...] = (AdamP, Amos)
PESSIMISTIC, SIGN_PESSIMISTIC = (0, *PESSIMISMS), (0, *signs.PESSIMISMS)


def steps_as_read(record: Optimizer) -> bool:
    """Whether the step is what the moments are made from: one that decays every old weight and divides by √v̂ + ε."""
    inside = getattr(record, "eps_placement", "outside") == "inside"
    return not (record.decays_where_aligned or record.decays_after_step or inside)


def variants_read(kinds: Sequence[type[Optimizer]]) -> Iterator[Optimizer]:
    """Of each kind those variants that have programs of their own."""
    for kind in kinds:
        yield from filter(steps_as_read, kind.variants().values())


def closed_variants() -> Iterator[Optimizer]:
    return variants_read(CLOSING)


def closed_name(record: Optimizer, pessimism: int) -> str:
    """The program that steps an adaptive optimizer's moments."""
    return f"{record.variant}_{('expected', 'slower', 'noisier')[pessimism]}"


def signed_name(record: Optimizer, pessimism: int) -> str:
    """The program that steps the moments of an optimizer that takes signs."""
    return f"{record.variant}_{('expected', 'blunter', 'sharper', 'lasting')[pessimism]}"


def signed_variants() -> Iterator[Optimizer]:
    return variants_read(SIGNED)


def memoryless_variants() -> Iterator[SGD]:
    """Those linear ones whose old buffer may go into nothing."""
    yield from (record for record in variants_read((SGD,)) if isinstance(record, SGD) and not record.nesterov)


def averaged_name(record: Optimizer, memoryless: bool = False) -> str:
    """The program that steps the moments with those of an average of the iterates."""
    return f"{linear_name(record, memoryless)}_averaged"


def linear_name(record: Optimizer, memoryless: bool = False) -> str:
    """The program that steps the moments of the weight and one buffer, which nothing old goes into if `memoryless`."""
    return f"{record.variant}_memoryless" if memoryless else record.variant


def frozen_name(record: Optimizer) -> str:
    """The program that steps the moments with √v̂ given."""
    return f"{record.variant}_frozen"


def doubted_name(record: Optimizer) -> str:
    """The program that does so with what the fluctuations of v̂ make of them."""
    return f"{record.variant}_doubted"


# With fewer columns than this, and more points, NumPy over all points is no slower than the native module.
FEW_COLUMNS, MANY_POINTS = 8, 512
# What one call may hold, and do.
CALL_ENTRIES, LONGEST_CALL = 2**22, 2**10


class Stepper:
    """Many steps of the moments of some cells in the native module."""

    def __init__(self, program: str, gradient: Sequence[FloatArray], shape: tuple[int, ...]) -> None:
        self.program = program
        self.gradient = np.stack([np.broadcast_to(part, shape) for part in gradient])
        self.threads, self.isa = check_threads(None), isas()[-1]

    def across(
        self, flat: Sequence[FloatArray], coefficients: FloatArray, wanted: Sequence[int]
    ) -> tuple[FloatArray, list[FloatArray]]:
        """The moments after all steps, and after so many of them as `wanted` says, each of shape (S, points, d).

        `flat` are the moments before, `coefficients` of shape (points, steps, C).
        """
        state = self.stacked(flat)
        snapshots = np.empty((len(wanted), *state.shape))
        self.run(state, coefficients, np.asarray(wanted, dtype=np.int64), snapshots)
        return state, list(snapshots)

    def stacked(self, flat: Sequence[FloatArray]) -> FloatArray:
        return np.stack([np.broadcast_to(part, self.gradient.shape[1:]) for part in flat])

    def run(self, state: FloatArray, coefficients: FloatArray, wanted: IntArray, snapshots: FloatArray) -> None:
        """Step the state where it stands."""
        module = native_module()
        assert module is not None
        module.moments(
            isa=self.isa,
            program=self.program,
            state=state,
            gradient=self.gradient,
            coefficients=np.ascontiguousarray(coefficients),
            snapshots_at=wanted,
            snapshots=snapshots,
            threads=self.threads,
        )


def stepper(program: str, gradient: Sequence[FloatArray], shape: tuple[int, ...]) -> Stepper | None:
    """The native module's program for these cells, or None where NumPy is to do it."""
    if native_module() is None or (shape[1] < FEW_COLUMNS and shape[0] > MANY_POINTS):
        return None
    return Stepper(program, gradient, shape)


def calls(steps: range, wanted: Sequence[int], cells: int, points: int) -> Iterator[tuple[range, list[int]]]:
    """Consecutive parts of the steps, each with the wanted step counts in it, so small that its memory is bounded.

    A wanted count stands for the moments after that many updates and for those one update before.
    """
    most, longest = max(1, CALL_ENTRIES // (30 * cells)), max(1, min(LONGEST_CALL, CALL_ENTRIES // (16 * points)))
    start, place = steps.start, 0
    while start < steps.stop:
        stop = min(start + longest, steps.stop)
        inside = [k for k in wanted[place : place + most] if k <= stop]
        if len(inside) == most:
            stop = inside[-1]
        yield range(start, stop), inside
        start, place = stop, place + len(inside)
