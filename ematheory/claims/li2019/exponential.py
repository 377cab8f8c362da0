"""C10: weight decay on scale-invariant weights is an exponentially growing learning rate."""

from __future__ import annotations

from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import POINTS, formulas, proof

DERIVATIONS = ("exponential-lr-sgd", "exponential-lr-momentum", "exponential-lr-adamw")


def numeric(tier: str) -> Evidence:
    """The last rate of a run in closed form against the rate at which the optimizer itself follows, step by step."""
    return Evidence(tuple(part for name in DERIVATIONS for part in formulas(name, POINTS[tier])))


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
    levels={"symbolic": Level(proof(*DERIVATIONS)), "numeric": Level(numeric)},
)
