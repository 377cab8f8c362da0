"""Schedule-Free SGD (Defazio et al., arXiv 2405.15682): the average of the iterates in place of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, UNIT, as_field
from ..typing import Field, Value
from .optimizer import Optimizer, Time


class ScheduleFreeSGDState(NamedTuple):
    """The average x, which is the weight that counts, and the iterate z."""

    weight: Value
    iterate: Value


class ScheduleFreeSGDCoefficients(NamedTuple):
    """What one step needs of time: η_k, λ_k, β, 1 − β, 1/k and 1 − 1/k."""

    lr: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    share: Value
    one_minus_share: Value


@dataclass(frozen=True, eq=False, repr=False)
class ScheduleFreeSGD(Optimizer):
    """Schedule-Free SGD: z ← z − η_k (g + λ_k y), x ← (1 − 1/k) x + z/k, with g at y = (1−β)z + βx.

    The weight is x. Every iterate counts alike (`weight_lr_power=0` of the schedulefree package, whose default is the
    same at a constant rate).

    Parameters
    ----------
    lr : the learning rate η, > 0; a sequence is a sweep axis.
    beta1 : β in [0, 1), the package's `momentum`.
    weight_decay : λ ≥ 0, L2 at y.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> ScheduleFreeSGD(lr=1.0).beta1
    0.9
    """

    lr: Field
    beta1: Any = 0.9
    weight_decay: Field = 0.0

    State = ScheduleFreeSGDState
    Coefficients = ScheduleFreeSGDCoefficients

    def __post_init__(self) -> None:
        for name, allowed in (("lr", POSITIVE), ("beta1", UNIT), ("weight_decay", NON_NEGATIVE)):
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))

    def initial(self, xp: Any, weight: Value) -> ScheduleFreeSGDState:
        return ScheduleFreeSGDState(weight, weight + xp.zeros_like(weight))

    def coefficients(self, xp: Any, time: Time) -> ScheduleFreeSGDCoefficients:
        return ScheduleFreeSGDCoefficients(
            time.lr, time.weight_decay, self.beta1, 1 - self.beta1, 1 / time.step, (time.step - 1) / time.step
        )

    def point(self, xp: Any, state: ScheduleFreeSGDState, c: ScheduleFreeSGDCoefficients) -> Value:
        return c.beta1 * state.weight + c.one_minus_beta1 * state.iterate

    def update(
        self, xp: Any, state: ScheduleFreeSGDState, gradient: Value, c: ScheduleFreeSGDCoefficients
    ) -> ScheduleFreeSGDState:
        iterate = state.iterate - c.lr * (gradient + c.decay * self.point(xp, state, c))
        return ScheduleFreeSGDState(c.one_minus_share * state.weight + c.share * iterate, iterate)

    @property
    def variant(self) -> str:
        return "schedule_free_sgd"

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        return {"schedule_free_sgd": cls(lr=1.0)}
