"""Claims judged under Kosson et al., "Rotational equilibrium" (arXiv 2305.17212)."""

from .orthogonal import CLAIM as C05

CLAIMS = (C05,)
