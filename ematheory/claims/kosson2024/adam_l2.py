"""C07: Adam with L2 on scale-invariant weights."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...optimizers import Adam
from ...problems import ScaleInvariant
from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import proof
from ..simulated import engine, sampled

LR, DECAY, SIZE, FORGET2 = 0.2, 0.01, 2048, 1 / 256
SPREADS, BETAS = (4.0, 16.0, 64.0), (0.0, 0.5)  # σ̃, over which the rotation changes by a factor of 2.5
# From half the equilibrium's norm ‖w‖³ relaxes as e^{−3ηλ(‖w‖/σ̃)t}, which leaves 1e-4 of the slowest.
START, STEPS, SEED = 0.5, 1200, 7
REPLICAS = {"smoke": 32, "quick": 128, "full": 512}
# Relative, beyond what is of first order in ηλ‖w‖/σ̃ and 1 − β₂. AdamW's law would be off by far more.
RESOLUTION = 0.02


def published_norm(spread: xr.DataArray) -> xr.DataArray:
    """(ηCσ̃/(2λ))^{1/3}."""
    return (LR * SIZE * spread / (2 * DECAY)) ** (1 / 3)


def published_rotation(spread: xr.DataArray, beta1: xr.DataArray) -> xr.DataArray:
    """√(2ηλ(‖w‖/σ̃)(1 − β₁)/(1 + β₁)), which goes as σ̃^{−1/3}."""
    return xr.DataArray(np.sqrt(2 * LR * DECAY * published_norm(spread) / spread * (1 - beta1) / (1 + beta1)))


def simulated(tier: str) -> Evidence:
    """Norm and rotation over a sixteenfold range of the gradients' scale, from half the norm, v running."""
    import ematheory as em

    spread = xr.DataArray(list(SPREADS), dims="spread")
    problem = ScaleInvariant(size=SIZE, noise=spread**2, init=START * published_norm(spread) / SIZE**0.5)
    optimizer = Adam(lr=LR, weight_decay=DECAY, beta1=list(BETAS), beta2=1 - FORGET2, eps=0.0)
    measured = em.simulate(
        problem, optimizer, steps=STEPS, record=[STEPS], observables=("weight_norm", "rotation"),
        replicas=REPLICAS[tier], seed=SEED,
    ).isel(step=0)  # fmt: skip
    norm, rotation = published_norm(spread), published_rotation(spread, measured.beta1)
    # Both laws are limits: what they leave out is of first order in these, with coefficients below 1.
    share = LR * DECAY * norm / spread + FORGET2
    findings = tuple(
        sampled(
            f"{name} of Adam with L2", measured, name, law, resolution=RESOLUTION * law, allowance=share * law
        )
        for name, law in (("weight_norm", norm), ("rotation", rotation))
    )  # fmt: skip
    return Evidence(findings, (SEED,), isa=engine(measured))


CLAIM = Claim(
    id="C07",
    paper="kosson2024",
    statement=(
        "On scale-invariant weights Adam with L2 comes to ‖w‖³ = ηCσ̃/(2λ) and turns by √(2ηλ(‖w‖/σ̃)(1−β₁)/(1+β₁)) a "
        "step, which goes as σ̃^{−1/3}: unlike AdamW's, the rotation depends on the gradients' scale."
    ),
    source="Kosson et al., arXiv 2305.17212, on Adam with L2; THEORY.md §4",
    assumptions=(
        "a gradient at right angles to the weights that falls as 1/‖w‖",
        "its mean is 0, its root mean square σ̃ at unit norm constant, many coordinates",
        "β₂ → 1, so that √v̂ = σ̃/‖w‖, and ηλ‖w‖/σ̃ → 0",
    ),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("scale-invariant-adam-l2")), "simulated": Level(simulated)},
)
