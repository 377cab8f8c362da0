"""Claims judged under Bergsma et al., "Power lines" (arXiv 2505.13738)."""

from .recipes import CLAIM as C19

CLAIMS = (C19,)
