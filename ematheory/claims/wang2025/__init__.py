"""Claims judged under Wang & Aitchison, "How to set AdamW's weight decay as you scale model and dataset size"."""

from .average import CLAIM as C01
from .best_decay_by_size import CLAIM as C24
from .equilibrium import CLAIM as C04
from .float32 import CLAIM as C38
from .gradients import CLAIM as C02
from .horizon import CLAIM as C28
from .invariance import CLAIM as C03
from .kernels import CLAIM as C16
from .optimum import CLAIM as C17
from .prior import CLAIM as C35
from .reshuffling import CLAIM as C31
from .translation import CLAIM as C26
from .width import CLAIM as C36

CLAIMS = (C01, C02, C03, C04, C16, C17, C24, C26, C28, C31, C35, C36, C38)
