"""Claims judged under Defazio, "Why gradients rapidly increase near the end of training" (arXiv 2506.02285)."""

from .slow_decay import CLAIM as C20

CLAIMS = (C20,)
