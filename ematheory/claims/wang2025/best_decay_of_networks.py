"""C24 on networks: which λ a perceptron on images of digits generalises best with, against how many it trains on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...optimizers import AdamW
from ...schedules import Cosine
from ...typing import FloatArray
from ..devices import chosen_device
from ..evidence import Below, Curve, Evidence, Figure, Sampled
from ..seeds import chosen_seeds
from ..valleys import bootstrapped, slope, vertex

# λ between no effect and a loss that decay rules, in steps of about 2.
LR, BETAS, BATCH, EPOCHS = 3e-3, (0.9, 0.99), 32, 100
DECAYS: FloatArray = np.geomspace(0.1, 10.0, 8)
SIZES = {"quick": (128, 256, 512), "full": (128, 256, 512, 1024)}
WIDTH, SEEDS = {"quick": 64, "full": 128}, {"quick": 8, "full": 24}
FIRST_SEED = 2400
# Half of the way between λ ∝ 1/N and a λ that does not depend on N.
RESOLUTION = 0.5


def losses(size: int, tier: str) -> FloatArray:
    """The test loss at the end, shape (seeds, decays), of training on the first so many images."""
    from ...training import tasks, train

    optimizer = AdamW(lr=LR, weight_decay=list(DECAYS), betas=BETAS)
    seeds, steps = chosen_seeds(FIRST_SEED, SEEDS[tier]), EPOCHS * (size // BATCH)
    run = train(
        tasks.digits_mlp(width=WIDTH[tier], train_size=size), optimizer, epochs=EPOCHS, batch_size=BATCH, seeds=seeds,
        schedule=Cosine(final=0.0), dtype="float32", record=[steps], observables="test_loss", ensemble=32,
        device=chosen_device(),
    )  # fmt: skip
    return np.asarray(run.test_loss.isel(step=0).transpose("seed", "weight_decay"))


def trained(tier: str) -> Evidence:
    """The slope of log λ_opt in log N, and whether the best τ_epoch lies between one epoch and all."""
    sizes = SIZES[tier]
    samples = np.stack([losses(size, tier) for size in sizes], axis=1)
    logs = np.log(DECAYS)

    def estimate(mean: FloatArray) -> list[float]:
        places = [vertex(logs, row) for row in mean]
        return [slope(np.log(sizes), places), *places]

    found, errors = bootstrapped(samples, estimate)
    # log τ_epoch = log B/(ηN) − log λ.
    timescales = np.log([BATCH / (LR * size) for size in sizes]) - found[1:]
    n = len(samples)
    findings = (
        Sampled("slope of log λ_opt in log N", found[0], -1.0, errors[0], n, RESOLUTION, errors_by="bootstrap"),
        Below("log of the best τ_epoch over all epochs", timescales - np.log(EPOCHS), errors[1:], 0.0, n, "bootstrap"),
        Below("log of one epoch over the best τ_epoch", -timescales, errors[1:], 0.0, n, "bootstrap"),
    )
    return Evidence(findings, tuple(chosen_seeds(FIRST_SEED, n)), (valleys(sizes, n, found, errors),))


def valleys(sizes: Any, n: int, found: FloatArray, errors: FloatArray) -> Figure:
    """The best λ over N from `n` seeds, with 1/N through the smallest; errors of log λ are relative ones of λ."""
    best = np.exp(found[1:])
    rule = best[0] * sizes[0] / np.array(sizes)
    curve = Curve("best λ; predicted: λ ∝ 1/N", sizes, rule, best, best * errors[1:])
    title = f"Best decay of a perceptron on digits, {EPOCHS} epochs, {n} seeds"
    return Figure(title, "images to train on", "λ", (curve,), log_x=True, log_y=True)
