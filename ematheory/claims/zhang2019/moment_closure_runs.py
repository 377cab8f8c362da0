"""The simulated level of C40: AdamW's drift and long-run variance on noise, beside the same with v held constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from ...optimizers import AdamW, Optimizer
from ...problems import NoisyQuadratic, Problem, RandomWalk
from ...typing import FloatArray
from ..evidence import Evidence, Fails, Finding
from ..paired import averaged, standard_error
from ..seeds import chosen_seed
from ..simulated import engine, held
from ..verdict import critical_value
from .moment_closure import Averages, drift, factor, noise, variance_alone

# 1 − β₁ and 1 − β₂.
SETTINGS = (Averages(0.5, 1 / 16), Averages(0.25, 1 / 16), Averages(0.5, 1 / 32))
# A mean gradient of ±0.01 beside noise of variance 1, from an optimum so far away that the weight's own way, of some
# tens, changes nothing: by a share of 1e-4.
CURVATURE, DISTANCE = 1e-8, 1e6
PUSH = CURVATURE * DISTANCE
# The steps counted, after which e^{−8} is left of the bias corrections.
COUNTED, SETTLED, SEED = 128, 8.0, 40
SIZE, REPLICAS = 64, {"smoke": 512, "quick": 2048, "full": 8192}
# Of 1 − β₂: the corrections to a frozen v are −1 to −0.4 times it.
RESOLUTION = 0.25


def moved(problem: Problem, optimizer: Optimizer, tier: str) -> tuple[xr.DataArray, xr.Dataset]:
    """By how much each weight of each replica moves in the steps that are counted."""
    import ematheory as em

    start = int(SETTLED / min(own.forget2 for own in SETTINGS))
    run = em.simulate(
        problem, optimizer, steps=start + COUNTED, record=[start, start + COUNTED], replicas=REPLICAS[tier],
        seed=chosen_seed(SEED), trajectories=range(REPLICAS[tier]),
    )  # fmt: skip
    return run.trajectory.diff("step").isel(step=0, drop=True), run


def adamw() -> AdamW:
    beta1, beta2 = (xr.DataArray(1 - np.array(each), dims="setting") for each in zip(*SETTINGS, strict=True))
    return AdamW(lr=1.0, weight_decay=0.0, beta1=beta1, beta2=beta2, eps=0.0)


def drifts(tier: str) -> tuple[xr.DataArray, xr.Dataset]:
    """Each replica's answer to the mean gradient, over the steps: two runs with opposite ones share the noise."""
    optimum = xr.DataArray([-DISTANCE, DISTANCE], dims="sign")
    problem = NoisyQuadratic(curvature=[CURVATURE] * SIZE, noise=1.0, optimum=optimum, init=0.0)
    way, run = moved(problem, adamw(), tier)
    answer = (way.isel(sign=1) - way.isel(sign=0)) / (2 * PUSH * COUNTED)
    return answer.mean("coordinate"), run


def long_run_variances(tier: str) -> tuple[xr.DataArray, FloatArray]:
    """Each replica's mean squared way over what a constant v would make of it, with that way on the same noise to help.

    And the share of the way's mean square that its ends lack, 1 less than N steps of a long run's.
    """
    walk = RandomWalk(size=SIZE)
    squares = (moved(walk, adamw(), tier)[0] ** 2).mean("coordinate")
    forget = xr.DataArray([own.forget1 for own in SETTINGS], dims="setting")
    constant = (moved(walk, held(1.0, [0.0], 1 - forget), tier)[0] ** 2).mean("coordinate").isel(weight_decay=0)
    lags = np.arange(1.0, COUNTED)
    known = np.array([
        own.forget1 / (2 - own.forget1)
        * (COUNTED + 2 * ((COUNTED - lags) * (1 - own.forget1) ** lags).sum()) for own in SETTINGS
    ])  # fmt: skip
    by = xr.DataArray(known, dims="setting")
    # The held run's mean is known, so that its deviation, which the other nearly shares, can be taken out.
    return squares / by - (constant / by - 1), 1 - known / COUNTED


def second_order(exact: Callable[[Averages], float], own: Averages) -> float:
    """The size of the exact value's term in (1 − β₂)² at this β₁, from a value at half of 1 − β₂: no formula enters."""
    half = Averages(own.forget1, own.forget2 / 2)
    return abs(2 * ((exact(own) - 1) - 2 * (exact(half) - 1)))


def compared(
    name: str, seen: xr.DataArray, result: str, exact: Callable[[Averages], float], allowance: FloatArray
) -> list[Finding]:
    """The mean against the exact value and the derived factor, which leaves out the second order; 1 must miss it."""
    scale = xr.DataArray([RESOLUTION * own.forget2 for own in SETTINGS], dims="setting")
    beyond = np.array([second_order(exact, own) for own in SETTINGS])
    forms = {
        "exact": (exact, allowance),
        "to first order": (lambda own: factor(result, own), allowance + beyond),
    }
    return [
        *(
            averaged(
                f"{name} over that of a frozen v, {what}", seen,
                xr.DataArray([form(own) for own in SETTINGS], dims="setting"), resolution=scale,
                allowance=xr.DataArray(allowed, dims="setting"),
            )
            for what, (form, allowed) in forms.items()
        ),
        misses(f"{name} with v at its mean", seen, np.ones(len(SETTINGS))),
    ]  # fmt: skip


def misses(what: str, seen: xr.DataArray, rival: FloatArray) -> Fails:
    scores = abs(seen.mean("replica", skipna=False) - xr.DataArray(rival, dims="setting")) / standard_error(seen)
    n = seen.sizes["replica"]
    reason = "in standard errors, against simultaneous intervals"
    return Fails(what, float(scores.values.min()), critical_value(scores.size, n - 1), n, reason)


def examined(tier: str) -> Evidence:
    """Drift and long-run variance of AdamW's updates; 3/8 of v's variance without Cov(m, v) must miss the drift."""
    answers, run = drifts(tier)
    variances, ends = long_run_variances(tier)
    left = np.exp(-SETTLED)
    # Of the mean gradient's third order: at most PUSH² of the answer.
    missing = PUSH**2 + left
    lacking = 2 * ends * abs(1 - np.array([noise(own) for own in SETTINGS])) + 2 * left
    alone = np.array([variance_alone(own) for own in SETTINGS])
    findings = (
        *compared("drift", answers, "drift_factor", drift, missing + 0 * ends),
        misses("drift with 3/8 of v's variance alone", answers, alone),
        *compared("long-run variance", variances, "noise_factor", noise, lacking),
    )
    return Evidence(findings, (chosen_seed(SEED),), isa=engine(run))
