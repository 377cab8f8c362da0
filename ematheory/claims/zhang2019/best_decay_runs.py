"""The simulated level of C39: runs of SGD below the onset and beyond it, at the ridge value and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..evidence import Curve, Evidence, Figure, Finding
from ..paired import averaged, exceeds
from ..seeds import chosen_seed
from ..simulated import engine
from .best_decay import CURVATURE, LR, onset, ridge, summed

# λ over the ridge value; and lengths that double, beyond 1/(ηh_min) = 20, over which a best λ ∝ 1/T would fall by half.
SHARES, LENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0), (100, 200)
BATCHES = {"smoke": (1.0,), "quick": (1.0, 4.0), "full": (1.0, 4.0, 16.0)}
# For the noise of a batch; the differences in question fall as the noise does, and so do their errors.
REPLICAS = {"smoke": 8192, "quick": 65_536, "full": 524_288}
SEED = 39


def runs(batch: float, tier: str) -> xr.Dataset:
    """`risk` of each replica from w₀ = 0, by the share of the ridge value and the length; all share their noise."""
    import ematheory as em

    record = [*around_onset(batch), *LENGTHS]
    problem = NoisyQuadratic(CURVATURE, optimum=1.0, init=0.0, batch_size=batch)
    decays = [share * ridge(batch) for share in SHARES]
    parts = []
    for first in range(0, REPLICAS[tier], REPLICAS["smoke"]):
        numbers = range(first, first + REPLICAS["smoke"])
        run = em.simulate(
            problem, SGD(lr=LR, weight_decay=decays), steps=record[-1], record=record, replicas=numbers,
            seed=chosen_seed(SEED), trajectories=numbers,
        )  # fmt: skip
        curvature = xr.DataArray(CURVATURE, dims="coordinate")
        parts.append((curvature * (run.trajectory - 1) ** 2).sum("coordinate") / 2)
    risk = xr.concat(parts, "replica").rename(weight_decay="share").assign_coords(share=list(SHARES))
    return xr.Dataset({"risk": risk}, attrs=run.attrs)


def around_onset(batch: float) -> tuple[int, int]:
    """Lengths of half and of twice the derived onset."""
    return onset(batch) // 2, 2 * onset(batch)


def rise(batch: float, steps: int, low: float, high: float) -> float:
    """The derived slope of the risk, integrated from one λ to another."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    decays = low + (high - low) * (nodes + 1) / 2
    slopes = [summed("slope", batch, weight_decay=decay, steps=steps) for decay in decays]
    return float((high - low) / 2 * np.dot(weights, slopes))


def against(found: xr.Dataset, batch: float, steps: int, base: float, shares: Sequence[float]) -> list[Finding]:
    """The risk at each share less that at the base share: as derived, and above 0."""
    risk = found.risk.sel(step=steps)
    difference = risk.sel(share=list(shares)) - risk.sel(share=base, drop=True)
    at = ridge(batch)
    expected = xr.DataArray([rise(batch, steps, base * at, share * at) for share in shares], dims="share")
    where = f"B = {batch:g}, T = {steps}"
    least = "without decay" if base == 0 else f"at {base:g} of the ridge value"
    return [
        averaged(f"risk over that {least}, {where}", difference, expected, resolution=abs(expected) / 2),
        exceeds(f"no more risk than {least}, {where}", difference),
    ]


def drawn(found: xr.Dataset, batch: float) -> Curve:
    """The longest run's risk over the ridge value's, by λ."""
    risk = found.risk.sel(step=LENGTHS[-1])
    difference = risk - risk.sel(share=1.0, drop=True)
    at = ridge(batch)
    expected: FloatArray = np.array([rise(batch, LENGTHS[-1], at, share * at) for share in SHARES])
    errors: Any = difference.std("replica", ddof=1) / np.sqrt(difference.sizes["replica"])
    return Curve(f"B = {batch:g}", SHARES, expected, difference.mean("replica").values, errors.values)


def examined(tier: str) -> Evidence:
    """Below the onset every decay costs, beyond it some gains; in long runs the ridge value is best at any length."""
    findings: list[Finding] = []
    curves = []
    for batch in BATCHES[tier]:
        found = runs(batch, tier)
        before, after = around_onset(batch)
        findings += against(found, batch, before, 0.0, SHARES[1:])
        findings += against(found, batch, after, 0.5, (0.0,))
        for steps in LENGTHS:
            findings += against(found, batch, steps, 1.0, (0.0, 0.25, 0.5, 2.0, 4.0))
        curves.append(drawn(found, batch))
    title = f"Risk over that at the ridge value after {LENGTHS[-1]} steps"
    figure = Figure(title, "λ over the ridge value", "difference of risks", tuple(curves))
    return Evidence(tuple(findings), (chosen_seed(SEED),), (figure,), engine(found))
