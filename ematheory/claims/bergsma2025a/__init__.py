"""Claims judged under Bergsma et al., "Straight to zero" (arXiv 2502.15938)."""

from .rankings import CLAIM as C18

CLAIMS = (C18,)
