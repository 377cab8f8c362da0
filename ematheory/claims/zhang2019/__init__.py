"""Claims judged under Zhang et al., "Which algorithmic choices matter at which batch sizes?" (arXiv 1907.04164)."""

from .adamw_ridge import CLAIM as C15
from .best_decay import CLAIM as C39
from .critical_batch import CLAIM as C13
from .moment_closure import CLAIM as C40
from .momentum_variance import CLAIM as C12
from .noisy_quadratic import CLAIM as C11

CLAIMS = (C11, C12, C13, C15, C39, C40)
