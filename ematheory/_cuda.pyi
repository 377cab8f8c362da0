"""The CUDA engine (csrc/bind/cuda.cpp): `advance` of the CPU on a GPU; built where nvcc is, needs no driver to load."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._native import Floats

def devices() -> list[dict[str, Any]]:
    """Each device's name, compute_capability (major, minor), multiprocessors and memory in bytes."""

def why_no_device() -> str:
    """What the driver says where no device can be used; empty where one can."""

def optimizers() -> list[str]:
    """The names of the traced updates, as the native module has them."""

def problems() -> list[str]:
    """The names of the traced gradients, as the native module has them."""

def advance(
    *,
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
    items: int = 0,
    is_replaced: bool = False,
    first_column: int = 0,
    clip_norm: npt.NDArray[np.float64] | None = None,
    averaging: Floats | None = None,
    rounding: str = "",
    drift: Floats | None = None,
    on_host: bool = False,
) -> None:
    """`_native.advance` on the current device, with the same bits; `on_host` runs the threads' source on the CPU.

    Raises
    ------
    ValueError : as `_native.advance`.
    RuntimeError : what CUDA says went wrong; the arrays are then unspecified.
    """

def contraction_is_off() -> bool:
    """Whether the device rounds a·b + c twice, as promised, in float32 and float64. Raises `RuntimeError`."""
