"""Claims judged under Xie & Li, "Implicit bias of AdamW: ℓ∞ norm constrained optimization" (arXiv 2404.04454)."""

from .bounds import CLAIM as C27

CLAIMS = (C27,)
