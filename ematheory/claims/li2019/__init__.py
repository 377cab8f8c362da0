"""Claims judged under Li & Arora, "An exponential learning rate schedule for deep learning" (arXiv 1910.07454)."""

from .exponential import CLAIM as C10

CLAIMS = (C10,)
