"""Claims judged under Loshchilov & Hutter, "Decoupled weight decay regularization" (arXiv 1711.05101)."""

from .decay_of_l2 import CLAIM as C33
from .momentum import CLAIM as C32
from .normalised import CLAIM as C30

CLAIMS = (C30, C32, C33)
