"""SGD with momentum, Nesterov's form, and L2 or per-LR decay (torch.optim.SGD's conventions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field, check_choice
from ..typing import Field, Value
from .optimizer import Optimizer, Time

DECAYS = ("l2", "per_lr")


class SGDState(NamedTuple):
    """The weight and the momentum buffer m = μm + g (no dampening)."""

    weight: Value
    momentum: Value


class SGDCoefficients(NamedTuple):
    """What one step needs of time: η_k, μ, and λ_k (L2) or η_k λ_k (per LR)."""

    lr: Value
    momentum: Value
    decay: Value


@dataclass(frozen=True, eq=False, repr=False)
class SGD(Optimizer):
    """SGD as torch.optim.SGD with dampening 0: m ← μm + g, w ← w − η_k m (Nesterov: g + μm in place of m).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    momentum : μ in [0, 1).
    weight_decay : λ ≥ 0. With ``decay="l2"`` (PyTorch) λw is added to the gradient and passes through the momentum
        buffer; with ``decay="per_lr"`` the old weight is multiplied by 1 − η_k λ_k. The two differ by a factor
        1/(1−μ) in timescale.
    nesterov : take Nesterov's form; needs momentum > 0, as in torch.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown `decay`, `nesterov` without momentum.
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
    decay: str = "l2"

    State = SGDState
    Coefficients = SGDCoefficients

    def __post_init__(self) -> None:
        check_choice("decay", self.decay, DECAYS)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "momentum", as_field("momentum", self.momentum, UNIT))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))
        if not isinstance(self.nesterov, bool | np.bool_):
            raise TypeError(f"nesterov must be True or False, got {self.nesterov!r}")
        if self.nesterov and np.any(np.asarray(self.momentum) == 0):
            raise ValueError("nesterov=True needs momentum > 0, got 0; give momentum= or leave nesterov out")

    def coefficients(self, xp: Any, time: Time) -> SGDCoefficients:
        return SGDCoefficients(
            lr=time.lr,
            momentum=self.momentum,
            decay=time.weight_decay if self.decay == "l2" else self.decay_per_step(time),
        )

    def decay_per_step(self, time: Time) -> Value:
        """α_k = η_k λ_k for per-LR decay, 0 for L2."""
        return time.lr * time.weight_decay if self.decay == "per_lr" else 0 * time.lr

    def update(self, xp: Any, state: SGDState, gradient: Value, c: SGDCoefficients) -> SGDState:
        shrink = c.decay * state.weight
        if self.decay == "l2":
            gradient = gradient + shrink
        momentum = c.momentum * state.momentum + gradient
        direction = gradient + c.momentum * momentum if self.nesterov else momentum
        weight = state.weight if self.decay == "l2" else state.weight - shrink
        return SGDState(weight - c.lr * direction, momentum)

    @property
    def variant(self) -> str:
        return f"sgd_{self.decay}{'_nesterov' if self.nesterov else ''}"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        records = (
            cls(lr=1.0, momentum=0.5, decay=decay, nesterov=nesterov)
            for decay, nesterov in product(DECAYS, (False, True))
        )
        return {record.variant: record for record in records}
