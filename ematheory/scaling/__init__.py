"""rescale(): scaling rules as what they keep, solved for the exponents of every hyperparameter."""

from .invariants import INVARIANTS, Invariant
from .presets import PRESETS, Preset
from .rescaling import Choice, Clash, Rescaling, rescale

__all__ = ["INVARIANTS", "PRESETS", "Choice", "Clash", "Invariant", "Preset", "Rescaling", "rescale"]
