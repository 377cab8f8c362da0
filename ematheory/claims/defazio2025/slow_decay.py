"""C20: norms fall and gradients grow while the learning rate decays; AdamC's corrected decay removes that."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C20",
    paper="defazio2025",
    statement=(
        "On scale-invariant weights a slowly falling η makes ‖w‖ ∝ η^{1/4} and ‖g‖ ∝ η^{−1/4} with SGD, η^{1/2} and "
        "η^{−1/2} with AdamW; SGD's ‖g‖/‖w‖ is √(2λ/η). The decay λη_t/η_max keeps all of them."
    ),
    source="Defazio, arXiv 2506.02285; THEORY.md R8",
    assumptions=("scale-invariant weights, white gradients", "ηλ → 0", "η changes slowly against 1/(ηλ)"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("scale-invariant-sgd", "slow-decay"))},
)
