"""Claims judged under Zhang et al., "Which algorithmic choices matter at which batch sizes?" (arXiv 1907.04164)."""

from .adamw_ridge import CLAIM as C15
from .critical_batch import CLAIM as C13
from .momentum_variance import CLAIM as C12
from .noisy_quadratic import CLAIM as C11

CLAIMS = (C11, C12, C13, C15)
