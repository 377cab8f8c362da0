"""NAdam as torch.optim.NAdam (Dozat 2016): Adam with Nesterov's momentum on a schedule of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any, NamedTuple

from ..arithmetic import exp
from ..records import NON_NEGATIVE, POSITIVE, as_field
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .decay import CAUTIOUS, L2, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time

# torch's base of the momentum's schedule, μ_k = β₁(1 − ½·0.96^{kψ}).
LOG_BASE = log(0.96)


class NAdamState(NamedTuple):
    """The weight, the two running moments of the gradient, and Π μ_i so far."""

    weight: Value
    first_moment: Value
    second_moment: Value
    momentum_product: Value


class NAdamCoefficients(NamedTuple):
    """What one step needs of time: μ_k, μ_{k+1}, η_k(1−μ_k), η_k μ_{k+1}, the decay, the betas, 1/(1−β₂^k) and ε."""

    momentum: Value
    next_momentum: Value
    gradient_step: Value
    momentum_step: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class NAdam(DecayingOptimizer):
    """NAdam: Adam with (1−μ_k) g/(1−Πμ_i) + μ_{k+1} m/(1−Πμ_i·μ_{k+1}) for m̂, μ_k = β₁(1 − ½·0.96^{kψ}).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. With ``decay="l2"`` (torch's default) λ_k w is added to the gradient; with
        ``decay="per_lr"`` (torch's `decoupled_weight_decay=True`) the old weight is multiplied by 1 − η_k λ_k;
        ``"independent"``, ``"corrected"`` and ``"cautious"`` are as for `AdamW`.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    eps : ε ≥ 0, added outside the bias-corrected root.
    momentum_decay : ψ ≥ 0.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> NAdam(lr=2e-3, weight_decay=0.1, decay="per_lr").variant
    'nadam_per_lr'
    """

    lr: Field
    weight_decay: Field = 0.0
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    momentum_decay: Any = 4e-3
    decay: str = L2
    beta1: Any = None
    beta2: Any = None
    # 0.96^ψ, made once in arithmetic whose bits are the same everywhere.
    momentum_base: Any = field(default=None, init=False)

    State = NAdamState
    Coefficients = NAdamCoefficients
    known_members = ("momentum_product",)
    repeated = ("betas", "momentum_base")
    decays = (L2, *NUMBERS, CAUTIOUS)

    def __post_init__(self) -> None:
        self.check_decay()
        resolve_betas(self)
        for name, allowed in (
            ("lr", POSITIVE), ("weight_decay", NON_NEGATIVE), ("eps", NON_NEGATIVE), ("momentum_decay", NON_NEGATIVE),
        ):  # fmt: skip
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))
        object.__setattr__(self, "momentum_base", self.base())

    def base(self) -> Any:
        """0.96^ψ for a number, or for each of a sweep."""
        psi = self.momentum_decay
        if isinstance(psi, float):
            return float(exp(psi * LOG_BASE))
        return psi.copy(data=exp(psi.values * LOG_BASE))

    def initial(self, xp: Any, weight: Value) -> NAdamState:
        zeros = xp.zeros_like(weight)
        return NAdamState(weight, zeros, zeros, zeros + 1)

    def coefficients(self, xp: Any, time: Time) -> NAdamCoefficients:
        power = time.power(self.momentum_base)
        momentum = self.beta1 * (1 - power / 2)
        following = self.beta1 * (1 - power * self.momentum_base / 2)
        return NAdamCoefficients(
            momentum=momentum,
            next_momentum=following,
            gradient_step=time.lr * (1 - momentum),
            momentum_step=time.lr * following,
            decay=time.weight_decay if self.decay == L2 else self.decay_per_step(time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / (1 - time.power(self.beta2)),
            eps=self.eps,
        )

    def update(self, xp: Any, state: NAdamState, gradient: Value, c: NAdamCoefficients) -> NAdamState:
        shrink = c.decay * state.weight
        if self.decay == L2:
            gradient = gradient + shrink
        product = state.momentum_product * c.momentum
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        of_gradient = c.gradient_step / (1 - product) * gradient
        of_momentum = c.momentum_step / (1 - product * c.next_momentum) * first
        step = (of_gradient + of_momentum) / (xp.sqrt(second * c.inverse_correction2) + c.eps)
        weight = state.weight if self.decay == L2 else self.kept(xp, state.weight, shrink, step)
        return NAdamState(weight - step, first, second, product)

    @property
    def variant(self) -> str:
        return f"nadam_{self.kernel}"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (cls(lr=1.0, decay=decay) for decay in (L2, PER_LR, CAUTIOUS))
        return {record.variant: record for record in records}
