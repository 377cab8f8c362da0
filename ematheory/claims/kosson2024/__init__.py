"""Claims judged under Kosson et al., "Rotational equilibrium" (arXiv 2305.17212)."""

from .adam_l2 import CLAIM as C07
from .fixed_norm import CLAIM as C34
from .lion import CLAIM as C08
from .orthogonal import CLAIM as C05
from .transient import CLAIM as C41
from .weight_rms import CLAIM as C22

CLAIMS = (C05, C07, C08, C22, C34, C41)
