"""C02: on gradients AdamW's weights are a double exponential moving average, bias correction included."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...problems import RandomWalk
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Evidence, Exact, Figure
from ..proof import POINTS, formulas, proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, curves, engine, held, sampled

LR = 0.02
DECAYS = (0.5, 5.0)
BETAS = (0.0, 0.5, 0.9, 0.98)
RECORD = (0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 320, 500)
WIDTH = {"smoke": 768, "quick": 2048, "full": 8192}
REPLICAS = {"smoke": 512, "quick": 1024, "full": 1024}
SEED = 2
# Without bias correction E w² would be a tenth or less of what it is at first, and 4 % off at 3/(1−β₁) steps.
RESOLUTION = 0.02
IMPULSE_STEPS = {"smoke": 30, "quick": 100, "full": 300}


def corrected_kernel(alpha: float, beta1: float, steps: int) -> FloatArray:
    """The derived coefficient of each gradient j = 1 … t after t = `steps`, bias correction included."""
    from ...derivations.bias_correction import bias_corrected_coefficients

    return bias_corrected_coefficients(decay_per_step=alpha, one_minus_beta1=1 - beta1, steps=steps)


def numeric(tier: str) -> Evidence:
    """Kernel, moments and sample size against brute force; the corrected kernel against pulses through AdamW."""
    return Evidence((*formulas("gradient-kernel", POINTS[tier]), *(pulses(beta1, tier) for beta1 in BETAS)))


def pulses(beta1: float, tier: str) -> Exact:
    """The derived coefficients against AdamW's own update fed one gradient each, in 60 digits."""
    from fractions import Fraction

    from ...derivations import symbols
    from ...derivations.frozen_preconditioner import forget, rate, response
    from ...optimizers.optimizer import SymbolicTime

    steps, alpha = IMPULSE_STEPS[tier], 0.1
    point = {symbols.eta: Fraction(LR), rate: Fraction(alpha), forget: 1 - Fraction(beta1)}
    exact = [float(response(point, steps, at=j, time=SymbolicTime)[-1]) for j in range(1, steps + 1)]
    error = np.abs(corrected_kernel(alpha, beta1, steps) / exact - 1).max()
    reason = f"sums of {steps} positive terms, each with 10 roundings and powers up to {steps}"
    return Exact(f"bias-corrected kernel, β₁ = {beta1:g}", float(error), 4.0 * steps * 2.0**-53, steps, reason)


def simulated(tier: str) -> Evidence:
    """E w² on white gradients after t steps against Σ_j K_j², from the first step to the equilibrium."""
    import ematheory as em

    optimizer = held(LR, DECAYS, list(BETAS))
    walk = RandomWalk(size=WIDTH[tier])
    measured = em.simulate(
        walk, optimizer, steps=RECORD[-1], record=list(RECORD), replicas=REPLICAS[tier], seed=chosen_seed(SEED)
    )  # fmt: skip
    predicted = xr.DataArray(
        [[[mean_square(decay, beta1, t) for t in RECORD] for beta1 in BETAS] for decay in DECAYS],
        {"weight_decay": measured.weight_decay.values, "beta1": list(BETAS), "step": list(RECORD)},
    )
    name = "weight_mean_square"
    # 1/(√v̂ + ε) differs from 1/ε by √v̂/ε with √v̂ < 10, and E w² by twice that.
    allowance = 20 / LARGE_EPS * predicted
    finding = sampled(
        "E w² on white gradients", measured, name, predicted, resolution=RESOLUTION * predicted, allowance=allowance
    )
    labels = [f"β₁ = {beta1:g}" for beta1 in BETAS]
    shown = (measured.isel(weight_decay=1, step=slice(1, None)), predicted.isel(weight_decay=1, step=slice(1, None)))
    drawn = curves(shown[0], name, shown[1], "beta1", labels)
    title = f"Mean square weight of AdamW from 0 on white gradients, ηλ = {LR * DECAYS[1]:g}"
    figure = Figure(title, "step", "E w²", drawn, log_x=True, log_y=True)
    return Evidence((finding,), (chosen_seed(SEED),), (figure,), engine(measured))


def mean_square(weight_decay: float, beta1: float, steps: int) -> float:
    """E w² after `steps` from w_0 = 0: the variance of Σ_j K_j g_j/λ."""
    if not steps:
        return 0.0
    return float(np.square(corrected_kernel(LR * weight_decay, beta1, steps) / weight_decay).sum())


CLAIM = Claim(
    id="C02",
    paper="wang2025",
    statement=(
        "With the preconditioner held constant, AdamW's weights are a double exponential moving average of the "
        "gradients, w_t = a^t w_0 − (1/λ) Σ k_s g_{t−s}/√v with k_s = (1−a)(1−β₁)(a^{s+1}−β₁^{s+1})/(a−β₁); its "
        "moments and sample size are closed forms; bias correction reweights gradient j by the later 1/(1−β₁^i)."
    ),
    source="Follows from Wang & Aitchison, arXiv 2405.13698, section 3; THEORY.md E4",
    assumptions=("√v̂ + ε constant", "constant η and λ, 0 < ηλ < 1", "0 ≤ β₁ < 1"),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("gradient-kernel")),
        "numeric": Level(numeric),
        "simulated": Level(simulated),
    },
)
