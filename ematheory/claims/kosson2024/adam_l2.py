"""C07: Adam with L2 on scale-invariant weights."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C07",
    paper="kosson2024",
    statement=(
        "On scale-invariant weights Adam with L2 comes to ‖w‖³ = ηCσ̃/(2λ) and turns by √(2ηλ(‖w‖/σ̃)(1−β₁)/(1+β₁)) a "
        "step, which goes as σ̃^{−1/3}: unlike AdamW's, the rotation depends on the gradients' scale."
    ),
    source="Kosson et al., arXiv 2305.17212, on Adam with L2; THEORY.md §4",
    assumptions=(
        "a gradient at right angles to the weights that falls as 1/‖w‖",
        "its mean is 0, its root mean square σ̃ at unit norm constant, many coordinates",
        "β₂ → 1, so that √v̂ = σ̃/‖w‖, and ηλ‖w‖/σ̃ → 0",
    ),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("scale-invariant-adam-l2"))},
)
