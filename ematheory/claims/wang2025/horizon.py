"""C28: the EMA picture fails in sharp directions, whose noise is forgotten at the rate η(h/√v + λ)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...problems import NoisyQuadratic
from ..claim import Claim, Level
from ..evidence import Evidence, Sampled
from ..proof import proof
from ..simulated import LARGE_EPS, derived, engine, held, misses, replicas

LR, DECAY, BETAS = 0.02, 1.0, (0.0, 0.9)
CURVATURE = (0.0, 0.2, 0.5)  # √v = 1, so λ√v = 1; with β₁ = 0.9 the rates are complex from 0.6 on
# A push on the weight at the start, large beside the noise, seen from when the fast rate is forgotten.
START, FROM, STEPS, SEED = 1e4, 200, 260, 28
REPLICAS = {"smoke": 4096, "quick": 16_384, "full": 65_536}
# Relative, in what is left after the last 60 steps; at ηλ alone 12 % more is left for h = 0.2, 80 % for 0.5.
RESOLUTION = 0.02
ROUNDING = START / LARGE_EPS  # √v̂ + ε is not quite ε: √v̂ is at most the largest gradient, below `START`


def simulated(tier: str) -> Evidence:
    """What is left of a push between two times, with the noise on, against the derived slow rate and against ηλ."""
    import ematheory as em

    measured = em.simulate(
        NoisyQuadratic(curvature=list(CURVATURE), noise=1.0, init=START), held(LR, [DECAY], list(BETAS)), steps=STEPS,
        record=[FROM, STEPS], observables="weight_mean", replicas=REPLICAS[tier], seed=SEED,
    ).isel(weight_decay=0)  # fmt: skip
    pull = xr.DataArray(LR * np.array(CURVATURE), dims="coordinate")
    gap = derived(
        "noise-response", "response_gap", decay_per_step=LR * DECAY, pull_per_step=pull,
        one_minus_beta1=1 - measured.beta1,
    )  # fmt: skip
    early, late = measured.isel(step=0), measured.isel(step=1)
    names = ("beta1", "coordinate")

    def predicted(rate: xr.DataArray | float) -> xr.DataArray:
        return xr.DataArray(early.weight_mean * (1 - rate) ** (STEPS - FROM))

    errors = np.hypot(late.weight_mean_sem, early.weight_mean_sem * (1 - gap) ** (STEPS - FROM))
    expected = predicted(gap)
    finding = Sampled(
        "mean weight 60 steps on", late.weight_mean.transpose(*names).values, expected.transpose(*names).values,
        errors.transpose(*names).values, replicas(measured), RESOLUTION * expected.transpose(*names).values,
        ROUNDING * expected.transpose(*names).values,
    )  # fmt: skip
    sharp = {"coordinate": [1, 2]}
    rival = misses("mean weight by ηλ alone, h > 0", late.isel(sharp), "weight_mean", predicted(LR * DECAY).isel(sharp))
    return Evidence((finding, rival), (SEED,), isa=engine(measured))


CLAIM = Claim(
    id="C28",
    paper="wang2025",
    statement=(
        "On a quadratic coordinate of curvature h the response of AdamW's weight to exogenous gradient noise decays at "
        "the rate η(h/√v + λ) a step, not ηλ: the EMA horizon describes flat directions, h ≪ λ√v."
    ),
    source="THEORY.md E7; a limit of arXiv 2405.13698's picture",
    assumptions=("√v held constant", "real rates", "to first order in η with momentum, exact without"),
    kinds=("exact", "asymptotic"),
    levels={"symbolic": Level(proof("noise-response")), "simulated": Level(simulated)},
)
