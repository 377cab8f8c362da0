"""This engine's contenders: the public verb, and the native `advance` alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from setting import (
    BETA1,
    BETA2,
    COORDINATES,
    CURVATURE,
    DECAY,
    EPS,
    LR,
    SCHEDULE,
    STEPS,
    Floats,
    Run,
    coefficients,
)

import ematheory as em

OPTIMIZER = em.AdamW(lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2), eps=EPS)


def simulate(replicas: int, dtype: str, isa: str, threads: int) -> Run:
    """The public verb, with its checks, coefficients and statistics at the start and the end."""
    problem = em.NoisyQuadratic(curvature=CURVATURE)
    return lambda: em.simulate(
        problem, OPTIMIZER, steps=STEPS, schedule=SCHEDULE, replicas=replicas, dtype=dtype, backend="cpu",
        isa=isa or "auto", threads=threads,
    )  # fmt: skip


def rows(dtype: Any, steps: int) -> Floats:
    """The optimizer's coefficients of every step, (1, steps, 8)."""
    changing = coefficients(dtype, steps)
    fixed = (np.full(steps, value, dtype=dtype) for value in (BETA1, 1 - BETA1, BETA2, 1 - BETA2))
    ordered = (changing.step_size, changing.decay, *fixed, changing.correction, np.full(steps, EPS, dtype=dtype))
    return np.stack(ordered, axis=-1)[None]


def block(replicas: int, dtype: Any, *, coordinates: int = COORDINATES, points: int = 1, steps: int = STEPS) -> Any:
    """The arrays of one call of `advance`, by their names."""
    curvature = 1 / np.arange(1, coordinates + 1)
    state = np.zeros((3, points, replicas, coordinates), dtype=dtype)
    state[0] = 1
    of_problem = np.stack([curvature, 0 * curvature, np.sqrt(curvature)]).astype(dtype)
    return {
        "state": state,
        "problem_coefficients": np.repeat(of_problem[:, None], points, axis=1),
        "coefficients": np.repeat(rows(dtype, steps), points, axis=0),
        "point_numbers": np.arange(points, dtype=np.uint32),
        "snapshots_at": np.zeros(0, dtype=np.int64),
        "snapshots": np.zeros((0, points, replicas, coordinates), dtype=dtype),
    }


def advance(replicas: int, dtype: str, isa: str, threads: int, **shape: int) -> Run:
    """The native engine's `advance` alone, on arrays that are there."""
    native = import_module("ematheory._native")
    given = block(replicas, dtype, **shape)

    def run() -> Floats:
        native.advance(
            isa=isa or em.isas()[-1], problem="noisy_quadratic", optimizer="adamw", first_step=0, seed=0,
            first_replica=0, threads=threads, **given,
        )  # fmt: skip
        return np.asarray(given["state"][0, 0])

    return run
