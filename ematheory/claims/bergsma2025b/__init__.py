"""Claims judged under Bergsma et al., "Power lines" (arXiv 2505.13738)."""

from .collapse import CLAIM as C42
from .recipes import CLAIM as C19

CLAIMS = (C19, C42)
