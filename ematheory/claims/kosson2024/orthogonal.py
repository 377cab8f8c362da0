"""C05: the norm of AdamW's weights from updates taken as orthogonal to them; expected to be refuted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...problems import RandomWalk
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Figure, largest
from ..proof import POINTS, proved
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, derived, engine, held, sampled

RATES = (1e-6, 1e-3, 0.1)
FORGETS = (0.01, 0.1, 0.5, 0.9)

LR, DECAYS, BETAS = 0.02, (1.0, 5.0), (0.5, 0.9)
# What is left of the start in E w² after this many steps is e^{−2·0.02·400} = 1e-7.
STEPS, SIZE, SEED = 400, 512, 5
REPLICAS = {"smoke": 128, "quick": 256, "full": 1024}
# Relative; the shortcut is off by a factor of 1.3 to 13 in E w².
RESOLUTION = 0.03


def ratios() -> list[list[float]]:
    """√(E w²) over what orthogonal updates would give, from the derivation, for each ηλ and β₁."""
    from ...derivations import derive

    function = derive("orthogonal-updates").function("rms_ratio")
    return [[float(function(decay_per_step=r, one_minus_beta1=b)) for b in FORGETS] for r in RATES]


def symbolic(tier: str) -> Evidence:
    """The true norm over the claimed one: the claim needs 1."""
    found = ratios()
    apart = largest(abs(1 / value - 1) for row in found for value in row)
    proof = proved("orthogonal-updates", POINTS[tier])
    compared = Exact(
        "RMS of orthogonal updates against the derived one", apart, 1e-12, len(RATES) * len(FORGETS),
        "the closed form's own precision",
    )  # fmt: skip
    curves = tuple(
        Curve(f"ηλ = {rate:g}", 1 - np.array(FORGETS), np.ones(len(FORGETS)), row)
        for rate, row in zip(RATES, found, strict=True)
    )
    figure = Figure("The norm of AdamW's weights over that of orthogonal updates (1)", "β₁", "ratio", curves)
    return Evidence((proof, compared), figures=(figure,))


def shortcut(measured: xr.Dataset) -> xr.DataArray:
    """The claimed E w², with updates orthogonal to the weights: the derived RMS without the derived ratio, squared."""
    given = {"decay_per_step": LR * LARGE_EPS * measured.weight_decay, "one_minus_beta1": 1 - measured.beta1}
    true = derived("adamw-random-walk", "weight_rms", lr=LR, **given)
    return (true / derived("orthogonal-updates", "rms_ratio", **given)) ** 2


def simulated(tier: str) -> Evidence:
    """E w² of AdamW at equilibrium, v held constant, against the shortcut's."""
    import ematheory as em

    measured = em.simulate(
        RandomWalk(size=SIZE), held(LR, DECAYS, list(BETAS)), steps=STEPS, record=[STEPS], replicas=REPLICAS[tier],
        seed=chosen_seed(SEED),
    ).isel(step=0)  # fmt: skip
    claimed = shortcut(measured)
    finding = sampled(
        "E w² at equilibrium against orthogonal updates'", measured, "weight_mean_square", claimed,
        resolution=RESOLUTION * claimed, allowance=20 / LARGE_EPS * claimed,
    )  # fmt: skip
    return Evidence((finding,), (chosen_seed(SEED),), isa=engine(measured))


CLAIM = Claim(
    id="C05",
    paper="kosson2024",
    statement=(
        "AdamW's equilibrium RMS on white gradients follows from updates orthogonal to the weights, "
        "E w² = η²U²/(1 − a²) with U² = (1−β₁)/(1+β₁)."
    ),
    source="a shortcut in circulation beside arXiv 2305.17212, whose own √(η/(2λ)) is right as ηλ → 0; THEORY.md R2",
    assumptions=("white gradients of constant variance, h = 0", "v constant", "β₁ > 0"),
    kinds=("exact",),
    levels={"symbolic": Level(symbolic, expected="refuted"), "simulated": Level(simulated, expected="refuted")},
)
