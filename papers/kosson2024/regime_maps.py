"""Where the equilibria of AdamW (R1) and Lion hold: simulated root mean squares over the published formulas and ours.

python papers/kosson2024/regime_maps.py [smoke|quick|full]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import ematheory as em
from ematheory.claims.kosson2024 import lion
from ematheory.claims.simulated import derived
from ematheory.report.papers import PLACES
from ematheory.report.regime_maps import RegimeMap, Row, draw, record

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # ηλ
FORGET1 = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)  # 1 − β₁
FORGET2 = (0.05, 0.001)
LION_FORGET2, LION_FORGET1 = (0.5, 0.2, 0.1, 0.03, 0.01, 0.003), (0.1, 0.5)
LR = 0.01
# Runs start near the root mean square they come to. By half of the steps at least 98 % of what they were off in it is
# forgotten, e^{−2·0.001·2000} = 2 %, and of the moments' start all but e^{−2}: v̂ then has 2000 gradients.
STEPS, RECORDS = 4000, 9
SIZE = {"smoke": 16, "quick": 256, "full": 4096}
REPLICAS, SEED = 64, 1


def measured(optimizer_at: Callable[[float], Any], start: float, tier: str) -> tuple[xr.DataArray, xr.DataArray]:
    """The root mean square over η at each rate, from records along the second half, with its standard error.

    `optimizer_at` gives the optimizer of a weight decay, and `start`·√(1/ηλ) is where its weights start. The error is
    taken as that of one record, for those of the smallest rate are hardly independent.
    """
    steps = np.linspace(STEPS / 2, STEPS, RECORDS).astype(int).tolist()
    run: dict[str, Any] = dict(steps=STEPS, record=steps, replicas=REPLICAS, seed=SEED, dtype="float32")
    roots, errors = [], []
    for rate in RATES:
        walk = em.RandomWalk(SIZE[tier], init=LR * start / np.sqrt(rate))
        seen = em.simulate(walk, optimizer_at(rate / LR), **run)
        roots.append(np.sqrt(seen.weight_mean_square.mean("step")) / LR)
        errors.append(seen.weight_mean_square_sem.mean("step") / (2 * roots[-1] * LR**2))
    return xr.concat(roots, "rate"), xr.concat(errors, "rate")


def adamw_row(forget2: float, tier: str) -> Row:
    """Over (1 − β₁, ηλ): R1 holds for v held constant; the published form as ηλ → 0 besides."""
    rate = xr.DataArray(list(RATES), dims="rate")
    forget1 = xr.DataArray(list(FORGET1), dims="forget1")

    def optimizer_at(decay: float) -> Any:
        return em.AdamW(lr=LR, weight_decay=decay, beta1=1 - forget1, beta2=1 - forget2, eps=0.0)

    root, error = measured(optimizer_at, np.sqrt(1 / 2), tier)
    exact = derived("adamw-random-walk", "weight_rms", lr=1.0, decay_per_step=rate, one_minus_beta1=forget1)
    grids = xr.broadcast(root, error, np.sqrt(1 / (2 * rate)), exact)
    seen, errors, published, ours = (grid.transpose("forget1", "rate").values for grid in grids)
    return Row(f"1 − β₂ = {forget2:g}", seen, errors, {"√(η/2λ)": published, "R1, v constant": ours})


def adamw(tier: str) -> RegimeMap:
    rows = [adamw_row(forget2, tier) for forget2 in FORGET2]
    title = "AdamW's weights at rest on white gradients"
    return RegimeMap(title, "root mean square of the weights / η", "ηλ per step", "1 − β₁", RATES, FORGET1, rows)


def lion_row(forget1: float, tier: str) -> Row:
    """Over (1 − β₂, ηλ)."""
    forget2 = xr.DataArray(list(LION_FORGET2), dims="forget2")

    def optimizer_at(decay: float) -> Any:
        return em.Lion(lr=LR, weight_decay=decay, beta1=1 - forget1, beta2=1 - forget2)

    root, error = measured(optimizer_at, np.sqrt(1 / np.pi / (forget1**2 + 0.1 * (1 - forget1) ** 2)), tier)

    def grid(form: Any) -> Any:
        return np.sqrt([[form(ours, forget1, other) for ours in RATES] for other in LION_FORGET2])

    predicted = {"√(η/πλD)": grid(lion.published), "the exact series": grid(lion.series)}
    seen, errors = (each.transpose("forget2", "rate").values for each in (root, error))
    return Row(f"1 − β₁ = {forget1:g}", seen, errors, predicted)


def lions(tier: str) -> RegimeMap:
    rows = [lion_row(forget1, tier) for forget1 in LION_FORGET1]
    title = "Lion's weights at rest on white gradients"
    return RegimeMap(title, "root mean square of the weights / η", "ηλ per step", "1 − β₂", RATES, LION_FORGET2, rows)


MAPS = {"regime-map-adamw": adamw, "regime-map-lion": lions}


def write(folder: Path, tier: str) -> None:
    """Draw each map and keep its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MAPS.items():
        found = make(tier)
        (folder / f"{name}.json").write_text(json.dumps(record(found)) + "\n", encoding="utf-8")
        draw(found, folder / f"{name}.png")


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "quick"
    write(Path(__file__).parent / PLACES[asked].within / "figures", asked)
