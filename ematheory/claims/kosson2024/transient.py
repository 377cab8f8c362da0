"""C41: how AdamW's weights come to their equilibrium, with momentum."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C41",
    paper="kosson2024",
    statement=(
        "From a known weight and an empty buffer AdamW's E w² on white gradients is r_∞² plus multiples of a^{2t}, "
        "(aβ₁)^t and β₁^{2t} once its bias corrections are spent, and finite sums with them; "
        "r_t² = r_∞² + (r_0² − r_∞²)a^{2t} is exact for β₁ = 0 and off by O(ηλ/(1 − β₁)) with momentum."
    ),
    source="the approach to the equilibrium of arXiv 2305.17212; THEORY.md R3",
    assumptions=("white gradients of constant variance, h = 0", "v constant"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("adamw-transient", "adamw-transient-corrected", "weight-rms"))},
)
