"""AdEMAMix (Pagliardini et al., arXiv 2409.03137): AdamW with a second, slow mean of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .decay import CAUTIOUS, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time


class AdEMAMixState(NamedTuple):
    """The weight, the fast mean, the mean square and the slow mean of the gradient."""

    weight: Value
    first_moment: Value
    second_moment: Value
    slow_moment: Value


class AdEMAMixCoefficients(NamedTuple):
    """What one step needs of time: η_k/(1−β₁^k), η_k α, the decay, the betas, 1/(1−β₂^k) and ε."""

    step_size: Value
    slow_step_size: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    beta3: Value
    one_minus_beta3: Value
    inverse_correction2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class AdEMAMix(DecayingOptimizer):
    """AdEMAMix: w ← (1 − α_k) w − η_k (m̂₁ + αm₂)/(√v̂ + ε), with m₂ the slow mean, not bias-corrected.

    α and β₃ are constant; the paper's warm-up of both is no part of the record.

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. The old weight is multiplied by 1 − α_k, by default with per-LR decay, α_k = η_k λ_k.
    decay : ``"per_lr"``, ``"independent"``, ``"corrected"`` or ``"cautious"``, as for `AdamW`.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    beta3 : β₃ in [0, 1), of the slow mean.
    alpha : α ≥ 0, the slow mean's weight.
    eps : ε ≥ 0, added outside the bias-corrected root.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> AdEMAMix(lr=1e-3).beta3
    0.9999
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = DEFAULT_BETAS
    beta3: Any = 0.9999
    alpha: Any = 5.0
    eps: Field = 1e-8
    beta1: Any = None
    beta2: Any = None
    decay: str = PER_LR

    State = AdEMAMixState
    Coefficients = AdEMAMixCoefficients
    repeated = ("betas",)
    implied = {"decay": PER_LR}
    decays = (*NUMBERS, CAUTIOUS)

    def __post_init__(self) -> None:
        self.check_decay()
        resolve_betas(self)
        for name, allowed in (
            ("lr", POSITIVE), ("weight_decay", NON_NEGATIVE), ("beta3", UNIT), ("alpha", NON_NEGATIVE),
            ("eps", NON_NEGATIVE),
        ):  # fmt: skip
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))

    def coefficients(self, xp: Any, time: Time) -> AdEMAMixCoefficients:
        return AdEMAMixCoefficients(
            step_size=time.lr / (1 - time.power(self.beta1)),
            slow_step_size=time.lr * self.alpha,
            decay=self.decay_per_step(time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            beta3=self.beta3,
            one_minus_beta3=1 - self.beta3,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
        )

    def update(self, xp: Any, state: AdEMAMixState, gradient: Value, c: AdEMAMixCoefficients) -> AdEMAMixState:
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        slow = c.beta3 * state.slow_moment + c.one_minus_beta3 * gradient
        mixed = c.step_size * first + c.slow_step_size * slow
        step = mixed / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        weight = self.kept(xp, state.weight, c.decay * state.weight, step)
        return AdEMAMixState(weight - step, first, second, slow)

    @property
    def variant(self) -> str:
        return "ademamix_cautious" if self.decays_where_aligned else "ademamix"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (cls(lr=1.0, decay=decay) for decay in (PER_LR, CAUTIOUS))
        return {record.variant: record for record in records}
