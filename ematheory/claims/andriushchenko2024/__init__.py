"""Claims judged under D'Angelo et al., "Why do we need weight decay in modern deep learning?" (arXiv 2310.04415)."""

from .effective_lr import CLAIM as C25
from .low_precision import CLAIM as C29
from .one_pass import CLAIM as C43
from .products import CLAIM as C23

CLAIMS = (C23, C25, C29, C43)
