"""C28: the EMA picture fails in sharp directions, whose noise is forgotten at the rate η(h/√v + λ)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...optimizers import AdamW
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, Sampled
from ..paired import over_vectors
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, derived, engine, held, misses, replicas
from ..verdict import critical_value

LR, DECAY, BETAS = 0.02, 1.0, (0.0, 0.9)
CURVATURE = (0.0, 0.2, 0.5)  # √v = 1, so λ√v = 1; with β₁ = 0.9 the rates are complex from 0.6 on
# A push on the weight at the start, large beside the noise, seen from when the fast rate is forgotten.
START, FROM, STEPS, SEED = 1e4, 200, 260, 28
REPLICAS = {"smoke": 4096, "quick": 16_384, "full": 65_536}
# Relative, in what is left after the last 60 steps; at ηλ alone 12 % more is left for h = 0.2, 80 % for 0.5.
RESOLUTION = 0.02

# Of torch: a push that is small beside the noise, so that v hardly feels it, in runs with the same noise.
TORCH_PUSH, TORCH_BETA2, TORCH_SIZE = 1e-3, 1 - 2.0**-10, 128
VECTORS = {"smoke": 16, "quick": 64, "full": 256}
RATE_RESOLUTION = 0.04  # relative, in what is forgotten a step, which ηλ alone is short of by 17 % and more
ROUNDED = 10 * 2.0**-53 / (TORCH_PUSH * (1 - LR * DECAY) ** STEPS)  # of weights, beside what is left of the push
V_HELD = 2 * 6 / LARGE_EPS * LR  # the largest of normal gradients is below 6, in a few hundred steps

ROUNDING = START / LARGE_EPS  # √v̂ + ε is not quite ε: √v̂ is at most the largest gradient, below `START`


def simulated(tier: str) -> Evidence:
    """What is left of a push between two times, with the noise on, against the derived slow rate and against ηλ."""
    import ematheory as em

    measured = em.simulate(
        NoisyQuadratic(curvature=list(CURVATURE), noise=1.0, init=START), held(LR, [DECAY], list(BETAS)), steps=STEPS,
        record=[FROM, STEPS], observables="weight_mean", replicas=REPLICAS[tier], seed=chosen_seed(SEED),
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
    return Evidence((finding, rival), (chosen_seed(SEED),), isa=engine(measured))


def trained(tier: str) -> Evidence:
    """What torch.optim.AdamW leaves of a push, v held by a large ε, and v running, against the derived slow rate."""
    findings: list[Finding] = []
    curves = []
    for beta1 in BETAS:
        still = AdamW(lr=LR * LARGE_EPS, weight_decay=DECAY / LARGE_EPS, betas=(beta1, 0.5), eps=LARGE_EPS)
        found = left_by_torch(still, 1, 1)
        off = np.abs(found[0] - slow_rate(beta1)) / (V_HELD + fast_left(beta1))
        findings.append(
            Exact(
                f"torch.optim.AdamW, v held, β₁ = {beta1:g}: share forgotten a step", float(off.max()), 1.0, off.size,
                "in units of √v̂ beside ε and of what the fast rate has left",
            )
        )  # fmt: skip
        running = AdamW(lr=LR, weight_decay=DECAY, betas=(beta1, TORCH_BETA2), eps=0.0)
        seen = left_by_torch(running, VECTORS[tier], TORCH_SIZE)
        findings.append(
            over_vectors(
                f"torch.optim.AdamW, v running, β₁ = {beta1:g}: share forgotten a step", seen.T, slow_rate(beta1),
                resolution=RATE_RESOLUTION * slow_rate(beta1),
                allowance=of_running_v(beta1) + fast_left(beta1) + ROUNDED,
            )
        )  # fmt: skip
        findings.append(by_decay_alone(beta1, seen))
        errors = seen.std(0, ddof=1) / len(seen) ** 0.5
        curves.append(Curve(f"β₁ = {beta1:g}", CURVATURE, slow_rate(beta1), seen.mean(0), errors))
    figure = Figure("Share of a push that torch.optim.AdamW forgets", "curvature h", "a step", tuple(curves))
    return Evidence(tuple(findings), (chosen_seed(SEED),), (figure,))


def slow_rate(beta1: float) -> FloatArray:
    """The derived gap at each curvature, √v = 1."""
    pull = xr.DataArray(LR * np.array(CURVATURE), dims="coordinate")
    gap = derived(
        "noise-response", "response_gap", decay_per_step=LR * DECAY, pull_per_step=pull, one_minus_beta1=1 - beta1
    )
    return np.asarray(gap.values)


def fast_left(beta1: float) -> FloatArray:
    """What the fast rate still changes in the share: of a push at most a part (r₋/r₊)^FROM, with r₊r₋ = aβ₁."""
    slow = 1 - slow_rate(beta1)
    return np.asarray(((1 - LR * DECAY) * beta1 / slow**2) ** FROM / (STEPS - FROM))


def left_by_torch(optimizer: AdamW, vectors: int, size: int) -> FloatArray:
    """The share forgotten a step, (vectors, curvatures), from what is left at two times."""
    from ...training import crosschecks

    left = crosschecks.pushed(
        optimizer,
        curvature=CURVATURE,
        push=TORCH_PUSH,
        steps=[FROM, STEPS],
        vectors=vectors,
        size=size,
        seed=chosen_seed(SEED),
    )
    return np.asarray(1 - (left[..., 1] / left[..., 0]) ** (1 / (STEPS - FROM)))


def of_running_v(beta1: float) -> FloatArray:
    """What a running v changes in the pull: its fluctuations to first order in 1 − β₂ (C40), and h²E w² in its mean."""
    curvature = np.array(CURVATURE)
    fluctuating = abs(3 / 8 - (1 - beta1) / (1 - beta1 * TORCH_BETA2)) * (1 - TORCH_BETA2)
    # E w² is at most η/2(h + λ), of momentum too, and the push and its square are nothing beside it.
    larger = curvature**2 * LR / (2 * (curvature + DECAY)) / 2
    return np.asarray(LR * curvature * (2 * fluctuating + larger))


def by_decay_alone(beta1: float, seen: FloatArray) -> Fails:
    """That sharp directions forget at ηλ."""
    sharp = seen[:, 1:]
    n = len(sharp)
    scores = (sharp.mean(0) - LR * DECAY) / (sharp.std(0, ddof=1) / n**0.5)
    return Fails(
        f"torch.optim.AdamW, β₁ = {beta1:g}: ηλ forgotten a step, h > 0", float(scores.min()),
        critical_value(scores.size, n - 1), n, "in standard errors",
    )  # fmt: skip


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
    levels={
        "symbolic": Level(proof("noise-response")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
