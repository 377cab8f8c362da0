"""C08: Lion's equilibrium: the exact series, and the published formula as its linearisation."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C08",
    paper="kosson2024",
    statement=(
        "On white normal gradients Lion's E w² is η²/(1 − a²)·[1 + 2Σ_k a^k (2/π) arcsin ρ_k]; the published η/(πλD), "
        "D = (1−β₁)² + β₁²(1−β₂)/(1+β₂), is its linearisation as ηλ → 0 less 1 − 2/π beside (2/π)/D: too small, by a "
        "share that vanishes with D only where the ρ_k do."
    ),
    source="Kosson et al., arXiv 2305.17212, on Lion; THEORY.md R4",
    assumptions=("white normal gradients, h = 0",),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("lion-random-walk"))},
)
