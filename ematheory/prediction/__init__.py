"""predict(): exact moments and stationary values of a problem under an optimizer."""

from .prediction import predict
from .stability import UnstableWarning, warn_if_unstable

__all__ = ["UnstableWarning", "predict", "warn_if_unstable"]
