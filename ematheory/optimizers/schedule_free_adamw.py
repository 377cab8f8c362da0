"""Schedule-Free AdamW (Defazio et al., arXiv 2405.15682): the average of the iterates in place of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field, check_choice
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .decay import NUMBERS, PER_LR, decay_per_step
from .optimizer import Optimizer, Time


class ScheduleFreeAdamWState(NamedTuple):
    """The average x, which is the weight that counts, the iterate z and the mean square of the gradient."""

    weight: Value
    iterate: Value
    second_moment: Value


class ScheduleFreeAdamWCoefficients(NamedTuple):
    """What one step needs of time: η_k, the decay per step, the betas, 1/(1−β₂^k), ε, 1/k and 1 − 1/k."""

    lr: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value
    share: Value
    one_minus_share: Value


@dataclass(frozen=True, eq=False, repr=False)
class ScheduleFreeAdamW(Optimizer):
    """Schedule-Free AdamW: z ← z − α_k y − η_k g/(√v̂ + ε), x ← (1 − 1/k) x + z/k, with g at y = (1−β₁)z + β₁x.

    The weight is x. Every iterate counts alike (`weight_lr_power=0` of the schedulefree package, whose default is the
    same at a constant rate).

    Parameters
    ----------
    lr : the learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0, decay at y: α_k y is taken from z, so that no number multiplies x; by default α_k = η_k λ_k.
    decay : ``"per_lr"``, ``"independent"`` or ``"corrected"``, as for `AdamW`.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    eps : ε ≥ 0, added outside the bias-corrected root.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> ScheduleFreeAdamW(lr=2.5e-3, weight_decay=0.1).variant
    'schedule_free_adamw'
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    beta1: Any = None
    beta2: Any = None
    decay: str = PER_LR

    State = ScheduleFreeAdamWState
    Coefficients = ScheduleFreeAdamWCoefficients
    repeated = ("betas",)
    implied = {"decay": PER_LR}

    def __post_init__(self) -> None:
        check_choice("decay", self.decay, NUMBERS)
        resolve_betas(self)
        for name, allowed in (("lr", POSITIVE), ("weight_decay", NON_NEGATIVE), ("eps", NON_NEGATIVE)):
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))

    def initial(self, xp: Any, weight: Value) -> ScheduleFreeAdamWState:
        zeros = xp.zeros_like(weight)
        return ScheduleFreeAdamWState(weight, weight + zeros, zeros)

    def coefficients(self, xp: Any, time: Time) -> ScheduleFreeAdamWCoefficients:
        return ScheduleFreeAdamWCoefficients(
            lr=time.lr,
            decay=decay_per_step(self.decay, time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
            share=1 / time.step,
            one_minus_share=(time.step - 1) / time.step,
        )

    def point(self, xp: Any, state: ScheduleFreeAdamWState, c: ScheduleFreeAdamWCoefficients) -> Value:
        return c.beta1 * state.weight + c.one_minus_beta1 * state.iterate

    def update(
        self, xp: Any, state: ScheduleFreeAdamWState, gradient: Value, c: ScheduleFreeAdamWCoefficients
    ) -> ScheduleFreeAdamWState:
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        step = (c.lr * gradient) / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        iterate = (state.iterate - c.decay * self.point(xp, state, c)) - step
        return ScheduleFreeAdamWState(c.one_minus_share * state.weight + c.share * iterate, iterate, second)

    @property
    def variant(self) -> str:
        return "schedule_free_adamw"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"schedule_free_adamw": cls(lr=1.0)}
