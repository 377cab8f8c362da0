"""predict(): exact moments and stationary values of a problem under an optimizer."""

from .best import Best, best_hyperparameters, steps_to_target
from .prediction import predict
from .stability import UnstableWarning, warn_if_unstable

__all__ = ["Best", "UnstableWarning", "best_hyperparameters", "predict", "steps_to_target", "warn_if_unstable"]
