"""C14 on networks: the test loss at 4 times the batch by the square root rule, with λ scaled and with λ left alone."""

from __future__ import annotations

import numpy as np

from ...optimizers import AdamW
from ...schedules import Cosine
from ...typing import FloatArray
from ..evidence import Below, Curve, Evidence, Figure
from ..noisy_digits import IMAGES, below, error, trained_perceptrons
from ..seeds import chosen_seeds

# Of the base run, whose τ of 8·10³ and 16·10³ images is of the length of 5 and 11 epochs.
KAPPA, BATCH, LR, FORGET, EPS, EPOCHS, WIDTH = 4, 8, 5e-4, (0.05, 0.005), 1e-8, 25, 32
# Each twice the one before: λ at √4 times a decay is the next, and a run with it serves both rules.
DECAYS = (1.0, 2.0)
SEEDS, FIRST_SEED = {"quick": 8, "full": 32}, 1400


def losses(kappa: int, decays: tuple[float, ...], tier: str) -> FloatArray:
    """Test losses at the end, shape (seeds, decays), at so many times the batch with its η, β and ε by the rule."""
    root = kappa**0.5
    betas = (1 - kappa * FORGET[0], 1 - kappa * FORGET[1])
    optimizer = AdamW(lr=root * LR, weight_decay=list(decays), betas=betas, eps=EPS / root)
    steps = EPOCHS * (IMAGES // (kappa * BATCH))
    run = trained_perceptrons(
        optimizer, width=WIDTH, epochs=EPOCHS, seeds=chosen_seeds(FIRST_SEED, SEEDS[tier]), record=[steps],
        observables="test_loss", schedule=Cosine(final=0.0, warmup=0.1), scale_invariant=False,
        batch_size=kappa * BATCH,
    )  # fmt: skip
    return np.asarray(run.test_loss.isel(step=0).transpose("seed", "weight_decay"))


def trained(tier: str) -> Evidence:
    """How far the loss is from the base run's under each rule."""
    larger = losses(KAPPA, (*DECAYS, KAPPA**0.5 * DECAYS[-1]), tier)
    base = losses(1, DECAYS, tier)
    scaled, alone = np.log(larger[:, 1:] / base), np.log(larger[:, :-1] / base)
    return Evidence(
        (nearer(scaled, alone),), tuple(chosen_seeds(FIRST_SEED, len(base))), (apart(scaled, alone),)
    )  # fmt: skip


def nearer(scaled: FloatArray, alone: FloatArray) -> Below:
    """Half the distance, at most, with λ scaled: each seed's difference under the signs that the means have."""
    signed = np.sign(scaled.mean(axis=0)) * scaled - np.sign(alone.mean(axis=0)) * alone / 2
    return below(
        "network, AdamW on noise: |log of the loss over the base run's|, λ scaled, less half of that with λ alone",
        signed,
    )


def apart(scaled: FloatArray, alone: FloatArray) -> Figure:
    """The losses over the base run's, where 1 is what a rule is for."""
    curves = []
    for name, logs in (("λ ∝ √B", scaled), ("λ left alone", alone)):
        over = np.exp(logs)
        curves.append(Curve(name, DECAYS, np.ones(len(DECAYS)), over.mean(axis=0), error(over)))
    title = f"Test loss at {KAPPA} times the batch, {len(scaled)} seeds"
    return Figure(title, "λ of the base run", "loss over the base run's", tuple(curves), log_x=True)
