"""C34: training at a fixed norm with AdamW's equilibrium step turns the weights as AdamW at rest does."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C34",
    paper="kosson2024",
    statement=(
        "Training at a fixed norm, w ← (w − ρu)/‖w − ρu‖, with the relative step of AdamW at rest, "
        "ρ = √((1−a²)(1−aβ₁)/(1+aβ₁))/a, comes to AdamW's own rotation at any ηλ; with the published "
        "ρ = √(2ηλ(1−β₁)/(1+β₁)) it does to first order in ηλ."
    ),
    source="Hyperball, arXiv 2606.16899, beside the equilibrium of arXiv 2305.17212; THEORY.md §7",
    assumptions=(
        "white gradients of constant variance, h = 0",
        "v constant",
        "many coordinates",
        "after the transient",
    ),
    kinds=("exact", "asymptotic"),
    levels={"symbolic": Level(proof("fixed-norm"))},
)
