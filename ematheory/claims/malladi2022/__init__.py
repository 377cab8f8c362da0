"""Claims judged under Malladi et al., "On the SDEs and scaling rules for adaptive gradient algorithms"."""

from .batch_rules import CLAIM as C14

CLAIMS = (C14,)
