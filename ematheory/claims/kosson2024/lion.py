"""C08: Lion's equilibrium: the exact series, and the published formula as its linearisation."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...optimizers import Lion
from ...problems import RandomWalk
from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import engine, misses, sampled

LR, RATES = 0.01, (0.005, 0.05)  # η and ηλ
BETAS = ((0.9, 0.99), (0.5, 0.9), (0.95, 0.98))
# What is left of the start after this many steps is e^{−2·0.005·2000} = 2e-9.
STEPS, SIZE, SEED = 2000, 512, 8
REPLICAS = {"smoke": 64, "quick": 512, "full": 2048}
# Relative, in E w², of the exact series and of the published formula, which is off by 1.5 % at least.
RESOLUTION = {"smoke": 0.05, "quick": 0.02, "full": 0.01}


def series(rate: float, forget1: float, forget2: float) -> float:
    """E w²/η² at rest by the derived series."""
    from ...derivations.lion_random_walk import lion_mean_square

    return lion_mean_square(lr=1.0, decay_per_step=rate, one_minus_beta1=forget1, one_minus_beta2=forget2)


def published(rate: float, forget1: float, forget2: float) -> float:
    """E w²/η² by arXiv 2305.17212: 1/(πηλD), D = (1−β₁)² + β₁²(1−β₂)/(1+β₂)."""
    spread = forget1**2 + (1 - forget1) ** 2 * forget2 / (2 - forget2)
    return 1 / (np.pi * rate * spread)


def simulated(tier: str) -> Evidence:
    """E w² of Lion at rest against the series with the arcsine; where the published formula stands, it must fail."""
    import ematheory as em

    beta1, beta2 = (xr.DataArray(list(each), dims="setting") for each in zip(*BETAS, strict=True))
    optimizer = Lion(lr=LR, weight_decay=[rate / LR for rate in RATES], beta1=beta1, beta2=beta2)
    measured = em.simulate(
        RandomWalk(size=SIZE), optimizer, steps=STEPS, record=[STEPS], replicas=REPLICAS[tier], seed=chosen_seed(SEED)
    ).isel(step=0)
    exact, simple = (
        xr.DataArray(
            [[LR**2 * form(rate, 1 - b1, 1 - b2) for b1, b2 in BETAS] for rate in RATES],
            dims=("weight_decay", "setting"),
        )
        for form in (series, published)
    )
    finding = sampled(
        "E w² of Lion at rest", measured, "weight_mean_square", exact, resolution=RESOLUTION[tier] * exact,
    )  # fmt: skip
    rival = misses(
        f"E w² by the published formula at ηλ = {RATES[0]:g}", measured.isel(weight_decay=0), "weight_mean_square",
        simple.isel(weight_decay=0),
    )  # fmt: skip
    return Evidence((finding, rival), (chosen_seed(SEED),), isa=engine(measured))


CLAIM = Claim(
    id="C08",
    paper="kosson2024",
    statement=(
        "On white normal gradients Lion's E w² is η²/(1 − a²)·[1 + 2Σ_k a^k (2/π) arcsin ρ_k]; the published η/(πλD), "
        "D = (1−β₁)² + β₁²(1−β₂)/(1+β₂), is its linearisation as ηλ → 0 less 1 − 2/π beside (2/π)/D: too small, by a "
        "share that vanishes with D only where the ρ_k do."
    ),
    source="Kosson et al., arXiv 2305.17212, on Lion; THEORY.md R4",
    assumptions=("white normal gradients, h = 0",),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("lion-random-walk")), "simulated": Level(simulated)},
)
