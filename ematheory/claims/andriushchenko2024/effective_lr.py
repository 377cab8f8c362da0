"""C25: the run without decay that follows the same directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD, AdamW, Optimizer
from ...problems import ScaleInvariant
from ...typing import FloatArray, Value
from ..claim import Claim, Level
from ..evidence import Evidence, Exact, Fails, Finding, Order, largest
from ..proof import proof

# η and ηλ of the decayed run, and the starting weights, all alike, of both; the other run's norm is another one.
LR, RATE, START, OTHER_START = 0.2, 0.05, 1.0, 3.0
SIZE, STEPS, SEED = 256, 40, 25
RUNS = {"smoke": 2, "quick": 8, "full": 32}  # each with a noise of its own
# ηλ, by which the published form is off.
SMALL, SMALL_STEPS = tuple(0.05 / 4**k for k in range(5)), 10
ROUNDING = 2.0**-53


class MatchedState(NamedTuple):
    """The weight alone."""

    weight: Value


class MatchedCoefficients(NamedTuple):
    """The effective rate that a step is to have."""

    rate: Value


@dataclass(frozen=True, eq=False, repr=False)
class MatchedSGD(Optimizer):
    """SGD without decay at the rate η̃ = e‖w‖², so that η̃/‖w‖² is the effective rate e that the schedule gives."""

    lr: Any = 1.0
    weight_decay: Any = 0.0

    State = MatchedState
    Coefficients = MatchedCoefficients

    def coefficients(self, xp: Any, time: Any) -> MatchedCoefficients:
        return MatchedCoefficients(time.lr)

    def update(self, xp: Any, state: MatchedState, gradient: Value, c: MatchedCoefficients) -> MatchedState:
        return MatchedState(state.weight - (c.rate * xp.dot(state.weight, state.weight)) * gradient)


class MatchedSigns(MatchedSGD):
    """Adam without memory and decay, whose updates are signs, at η̃ = e‖w‖."""

    def update(self, xp: Any, state: MatchedState, gradient: Value, c: MatchedCoefficients) -> MatchedState:
        size = xp.sqrt(xp.dot(state.weight, state.weight))
        return MatchedState(state.weight - (c.rate * size) * xp.sign(gradient))


def decayed(name: str, rate: float) -> Optimizer:
    if name == "SGD":
        return SGD(lr=LR, weight_decay=rate / LR, decay="per_lr")  # without momentum the same as L2
    return AdamW(lr=LR / SIZE**0.5, weight_decay=rate / LR * SIZE**0.5, betas=(0.0, 0.0), eps=0.0)


MATCHED = {"SGD": MatchedSGD(), "Adam": MatchedSigns()}
# What the published form lacks, and the exact one has.
EXACT, PUBLISHED = "effective_learning_rate_exact", "effective_learning_rate"


def angles(name: str, form: str, rate: float, steps: int, replica: int) -> FloatArray:
    """Between the decayed run and one without decay at its effective rates, after each step, under one noise.

    As ‖ŵ − ŵ'‖, which is the angle where it is small.
    """
    import ematheory as em

    run: dict[str, Any] = {"steps": steps, "seed": SEED, "replicas": range(replica, replica + 1)}
    run |= {"trajectories": [replica], "record": list(range(1, steps + 1))}
    with_decay = em.simulate(ScaleInvariant(size=SIZE, init=START), decayed(name, rate), **run, observables=form)
    without = em.simulate(
        ScaleInvariant(size=SIZE, init=OTHER_START), MATCHED[name], **run, schedule=with_decay[form].values
    )
    one, other = (unit(each.trajectory.isel(replica=0)) for each in (with_decay, without))
    return np.asarray(np.sqrt(((one - other) ** 2).sum("coordinate")))


def unit(weights: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(weights / np.sqrt((weights * weights).sum("coordinate")))


def rounding(steps: int) -> float:
    """What rounding can make of an angle.

    A sum over the vector is off by a share of SIZE/64 + 6 roundings, of which a step takes three beside ten others, in
    each run. A difference in direction grows by at most the share of a turn that points along the weight.
    """
    each = 3 * (SIZE / 64 + 6) + 10
    # The runs start above their norm at rest, so that no step turns by more than about √(2ηλ), which is spread over
    # SIZE directions; five standard deviations stand for the largest part.
    growth = np.exp(steps * 5 * np.sqrt(2 * RATE / SIZE))
    return float(2 * steps * each * ROUNDING * growth)


def published_off(name: str) -> Order:
    """The angle that the published form is off after a few steps, by ηλ, on one noise."""
    off = [angles(name, PUBLISHED, rate, SMALL_STEPS, 0)[-1] for rate in SMALL]
    return Order(f"angle to the run at the published rates, {name}, by ηλ", SMALL, off, 1.0)


def simulated(tier: str) -> Evidence:
    """Runs without decay at the effective rates of decayed ones, whose directions must be the same to rounding."""
    findings: list[Finding] = []
    bound = rounding(STEPS)
    for name in MATCHED:
        exact, published = (
            [largest(angles(name, form, RATE, STEPS, each)) for each in range(RUNS[tier])]
            for form in (EXACT, PUBLISHED)
        )
        n = STEPS * RUNS[tier]
        reason = f"roundings of {STEPS} steps, and how they grow"
        findings += [
            Exact(f"angle to the run at the exact effective rates, {name}", largest(exact), bound, n, reason),
            Fails(f"no angle to the run at the published rates, {name}", min(published), bound, n, reason),
            published_off(name),
        ]
    return Evidence(tuple(findings), (SEED,), isa="numpy")


CLAIM = Claim(
    id="C25",
    paper="andriushchenko2024",
    statement=(
        "On scale-invariant weights without memory a run without decay turns as the decayed one does if its effective "
        "learning rate is η/((1 − ηλ)‖w‖²) for SGD, η/((1 − ηλ)‖w‖) for Adam; the published forms lack 1 − ηλ."
    ),
    source="D'Angelo et al., arXiv 2310.04415, on matching effective learning rates; THEORY.md R7",
    assumptions=("a scale-invariant loss", "SGD with μ = 0, or Adam with β₁ = β₂ = 0 and ε = 0", "0 < ηλ < 1"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("effective-learning-rate")), "simulated": Level(simulated)},
)
