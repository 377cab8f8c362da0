"""C27: decay bounds the weights by the largest update over λ, and AdamW's update has a bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import AdamW, Lion, Optimizer, SignSGD
from ...problems import NoisyQuadratic, Problem, RandomWalk
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence, Exact, Fails, Finding
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine

LR, DECAY, START, SEED = 0.02, 2.5, 0.1, 27
RECORD = (1, 3, 10, 30, 100, 200)
SIZE, REPLICAS = 64, {"smoke": 64, "quick": 512, "full": 2048}
# Betas whose bounds of |u| are 1.04, 1.17 and 1.03, which noise comes near to; with (0.9, 0.999) it is 7.3, which
# takes gradients that grow for as long as v remembers.
BETAS = ((0.5, 0.6), (0.9, 0.95), (0.3, 0.4))
UPDATE_STEPS = 60
# So much of the bound is passed by noise, with (0.9, 0.95) by the first step, whose |u| is 1.
LESS = 0.85
# A decay and an update are three roundings of a step, each of them forgotten at ηλ.
ROUNDING = 3 * 2.0**-53 / (LR * DECAY)
# Steep enough that noise cannot turn it round: a push that never ends.
PUSHED = NoisyQuadratic(curvature=[1.0] * SIZE, noise=1.0, optimum=1e6, init=START)
PROBLEMS: dict[str, Problem] = {"noise": RandomWalk(size=SIZE, init=START), "a steady push": PUSHED}
SIGNS: dict[str, Optimizer] = {
    "SignSGD": SignSGD(lr=LR, momentum=0.9, weight_decay=DECAY), "Lion": Lion(lr=LR, weight_decay=DECAY),
}  # fmt: skip


def trajectories(problem: Problem, optimizer: Optimizer, record: tuple[int, ...], tier: str) -> xr.Dataset:
    """Runs whose `trajectory` holds every weight of every replica."""
    import ematheory as em

    replicas = REPLICAS[tier]
    found: xr.Dataset = em.simulate(
        problem, optimizer, steps=record[-1], record=list(record), replicas=replicas, seed=chosen_seed(SEED),
        trajectories=range(replicas),
    )  # fmt: skip
    return found


def reach(largest_update: Any) -> xr.DataArray:
    """The derived bound of |w_t| at every record."""
    steps = xr.DataArray(np.array(RECORD, dtype=np.float64), dims="step")
    return derived(
        "weight-bound", "bound", decay_per_step=LR * DECAY, weight_decay=DECAY, steps=steps, init_size=START,
        largest_update=largest_update,
    )  # fmt: skip


def shares(found: xr.Dataset, largest_update: Any) -> xr.DataArray:
    """The largest |w_t| of all runs over its bound, at every record."""
    size = abs(found.trajectory).max(("replica", "coordinate"), skipna=False).drop_vars("step")
    return xr.DataArray(size / reach(largest_update))


def signs(tier: str) -> tuple[list[Finding], str]:
    """Sign methods, whose updates are 1: under noise within the bound, under a steady push at it."""
    findings: list[Finding] = []
    isa = ""
    for name, optimizer in SIGNS.items():
        for kind, problem in PROBLEMS.items():
            found = trajectories(problem, optimizer, RECORD, tier)
            share = shares(found, 1.0).values.ravel()
            isa = engine(found)
            findings.append(Bounded(f"|w| over its bound, {name} under {kind}", share, 1.0, ROUNDING))
        off = float(abs(share - 1).max())
        n = SIZE * REPLICAS[tier] * len(RECORD)
        reason = "three roundings of a step, forgotten at ηλ"
        findings.append(Exact(f"|w| against its bound, {name} under a steady push", off, ROUNDING, n, reason))
    return findings, isa


def largest_update(beta1: float, beta2: float) -> float:
    """The derived bound of |u|."""
    bound = derived("update-bound", "largest_update", one_minus_beta1=1 - beta1, one_minus_beta2=1 - beta2)
    return float(bound.item())


def updates(beta1: float, beta2: float, tier: str) -> list[Finding]:
    """AdamW's |u| at every step from the first, read off undecayed weights, and its |w| with decay."""
    bound, betas = largest_update(beta1, beta2), f"β = ({beta1:g}, {beta2:g})"
    walk = RandomWalk(size=SIZE)
    free = AdamW(lr=1.0, weight_decay=0.0, betas=(beta1, beta2), eps=0.0)
    moved = trajectories(walk, free, tuple(range(UPDATE_STEPS + 1)), tier).trajectory.diff("step")
    most = abs(moved).max(("replica", "coordinate")).values
    # A difference of weights of up to `UPDATE_STEPS` bounds is off by a rounding of these; a step makes ten besides.
    rounding = (UPDATE_STEPS + 10) * 2.0**-53
    bounded = AdamW(lr=LR, weight_decay=DECAY, betas=(beta1, beta2), eps=0.0)
    runs = [trajectories(problem, bounded, RECORD, tier) for problem in PROBLEMS.values()]
    share = np.ravel([shares(each, bound) for each in runs])
    n = SIZE * REPLICAS[tier] * UPDATE_STEPS
    return [
        Bounded(f"AdamW's |u|, {betas}", most, bound, rounding),
        Fails(f"{LESS:g} of the bound of |u|, {betas}", float(most.max()), LESS * bound, n, "noise passes it"),
        Bounded(f"AdamW's |w| over its bound, {betas}", share, 1.0, ROUNDING),
    ]


def simulated(tier: str) -> Evidence:
    """Every weight and every update of many runs against the derived bounds, and how near they come."""
    found, isa = signs(tier)
    return Evidence(
        (*found, *(each for betas in BETAS for each in updates(*betas, tier))), (chosen_seed(SEED),), isa=isa
    )


CLAIM = Claim(
    id="C27",
    paper="xie2024",
    statement=(
        "AdamW's weights obey |w_t| ≤ a^t|w_0| + (1 − a^t) max|u|/λ, for sign methods 1/λ in the long run, and "
        "|u| ≤ (1 − β₁)/√((1 − β₂)(1 − β₁²/β₂)) for any gradients when β₁² < β₂; Muon's operator norm is bounded by "
        "1.2024/λ times the update's scale, not by 1/λ."
    ),
    source="Xie & Li, arXiv 2404.04454, for the constraint ‖w‖_∞ ≤ 1/λ; THEORY.md §7",
    assumptions=(
        "per-LR decay, 0 < ηλ < 1",
        "any gradients, ε ≥ 0",
        "β₁² < β₂ for the bound on the update",
        "Newton–Schulz in exact arithmetic",
        "simulated for AdamW, SignSGD and Lion, not for Muon",
    ),
    kinds=("bound",),
    levels={
        "symbolic": Level(proof("weight-bound", "update-bound", "muon-bound")),
        "simulated": Level(simulated),
    },
)
