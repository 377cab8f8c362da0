"""C22: the mean square of AdamW's weights follows dρ/dt = −2λ_tη_tρ + η_t² under schedules."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C22",
    paper="kosson2024",
    statement=(
        "Under schedules of η and λ the mean square ρ of AdamW's weights on pure noise obeys ρ ← (1 − η_tλ_t)²ρ + η_t² "
        "without momentum, to first order dρ/dt = −2λ_tη_tρ + η_t²."
    ),
    source="the flow behind the equilibrium of arXiv 2305.17212; THEORY.md R5",
    assumptions=("white gradients of constant variance, h = 0", "v constant", "β₁ = 0", "ηλ → 0 for the flow"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("weight-rms"))},
)
