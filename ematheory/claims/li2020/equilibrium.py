"""C06: the fourth power of the norm and the rotation of SGD on scale-invariant weights."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

DERIVATIONS = ("scale-invariant-sgd", "scale-invariant-momentum-l2", "scale-invariant-momentum-per-lr")

CLAIM = Claim(
    id="C06",
    paper="li2020",
    statement=(
        "On scale-invariant weights SGD with L2 comes to ‖w‖⁴ = ηE‖g̃‖²/(2λ(1−μ)) and turns by √(2ηλ/(1+μ)) a step; "
        "with per-LR decay to (1−μ)² in place of 1−μ and √(1−μ) times that rotation; without momentum ‖w‖⁴ relaxes as "
        "e^{−4ηλt}."
    ),
    source="Li et al., arXiv 2010.02916; Wan et al., arXiv 2006.08419; THEORY.md R3",
    assumptions=(
        "a gradient at right angles to the weights that falls as 1/‖w‖",
        "its mean is 0 and ‖g̃‖ constant, many coordinates",
        "ηλ → 0",
    ),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof(*DERIVATIONS))},
)
