"""AdamP (Heo et al., arXiv 2006.08217): AdamW without the radial part of its step on weights found scale-invariant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field, check_choice
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .decay import NUMBERS, PER_LR, decay_per_step
from .optimizer import Optimizer, Time


class AdamPState(NamedTuple):
    """The weight and the two running moments of the gradient."""

    weight: Value
    first_moment: Value
    second_moment: Value


class AdamPCoefficients(NamedTuple):
    """What one step needs of time: as AdamW's, with the decay on detected vectors and δ²."""

    step_size: Value
    decay: Value
    detected_decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value
    squared_delta: Value


@dataclass(frozen=True, eq=False, repr=False)
class AdamP(Optimizer):
    """AdamP: where |cos∠(g, w)| < δ/√d, the step's part along w is left out and the decay is `wd_ratio` of itself.

    All coordinates are one vector, as a layer is in the authors' package; their channel-wise test is not taken.

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. The old weight is multiplied by 1 − α_k, or 1 − α_k·wd_ratio where detected; by default with
        per-LR decay, α_k = η_k λ_k.
    decay : ``"per_lr"``, ``"independent"`` or ``"corrected"``, as for `AdamW`.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    eps : ε ≥ 0, added outside the bias-corrected root, and to ‖w‖.
    delta : δ ≥ 0 of the test.
    wd_ratio : what is left of the decay where detected, ≥ 0.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> AdamP(lr=1e-3, weight_decay=0.01).wd_ratio
    0.1
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    delta: Any = 0.1
    wd_ratio: Any = 0.1
    beta1: Any = None
    beta2: Any = None
    decay: str = PER_LR

    State = AdamPState
    Coefficients = AdamPCoefficients
    repeated = ("betas",)
    implied = {"decay": PER_LR}

    def __post_init__(self) -> None:
        check_choice("decay", self.decay, NUMBERS)
        resolve_betas(self)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        for name in ("weight_decay", "eps", "delta", "wd_ratio"):
            object.__setattr__(self, name, as_field(name, getattr(self, name), NON_NEGATIVE))

    def coefficients(self, xp: Any, time: Time) -> AdamPCoefficients:
        decay = decay_per_step(self.decay, time)
        return AdamPCoefficients(
            step_size=time.lr / (1 - time.power(self.beta1)),
            decay=decay,
            detected_decay=decay * self.wd_ratio,
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
            squared_delta=self.delta * self.delta,
        )

    def update(self, xp: Any, state: AdamPState, gradient: Value, c: AdamPCoefficients) -> AdamPState:
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        step = (c.step_size * first) / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        detected = self.is_tangential(xp, state.weight, gradient, c)
        direction = state.weight / (xp.sqrt(xp.dot(state.weight, state.weight)) + c.eps)
        step = xp.where(detected, step - direction * xp.dot(direction, step), step)
        shrink = xp.where(detected, c.detected_decay * state.weight, c.decay * state.weight)
        return AdamPState((state.weight - shrink) - step, first, second)

    def is_tangential(self, xp: Any, weight: Value, gradient: Value, c: AdamPCoefficients) -> Any:
        """(g·w)² d < δ² ‖g‖² ‖w‖², the test on the cosine without a quotient."""
        one = xp.zeros_like(weight) + 1
        along = xp.dot(gradient, weight)
        bound = c.squared_delta * (xp.dot(gradient, gradient) * xp.dot(weight, weight))
        return along * along * xp.dot(one, one) < bound

    @property
    def variant(self) -> str:
        return "adamp"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"adamp": cls(lr=1.0)}
