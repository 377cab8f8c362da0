"""Claims judged under Li, Lyu & Arora, "Reconciling modern deep learning with traditional …" (arXiv 2010.02916)."""

from .equilibrium import CLAIM as C06

CLAIMS = (C06,)
