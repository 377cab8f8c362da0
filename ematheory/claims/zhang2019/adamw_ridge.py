"""C15: AdamW's ridge is λ√v, and its stationary loss without decay knows no curvature."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C15",
    paper="zhang2019",
    statement=(
        "On the noisy quadratic AdamW comes to the mean hθ*/(h + λ√v), a ridge that shrinks as the batch grows, and at "
        "small η to the variance ησ²/(2√v(h + λ√v)); without decay its loss is ησ/4 per coordinate at any curvature."
    ),
    source="THEORY.md Q8; the model is arXiv 1907.04164's",
    assumptions=(
        "√v held constant, v = σ² for the loss",
        "gradient noise independent of the weight",
        "η → 0 for the limits",
    ),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("adamw-quadratic"))},
)
