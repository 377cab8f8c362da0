"""Claims judged under Kosson et al., "Weight decay may matter more than muP" (arXiv 2510.19093)."""

from .warmup import CLAIM as C09

CLAIMS = (C09,)
