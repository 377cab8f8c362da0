"""C32: SGD with momentum and L2 is an exact double EMA of −g/λ."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C32",
    paper="loshchilov2019",
    statement=(
        "With dampening 0 the weights of SGD with momentum and L2 are exactly a double EMA of −g/λ with the rates r± "
        "of r² − (1+μ−ηλ)r + μ = 0, the slow one with τ near (1−μ)/(ηλ); beyond ηλ = (1−√μ)² the rates are complex and "
        "a gradient's weight oscillates."
    ),
    source="THEORY.md M1; the set-up is arXiv 1711.05101's L2 regularisation",
    assumptions=("dampening 0", "constant η and λ", "ηλ < (1−√μ)² for real rates"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("momentum-l2", "momentum-oscillation"))},
)
