"""C10: weight decay on scale-invariant weights is an exponentially growing learning rate."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...schedules import Cosine
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, largest
from ..proof import POINTS, formulas, proof
from ..seeds import chosen_seeds
from ..simulated import derived

DERIVATIONS = ("exponential-lr-sgd", "exponential-lr-momentum", "exponential-lr-adamw")

# On a network: η and ηλ of each optimizer, with what else it has, and how long it runs.
SGD_LR, ADAM_LR, MOMENTUM, BETAS, EPS = 0.1, 0.01, 0.9, (0.9, 0.95), 1e-3
SGD_RATE, MOMENTUM_RATE, ADAM_RATE = 0.02, 0.002, 0.01
STEPS = {"smoke": 60, "quick": 100, "full": 150}
SEEDS, FIRST_SEED = {"smoke": 1, "quick": 4, "full": 16}, 10
DISTURBANCE = 1e-9


def numeric(tier: str) -> Evidence:
    """The last rate of a run in closed form against the rate at which the optimizer itself follows, step by step."""
    return Evidence(tuple(part for name in DERIVATIONS for part in formulas(name, POINTS[tier])))


class Pair(NamedTuple):
    """A run with decay, the run without that goes its directions, one that does not, and W_t/w_t of the former two."""

    decayed: dict[str, Any]
    followed: dict[str, Any]
    other: dict[str, Any]
    scale: FloatArray


def trained(tier: str) -> Evidence:
    """torch.optim on a scale-invariant network, with decay and without: the weights of one over those of the other."""
    findings: list[Finding] = []
    curves = []
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    for name, pair in pairs(STEPS[tier]).items():
        found = [apart(pair, seed) for seed in seeds]
        n = STEPS[tier] * len(found)
        findings += [
            Exact(
                f"{name}: weights over their predicted scale, in units of rounding",
                largest(each.followed / each.rounding for each in found), 1.0, n,
                "roundings of all steps, amplified as a disturbance of the start is",
            ),
            Fails(
                f"{name}: {OTHERS[name]}", min(each.other / each.rounding for each in found), 1.0, n,
                "in units of rounding",
            ),
        ]  # fmt: skip
        curves.append(Curve(name, np.arange(STEPS[tier] + 1), pair.scale, norms_over(pair, seeds[0])))
    figure = Figure("Weights without decay, on a growing rate", "step", "‖W‖/‖w‖", tuple(curves), log_y=True)
    return Evidence(tuple(findings), tuple(seeds), (figure,))


OTHERS = {
    "SGD": "at the rate as it was",
    "SGD under a cosine": "at the rates as they were",
    "SGD with momentum and L2": "with a buffer that starts at 0",
    "AdamW": "with betas and ε as they were",
}


def pairs(steps: int) -> dict[str, Pair]:
    """Each optimizer with its twin, and with the twin that lacks something."""
    shape = Cosine(final=0.1).multipliers(steps)
    return dict(
        zip(OTHERS, (plain(np.ones(steps)), plain(shape), with_momentum(steps), adamw(steps)), strict=True)
    )  # fmt: skip


def plain(shape: FloatArray) -> Pair:
    """SGD: η̃₁ = η₁/(1 − λη₁), and from there by the derived factor from step to step."""
    from ...derivations import derive
    from ...derivations import symbols as x

    rates, decay = SGD_LR * shape, SGD_RATE / SGD_LR
    factor = derive("exponential-lr-sgd").step("next rate").equation.rhs
    given = {x.lam: decay}
    raised = [rates[0] / (1 - decay * rates[0])]
    for now, following in pairwise(rates):
        there = {x.eta_t(x.t + 1): now, x.eta_t(x.t + 2): following}
        raised.append(raised[-1] * float(factor.xreplace({**given, **there})))
    sgd = {"kind": "sgd", "rates": rates}
    scale = np.concatenate([[1.0], 1 / np.cumprod(1 - decay * rates)])
    return Pair({**sgd, "weight_decay": decay}, {**sgd, "rates": np.array(raised)}, sgd, scale)


def growing(derivation: str, steps: int, **given: float) -> FloatArray:
    """η̃ of each step, as derived."""
    return np.array([derived(derivation, "learning_rate", **given, steps=k).item() for k in range(1, steps + 1)])


def with_momentum(steps: int) -> Pair:
    """α in place of a, and a buffer that is started as the decayed run's buffer is in the other's terms."""
    gap = derived("momentum-l2", "slow_pole_gap", decay_per_step=MOMENTUM_RATE, one_minus_momentum=1 - MOMENTUM).item()
    sgd = {"kind": "sgd", "rates": np.full(steps, SGD_LR), "momentum": MOMENTUM}
    raised = growing("exponential-lr-momentum", steps, lr=SGD_LR, slow_pole_gap=gap)
    follow = {**sgd, "rates": raised}
    buffer = -gap / (SGD_LR * (1 - gap))
    scale = (1 - gap) ** -np.arange(steps + 1.0)
    return Pair({**sgd, "weight_decay": MOMENTUM_RATE / SGD_LR}, {**follow, "buffer": buffer}, follow, scale)


def adamw(steps: int) -> Pair:
    """aβ₁ and a²β₂ in the recursions alone; torch's inputs and bias corrections are put back through η and ε."""
    a, k = 1 - ADAM_RATE, np.arange(1, steps + 1)
    betas = (a * BETAS[0], a**2 * BETAS[1])
    # What torch divides by over what has to be divided by, of m and of √v.
    first, second = (
        (1 - old) / (1 - new) * (1 - new**k) / (1 - old**k) for old, new in zip(BETAS, betas, strict=True)
    )  # fmt: skip
    raised = growing("exponential-lr-adamw", steps, lr=ADAM_LR, decay_per_step=ADAM_RATE)
    adam: dict[str, Any] = {"kind": "adam", "rates": raised, "betas": BETAS, "eps": np.full(steps, EPS)}
    decayed = {**adam, "kind": "adamw", "rates": np.full(steps, ADAM_LR), "weight_decay": ADAM_RATE / ADAM_LR}
    eps = EPS * a ** (k - 1.0) / np.sqrt(second)
    follow = {**adam, "betas": betas, "rates": raised * first / np.sqrt(second), "eps": eps}
    return Pair(decayed, follow, adam, a ** -np.arange(steps + 1.0))


class Apart(NamedTuple):
    """How far the followed and the other run come from the decayed one, relative, and what rounding makes of it."""

    followed: float
    other: float
    rounding: float


def apart(pair: Pair, seed: int) -> Apart:
    from ...training import crosschecks

    decayed, followed, other = (crosschecks.invariant_run(**run, seed=seed) for run in pair[:3])
    disturbed = crosschecks.invariant_run(**pair.decayed, seed=seed, moved=DISTURBANCE)
    misses = [
        largest(
            crosschecks.relative(one, each / pair.scale[:, None]).max() for one, each in zip(decayed, run, strict=True)
        )
        for run in (followed, other)
    ]
    return Apart(misses[0], misses[1], crosschecks.rounding(decayed, disturbed, DISTURBANCE))


def norms_over(pair: Pair, seed: int) -> FloatArray:
    """‖W_t‖/‖w_t‖ of the first layer."""
    from ...training import crosschecks

    with_decay, without = (crosschecks.invariant_run(**run, seed=seed)[0] for run in pair[:2])
    return np.asarray(np.linalg.norm(without, axis=1) / np.linalg.norm(with_decay, axis=1))


CLAIM = Claim(
    id="C10",
    paper="li2019",
    statement=(
        "On scale-invariant weights a run with decay goes through the directions of one without decay and with an "
        "exponentially growing rate: for SGD under any schedule, for SGD with momentum and L2, and for AdamW with its "
        "betas and ε changed as well."
    ),
    source="Li & Arora, arXiv 1910.07454, theorems for SGD; THEORY.md R6",
    assumptions=("the loss does not depend on the weights' scale", "constant η and λ, except for SGD without momentum"),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof(*DERIVATIONS)),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch",)),
    },
)
