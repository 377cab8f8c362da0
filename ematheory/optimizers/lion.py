"""Lion (Chen et al., arXiv 2302.06675): the sign of an interpolated momentum, with per-LR decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field
from ..typing import Field, Value
from .adaptive import resolve_betas
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
class Lion(Optimizer):
    """Lion: w ← (1 − η_k λ_k) w − η_k sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g.

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0, per-LR decay: the old weight is multiplied by 1 − η_k λ_k.
    betas : (β₁, β₂), each in [0, 1), β₁ of the interpolation, β₂ of the memory; or give `beta1` and `beta2` apart.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis.
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

    State = LionState
    Coefficients = LionCoefficients
    repeated = ("betas",)

    def __post_init__(self) -> None:
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

    def decay_per_step(self, time: Time) -> Value:
        return time.lr * time.weight_decay

    def update(self, xp: Any, state: LionState, gradient: Value, c: LionCoefficients) -> LionState:
        direction = xp.sign(c.beta1 * state.first_moment + c.one_minus_beta1 * gradient)
        first = c.beta2 * state.first_moment + c.one_minus_beta2 * gradient
        return LionState((state.weight - c.decay * state.weight) - c.lr * direction, first)

    @property
    def variant(self) -> str:
        return "lion"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"lion": cls(lr=1.0)}
