"""Claims judged under Loshchilov & Hutter, "Decoupled weight decay regularization" (arXiv 1711.05101)."""

from .momentum import CLAIM as C32

CLAIMS = (C32,)
