"""Where AdamW's stationary loss on the noisy quadratic (Q8) holds: its ridge λ√v and its variance, over (λ, η).

python papers/zhang2019/regime_maps.py [smoke|quick|full]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import ematheory as em
from ematheory.claims.simulated import derived
from ematheory.report.papers import PLACES
from ematheory.report.regime_maps import RegimeMap, Row, draw, record

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)  # η
DECAYS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # λ
# One coordinate with h = θ* = 1, and the standard deviation σ of its gradient.
DEVIATION, BETA1, FORGET2 = 0.5, 0.9, (0.05, 0.001)
# The slowest rate is 0.003·(1/σ + 0.01) = 0.006 a step: e^{−12} is left by half of the steps.
STEPS, RECORDS = 4000, 9
SIZE = {"smoke": 16, "quick": 256, "full": 4096}
REPLICAS, SEED = 64, 2


def at_root(result: str, root: Any) -> Any:
    """A result of Q8 over (lr, weight_decay) where √v is held at `root`."""
    return derived(
        "adamw-quadratic", result, lr=xr.DataArray(list(RATES), dims="lr"),
        weight_decay=xr.DataArray(list(DECAYS), dims="weight_decay"), one_minus_beta1=1 - BETA1, curvature=1.0,
        root_mean_square=root, noise_variance=DEVIATION**2, optimum=1.0,
    )  # fmt: skip


def fixed_root() -> xr.DataArray:
    """√v where v = E g²: by bisection, for E g²/v falls as v grows (the derivation's step "one fixed point")."""
    low, high = (
        xr.DataArray(np.full((len(RATES), len(DECAYS)), end), dims=("lr", "weight_decay")) for end in (0.1, 10.0)
    )
    for _ in range(60):
        middle = (low + high) / 2
        is_below = at_root("gradient_square", middle) > middle**2
        low, high = xr.where(is_below, middle, low), xr.where(is_below, high, middle)
    return (low + high) / 2


def loss(variance: Any, mean: Any) -> Any:
    """½h(V + (w_∞ − θ*)²)."""
    return (variance + (mean - 1) ** 2) / 2


def small_rate() -> xr.DataArray:
    """The limit: v = σ², V = ησ/(2(h + λσ)), and the ridge λσ."""
    lr = xr.DataArray(list(RATES), dims="lr")
    decay = xr.DataArray(list(DECAYS), dims="weight_decay")
    return loss(lr * DEVIATION / (2 * (1 + decay * DEVIATION)), at_root("stationary_mean", DEVIATION))


def row(forget2: float, tier: str) -> Row:
    """Over (λ, η), a coordinate being one of `SIZE` that are alike."""
    problem = em.NoisyQuadratic(np.ones(SIZE[tier]), noise=DEVIATION**2, optimum=1.0, init=1.0)
    optimizer = em.AdamW(lr=list(RATES), weight_decay=list(DECAYS), betas=(BETA1, 1 - forget2), eps=0.0)
    steps = np.linspace(STEPS / 2, STEPS, RECORDS).astype(int).tolist()
    seen = em.simulate(problem, optimizer, steps=STEPS, record=steps, replicas=REPLICAS, seed=SEED, dtype="float32")
    root = fixed_root()
    ours = loss(at_root("stationary_variance", root), at_root("stationary_mean", root))
    # The error is taken as that of one record: those of the smallest rate are hardly independent.
    grids = (seen.risk.mean("step") / SIZE[tier], seen.risk_sem.mean("step") / SIZE[tier], small_rate(), ours)
    measured, errors, limit, exact = (grid.transpose("lr", "weight_decay").values for grid in grids)
    return Row(f"1 − β₂ = {forget2:g}", measured, errors, {"v = σ², η → 0": limit, "Q8, v = E g²": exact})


def ridge(tier: str) -> RegimeMap:
    title = f"AdamW at rest on a noisy quadratic, h = θ* = 1, σ = {DEVIATION:g}, β₁ = {BETA1:g}"
    rows = [row(forget2, tier) for forget2 in FORGET2]
    return RegimeMap(title, "risk per coordinate", "weight decay λ", "learning rate η", DECAYS, RATES, rows)


def write(folder: Path, tier: str) -> None:
    """Draw the map and keep its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    found = ridge(tier)
    (folder / "regime-map-ridge.json").write_text(json.dumps(record(found)) + "\n", encoding="utf-8")
    draw(found, folder / "regime-map-ridge.png")


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "quick"
    write(Path(__file__).parent / PLACES[asked].within / "figures", asked)
