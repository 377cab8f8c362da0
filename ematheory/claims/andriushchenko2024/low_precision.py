"""C29: bfloat16 weights lose small decay to rounding."""

from __future__ import annotations

import numpy as np

from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence, Exact, Fails, largest

# Decay steps after which nothing moves any more, or everything has fallen by more than a binade.
STEPS = 2000
RATES = {"smoke": 3, "quick": 20, "full": 200}
SIGNIFICANDS = np.arange(128, 256) / 128.0  # every bfloat16 of the binade from 1 to 2


def bfloat16(weights: FloatArray) -> FloatArray:
    """Rounded to 8 bits of significand, ties to even."""
    fraction, exponent = np.frexp(weights)
    return np.asarray(np.ldexp(np.rint(fraction * 256), exponent - 8))


def decayed(rate: float, steps: int) -> FloatArray:
    """Every weight of a binade after some steps of decay, each stored in bfloat16."""
    weights = SIGNIFICANDS.copy()
    for _ in range(steps):
        weights = bfloat16(weights * (1 - rate))
    return weights


def thresholds() -> tuple[float, float]:
    """Up to which rate nothing moves, and from which everything passes through, as derived."""
    from ...derivations import derive

    derivation = derive("bfloat16-decay")
    names = ("nothing_moves_up_to", "passes_through_from")
    first, last = (float(derivation.result_equation(name).rhs) for name in names)
    return first, last


def stopping_place(rate: float) -> FloatArray:
    """Where each weight of the binade stops between the thresholds: the significand 1/(2ηλ), rounded down."""
    last = np.floor(1 / (2 * rate)) / 128
    # A power of two itself falls into the binade below, and on to the same significand there.
    return np.asarray(np.where(SIGNIFICANDS == 1, last / 2, np.minimum(SIGNIFICANDS, last)))


def numeric(tier: str) -> Evidence:
    """Every weight of a binade under pure decay, at rates below, between and above the derived thresholds."""
    first, last = thresholds()
    count = RATES[tier]
    shares = (np.arange(count) + 0.5) / count
    below, between = first * shares, first + (last - first) * shares
    moved = [float((decayed(rate, 1) != SIGNIFICANDS).sum()) for rate in (*below, first)]
    off = [float(np.abs(decayed(rate, STEPS) - stopping_place(rate)).max()) for rate in between]
    above = [float(decayed(rate, STEPS).max()) for rate in (last, 1.01 * last, 2 * last)]
    reason = "rounding to nearest is exact: a weight moves or does not"
    return Evidence(
        (
            Exact("weights that move at or below 2⁻⁹", largest(moved), 0.0, len(moved), reason),
            Exact("where weights stop between the thresholds", largest(off), 0.0, len(off), reason),
            Bounded("weights left above half of a binade's end, beyond the thresholds", above, 0.5, 0.0),
            Fails(
                "weights that move just above 2⁻⁹", float((decayed(1.001 * first, 1) != SIGNIFICANDS).sum()), 0.0, 1,
                "a power of two does",
            ),
        )
    )  # fmt: skip


CLAIM = Claim(
    id="C29",
    paper="andriushchenko2024",
    statement=(
        "Weights stored in bfloat16 and rounded to nearest do not decay at all for ηλ ≤ 2⁻⁹ = 0.00195, stop within "
        "their binade below 2⁻⁸/(1 + 2⁻⁷) = 0.00388, and keep decaying only from there."
    ),
    source="the mechanism behind the paper's section on bfloat16 (arXiv 2310.04415); THEORY.md §8",
    assumptions=("the weight itself is stored in bfloat16", "round to nearest, ties to even", "decay alone, no update"),
    kinds=("exact",),
    levels={"numeric": Level(numeric)},
)
