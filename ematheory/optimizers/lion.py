"""Lion (Chen et al., arXiv 2302.06675): the sign of an interpolated momentum, with decay of the weight itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field
from ..typing import Field, Value
from .adaptive import resolve_betas
from .decay import CAUTIOUS, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time

LION_BETAS = (0.9, 0.99)


class LionState(NamedTuple):
    """The weight and the running mean of the gradient."""

    weight: Value
    first_moment: Value


class LionCoefficients(NamedTuple):
    """What one step needs of time: η_k, the decay per step and the betas."""

    lr: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value


@dataclass(frozen=True, eq=False, repr=False)
class Lion(DecayingOptimizer):
    """Lion: w ← (1 − α_k) w − η_k sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g.

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. The old weight is multiplied by 1 − α_k, by default with per-LR decay, α_k = η_k λ_k.
    decay : ``"per_lr"``, ``"independent"``, ``"corrected"`` or ``"cautious"``, as for `AdamW`.
    betas : (β₁, β₂), each in [0, 1), β₁ of the interpolation, β₂ of the memory; or give `beta1` and `beta2` apart.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> Lion(lr=1e-4, weight_decay=1.0).betas
    (0.9, 0.99)
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = LION_BETAS
    beta1: Any = None
    beta2: Any = None
    decay: str = PER_LR

    State = LionState
    Coefficients = LionCoefficients
    repeated = ("betas",)
    implied = {"decay": PER_LR}
    decays = (*NUMBERS, CAUTIOUS)

    def __post_init__(self) -> None:
        self.check_decay()
        resolve_betas(self, LION_BETAS)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))

    def coefficients(self, xp: Any, time: Time) -> LionCoefficients:
        return LionCoefficients(
            lr=time.lr,
            decay=self.decay_per_step(time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
        )

    def update(self, xp: Any, state: LionState, gradient: Value, c: LionCoefficients) -> LionState:
        direction = xp.sign(c.beta1 * state.first_moment + c.one_minus_beta1 * gradient)
        first = c.beta2 * state.first_moment + c.one_minus_beta2 * gradient
        weight = self.kept(xp, state.weight, c.decay * state.weight, direction)
        return LionState(weight - c.lr * direction, first)

    @property
    def variant(self) -> str:
        return "lion_cautious" if self.decays_where_aligned else "lion"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (cls(lr=1.0, decay=decay) for decay in (PER_LR, CAUTIOUS))
        return {record.variant: record for record in records}
