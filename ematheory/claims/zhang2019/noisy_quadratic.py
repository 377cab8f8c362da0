"""C11: the noisy quadratic model's closed forms, with and without weight decay, and for the methods it compares."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...recording import every
from ...schedules import Cosine
from ..claim import Claim, Level
from ..evidence import Evidence, Figure
from ..proof import POINTS, formulas, proof
from ..seeds import chosen_seed
from ..simulated import curves, engine, sampled

COORDINATES = {"smoke": 100, "quick": 1000, "full": 10_000}
REPLICAS = {"smoke": 4096, "quick": 2048, "full": 2048}
STEPS = {"smoke": 600, "quick": 4000, "full": 4000}
# Q1 to Q6: plain SGD, the heavy ball with either decay and its transient, averaged iterates, preconditioning.
DERIVATIONS = (
    "sgd-quadratic", "heavy-ball-l2", "heavy-ball-per-lr", "heavy-ball-mean", "iterate-averaging", "preconditioning",
)  # fmt: skip
DECAYS = (0.0, 0.01, 0.1)
SEED = 11
# Decay moves the risk by more than a tenth here, and the momentum-free form differs from other optimizers' by more.
RESOLUTION = 0.05


def numeric(tier: str) -> Evidence:
    """Each derivation's values against a recursion of the update itself."""
    return Evidence(tuple(found for name in DERIVATIONS for found in formulas(name, POINTS[tier])))


def simulated(tier: str) -> Evidence:
    """The paper's spectrum h_i = c_i = 1/i, with a known optimum and without decay, at constant and cosine rates."""
    import ematheory as em

    d = COORDINATES[tier]
    problem = NoisyQuadratic(curvature=1 / np.arange(1, d + 1), optimum=0.5, batch_size=4)
    optimizer = SGD(lr=0.5, weight_decay=list(DECAYS))
    findings, figures, isa = [], [], None
    for name, schedule in (("constant rate", None), ("cosine rate", Cosine(final=0.1, warmup=0.02))):
        run: dict[str, Any] = {"steps": STEPS[tier], "record": every(STEPS[tier] // 20), "schedule": schedule}
        measured = em.simulate(problem, optimizer, **run, replicas=REPLICAS[tier], seed=chosen_seed(SEED))
        predicted = em.predict(problem, optimizer, **run).risk
        isa = engine(measured)
        findings.append(sampled(f"risk, {name}", measured, "risk", predicted, resolution=RESOLUTION * predicted))
        labels = [f"λ = {decay:g}" for decay in DECAYS]
        drawn = curves(measured, "risk", predicted, "weight_decay", labels)
        figures.append(Figure(f"Risk of SGD on h_i = 1/i, d = {d}, {name}", "step", "risk", drawn, log_y=True))
    return Evidence(tuple(findings), (chosen_seed(SEED),), tuple(figures), isa)


CLAIM = Claim(
    id="C11",
    paper="zhang2019",
    statement=(
        "On the noisy quadratic model SGD with decay λ has mean hθ*/(h+λ), approached as (1−η(h+λ))^t, and variance "
        "ησ²/[(h+λ)(2−η(h+λ))]; without decay these are the model's known forms. With momentum the ridge is λ for L2 "
        "and λ(1−μ) for per-LR decay, with the variances of Q3 and Q4 and without decay the transient of Q2; averaging "
        "the iterates multiplies the variance by (1−γ)(1+rγ)/[(1+γ)(1−rγ)], r = 1−ηh; preconditioning by H^p is SGD on "
        "the curvatures h^{1−p}."
    ),
    source="Zhang et al., arXiv 1907.04164, sections 2 and 3; THEORY.md Q1 to Q6",
    assumptions=(
        "gradient noise independent of the weight",
        "stable: η(h+λ) < 2 without momentum, η(h+λ) < 2(1+μ) with L2, η(h+λ(1+μ)) < 2(1+μ) with per-LR decay",
        "symbolic and numeric for every method, simulated for SGD without momentum",
    ),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof(*DERIVATIONS)),
        "numeric": Level(numeric),
        "simulated": Level(simulated),
    },
)
