"""C14: the batch rules of each optimizer, and what λ has to do."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C14",
    paper="malladi2022",
    statement=(
        "To keep drift, diffusion, memory and decay per sample at a batch B: SGD η ∝ B and λ as it is; SGD with "
        "momentum 1−μ ∝ B and η ∝ B², with λ as it is for L2 and λ ∝ 1/B per LR; Adam(W) on noise η ∝ √B, 1−β ∝ B, "
        "ε ∝ 1/√B, with λ ∝ √B per LR, λ_ind ∝ B independent of it and λ as it is for L2; Adam(W) on signal η ∝ B, "
        "1−β ∝ B, with λ and ε as they are."
    ),
    source="Malladi et al., arXiv 2205.10287, for Adam's η, β and ε; decay and the other optimizers: THEORY.md §5",
    assumptions=(
        "white noise of variance S/B", "√v held at its mean square (β₂ near 1)", "small ηλ, 1−β and 1−μ for the powers",
    ),
    kinds=("asymptotic",),
    levels={
        "symbolic": Level(proof("scaling-sgd", "scaling-momentum", "scaling-adam-noise", "scaling-adam-signal")),
    },
)  # fmt: skip
