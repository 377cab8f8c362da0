"""C35: a constant timescale in epochs is a fixed Gaussian prior."""

from __future__ import annotations

import numpy as np

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, Finding, largest
from ..paired import over_vectors
from ..proof import POINTS, formulas, proof
from ..seeds import chosen_seed
from ..verdict import critical_value

LR, BATCH_SIZE, CURVATURE, OPTIMUM, PRIOR = 0.1, 64.0, 0.3, 2.0, 50.0

# Of torch: data that double again and again, more than one batch of them (of one all replicas are alike, and their
# intervals have no width); curvatures, and a run of which the second half has forgotten the start.
TORCH_SIZES = {"smoke": (128, 512), "quick": (128, 512, 2048), "full": (128, 256, 512, 1024, 2048, 4096)}
CURVATURES, STEPS, SEED = (0.2, 0.5, 1.0), 1600, 35
REPLICAS, RESOLUTION = {"smoke": 16, "quick": 32, "full": 64}, 0.01
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


def trained(tier: str) -> Evidence:
    """torch.optim.SGD with L2 over reshuffled epochs of more and more data, at one timescale in epochs."""
    findings: list[Finding] = []
    curves = []
    sizes, bent = TORCH_SIZES[tier], np.array(CURVATURES)
    means = [mean_weights(size, PRIOR / size, tier) for size in sizes]
    modes = [mode(size) for size in sizes]
    for size, seen, expected in zip(sizes, means, modes, strict=True):
        what = f"torch.optim.SGD, N = {size}, τ = {BATCH_SIZE / (LR * PRIOR):g} epochs: mean weights"
        findings.append(over_vectors(what, seen.T, expected, resolution=RESOLUTION * np.abs(expected)))
    fixed = mean_weights(sizes[-1], PRIOR / sizes[0], tier)
    scores = np.abs(fixed.mean(0) - modes[-1]) / (fixed.std(0, ddof=1) / len(fixed) ** 0.5)
    control = Fails(
        f"torch.optim.SGD, N = {sizes[-1]}: the mode under that prior with λ left as at N = {sizes[0]}",
        float(scores.min()), critical_value(scores.size, len(fixed) - 1), len(fixed), "in standard errors",
    )  # fmt: skip
    for size, seen, expected in zip(sizes, means, modes, strict=True):
        errors = seen.std(0, ddof=1) / len(seen) ** 0.5
        curves.append(Curve(f"N = {size}", bent, expected, seen.mean(0), errors))
    figure = Figure("torch.optim.SGD at one timescale in epochs", "curvature h", "mean weight", tuple(curves))
    return Evidence((*findings, control), (chosen_seed(SEED),), (figure,))


def items(size: int) -> FloatArray:
    """Of the first so many samples, those of a smaller set are among them."""
    drawn = np.random.default_rng(chosen_seed(SEED)).standard_normal((TORCH_SIZES["full"][-1], len(CURVATURES)))
    return OPTIMUM + drawn[:size]


def mode(size: int) -> FloatArray:
    """Of the posterior of the samples, N·h precise about their mean, under the fixed prior, derived."""
    from ...derivations import derive

    function = derive("map-prior").function("mode")
    means = items(size).mean(axis=0)
    return np.array(
        [
            float(function(curvature=h, optimum=mean, dataset_size=float(size), prior_precision=PRIOR))
            for h, mean in zip(CURVATURES, means, strict=True)
        ]
    )


def mean_weights(size: int, decay: float, tier: str) -> FloatArray:
    from ...training import crosschecks

    return crosschecks.regularised_means(
        items(size), np.array(CURVATURES), lr=LR, weight_decay=decay, batch_size=int(BATCH_SIZE), steps=STEPS,
        replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    )  # fmt: skip


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
    levels={
        "symbolic": Level(proof("map-prior")),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch",)),
    },
)
