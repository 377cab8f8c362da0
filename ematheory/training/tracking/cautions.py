"""What a tracker warns of, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ...derivations import derive
from .forecast import Rates, left_after, slow_mode
from .meaning import ADAM, SGD, Meaning

# A long timescale is worth a warning when this much of the start will remain.
MUCH_LEFT = 0.3


class Caution(NamedTuple):
    """A warning; each kind is given once for each group."""

    kind: str
    text: str


def of_meaning(meaning: Meaning, rates: Rates, optimizer: str) -> Iterator[Caution]:
    """Where no timescale can be told."""
    if rates.weight_decay == 0:
        return
    if meaning.convention is None:
        yield Caution(
            "unknown",
            f"what {optimizer}'s weight_decay multiplies is not known here, so its timescale is not given; say it with "
            "track(…, decay='per_lr'), 'l2', 'independent', 'corrected', or a framework such as 'composer'",
        )
    elif meaning.adds_to_gradient and meaning.update != SGD:
        yield Caution(
            "l2",
            f"{optimizer} adds its weight_decay to the gradient (L2): what that takes from a weight depends on the "
            "weight's gradients, so it has no timescale; AdamW's has one",
        )
    elif not meaning.adds_to_gradient and not meaning.multiplies_weight:
        yield Caution(
            "detection", f"{optimizer} scales its decay by what it detects in the gradients, so it has no one timescale"
        )


def of_timescale(meaning: Meaning, rates: Rates, peak: float, steps: int | None) -> Iterator[Caution]:
    """Where the timescale at the peak rate is out of proportion to the run or to the momentum."""
    share, timescale = slow_mode(meaning, at_peak(meaning, rates, peak))
    if meaning.multiplies_weight and share >= 1:
        yield Caution(
            "unstable", f"ηλ is {share:.3g}: from 1 on the weights are no average of updates, and may diverge"
        )
        return
    if steps and math.isfinite(timescale) and left_after(share, steps) > MUCH_LEFT:
        left = 100 * left_after(share, steps)
        yield Caution(
            "long",
            f"timescale is {timescale / steps:.2g} × the run: {left:.0f} % of the initial weights will remain, at the "
            "peak rate throughout",
        )
    if meaning.update == ADAM and rates.beta1 and timescale * (1 - rates.beta1) < 1:
        yield Caution(
            "short",
            f"timescale is {timescale:.3g} steps, less than the {1 / (1 - rates.beta1):.3g} that β₁ averages gradients "
            "over: the weights follow single updates",
        )


def at_peak(meaning: Meaning, rates: Rates, peak: float) -> Rates:
    """The same group at its peak rate."""
    alpha = meaning.decay_per_step(peak, rates.weight_decay, peak)
    return rates._replace(lr=peak, decay_per_step=alpha)


def of_bfloat16(decay_per_step: float) -> Iterator[Caution]:
    """Where rounding takes the decay of bfloat16 weights back (THEORY.md §8)."""
    if not decay_per_step > 0:
        return
    thresholds = derive("bfloat16-decay")
    none, passes = (thresholds.function(name)() for name in ("nothing_moves_up_to", "passes_through_from"))
    if decay_per_step <= none:
        yield Caution(
            "bfloat16",
            f"ηλ is {decay_per_step:.2g}: up to 2⁻⁹ = {none:.2g} rounding to bfloat16 takes back all of the decay; "
            "keep a float32 copy of the weights, or round stochastically",
        )
    elif decay_per_step < passes:
        yield Caution(
            "bfloat16",
            f"ηλ is {decay_per_step:.2g}: below {passes:.2g} rounding to bfloat16 stops the decay of each weight "
            f"within its binade, at a mantissa of about {2 * none / decay_per_step:.2g}",
        )


def of_weights(norm: float, step: int) -> Iterator[Caution]:
    if math.isinf(norm) or math.isnan(norm):
        yield Caution("infinite", f"weights are not finite at step {step}")


def of_replaced(name: str, step: int) -> Caution:
    return Caution(
        f"replaced {name}",
        f"{name} is another tensor after step {step}: what is left of its start is of this one, from there on",
    )
