"""Claims judged under Loshchilov & Hutter, "Decoupled weight decay regularization" (arXiv 1711.05101)."""

from .decay_of_l2 import CLAIM as C33
from .momentum import CLAIM as C32

CLAIMS = (C32, C33)
