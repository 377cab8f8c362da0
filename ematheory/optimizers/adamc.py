"""AdamC (Defazio, arXiv 2506.02285): AdamW with decay that follows the square of the rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .adamw import AdamW
from .optimizer import Optimizer


@dataclass(frozen=True, eq=False, repr=False)
class AdamC(AdamW):
    """AdamW with ``decay="corrected"``: the old weight is multiplied by 1 − η_k² λ_k/η, η the peak rate.

    Parameters and errors are `AdamW`'s; `decay` must be left as it is.

    Example
    -------
    >>> AdamC(lr=1e-3, weight_decay=0.1).decay
    'corrected'
    """

    decay: str = "corrected"

    def __post_init__(self) -> None:
        if self.decay != "corrected":
            raise ValueError(f"AdamC is AdamW with decay='corrected', got {self.decay!r}; use AdamW(decay=…)")
        super().__post_init__()

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"adamw": cls(lr=1.0)}
