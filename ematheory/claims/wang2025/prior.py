"""C35: a constant timescale in epochs is a fixed Gaussian prior."""

from __future__ import annotations

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ..claim import Claim, Level
from ..evidence import Evidence, Exact, largest
from ..proof import POINTS, formulas, proof

LR, BATCH_SIZE, CURVATURE, OPTIMUM, PRIOR = 0.1, 64.0, 0.3, 2.0, 50.0
SIZES = {"smoke": (1e3, 1e4), "quick": (1e2, 1e3, 1e4, 1e5, 1e6), "full": tuple(10.0**k for k in range(2, 10))}


def misses(tier: str) -> list[float]:
    """By how much SGD at one timescale in epochs misses the posterior's mode, relative, for each data-set size."""
    from ...prediction import predict

    epochs = BATCH_SIZE / (LR * PRIOR)
    found = []
    for size in SIZES[tier]:
        decay = BATCH_SIZE / (LR * epochs * size)
        problem = NoisyQuadratic(CURVATURE, optimum=OPTIMUM, batch_size=BATCH_SIZE)
        mean = float(predict(problem, SGD(lr=LR, weight_decay=decay), observables="weight_mean").weight_mean[0])
        # The mode of the posterior of all samples under the fixed prior: the data's precision is N·h.
        mode = OPTIMUM * (size * CURVATURE) / (size * CURVATURE + PRIOR)
        found.append(abs(mean / mode - 1))
    return found


def numeric(tier: str) -> Evidence:
    """The mode and AdamW's prior against root finding and runs, and SGD's mean at one timescale against the mode."""
    apart = Exact(
        "mean at a fixed timescale in epochs against the mode under a fixed prior", largest(misses(tier)), 1e-12,
        len(SIZES[tier]), "ten roundings of a float64, and the solution of two linear equations",
    )  # fmt: skip
    return Evidence((*formulas("map-prior", POINTS[tier]), apart))


CLAIM = Claim(
    id="C35",
    paper="wang2025",
    statement=(
        "SGD with L2 whose timescale B/(ηλN) in epochs is held as the data grow finds the mode under one fixed "
        "Gaussian prior; the prior washes out of the solution, the timescale stays."
    ),
    source="an answer to the question that arXiv 2405.13698 leaves; THEORY.md Q12",
    assumptions=("SGD with L2 on the mean loss", "constant η and B", "a quadratic loss for the closed forms"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("map-prior")), "numeric": Level(numeric)},
)
