"""C38: float32 applies ηλ only to within 2⁻²⁵/(ηλ)."""

from __future__ import annotations

import numpy as np

from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence, Exact, Fails, largest

RATES = {"smoke": 1000, "quick": 100_000, "full": 10_000_000}


def realised(rates: FloatArray) -> FloatArray:
    """What a float32 weight of 1 loses when it is multiplied by the float32 nearest to 1 − ηλ."""
    return np.asarray(1 - (1 - rates).astype(np.float32).astype(np.float64))


def bound(rates: FloatArray) -> FloatArray:
    """The derived largest relative error."""
    from ...derivations import derive

    return np.asarray(derive("float32-decay").function("largest_relative_error")(decay_per_step=rates))


def shares(rates: FloatArray) -> FloatArray:
    """The relative errors as shares of the largest there can be."""
    return np.asarray(np.abs(realised(rates) / rates - 1) / bound(rates))


def numeric(tier: str) -> Evidence:
    """float32's own rounding at rates spread over decades, at ties, and below the threshold."""
    count = RATES[tier]
    rates = np.geomspace(2.0**-26, 0.5, count)
    ties = (np.arange(1, 1001) + 0.5) / 2**24
    lost = realised(np.geomspace(1e-12, 2.0**-25, 1000))
    reason = "the multipliers next to a tie are exact in float32 and float64"
    return Evidence(
        (
            # 1 − ηλ is rounded to float64 first, which moves a share of the bound by 2⁻⁵³/2⁻²⁵.
            Bounded("relative errors over the bound", shares(rates), 1.0, 2.0**-27),
            Exact("errors at ties, which reach it", largest(np.abs(shares(ties) - 1)), 2.0**-27, len(ties), reason),
            Exact("decay applied up to 2⁻²⁵", largest(lost), 0.0, len(lost), reason),
            Fails("error at ηλ = 1e-7", float(shares(np.array([1e-7]))[0]), 0.1, 1, "it is 19 % off there"),
        )
    )


CLAIM = Claim(
    id="C38",
    paper="wang2025",
    statement="On float32 weights AdamW decays by ηλ only up to a relative error 2⁻²⁵/(ηλ), and not at all below 2⁻²⁵.",
    source="torch.optim.AdamW multiplies by 1 − ηλ in the weight's precision; THEORY.md §8",
    assumptions=("weights in float32", "decay as a multiplication by the rounded 1 − ηλ"),
    kinds=("exact",),
    levels={"numeric": Level(numeric)},
)
