"""C27: decay bounds the weights by the largest update over λ, and AdamW's update has a bound."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C27",
    paper="xie2024",
    statement=(
        "AdamW's weights obey |w_t| ≤ a^t|w_0| + (1 − a^t) max|u|/λ, for sign methods 1/λ in the long run, and "
        "|u| ≤ (1 − β₁)/√((1 − β₂)(1 − β₁²/β₂)) for any gradients when β₁² < β₂; Muon's operator norm is bounded by "
        "1.2024/λ times the update's scale, not by 1/λ."
    ),
    source="Xie & Li, arXiv 2404.04454, for the constraint ‖w‖_∞ ≤ 1/λ; THEORY.md §7",
    assumptions=(
        "per-LR decay, 0 < ηλ < 1",
        "any gradients, ε ≥ 0",
        "β₁² < β₂ for the bound on the update",
        "Newton–Schulz in exact arithmetic",
    ),
    kinds=("bound",),
    levels={"symbolic": Level(proof("weight-bound", "update-bound", "muon-bound"))},
)
