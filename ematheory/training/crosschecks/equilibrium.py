"""AdamW's equilibrium on pure noise (R1): torch.optim.AdamW fed white gradients, its RMS and cosines measured."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...optimizers import AdamW
from ...records import Interval, check_values
from ...typing import FloatArray
from ..determinism import deterministic, generator
from ..optimizers import adam_update, at_one_point, check_in_torch, plan, set_step
from .injection import warmed

QUANTITIES = ("weight_mean_square", "cosine_weights", "cosine_before", "cosine_after")


@dataclass(frozen=True, eq=False)
class EquilibriumCheck:
    """Stationary means over independent vectors, each quantity with its standard error.

    `values`, `errors` and `per_vector` (shape (vectors,)) are keyed by `weight_mean_square` (E w²),
    `cosine_weights` (w_t, w_{t−1}), `cosine_before` (w_{t−1}, u_t) and `cosine_after` (w_t, u_t); the cosines are
    ratios of sums over a vector and over time, Σ x·y/√(Σ x² Σ y²).
    """

    values: dict[str, float]
    errors: dict[str, float]
    per_vector: dict[str, FloatArray]
    steps: int  # measured, after the burn-in
    burn_in: int
    coordinates: int  # over all vectors
    seconds: float
    settings: dict[str, Any]


def equilibrium(
    optimizer: AdamW,
    *,
    vectors: int = 40,
    size: int = 5000,
    burn_in: int | None = None,
    measured: int | None = None,
    seed: int = 0,
) -> EquilibriumCheck:
    """Feed torch.optim.AdamW standard normal gradients and measure its stationary RMS and cosines, in float64.

    `vectors` independent vectors of `size` weights start at 0 with v̂ = 1, its stationary value; with β₂ near 1 it
    stays there (its relative fluctuations have variance 2(1−β₂)/(1+β₂)). After `burn_in` steps (default 8/(ηλ):
    what is left of the start in E w² is e^{−16}) every one of `measured` steps (default 5/(ηλ)) enters the sums.

    Source: R1 (THEORY §4; its limit ηλ → 0 is in arXiv 2305.17212). The same seed gives the same gradients for every
    optimizer, so that differences between β₂ are far less noisy than either value. Raises as `train` does, and
    `ValueError` for λ = 0 (no equilibrium) or fewer than two vectors.

    >>> check = equilibrium(AdamW(lr=1e-2, weight_decay=10.0, betas=(0.0, 0.9999)), vectors=4, size=100)
    >>> abs(check.values["cosine_weights"] - 0.9) < 5 * check.errors["cosine_weights"]
    True
    """
    check_in_torch(optimizer)
    if not isinstance(optimizer, AdamW):
        raise TypeError(f"the equilibrium R1 is AdamW's, got {optimizer!r}")
    check_values("vectors", vectors, Interval(2))
    record = at_one_point(optimizer)
    alpha = float(plan(record, 1).decay_per_step[0])
    check_values("decay per step ηλ", alpha, Interval(0.0, 1.0, closed_low=False))
    burn_in = math.ceil(8 / alpha) if burn_in is None else burn_in
    measured = math.ceil(5 / alpha) if measured is None else measured
    start = time.perf_counter()
    with deterministic(), torch.no_grad():
        sums = walked(record, vectors, size, burn_in, measured, seed)
    per_vector = quantities(sums, measured * size)
    return EquilibriumCheck(
        values={name: float(value.mean()) for name, value in per_vector.items()},
        errors={name: float(value.std(ddof=1) / math.sqrt(vectors)) for name, value in per_vector.items()},
        per_vector=per_vector,
        steps=measured,
        burn_in=burn_in,
        coordinates=vectors * size,
        seconds=time.perf_counter() - start,
        settings={"optimizer": repr(record), "vectors": vectors, "size": size, "seed": seed, "dtype": "float64"},
    )


def walked(record: Any, vectors: int, size: int, burn_in: int, measured: int, seed: int) -> FloatArray:
    """Σ over the measured steps and each vector of w·w, w'·w', u·u, w·w', w·u, w'·u (w before, w' after the step)."""
    weights = torch.zeros(vectors, size, dtype=torch.float64)
    optimizer, source = warmed(record, [weights]), generator(seed)
    run = plan(record, burn_in + measured)
    sums = torch.zeros(6, vectors, dtype=torch.float64)
    weights.grad = torch.empty_like(weights)
    for k in range(1, run.steps + 1):
        before = weights.clone() if k > burn_in else None
        weights.grad.normal_(generator=source)
        set_step(optimizer, run, k)
        optimizer.step()
        if before is not None:
            u = adam_update(record, optimizer.state[weights])
            sums += torch.stack([dot(*pair) for pair in pairs(before, weights, u)])
    return sums.numpy()


def pairs(before: Tensor, after: Tensor, u: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (before, before), (after, after), (u, u), (before, after), (before, u), (after, u)


def dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(dim=-1)


def quantities(sums: FloatArray, count: int) -> dict[str, FloatArray]:
    """The four quantities of each vector, from its six sums over `count` terms."""
    before, after, u, kept, before_u, after_u = sums
    values = (
        after / count,
        kept / np.sqrt(before * after),
        before_u / np.sqrt(before * u),
        after_u / np.sqrt(after * u),
    )
    return dict(zip(QUANTITIES, values, strict=True))
