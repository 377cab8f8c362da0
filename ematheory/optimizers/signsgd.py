"""SignSGD and, with momentum, Signum (Bernstein et al., arXiv 1802.04434), with decay of the weight itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field
from ..typing import Field, Value
from .decay import CAUTIOUS, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time


class SignSGDState(NamedTuple):
    """The weight and the running mean of the gradient."""

    weight: Value
    first_moment: Value


class SignSGDCoefficients(NamedTuple):
    """What one step needs of time: η_k, the decay per step, μ and 1 − μ."""

    lr: Value
    decay: Value
    momentum: Value
    one_minus_momentum: Value


@dataclass(frozen=True, eq=False, repr=False)
class SignSGD(DecayingOptimizer):
    """SignSGD: m ← μm + (1−μ)g, w ← (1 − α_k) w − η_k sign(m).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    momentum : μ in [0, 1); 0 is the sign of the gradient itself.
    weight_decay : λ ≥ 0. The old weight is multiplied by 1 − α_k, by default with per-LR decay, α_k = η_k λ_k.
    decay : ``"per_lr"``, ``"independent"``, ``"corrected"`` or ``"cautious"``, as for `AdamW`.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`.
    TypeError : a value that is not a number.

    Example
    -------
    >>> SignSGD(lr=1e-3, momentum=[0.0, 0.9]).momentum.dims
    ('momentum',)
    """

    lr: Field
    momentum: Any = 0.0
    weight_decay: Field = 0.0
    decay: str = PER_LR

    State = SignSGDState
    Coefficients = SignSGDCoefficients
    implied = {"decay": PER_LR}
    decays = (*NUMBERS, CAUTIOUS)

    def __post_init__(self) -> None:
        self.check_decay()
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "momentum", as_field("momentum", self.momentum, UNIT))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))

    def coefficients(self, xp: Any, time: Time) -> SignSGDCoefficients:
        return SignSGDCoefficients(time.lr, self.decay_per_step(time), self.momentum, 1 - self.momentum)

    def update(self, xp: Any, state: SignSGDState, gradient: Value, c: SignSGDCoefficients) -> SignSGDState:
        first = c.momentum * state.first_moment + c.one_minus_momentum * gradient
        weight = self.kept(xp, state.weight, c.decay * state.weight, first)
        return SignSGDState(weight - c.lr * xp.sign(first), first)

    @property
    def variant(self) -> str:
        return "signsgd_cautious" if self.decays_where_aligned else "signsgd"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (cls(lr=1.0, decay=decay) for decay in (PER_LR, CAUTIOUS))
        return {record.variant: record for record in records}
