"""predict(): exact moments and stationary values of a problem under an optimizer."""

from .best import Best, best_hyperparameters
from .prediction import predict
from .stability import UnstableWarning, warn_if_unstable
from .target import steps_to_target

__all__ = ["Best", "UnstableWarning", "best_hyperparameters", "predict", "steps_to_target", "warn_if_unstable"]
