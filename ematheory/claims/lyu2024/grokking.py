"""C37: whether a network that memorised addition modulo a number understands it after a time that goes as τ_iter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import AdamW
from ...recording import every
from ...typing import FloatArray
from ..claim import Claim, Level
from ..devices import chosen_device
from ..evidence import Below, Curve, Evidence, Figure, Sampled
from ..seeds import chosen_seeds
from ..valleys import bootstrapped, slope

MODULUS, WIDTH, SHARE, BETAS = 31, 128, 0.7, (0.9, 0.98)
LR, DECAY = 0.03, 0.4
# λ at LR, and η at DECAY: the same timescales by either.
DECAYS = {"quick": (0.8, 0.4, 0.2), "full": (0.8, 0.4, 0.2, 0.1, 0.05)}
RATES = {"quick": (0.06, 0.03, 0.015), "full": (0.06, 0.03, 0.015, 0.0075)}
SEEDS = {"quick": 8, "full": 16}
FIRST_SEED = 3700
# Runs last so many τ, and so many steps more; they are looked at every few.
TIMESCALES, EXTRA, EVERY = 3, 100, 10
ACCURACY = 0.5
# Half of the way between a time that goes as τ and one that does not depend on it.
RESOLUTION = 0.5
# "A few": more than one, and fewer than an order of magnitude.
FEW = (1.0, 10.0)


class Setting(NamedTuple):
    lr: float
    weight_decay: float

    @property
    def timescale_steps(self) -> float:
        return 1 / (self.lr * self.weight_decay)


def first_reached(accuracy: xr.DataArray) -> FloatArray:
    """The step, one per seed, at which a share of right answers first is `ACCURACY`; NaN where it never is.

    Straight between the records.
    """
    steps = accuracy.step.values
    times = np.full(accuracy.sizes["seed"], np.nan)
    for place, row in enumerate(accuracy.transpose("seed", "step").values):
        after = int(np.argmax(row >= ACCURACY))
        if after:
            times[place] = np.interp(ACCURACY, row[after - 1 : after + 1], steps[after - 1 : after + 1])
    return times


def log_times(setting: Setting, tier: str) -> FloatArray:
    """The logs of the steps to memorise and to understand, shape (seeds, 2), by gradients of all examples."""
    from ...training import tasks, train

    task = tasks.modular_addition(MODULUS, WIDTH, train_share=SHARE)
    run = train(
        task, AdamW(lr=setting.lr, weight_decay=setting.weight_decay, betas=BETAS),
        epochs=round(TIMESCALES * setting.timescale_steps) + EXTRA, batch_size=len(task.data().train_targets),
        seeds=chosen_seeds(FIRST_SEED, SEEDS[tier]), dtype="float32", record=every(EVERY),
        observables=("train_accuracy", "test_accuracy"), ensemble=32, device=chosen_device(),
    )  # fmt: skip
    return np.log(np.stack([first_reached(run.train_accuracy), first_reached(run.test_accuracy)], axis=1))


def judged(by_decay: list[Setting], by_rate: list[Setting], samples: FloatArray) -> Evidence:
    """From log times of shape (seeds, settings, 2), first those of one η, then those of one λ."""
    settings = [*by_decay, *by_rate]
    timescales = np.log([setting.timescale_steps for setting in settings])
    parts = {"λ": slice(0, len(by_decay)), "η": slice(len(by_decay), None)}

    def estimate(mean: FloatArray) -> list[float]:
        memorised, understood = mean.T
        slopes = [slope(timescales[part], understood[part]) for part in parts.values()]
        return [*slopes, *(understood - timescales), *(memorised - understood)]

    found, errors = bootstrapped(samples, estimate)
    (values, shares, delays), own = np.split(found, [2, 2 + len(settings)]), np.split(errors, [2, 2 + len(settings)])
    n = len(samples)
    findings = (
        Sampled(f"slope of log steps to understand in log τ_iter, by {' and by '.join(parts)}", values, 1.0, own[0], n,
                RESOLUTION, errors_by="bootstrap"),
        Below("log of τ_iter over the time to understand", -shares, own[1], -np.log(FEW[0]), n, "bootstrap"),
        Below("log of the time to understand over τ_iter", shares, own[1], np.log(FEW[1]), n, "bootstrap"),
        Below("log of the time to memorise over that to understand", delays, own[2], 0.0, n, "bootstrap"),
    )  # fmt: skip
    figure = times(settings, parts, samples)
    return Evidence(findings, tuple(chosen_seeds(FIRST_SEED, n)), (figure,))


def times(settings: list[Setting], parts: dict[str, slice], samples: FloatArray) -> Figure:
    """Steps to understand over τ_iter, with what is proportional to it through the shortest."""
    understood = np.exp(samples[..., 1].mean(axis=0))
    timescales = np.array([setting.timescale_steps for setting in settings])
    curves = tuple(
        Curve(
            f"τ set by {letter}; predicted: ∝ τ", timescales[part],
            understood[part][0] * timescales[part] / timescales[part][0], understood[part],
        )
        for letter, part in parts.items()
    )  # fmt: skip
    title = f"Addition modulo {MODULUS}: steps to understand, {len(samples)} seeds"
    return Figure(title, "τ_iter, steps", "steps", curves, log_x=True, log_y=True)


def trained(tier: str) -> Evidence:
    """The power of τ_iter that the time to understand goes as, and how many τ_iter it is."""
    by_decay = [Setting(LR, decay) for decay in DECAYS[tier]]
    by_rate = [Setting(rate, DECAY) for rate in RATES[tier]]
    different = dict.fromkeys([*by_decay, *by_rate])
    logs = {setting: log_times(setting, tier) for setting in different}
    return judged(by_decay, by_rate, np.stack([logs[setting] for setting in [*by_decay, *by_rate]], axis=1))


CLAIM = Claim(
    id="C37",
    paper="lyu2024",
    statement=(
        "A network that has memorised addition modulo a number generalises a time later that is proportional to "
        "τ_iter = 1/(ηλ), a few of them, whether η or λ sets it."
    ),
    source=(
        "Lyu et al., arXiv 2311.18817, where the transition of gradient flow from a large start is at a time in "
        "proportion to 1/λ; read in a secondary source; THEORY.md §9"
    ),
    assumptions=(
        "AdamW with per-LR decay in the place of gradient flow, from a usual start, constant η",
        "a perceptron of one hidden layer, all pairs to train on in every step",
        "the time until half of the other sums are right",
    ),
    kinds=("empirical",),
    # The theorem is of gradients that vanish as the loss does, so that decay alone moves the weights. AdamW's steps are
    # of the same size whatever the loss: they move the weights as well, and the time grows less than in proportion.
    levels={"trained": Level(trained, expected="refuted", tiers=("quick", "full"), needs=("torch",))},
)
