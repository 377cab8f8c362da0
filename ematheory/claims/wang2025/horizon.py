"""C28: the EMA picture fails in sharp directions, whose noise is forgotten at the rate η(h/√v + λ)."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C28",
    paper="wang2025",
    statement=(
        "On a quadratic coordinate of curvature h the response of AdamW's weight to exogenous gradient noise decays at "
        "the rate η(h/√v + λ) a step, not ηλ: the EMA horizon describes flat directions, h ≪ λ√v."
    ),
    source="THEORY.md E7; a limit of arXiv 2405.13698's picture",
    assumptions=("√v held constant", "real rates", "to first order in η with momentum, exact without"),
    kinds=("exact", "asymptotic"),
    levels={"symbolic": Level(proof("noise-response"))},
)
