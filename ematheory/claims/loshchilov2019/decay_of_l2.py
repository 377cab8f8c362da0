"""C33: with momentum, L2 and per-LR decay differ by 1/(1−μ)."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C33",
    paper="loshchilov2019",
    statement=(
        "SGD with momentum μ forgets at the rate ηλ with per-LR decay, and with L2 at 1/(1−μ) times that, to first "
        "order in ηλ."
    ),
    source="Loshchilov & Hutter, arXiv 1711.05101; Heo et al., arXiv 2006.08217; THEORY.md M2",
    assumptions=("dampening 0", "constant η and λ", "ηλ → 0 for the ratio"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("momentum-per-lr"))},
)
