"""Claims judged under Kosson et al., "Rotational equilibrium" (arXiv 2305.17212)."""

from .orthogonal import CLAIM as C05
from .weight_rms import CLAIM as C22

CLAIMS = (C05, C22)
