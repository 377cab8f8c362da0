"""C17: with independent targets there is a best timescale, which falls only logarithmically."""

from __future__ import annotations

from ..claim import Claim, Level
from ..evidence import Evidence
from ..proof import POINTS, formulas, proof


def numeric(tier: str) -> Evidence:
    """Risk and best timescale from the derivation against enumeration of targets, quadrature and root finding."""
    return Evidence(formulas("iid-targets", POINTS[tier]))


CLAIM = Claim(
    id="C17",
    paper="wang2025",
    statement=(
        "Where the averaged targets are θ* with independent noise the risk at the end of the run is least at "
        "τ_run = 2/(c − W(e^c)), c = 1 + 4Tb²/σ²: a longer run or less noise shortens the best share of the run only "
        "logarithmically."
    ),
    source="THEORY.md T1; a model of why arXiv 2405.13698 finds a best τ_epoch",
    assumptions=("targets θ* + noise, independent of the weights", "constant η and λ", "many steps"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("iid-targets")), "numeric": Level(numeric)},
)
