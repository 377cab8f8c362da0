"""Claims judged under Chen et al., "Cautious weight decay" (arXiv 2510.12402)."""

from .noise import CLAIM as C21

CLAIMS = (C21,)
