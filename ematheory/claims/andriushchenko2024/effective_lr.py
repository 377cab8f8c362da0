"""C25: the run without decay that follows the same directions."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C25",
    paper="andriushchenko2024",
    statement=(
        "On scale-invariant weights without memory a run without decay turns as the decayed one does if its effective "
        "learning rate is η/((1 − ηλ)‖w‖²) for SGD, η/((1 − ηλ)‖w‖) for Adam; the published forms lack 1 − ηλ."
    ),
    source="D'Angelo et al., arXiv 2310.04415, on matching effective learning rates; THEORY.md R7",
    assumptions=("a scale-invariant loss", "SGD with μ = 0, or Adam with β₁ = β₂ = 0 and ε = 0", "0 < ηλ < 1"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("effective-learning-rate"))},
)
