"""C38: float32 applies ηλ only to within 2⁻²⁵/(ηλ)."""

from __future__ import annotations

from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import POINTS, formulas


def numeric(tier: str) -> Evidence:
    """The largest relative error and the threshold against float32's own rounding."""
    return Evidence(formulas("float32-decay", POINTS[tier]))


CLAIM = Claim(
    id="C38",
    paper="wang2025",
    statement="On float32 weights AdamW decays by ηλ only up to a relative error 2⁻²⁵/(ηλ), and not at all below 2⁻²⁵.",
    source="torch.optim.AdamW multiplies by 1 − ηλ in the weight's precision; THEORY.md §8",
    assumptions=("weights in float32", "decay as a multiplication by the rounded 1 − ηλ"),
    kinds=("exact",),
    levels={"numeric": Level(numeric)},
)
