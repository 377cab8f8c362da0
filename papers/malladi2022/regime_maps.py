"""Where the √κ rule holds: the risk at a batch κ times as large beside the one it should keep, over (κ, q).

python papers/malladi2022/regime_maps.py [smoke|quick|full]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ematheory as em
from ematheory.report.papers import PLACES
from ematheory.report.regime_maps import RegimeMap, Row, draw, record
from ematheory.typing import FloatArray

SIGNALS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # q, of the mean gradient to its noise in squares, at κ = 1
FACTORS = (1, 2, 4, 8, 16, 32, 64)  # κ
# One coordinate with h = 1 and gradients of variance σ² = 1 at κ = 1; at rest the ridge is λσ = 1.
LR, DECAY, FORGET1, FORGET2 = 0.002, 1.0, 2.0**-7, 2.0**-9
# The rate is 0.002·(1 + 1) a sample: half of them leave e^{−16} of the start, and records are 1024 of them apart, so
# that e^{−4} of a deviation is left from one to the next and their errors are nearly independent.
SAMPLES, RECORDS = 2**13, 5
SIZE = {"smoke": 16, "quick": 1024, "full": 8192}
REPLICAS, SEED = 64, 3


def powers(factor: float, decay_power: float) -> em.AdamW:
    """η → √κη and 1 − β → κ(1 − β) as published, and λ → κ^power·λ; ε is 0."""
    betas = (1 - factor * FORGET1, 1 - factor * FORGET2)
    return em.AdamW(lr=LR * factor**0.5, weight_decay=DECAY * factor**decay_power, betas=betas, eps=0.0)


def rescaled(factor: float) -> em.AdamW:
    """What `rescale` makes of it: β^κ, and (1 − ηλ)^κ."""
    betas = (1 - FORGET1, 1 - FORGET2)
    recipe = em.Recipe(
        lr=LR, weight_decay=DECAY, batch_size=1, dataset_size=SAMPLES, unit="samples", betas=betas, eps=1e-30
    )
    new = em.rescale(recipe, batch_size=factor, preset="malladi2022").recipe
    return em.AdamW(lr=new.lr, weight_decay=new.weight_decay, betas=(new.beta1, new.beta2), eps=0.0)


RULES: dict[str, Callable[[float], em.AdamW]] = {
    "√κη, κ(1−β), λ": lambda factor: powers(factor, 0.0),
    "√κη, κ(1−β), √κλ": lambda factor: powers(factor, 0.5),
    "√κη, β^κ, (1−ηλ)^κ": rescaled,
}


def risk(optimizer: em.AdamW, factor: int, signal: float, tier: str) -> tuple[float, float]:
    """Per coordinate over the second half of the samples, with its standard error.

    At κ = 1 decay holds the weight at half of the optimum, so that q = (θ*/2)².
    """
    optimum = 2 * signal**0.5
    problem = em.NoisyQuadratic(np.ones(SIZE[tier]), noise=1.0, optimum=optimum, init=optimum / 2, batch_size=factor)
    steps = SAMPLES // factor
    records = np.linspace(steps / 2, steps, RECORDS).astype(int).tolist()
    run: dict[str, Any] = dict(steps=steps, record=records, replicas=REPLICAS, seed=SEED, dtype="float32")
    seen = em.simulate(problem, optimizer, **run)
    return float(seen.risk.mean()) / SIZE[tier], float(seen.risk_sem.mean()) / SIZE[tier] / RECORDS**0.5


def row(name: str, before: FloatArray, tier: str) -> Row:
    """Over (q, κ); what is predicted at every κ is what was measured at κ = 1, `before`: (q, (value, error))."""
    after = [[risk(RULES[name](factor), factor, signal, tier) for factor in FACTORS[1:]] for signal in SIGNALS]
    measured, errors = np.concatenate([before[:, None], np.array(after)], axis=1).transpose(2, 0, 1)
    return Row(name, measured, errors, {"as at κ = 1": np.repeat(measured[:, :1], len(FACTORS), axis=1)})


def square_root_rule(tier: str) -> RegimeMap:
    before = np.array([risk(powers(1, 0.0), 1, signal, tier) for signal in SIGNALS])
    rows = [row(name, before, tier) for name in RULES]
    x_label, y_label = "κ, the batch's factor", "signal to noise q at κ = 1"
    title = "AdamW's √κ rule at rest on a noisy quadratic"
    return RegimeMap(title, "risk per coordinate", x_label, y_label, FACTORS, SIGNALS, rows)


def write(folder: Path, tier: str) -> None:
    """Draw the map and keep its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    found = square_root_rule(tier)
    (folder / "regime-map-batch.json").write_text(json.dumps(record(found)) + "\n", encoding="utf-8")
    draw(found, folder / "regime-map-batch.png")


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "quick"
    write(Path(__file__).parent / PLACES[asked].within / "figures", asked)
