"""AdamW as the average of independent targets, simulated: the risk by timescale, and the timescale of the least one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..optimizers import AdamW
from ..problems import RandomWalk
from ..schedules import Schedule
from ..typing import FloatArray
from .simulated import LARGE_EPS, engine

# Of no consequence: only ηλ and the targets' distance in units of their noise are.
LR = 0.01
# The least of a curve is that of a cubic of log risk in log y through so many places beside its lowest one.
BESIDE = 3


class Risks(NamedTuple):
    """T/σ² times the risk at the end of a run, shape (replicas, places), and the instruction set that ran it."""

    values: FloatArray
    isa: str


def end_risks(
    places: FloatArray, signal: float, steps: int, *, schedule: Schedule | None, size: int, replicas: int, seed: int
) -> Risks:
    """Of AdamW's average of targets θ* + noise at each y = 1/τ_run in `places`, with T b²/σ² = `signal`.

    Without momentum and with v held at 1 the target is q = −g/λ: white gradients give θ* = 0 and σ = 1/λ. Each replica
    is the mean over `size` averages; every place and every schedule has the same targets in units of σ.
    """
    import ematheory as em

    decay = xr.DataArray(places / (LR * steps), dims="place")
    optimizer = AdamW(lr=LR * LARGE_EPS, weight_decay=decay / LARGE_EPS, beta1=0.0, eps=LARGE_EPS)
    measured = em.simulate(
        RandomWalk(size=size, init=(signal / steps) ** 0.5 / decay), optimizer, steps=steps, schedule=schedule,
        record=[steps], trajectories=range(replicas), replicas=replicas, seed=seed,
    )  # fmt: skip
    square = (measured.trajectory.isel(step=0) ** 2).mean("coordinate", skipna=False)
    return Risks(steps * (decay**2 * square).transpose("replica", "place").values, engine(measured))


class Least(NamedTuple):
    """Where a curve is least, in y, and how low it is there."""

    place: FloatArray
    value: FloatArray


def least(curves: FloatArray, places: FloatArray, lowest: int) -> Least:
    """The least of curves (…, places) near their place number `lowest`, by a cubic of its logarithm in log y."""
    window = slice(max(lowest - BESIDE, 0), lowest + BESIDE + 1)
    x = np.log(places[window])
    middle = float(x.mean())
    fitted: Any = np.linalg.lstsq(np.vander(x - middle, 4, increasing=True), np.log(curves[..., window]).T, rcond=None)[
        0
    ]
    level, slope, bend, skew = fitted
    with np.errstate(invalid="ignore"):  # a cubic that only falls or rises has no least, and NaN is never a pass
        at = -slope / (bend + np.sqrt(bend**2 - 3 * slope * skew))
    return Least(np.exp(middle + at), np.exp(level + at * (slope + at * (bend + at * skew))))
