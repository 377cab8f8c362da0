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
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, Order, largest
from ..proof import proof
from ..seeds import chosen_seed, chosen_seeds
from . import effective_lr_of_networks

# η and ηλ of the decayed run, and the starting weights, all alike, of both; the other run's norm is another one.
LR, RATE, START, OTHER_START = 0.2, 0.05, 1.0, 3.0
SIZE, STEPS, SEED = 256, 40, 25
RUNS = {"smoke": 2, "quick": 8, "full": 32}  # each with a noise of its own
# ηλ, by which the published form is off.
SMALL, SMALL_STEPS = tuple(0.05 / 4**k for k in range(5)), 10
ROUNDING = 2.0**-53

# torch.optim on a network: η, seeds, a disturbance that shows how rounding grows, and what remembers gradients.
NETWORK_LR = {"SGD": 0.1, "Adam": 0.01}
# So small that few signs of gradients differ between the two runs.
SMALLEST = tuple(2e-4 / 4**k for k in range(5))
SEEDS, FIRST_SEED, DISTURBANCE = {"smoke": 2, "quick": 8, "full": 32}, 0, 1e-10
REMEMBERING: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9}, "Adam": {"betas": (0.9, 0.95), "eps": 0.0}
}  # fmt: skip


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

    run: dict[str, Any] = {"steps": steps, "seed": chosen_seed(SEED), "replicas": range(replica, replica + 1)}
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
    return Evidence(tuple(findings), (chosen_seed(SEED),), isa="numpy")


def trained(tier: str) -> Evidence:
    """torch.optim on a scale-invariant network: runs without decay at each layer's effective rates of a decayed one."""
    findings: list[Finding] = []
    curves = []
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    for name in NETWORK_LR:
        exact, published = ([matched(name, form, seed) for seed in seeds] for form in (EXACT, PUBLISHED))
        n, reason = STEPS * len(exact), "in units of rounding, amplified as a disturbance of the start is"
        findings += [
            Exact(
                f"torch.optim, {name}: angle to the run at the exact effective rates",
                largest(each.angles.max() / each.rounding for each in exact), 1.0, n, reason,
            ),
            Fails(
                f"torch.optim, {name}: no angle to the run at the published rates",
                min(each.angles.max() / each.rounding for each in published), 1.0, n, reason,
            ),
        ]  # fmt: skip
        for label, memory in (("without memory", {}), ("with memory", REMEMBERING[name])):
            off = np.array(
                [matched(name, PUBLISHED, seeds[0], rate, SMALL_STEPS, **memory).angles[-1] for rate in SMALLEST]
            )
            what = f"{name} {label}"
            findings.append(
                Order(f"torch.optim, {what}: angle to the run at the published rates, by ηλ", SMALLEST, off, 1.0)
            )
            curves.append(Curve(what, SMALLEST, off[-1] * np.array(SMALLEST) / SMALLEST[-1], off))
    figure = Figure(
        "Angle to the run at the published rates, and in proportion to ηλ", "ηλ", "radians", tuple(curves), True, True
    )
    return Evidence(tuple(findings), tuple(seeds), (figure,))


class Matched(NamedTuple):
    """The largest angle of the two layers after every step, and what rounding makes of it."""

    angles: FloatArray
    rounding: float


def matched(name: str, form: str, seed: int, rate: float = RATE, steps: int = STEPS, **memory: Any) -> Matched:
    """A decayed run and one without decay whose layers have its effective rates, times a power of their own norms."""
    from ...training import crosschecks

    lr, power = NETWORK_LR[name], 2 if name == "SGD" else 1
    settings = memory or ({} if name == "SGD" else {"betas": (0.0, 0.0), "eps": 0.0})
    kinds = ("sgd", "sgd") if name == "SGD" else ("adamw", "adam")
    decayed: dict[str, Any] = {"kind": kinds[0], "rates": np.full(steps, lr), "weight_decay": rate / lr}
    run = crosschecks.invariant_run(**decayed, **settings, seed=seed)
    disturbed = crosschecks.invariant_run(**decayed, **settings, seed=seed, moved=DISTURBANCE)
    norms = np.stack([np.linalg.norm(layer[:-1], axis=1) for layer in run], axis=1)
    effective = lr / norms**power / ((1 - rate) if form == EXACT else 1.0)
    other = crosschecks.invariant_run(
        kinds[1], effective, times_norm=power, start=OTHER_START, **settings, seed=seed
    )  # fmt: skip
    angles = [crosschecks.relative(*map(directions, pair)) for pair in zip(run, other, strict=True)]
    return Matched(np.max(angles, axis=0), crosschecks.rounding(run, disturbed, DISTURBANCE))


def directions(weights: FloatArray) -> FloatArray:
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True))


CLAIM = Claim(
    id="C25",
    paper="andriushchenko2024",
    statement=(
        "On scale-invariant weights without memory a run without decay turns as the decayed one does if its effective "
        "learning rate is η/((1 − ηλ)‖w‖²) for SGD, η/((1 − ηλ)‖w‖) for Adam; the published forms lack 1 − ηλ, and are "
        "off to first order in ηλ, with memory too. On most seeds of a scale-invariant network the published form "
        "brings the loss curve at least twice as near to the decayed run's."
    ),
    source="D'Angelo et al., arXiv 2310.04415, on matching effective learning rates; THEORY.md R7",
    assumptions=(
        "a scale-invariant loss",
        "SGD with μ = 0, or Adam with β₁ = β₂ = 0 and ε = 0, for the exact forms",
        "0 < ηλ < 1",
    ),
    kinds=("exact", "empirical"),
    levels={
        "symbolic": Level(proof("effective-learning-rate")),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch", "sklearn")),
        # With momentum the matched run's norm feeds its rate, which follows ‖w‖²: some seeds diverge, and have no loss
        # curve at all. They count as far off.
        "networks": Level(effective_lr_of_networks.trained, tiers=("quick", "full"), needs=("torch", "sklearn")),
    },
)
