"""C41: how AdamW's weights come to their equilibrium, with momentum."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...problems import RandomWalk
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Evidence, Figure
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, curves, derived, engine, held, misses, sampled

LR, DECAY, BETAS = 0.02, 2.5, (0.0, 0.5, 0.9)
RECORD = (1, 2, 4, 8, 15, 30, 60, 120)
START, SIZE, SEED = 0.2, 1024, 41
REPLICAS = {"smoke": 128, "quick": 512, "full": 2048}
# Relative; a^{2t} alone is off by up to 7 % for β₁ = 0.9.
RESOLUTION = 0.02


def three_rates(beta1: float, steps: int) -> float:
    """The derived E w² after so many steps from the start."""
    import sympy as sp

    from ...derivations import derive, symbols
    from ...derivations.adamw_transient import AT_REST, D, start
    from ...derivations.random_walk import sigma

    proved = derive("adamw-transient")
    named = {letter: proved.definitions[letter] for letter in (*AT_REST, D(symbols.t))}
    formula = proved.result_equation("mean_square").rhs.subs(named)
    rate = sp.Rational(LR) * sp.Rational(DECAY)
    known = {symbols.a: 1 - rate, symbols.beta1: sp.Rational(beta1), symbols.eta: sp.Rational(LR), sigma: 1}
    return float(formula.subs({**known, start: sp.Rational(START), symbols.t: steps}))


def one_rate(beta1: float) -> FloatArray:
    """r_t² = r_∞² + (r_0² − r_∞²)a^{2t}, with the equilibrium that momentum has."""
    rate = LR * DECAY
    rest = derived("adamw-random-walk", "weight_rms", lr=LR, decay_per_step=rate, one_minus_beta1=1 - beta1).item() ** 2
    return np.asarray(rest + (START**2 - rest) * (1 - rate) ** (2.0 * np.array(RECORD)))


def simulated(tier: str) -> Evidence:
    """E w² on the way to the equilibrium; with momentum the form with a^{2t} alone must fail.

    Schedules take AdamW's bias correction out again: η_t ∝ 1 − β₁^t with λ_t the other way round.
    """
    import ematheory as em

    parts, isa = [], None
    for beta1 in BETAS:
        correction = 1 - beta1 ** np.arange(1.0, RECORD[-1] + 1)
        run = em.simulate(
            RandomWalk(size=SIZE, init=START), held(LR, [DECAY], [beta1]), steps=RECORD[-1], schedule=correction,
            decay_schedule=1 / correction, record=list(RECORD), replicas=REPLICAS[tier], seed=chosen_seed(SEED),
        )  # fmt: skip
        parts.append(run.isel(weight_decay=0))
        isa = engine(run)
    measured = xr.concat(parts, "beta1", combine_attrs="override")
    exact, simple = (
        xr.DataArray(values, dims=("beta1", "step"), coords={"beta1": measured.beta1, "step": measured.step})
        for values in ([[three_rates(b, t) for t in RECORD] for b in BETAS], [one_rate(b) for b in BETAS])
    )
    finding = sampled(
        "E w² on the way to rest", measured, "weight_mean_square", exact, resolution=RESOLUTION * exact,
        allowance=20 / LARGE_EPS * exact,
    )  # fmt: skip
    drawn = curves(measured, "weight_mean_square", exact, "beta1", [f"β₁ = {beta1:g}" for beta1 in BETAS])
    figure = Figure("AdamW's way to its equilibrium, without bias correction", "step", "E w²", drawn, log_x=True)
    # After a single step the two forms still agree to within what would matter.
    late = {"beta1": [1, 2], "step": slice(2, 5)}
    rival = misses("E w² by a^(2t) alone, β₁ > 0", measured.isel(late), "weight_mean_square", simple.isel(late))
    return Evidence((finding, rival), (chosen_seed(SEED),), (figure,), isa)


CLAIM = Claim(
    id="C41",
    paper="kosson2024",
    statement=(
        "From a known weight and an empty buffer AdamW's E w² on white gradients is r_∞² plus multiples of a^{2t}, "
        "(aβ₁)^t and β₁^{2t} once its bias corrections are spent, and finite sums with them; "
        "r_t² = r_∞² + (r_0² − r_∞²)a^{2t} is exact for β₁ = 0 and off by O(ηλ/(1 − β₁)) with momentum."
    ),
    source="the approach to the equilibrium of arXiv 2305.17212; THEORY.md R3",
    assumptions=("white gradients of constant variance, h = 0", "v constant"),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("adamw-transient", "adamw-transient-corrected", "weight-rms")),
        "simulated": Level(simulated),
    },
)
