"""C36: λ ∝ m keeps the timescale when η ∝ 1/m; fixed λ does not."""

from __future__ import annotations

from ..claim import Claim, Level
from ..proof import proof

CLAIM = Claim(
    id="C36",
    paper="wang2025",
    statement=(
        "With muP's η ∝ 1/m at m times the width, which keeps the change of an output by an update, λ ∝ m keeps the "
        "timescale; with fixed λ the timescale grows as m."
    ),
    source="Wang & Aitchison, arXiv 2405.13698; also arXiv 2505.01618 and 2510.19093; THEORY.md §5",
    assumptions=("AdamW with per-LR decay", "updates aligned with inputs, as muP has them", "small ηλ for the powers"),
    kinds=("empirical",),
    levels={"symbolic": Level(proof("width-decay"))},
)
