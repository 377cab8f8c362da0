"""SGD with momentum, Nesterov's form, and L2 (torch.optim.SGD's conventions) or decay of the weight itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field, check_flag
from ..typing import Field, Value
from .decay import CAUTIOUS, L2, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time


class SGDState(NamedTuple):
    """The weight and the momentum buffer m = μm + g (no dampening)."""

    weight: Value
    momentum: Value


class SGDCoefficients(NamedTuple):
    """What one step needs of time: η_k, μ, and λ_k (L2) or the decay per step."""

    lr: Value
    momentum: Value
    decay: Value


@dataclass(frozen=True, eq=False, repr=False)
class SGD(DecayingOptimizer):
    """SGD as torch.optim.SGD with dampening 0: m ← μm + g, w ← w − η_k m (Nesterov: g + μm in place of m).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    momentum : μ in [0, 1).
    weight_decay : λ ≥ 0. With ``decay="l2"`` (PyTorch) λw is added to the gradient and passes through the momentum
        buffer; with ``decay="per_lr"`` the old weight is multiplied by 1 − η_k λ_k. The two differ by a factor
        1/(1−μ) in timescale. ``"independent"``, ``"corrected"`` and ``"cautious"`` are as for `AdamW`.
    nesterov : take Nesterov's form; needs momentum > 0, as in torch, and has no cautious decay.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`, `nesterov` without momentum or with
        cautious decay.
    TypeError : a value that is not a number, `nesterov` that is neither True nor False.

    Example
    -------
    >>> SGD(lr=0.1, momentum=0.9, nesterov=True).variant
    'sgd_l2_nesterov'
    """

    lr: Field
    momentum: Field = 0.0
    weight_decay: Field = 0.0
    nesterov: bool = False
    decay: str = L2

    State = SGDState
    Coefficients = SGDCoefficients
    decays = (L2, *NUMBERS, CAUTIOUS)

    def __post_init__(self) -> None:
        self.check_decay()
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "momentum", as_field("momentum", self.momentum, UNIT))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))
        check_flag("nesterov", self.nesterov)
        if self.nesterov and np.any(np.asarray(self.momentum) == 0):
            raise ValueError("nesterov=True needs momentum > 0, got 0; give momentum= or leave nesterov out")
        if self.nesterov and self.decay == CAUTIOUS:
            raise ValueError("nesterov=True has no cautious decay; leave nesterov out, or use NAdam(decay='cautious')")

    def coefficients(self, xp: Any, time: Time) -> SGDCoefficients:
        return SGDCoefficients(
            lr=time.lr,
            momentum=self.momentum,
            decay=time.weight_decay if self.decay == L2 else self.decay_per_step(time),
        )

    def update(self, xp: Any, state: SGDState, gradient: Value, c: SGDCoefficients) -> SGDState:
        shrink = c.decay * state.weight
        if self.decay == L2:
            gradient = gradient + shrink
        momentum = c.momentum * state.momentum + gradient
        direction = gradient + c.momentum * momentum if self.nesterov else momentum
        weight = state.weight if self.decay == L2 else self.kept(xp, state.weight, shrink, direction)
        return SGDState(weight - c.lr * direction, momentum)

    @property
    def variant(self) -> str:
        return f"sgd_{self.kernel}{'_nesterov' if self.nesterov else ''}"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        kinds = (*product((L2, PER_LR), (False, True)), (CAUTIOUS, False))
        records = (cls(lr=1.0, momentum=0.5, decay=decay, nesterov=nesterov) for decay, nesterov in kinds)
        return {record.variant: record for record in records}
