"""Amos (Tian & Parikh, arXiv 2210.11693): a step and a decay that fall by what the gradients have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field
from ..typing import Field, Value
from .optimizer import Optimizer, Time


class AmosState(NamedTuple):
    """The weight, the momentum, the mean square of the vector's gradient, and b, which counts the decay so far."""

    weight: Value
    momentum: Value
    second_moment: Value
    decayed: Value


class AmosCoefficients(NamedTuple):
    """What one step needs of time: ξη̃, ξ², √ξ/4, √(ξη̃)/4, 1−β^k, the betas, ε and μ."""

    lr: Value
    squared_lr: Value
    slow_c: Value
    slow_d: Value
    correction: Value
    beta2: Value
    one_minus_beta2: Value
    eps: Value
    momentum: Value
    one_minus_momentum: Value


@dataclass(frozen=True, eq=False, repr=False)
class Amos(Optimizer):
    """Amos: w ← w − d(½γw + ξη̃ g/√v̂), γ = cξ² mean(g²)/v̂, c = (1+¼√ξ b)^{−½}, d = 1/(1+¼√(ξη̃) b), b ← b + γ(1+b).

    All coordinates are one vector with one v̂. The decay is the optimizer's own: there is no λ.

    Parameters
    ----------
    lr : ξ > 0, the global learning rate; a sequence is a sweep axis.
    scale : η̃ > 0, the size that the weights are expected to come to.
    beta2 : β in [0, 1), of v.
    momentum : μ in [0, 1), of the whole step.
    eps : ε ≥ 0, added to v.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> Amos(lr=0.01).weight_decay
    0.0
    """

    lr: Field
    scale: Any = 0.5
    beta2: Any = 0.999
    momentum: Any = 0.0
    eps: Field = 1e-18
    weight_decay: Field = 0.0

    State = AmosState
    Coefficients = AmosCoefficients
    vector_members = ("second_moment", "decayed")

    def __post_init__(self) -> None:
        for name, allowed in (
            ("lr", POSITIVE), ("scale", POSITIVE), ("beta2", UNIT), ("momentum", UNIT), ("eps", NON_NEGATIVE),
            ("weight_decay", NON_NEGATIVE),
        ):  # fmt: skip
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))
        if self.weight_decay != 0.0:
            raise ValueError("Amos decides on its decay itself: weight_decay must be left at 0")

    def coefficients(self, xp: Any, time: Time) -> AmosCoefficients:
        return AmosCoefficients(
            lr=time.lr * self.scale,
            squared_lr=time.lr * time.lr,
            slow_c=xp.sqrt(time.lr) / 4,
            slow_d=xp.sqrt(time.lr * self.scale) / 4,
            correction=1 - time.power(self.beta2),
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            eps=self.eps,
            momentum=self.momentum,
            one_minus_momentum=1 - self.momentum,
        )

    def update(self, xp: Any, state: AmosState, gradient: Value, c: AmosCoefficients) -> AmosState:
        one = xp.zeros_like(state.weight) + 1
        square = xp.dot(gradient, gradient) / xp.dot(one, one)
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * square
        inverse = c.correction / (second + c.eps)
        gamma = c.squared_lr * (inverse * square) / xp.sqrt(1 + c.slow_c * state.decayed)
        whole = gamma / 2 * state.weight + c.lr * (xp.sqrt(inverse) * gradient)
        momentum = c.momentum * state.momentum + c.one_minus_momentum * (whole / (1 + c.slow_d * state.decayed))
        decayed = state.decayed + gamma * (1 + state.decayed)
        return AmosState(state.weight - momentum, momentum, second, decayed)

    @property
    def variant(self) -> str:
        return "amos"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"amos": cls(lr=1.0)}
