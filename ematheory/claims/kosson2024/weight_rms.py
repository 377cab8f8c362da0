"""C22: the mean square of AdamW's weights follows dρ/dt = −2λ_tη_tρ + η_t² under schedules."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...problems import RandomWalk
from ...schedules import Cosine, Linear
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Evidence, Figure, Order
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, curves, engine, held, sampled

LR, DECAYS, STEPS, SIZE, SEED = 0.02, (1.0, 5.0), 300, 1024, 22
SCHEDULE, DECAY_SCHEDULE = Cosine(final=0.1, warmup=0.1), Linear(final=0.5)
RECORD = (1, 3, 10, 30, 100, 200, 300)
START = 0.5  # of every weight: above the equilibrium's 0.1 and 0.04, so that decay is seen as well
REPLICAS = {"smoke": 128, "quick": 512, "full": 2048}
# Relative; with a constant η the last E w² would be several times larger.
RESOLUTION = 0.03
# Sizes of a step, by which the flow is compared with the recursion at fixed Σηλ.
REFINED = tuple(2**k for k in range(5))


def multipliers(steps: int) -> tuple[FloatArray, FloatArray]:
    """Of η and of λ, at every step."""
    return SCHEDULE.multipliers(steps), DECAY_SCHEDULE.multipliers(steps)


def recursion(decay: float, refined: int = 1) -> FloatArray:
    """ρ after each step from ρ ← (1 − η_tλ_t)²ρ + η_t², `refined` times as many steps of 1/`refined` of the rate.

    The noise's η² is then `refined` times too small, and is put right, so that the flow stays what it is.
    """
    eta, lam = multipliers(STEPS * refined)
    rho = [START**2]
    for rate, shrink in zip(LR * eta / refined, decay * lam, strict=True):
        rho.append((1 - rate * shrink) ** 2 * rho[-1] + rate**2 * refined)
    return np.array(rho)[::refined]


def flow(decay: float) -> float:
    """ρ at the end of the run from dρ/dt = −2λ_tη_tρ + η_t², solved to 1e-10."""
    from scipy.integrate import solve_ivp

    def slope(t: float, rho: FloatArray) -> FloatArray:
        eta, lam = (float(each.at(t / STEPS)) for each in (SCHEDULE, DECAY_SCHEDULE))
        return np.asarray(-2 * decay * lam * LR * eta * rho + (LR * eta) ** 2)

    # The warm-up's corner is a step of its own.
    found, begun = START**2, 0.0
    for end in (SCHEDULE.warmup * STEPS, float(STEPS)):
        found = float(solve_ivp(slope, (begun, end), [found], rtol=1e-10, atol=1e-14).y[0, -1])
        begun = end
    return found


def simulated(tier: str) -> Evidence:
    """E w² through a run under both schedules against the recursion, and the recursion's distance from the flow."""
    import ematheory as em

    measured = em.simulate(
        RandomWalk(size=SIZE, init=START), held(LR, DECAYS, 0.0), steps=STEPS, schedule=SCHEDULE,
        decay_schedule=DECAY_SCHEDULE, record=list(RECORD), replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    )  # fmt: skip
    expected = xr.DataArray(
        [recursion(decay)[list(RECORD)] for decay in DECAYS], dims=("weight_decay", "step"),
        coords={"weight_decay": measured.weight_decay, "step": measured.step},
    )  # fmt: skip
    finding = sampled(
        "E w² under schedules", measured, "weight_mean_square", expected, resolution=RESOLUTION * expected,
        allowance=20 / LARGE_EPS * expected,
    )  # fmt: skip
    drawn = curves(measured, "weight_mean_square", expected, "weight_decay", [f"ηλ = {LR * d:g}" for d in DECAYS])
    title = "Mean square weight of AdamW under a cosine rate and a linear decay"
    figure = Figure(title, "step", "E w²", drawn, log_x=True, log_y=True)
    return Evidence((finding, *map(flowing, DECAYS)), (chosen_seed(SEED),), (figure,), engine(measured))


def flowing(decay: float) -> Order:
    """The recursion's distance from the flow, by the size of a step."""
    limit = flow(decay)
    off = [abs(recursion(decay, refined)[-1] / limit - 1) for refined in REFINED]
    return Order(f"E w² over the flow's, by ηλ, from {LR * decay:g}", [1 / n for n in REFINED], off, 1.0)


CLAIM = Claim(
    id="C22",
    paper="kosson2024",
    statement=(
        "Under schedules of η and λ the mean square ρ of AdamW's weights on pure noise obeys ρ ← (1 − η_tλ_t)²ρ + η_t² "
        "without momentum, to first order dρ/dt = −2λ_tη_tρ + η_t²."
    ),
    source="the flow behind the equilibrium of arXiv 2305.17212; THEORY.md R5",
    assumptions=("white gradients of constant variance, h = 0", "v constant", "β₁ = 0", "ηλ → 0 for the flow"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("weight-rms")), "simulated": Level(simulated)},
)
