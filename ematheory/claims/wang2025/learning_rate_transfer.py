"""C36 on networks: whether the best learning rate of a muP perceptron stays where it is as its width grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...optimizers import AdamW
from ...schedules import Cosine
from ...typing import FloatArray
from ..devices import chosen_device
from ..evidence import Below, Curve, Evidence, Figure, Sampled
from ..seeds import chosen_seeds
from ..valleys import bootstrapped, slope, vertex

# A decay that rules: at the best rates the weights' memory is about a tenth of the run.
DECAY, BETAS, BATCH, EPOCHS, SIZE = 3.0, (0.9, 0.98), 32, 30, 256
DEPTH = 3
RATES: FloatArray = np.geomspace(4e-3, 6.4e-2, 5)
BASE = 16
WIDTHS = {"quick": (16, 64), "full": (16, 32, 64, 128)}
SEEDS = {"quick": 24, "full": 24}
FIRST_SEED = 3600
# The power of m that multiplies the λ of the weights whose rate muP divides by m.
RULES = {"λ ∝ m": 1.0, "fixed λ": 0.0}
# "Stays": a power of a tenth, by which ten times the width would move the best η by a quarter, would matter. Whether a
# test sees what it just resolves is as likely as not, so it has to resolve half of that. (At half of the way to η ∝ m,
# which was the resolution once, a drift as the power 0.17 was taken for none in one set of seeds in four.)
RESOLUTION = 0.05


def losses(width: int, power: float, tier: str) -> FloatArray:
    """The test loss at the end, shape (seeds, rates), with the hidden weights' λ times mᵖᵒʷᵉʳ."""
    from ...training import Group, tasks, train

    task = tasks.digits_mlp(width, DEPTH, train_size=SIZE, parametrization="mup", base_width=BASE)
    hidden = Group([f"weights.{layer}" for layer in range(1, DEPTH)], weight_decay=(width / BASE) ** power)
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    run = train(
        task, AdamW(lr=list(RATES), weight_decay=DECAY, betas=BETAS), epochs=EPOCHS, batch_size=BATCH, seeds=seeds,
        schedule=Cosine(final=0.0), dtype="float32", record=[EPOCHS * (SIZE // BATCH)], observables="test_loss",
        groups=[hidden], ensemble=32, device=chosen_device(),
    )  # fmt: skip
    return np.asarray(run.test_loss.isel(step=0).transpose("seed", "lr"))


def over_widths(tier: str) -> dict[str, FloatArray]:
    """For each rule the losses of shape (seeds, widths, rates); at the base width the rules are one."""
    base = losses(BASE, 0.0, tier)
    return {
        rule: np.stack([losses(width, power, tier) if width != BASE else base for width in WIDTHS[tier]], axis=1)
        for rule, power in RULES.items()
    }


def judged(widths: Any, samples: Mapping[str, FloatArray]) -> Evidence:
    """The slope of log η_opt in log m under each rule, from losses of shape (seeds, widths, rates)."""
    logs, ratios = np.log(RATES), np.log(np.divide(widths, BASE))
    joined = np.stack(list(samples.values()), axis=1)

    def estimate(mean: FloatArray) -> list[float]:
        places = [[vertex(logs, row) for row in rows] for rows in mean]
        kept, fixed = (slope(ratios, row) for row in places)
        return [kept, fixed, kept - fixed, *np.ravel(places)]

    found, errors = bootstrapped(joined, estimate)
    n, (kept, fixed, difference) = len(joined), found[:3]
    findings = (
        Sampled("slope of log η_opt in log m, λ ∝ m", kept, 0.0, errors[0], n, RESOLUTION, errors_by="bootstrap"),
        Below("minus the slope with fixed λ", -fixed, errors[1], 0.0, n, "bootstrap"),
        Below("slope with λ ∝ m less that with fixed λ", difference, errors[2], 0.0, n, "bootstrap"),
    )
    best, relative = (values[3:].reshape(len(samples), -1) for values in (np.exp(found), errors))
    return Evidence(findings, tuple(chosen_seeds(FIRST_SEED, n)), (best_rates(widths, best, best * relative, n),))


def trained(tier: str) -> Evidence:
    """How the best rate moves with the width when λ of the weights that muP slows follows the width, and when not."""
    return judged(WIDTHS[tier], over_widths(tier))


def best_rates(widths: Any, best: FloatArray, errors: FloatArray, seeds: int) -> Figure:
    """The best rate over the width under each rule, and what it would be if τ of the hidden weights alone decided."""
    curves = tuple(
        Curve(f"{rule}; if τ decided", widths, row[0] * np.divide(widths, BASE) ** (1 - power), row, own)
        for (rule, power), row, own in zip(RULES.items(), best, errors, strict=True)
    )
    title = f"Best η of a muP perceptron on digits, {seeds} seeds"
    return Figure(title, "width", "peak η of the input weights", curves, log_x=True, log_y=True)
