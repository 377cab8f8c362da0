"""C09: decay that grows with the width warms up the relative update by itself."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C09",
    paper="kosson2025",
    statement=(
        "Against a base run (η, λ) at equilibrium, a run with (η/m, mλ) from the same weights has the relative update "
        "s_t = (1 + (m² − 1)a^{2t})^{−1/2} times the base run's: an implicit warm-up from 1/m to 1."
    ),
    source="Kosson et al., arXiv 2510.19093; THEORY.md R10",
    assumptions=("updates of constant mean square that know nothing of the weight (β₁ = 0)", "both runs start at rest"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("implicit-warmup"))},
)
