"""What every contender runs: AdamW on a noisy quadratic of 10⁴ coordinates with a cosine schedule.

A particle-step is one update of one coordinate of one replica: gradient h·w + √h·n with n ~ N(0, 1), then AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import ematheory as em

COORDINATES = 10_000
# Of one prepared run; the number of runs in a measurement makes it long enough.
STEPS = 100
LR, DECAY, BETA1, BETA2, EPS = 1e-3, 0.1, 0.9, 0.999, 1e-8
SCHEDULE = em.Cosine(final=0.1)
CURVATURE = 1 / np.arange(1, COORDINATES + 1)

Run = Callable[[], Any]
Floats = np.ndarray[Any, Any]


class Coefficients(NamedTuple):
    """What changes with the step, each (steps,): η_k/(1 − β₁^k), η_k λ and 1/(1 − β₂^k)."""

    step_size: Floats
    decay: Floats
    correction: Floats


def coefficients(dtype: Any = np.float32, steps: int = STEPS) -> Coefficients:
    k = np.arange(1, steps + 1)
    lr = LR * SCHEDULE.multipliers(steps)
    rows = (lr / (1 - BETA1**k), lr * DECAY, 1 / (1 - BETA2**k))
    return Coefficients(*(row.astype(dtype) for row in rows))


def rates() -> Floats:
    """The learning rate of each step, for optimizers that correct their bias themselves."""
    return np.asarray(LR * SCHEDULE.multipliers(STEPS))


def steps_for(particle_steps: float, cells: int) -> int:
    """How many whole runs of `STEPS` steps take about so many particle-steps, as steps."""
    return STEPS * max(1, math.ceil(particle_steps / (cells * STEPS)))
