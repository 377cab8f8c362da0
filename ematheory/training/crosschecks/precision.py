"""What torch.optim.AdamW does to weights that are stored in few bits (§8): each of its code paths, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...records import check_choice
from ...typing import FloatArray
from ..determinism import deterministic, generator

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
# torch.optim.AdamW's implementations by the argument that chooses them. Left out, CPU tensors take the single one
# and GPU tensors foreach.
PATHS: dict[str, dict[str, bool]] = {
    "single": {"foreach": False, "fused": False},
    "foreach": {"foreach": True, "fused": False},
    "fused": {"foreach": False, "fused": True},
}


def stored(
    weights: FloatArray, path: str, *, lr: float, weight_decay: float, steps: int, gradient: float = 0.0,
    dtype: str = "bfloat16",
) -> FloatArray:  # fmt: skip
    """Weights after `steps` of torch.optim.AdamW with β₁ = β₂ = 0 and ε = 0, one gradient for all at every step.

    u is the gradient's sign, ±1 in any precision; for a gradient of 0 nothing but decay acts.

    Parameters
    ----------
    weights : numbers that `dtype` holds, any shape.
    path : ``"single"``, ``"foreach"`` or ``"fused"``, torch's own names for its implementations.
    dtype : ``"bfloat16"`` or ``"float32"``, in which weight, gradient and moments are held.

    Raises `ValueError` for another path or dtype.

    >>> stored(np.array([1.5]), "foreach", lr=1.0, weight_decay=0.002, steps=1).item()  # by 2⁻⁸, as 0.998 is rounded
    1.4921875
    """
    check_choice("dtype", dtype, DTYPES)
    with deterministic(), torch.no_grad():
        weight = torch.tensor(weights, dtype=torch.float64).to(DTYPES[dtype])
        optimizer = adamw([weight], path, lr=lr, weight_decay=weight_decay, eps=0.0 if gradient else 1.0)
        weight.grad = torch.full_like(weight, gradient)
        for _ in range(steps):
            optimizer.step()
    return np.asarray(weight.to(torch.float64).numpy())


def adamw(weights: list[Tensor], path: str, **settings: Any) -> torch.optim.AdamW:
    """torch's AdamW without memory, on one of its code paths."""
    check_choice("path", path, PATHS)
    return torch.optim.AdamW(weights, betas=(0.0, 0.0), **settings, **PATHS[path])


def stochastically_stored(
    weights: FloatArray, *, weight_decay: float, record: list[int], copies: int, seed: int
) -> FloatArray:
    """Weights in bfloat16 that torch.optim.AdamW steps in float32 and that are then rounded up or down by chance.

    η = 1 and the gradient is 0, so ηλ is `weight_decay`. Returns shape (copies, records, weights).
    """
    with deterministic(), torch.no_grad():
        weight = torch.tensor(weights, dtype=torch.float32).repeat(copies, 1)
        optimizer, source = adamw([weight], "single", lr=1.0, weight_decay=weight_decay), generator(seed)
        weight.grad = torch.zeros_like(weight)
        seen = []
        for step in range(1, record[-1] + 1):
            optimizer.step()
            weight.copy_(rounded_by_chance(weight, source))
            if step in record:
                seen.append(weight.to(torch.float64).numpy())
    return np.stack(seen, axis=1)


def rounded_by_chance(weights: Tensor, source: torch.Generator) -> Tensor:
    """float32 numbers to bfloat16 ones next to them, upwards with the probability that keeps the mean.

    bfloat16 is a float32's upper half: adding 16 random bits carries into it as often as the lower half says.
    """
    bits = weights.view(torch.int32)
    noise = torch.randint(0, 2**16, weights.shape, generator=source, dtype=torch.int32)
    return ((bits + noise) & -(2**16)).view(torch.float32)


def walked_in_float32(
    weights: FloatArray, path: str, *, lr: float, weight_decay: float, steps: int, copies: int, seed: int
) -> FloatArray:
    """float32 weights after steps of torch.optim.AdamW whose updates are signs by chance, shape (copies, weights)."""
    with deterministic(), torch.no_grad():
        weight = torch.tensor(weights, dtype=torch.float32).repeat(copies, 1)
        optimizer, source = adamw([weight], path, lr=lr, weight_decay=weight_decay, eps=0.0), generator(seed)
        for _ in range(steps):
            weight.grad = torch.randint(0, 2, weight.shape, generator=source).to(torch.float32).mul_(2).sub_(1)
            optimizer.step()
    return np.asarray(weight.to(torch.float64).numpy())
