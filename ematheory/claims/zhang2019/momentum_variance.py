"""C12: momentum multiplies the stationary variance by 1/(1 − μ) at small learning rates."""

from __future__ import annotations

from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import POINTS, formulas, proof


def numeric(tier: str) -> Evidence:
    """The ratio against squared responses of SGD itself to one noise."""
    return Evidence(formulas("momentum-variance", POINTS[tier]))


CLAIM = Claim(
    id="C12",
    paper="zhang2019",
    statement=(
        "On the noisy quadratic momentum μ multiplies SGD's stationary variance by 1/(1 − μ) as η → 0, not by "
        "(1 + μ)/(1 − μ)."
    ),
    source="Zhang et al., arXiv 1907.04164, on momentum at small learning rates; THEORY.md Q2",
    assumptions=("SGD with momentum, m ← μm + g, without decay", "gradient noise independent of the weight", "η → 0"),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("momentum-variance")), "numeric": Level(numeric)},
)
