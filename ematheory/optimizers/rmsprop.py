"""RMSprop as torch.optim.RMSprop (Hinton's lecture 6e): the gradient over its running RMS, with L2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field
from ..typing import Field, Value
from .optimizer import Optimizer, Time


class RMSpropState(NamedTuple):
    """The weight, the momentum buffer and the running mean square of the gradient."""

    weight: Value
    momentum: Value
    second_moment: Value


class RMSpropCoefficients(NamedTuple):
    """What one step needs of time: η_k, λ_k, μ, the smoothing β₂ and ε."""

    lr: Value
    decay: Value
    momentum: Value
    beta2: Value
    one_minus_beta2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class RMSprop(Optimizer):
    """RMSprop: v ← β₂v + (1−β₂)g², m ← μm + g/(√v + ε), w ← w − η_k m, without bias correction.

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    beta2 : β₂ in [0, 1), torch's `alpha`.
    eps : ε ≥ 0, added outside the root.
    weight_decay : λ ≥ 0, L2: λ_k w is added to the gradient, so that no number multiplies the weight.
    momentum : μ in [0, 1).

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> RMSprop(lr=1e-2).beta2
    0.99
    """

    lr: Field
    beta2: Any = 0.99
    eps: Field = 1e-8
    weight_decay: Field = 0.0
    momentum: Any = 0.0

    State = RMSpropState
    Coefficients = RMSpropCoefficients

    def __post_init__(self) -> None:
        for name, allowed in (
            ("lr", POSITIVE), ("beta2", UNIT), ("eps", NON_NEGATIVE), ("weight_decay", NON_NEGATIVE),
            ("momentum", UNIT),
        ):  # fmt: skip
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))

    def coefficients(self, xp: Any, time: Time) -> RMSpropCoefficients:
        return RMSpropCoefficients(
            time.lr, time.weight_decay, self.momentum, self.beta2, 1 - self.beta2, self.eps
        )  # fmt: skip

    def update(self, xp: Any, state: RMSpropState, gradient: Value, c: RMSpropCoefficients) -> RMSpropState:
        gradient = gradient + c.decay * state.weight
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        momentum = c.momentum * state.momentum + gradient / (xp.sqrt(second) + c.eps)
        return RMSpropState(state.weight - c.lr * momentum, momentum, second)

    @property
    def variant(self) -> str:
        return "rmsprop"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"rmsprop": cls(lr=1.0, momentum=0.5)}
