"""AdamW (Loshchilov & Hutter, arXiv 1711.05101): Adam's step with the decay applied to the weight itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field, check_choice
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .optimizer import Optimizer, Time

DECAYS = ("per_lr", "independent", "corrected", "cautious")


class AdamWState(NamedTuple):
    """The weight and the two running moments of the gradient."""

    weight: Value
    first_moment: Value
    second_moment: Value


class AdamWCoefficients(NamedTuple):
    """What one step needs of time: η_k/(1−β₁^k), the decay per step, the betas, 1/(1−β₂^k) and ε."""

    step_size: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class AdamW(Optimizer):
    """AdamW as torch.optim.AdamW: w ← (1 − α_k) w − η_k u_k, u = m̂/(√v̂ + ε).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. What multiplies the old weight each step is 1 − α_k with, by `decay`:

        ``"per_lr"`` (PyTorch): α_k = η_k λ_k;
        ``"independent"`` (arXiv 1711.05101): α_k = s_k λ_k, so that λ here is ηλ there;
        ``"corrected"`` (arXiv 2506.02285; timm): α_k = η_k² λ_k/η;
        ``"cautious"`` (arXiv 2510.12402): α_k = η_k λ_k where u·w ≥ 0, else 0.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    eps : ε ≥ 0, added outside the bias-corrected root.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> AdamW(lr=1e-3, weight_decay=[0.01, 0.1]).weight_decay.dims
    ('weight_decay',)
    """

    lr: Field
    weight_decay: Field = 1e-2
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    decay: str = "per_lr"
    beta1: Any = None
    beta2: Any = None

    State = AdamWState
    repeated = ("betas",)
    Coefficients = AdamWCoefficients

    def __post_init__(self) -> None:
        check_choice("decay", self.decay, DECAYS)
        resolve_betas(self)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))
        object.__setattr__(self, "eps", as_field("eps", self.eps, NON_NEGATIVE))

    def coefficients(self, xp: Any, time: Time) -> AdamWCoefficients:
        return AdamWCoefficients(
            step_size=time.lr / (1 - time.power(self.beta1)),
            decay=self.decay_per_step(time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
        )

    def decay_per_step(self, time: Time) -> Value:
        """α_k, the share of the weight that step k takes away."""
        if self.decay == "independent":
            return time.multiplier * time.weight_decay
        if self.decay == "corrected":
            return time.lr * time.multiplier * time.weight_decay
        return time.lr * time.weight_decay

    def update(self, xp: Any, state: AdamWState, gradient: Value, c: AdamWCoefficients) -> AdamWState:
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        step = (c.step_size * first) / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        shrink = c.decay * state.weight
        if self.decays_where_aligned:
            shrink = xp.where(step * state.weight >= 0, shrink, 0)
        return AdamWState((state.weight - shrink) - step, first, second)

    @property
    def decays_where_aligned(self) -> bool:
        return self.decay == "cautious"

    @property
    def variant(self) -> str:
        return "adamw_cautious" if self.decays_where_aligned else "adamw"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (cls(lr=1.0, decay=decay) for decay in ("per_lr", "cautious"))
        return {record.variant: record for record in records}
