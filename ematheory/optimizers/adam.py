"""Adam with L2 regularisation (Kingma & Ba, arXiv 1412.6980), as torch.optim.Adam: decay enters the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field
from ..typing import Field, Value
from .adamw import AdamWState
from .adaptive import DEFAULT_BETAS, resolve_betas
from .optimizer import Optimizer, Time


class AdamCoefficients(NamedTuple):
    """What one step needs of time: η_k/(1−β₁^k), λ_k, the betas, 1/(1−β₂^k) and ε."""

    step_size: Value
    weight_decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class Adam(Optimizer):
    """Adam as torch.optim.Adam: g ← g + λw, then w ← w − η_k m̂/(√v̂ + ε).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0, L2: λw is added to the gradient, so nothing multiplies the weight itself and no EMA
        timescale exists (M3 in THEORY.md: the effective decay per coordinate is about ηλ/√v̂).
    betas, eps : as for `AdamW`.

    Raises
    ------
    ValueError, TypeError : as `AdamW`.

    Example
    -------
    >>> Adam(lr=1e-3).variant
    'adam'
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    beta1: Any = None
    beta2: Any = None

    State = AdamWState
    repeated = ("betas",)
    Coefficients = AdamCoefficients

    def __post_init__(self) -> None:
        resolve_betas(self)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))
        object.__setattr__(self, "eps", as_field("eps", self.eps, NON_NEGATIVE))

    def coefficients(self, xp: Any, time: Time) -> AdamCoefficients:
        return AdamCoefficients(
            step_size=time.lr / (1 - time.power(self.beta1)),
            weight_decay=time.weight_decay,
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
        )

    def update(self, xp: Any, state: AdamWState, gradient: Value, c: AdamCoefficients) -> AdamWState:
        gradient = gradient + c.weight_decay * state.weight
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        step = (c.step_size * first) / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        return AdamWState(state.weight - step, first, second)

    @property
    def variant(self) -> str:
        return "adam"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        record = cls(lr=1.0)
        return {record.variant: record}
