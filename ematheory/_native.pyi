"""The native engine (csrc/bind/module.cpp): arrays in, arrays out; built where a C++ compiler is."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]

def isas() -> list[str]:
    """The instruction sets that this build has and this CPU runs, the fastest last."""

def optimizers() -> list[str]:
    """The names of the traced updates (`Optimizer.variant`)."""

def problems() -> list[str]:
    """The names of the traced gradients (`Problem.variants()`)."""

def advance(
    *,
    isa: str,
    problem: str,
    optimizer: str,
    state: Floats,
    problem_coefficients: Floats,
    coefficients: Floats,
    first_step: int,
    seed: int,
    first_replica: int,
    point_numbers: npt.NDArray[np.uint32],
    snapshots_at: npt.NDArray[np.int64],
    snapshots: Floats,
    threads: int,
    progress: Callable[[float], object] | None = None,
    items: int = 0,
    is_replaced: bool = False,
    first_column: int = 0,
    clip_norm: npt.NDArray[np.float64] | None = None,
    averaging: Floats | None = None,
    rounding: str = "",
    drift: Floats | None = None,
) -> None:
    """Make the updates first_step + 1 … first_step + steps of every cell, in place.

    All arrays are C-contiguous; `state` is float32 or float64 and fixes the dtype of the other float arrays.

    Parameters
    ----------
    state : (S, points, replicas, d), updated in place; S in the order of the optimizer's State.
    problem_coefficients : (Q, points, d), in the order of the problem's Coefficients.
    coefficients : (points, steps, K), in the order of the optimizer's Coefficients.
    first_step : the number of the first update, from 0; it and `first_replica` (absolute), `point_numbers` (points,)
        and `seed` fix the noise.
    snapshots_at : (n,), increasing, each in 0…steps: after how many of these updates the weight is copied.
    snapshots : (n, points, replicas, d), written.
    progress : called with the share of the work done, every 50 ms, from the calling thread.
    items, is_replaced : of a problem with a data set, its size, and whether items are drawn with others put back.
    first_column : of coupled coordinates without samples: where they stand among all of a replica's, for the noise.
    clip_norm : (points,), the largest norm of a replica's gradient.
    averaging : (steps, A, 2), the shares of the old average and of the new weight. The A averages follow the
        optimizer's arrays in `state`, and are copied in the weight's place: `snapshots` is (n, points·A, replicas, d).
    rounding : "nearest" or "stochastic": the weights, of float32, are rounded to bfloat16 after each step.
    drift : (2, points, d): after each step how far the optimum has moved is kept to the first share, and moved by a
        normal times the second. It comes last in `state`, and last of a point's copies in `snapshots`.

    Raises
    ------
    ValueError : a shape, dtype or layout other than the above, a number beyond its limit, an unknown name.
    MemoryError : no memory for one vector's noise and gradient on each thread.
    KeyboardInterrupt : on Ctrl-C, within 0.2 s; the state is then unspecified.
    """

def moment_programs() -> list[str]:
    """The names of the traced steps of moments (`prediction.stepping`)."""

def moments(
    *,
    isa: str,
    program: str,
    state: npt.NDArray[np.float64],
    gradient: npt.NDArray[np.float64],
    coefficients: npt.NDArray[np.float64],
    snapshots_at: npt.NDArray[np.int64],
    snapshots: npt.NDArray[np.float64],
    threads: int,
) -> None:
    """Step the moments of points × columns cells through a block of steps, on `threads` threads.

    Parameters
    ----------
    state : (S, points, columns), updated in place; S as the program has them.
    gradient : (G, points, columns), the slope, the offset and the scale of the noise, then what else the program takes.
    coefficients : (points, steps, C), the optimizer's Coefficients, then what else is known from time alone.
    snapshots_at, snapshots : as for `advance`, of the whole state: (n, S, points, columns).

    Raises
    ------
    ValueError : a shape, dtype or layout other than the above, an unknown name.
    KeyboardInterrupt : on Ctrl-C, within 0.2 s; the state is then unspecified.
    """

def update(*, isa: str, optimizer: str, state: Sequence[Floats], gradient: Floats, coefficients: Floats) -> None:
    """Make one update of each row's vector, in place, on the calling thread.

    All arrays are C-contiguous, do not overlap and have the dtype of `gradient`, float32 or float64.

    Parameters
    ----------
    optimizer : one that takes each coordinate by itself.
    state : arrays (rows, columns), updated in place; in the order of the optimizer's State.
    gradient : (rows, columns).
    coefficients : (rows, K), in the order of the optimizer's Coefficients.

    Raises
    ------
    ValueError : a shape, dtype or layout other than the above, an unknown name, an optimizer with sums over a vector.
    """

def normals(
    *, isa: str, seed: int, first_step: int, steps: int, columns: int, replicas: int, first_replica: int, point: int
) -> npt.NDArray[np.float32]:
    """`simulation.normal.normals` of stream 0, consecutive numbers, columns from 0: (steps, replicas, columns)."""

def philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, int, int, int]:
    """The four words of `simulation.philox.philox` for one counter."""

def contraction_is_off(isa: str) -> bool:
    """Whether a·b + c with run-time inputs is rounded twice, as promised, in float32 and float64."""
