"""Weight decay's words: what each `decay=` takes of a weight per step, in one place for every record that has them."""

from __future__ import annotations

from typing import Any, ClassVar

from ..records import check_choice
from ..typing import Value
from .optimizer import Optimizer, Time

PER_LR, INDEPENDENT, CORRECTED, CAUTIOUS, L2 = "per_lr", "independent", "corrected", "cautious", "l2"
# Those whose α_k is a number of the step alone, so that one update function serves them all.
NUMBERS = (PER_LR, INDEPENDENT, CORRECTED)


def decay_per_step(decay: str, time: Time) -> Value:
    """α_k, the share of the weight that step k takes away, by the word.

    ``"per_lr"`` (PyTorch): η_k λ_k; ``"independent"`` (arXiv 1711.05101): s_k λ_k, so that λ here is ηλ there;
    ``"corrected"`` (arXiv 2506.02285; timm): η_k² λ_k/η; ``"cautious"`` (arXiv 2510.12402): η_k λ_k, of those weights
    where u·w ≥ 0; ``"l2"``: 0, for λ_k w enters the gradient.

    >>> from ematheory.optimizers.optimizer import SymbolicTime
    >>> time = SymbolicTime(step=1, lr=0.5, weight_decay=0.25, multiplier=0.125)
    >>> [decay_per_step(word, time) for word in (PER_LR, INDEPENDENT, CORRECTED, L2)]
    [0.125, 0.03125, 0.015625, 0.0]
    """
    if decay == L2:
        return 0 * time.lr
    if decay == INDEPENDENT:
        return time.multiplier * time.weight_decay
    if decay == CORRECTED:
        return time.lr * time.multiplier * time.weight_decay
    return time.lr * time.weight_decay


class DecayingOptimizer(Optimizer):
    """An optimizer whose record says by a word of `decays` what its weight decay is."""

    decays: ClassVar[tuple[str, ...]]

    decay: Any

    def check_decay(self) -> None:
        """Raise `ValueError` listing the words for one that this optimizer has not."""
        check_choice("decay", self.decay, self.decays)

    def decay_per_step(self, time: Time) -> Value:
        return decay_per_step(self.decay, time)

    @property
    def decays_where_aligned(self) -> bool:
        return bool(self.decay == CAUTIOUS)

    @property
    def kernel(self) -> str:
        """The word of the update function: conventions that differ in the number α_k alone share per-LR decay's."""
        return PER_LR if self.decay in NUMBERS else str(self.decay)

    def kept(self, xp: Any, weight: Value, shrink: Value, update: Value) -> Value:
        """The weight without its decay `shrink`, which cautious decay spares where the update, subtracted, points out.

        Of `update` only the sign matters: it may be a multiple of u.
        """
        if self.decays_where_aligned:
            shrink = xp.where(update * weight >= 0, shrink, 0)
        return weight - shrink
