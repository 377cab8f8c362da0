"""Claims of papers, each examined at up to five levels and judged: confirmed, refuted, inconclusive or vacuous."""

from .claim import Claim, Level
from .evidence import Below, Bounded, Curve, Evidence, Exact, Fails, Figure, Order, Proved, Sampled, Share
from .judging import Judgement, Started, examine
from .registry import find

__all__ = [
    "Below", "Bounded", "Claim", "Curve", "Evidence", "Exact", "Fails", "Figure", "Judgement", "Level", "Order",
    "Proved", "Sampled", "Share", "Started", "examine", "find",
]  # fmt: skip
