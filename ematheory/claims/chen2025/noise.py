"""C21: what is left of cautious decay on pure noise."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C21",
    paper="chen2025",
    statement=(
        "On white gradients without momentum AdamW with cautious decay has E w² = 2(1 + λ E|u| E|w|) times AdamW's, "
        "which for Gaussian updates is 2(1 + (2/π)√(ηλ)) as ηλ → 0: half of the decay, and a little less."
    ),
    source="the update: Chen et al., arXiv 2510.12402; THEORY.md §7",
    assumptions=("white gradients, h = 0", "v constant, β₁ = 0", "symmetric updates with E u² = 1"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("cautious-random-walk", "cautious-mask"))},
)
