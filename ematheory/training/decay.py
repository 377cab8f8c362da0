"""What a record's decay leaves of its weights over a run: the numbers that a tracker of the same run has.

Where decay multiplies the weight, α_k says it all. L2 joins the gradient: under SGD it leaves what SGD's own update
leaves of a weight, in the long run at the slow pole's rate (M1); under an adaptive update no number says it.
Where an α_k is 1 or more, Π(1 − α_k) goes on; a tracker then says NaN.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..optimizers import SGD, Amos, is_traced
from ..typing import FloatArray
from .optimizers import Plan, momentum_of
from .tracking.forecast import Rates, slow_mode
from .tracking.history import History
from .tracking.meaning import OTHER, Meaning, of_record
from .tracking.meaning import SGD as SGD_UPDATE


class Decay:
    """The decay of a record with plain numbers for fields, over the steps of a plan."""

    def __init__(self, record: Any, plan: Plan) -> None:
        self.record, self.plan = record, plan
        self.meaning = Meaning(of_record(record), SGD_UPDATE if is_traced(record, (SGD,)) else OTHER)

    @property
    def known(self) -> bool:
        """Whether a step's numbers say what it takes of a weight; not of cautious decay, AdamP, Amos, Schedule-Free."""
        decays = self.record.weight_decay != 0 or isinstance(self.record, Amos)
        return self.meaning.convention is not None or not decays

    def slow_mode(self, step: int) -> tuple[float, float]:
        """The share of a weight that step k = 1…T takes in the long run, and the timescale in steps.

        α_k and 1/α_k; of SGD with L2 the slow pole's. NaN at step 0, and where there are none.
        """
        if not step or not self.known:
            return math.nan, math.nan
        if self.meaning.adds_to_gradient:
            return slow_mode(self.meaning, self.rates(step))
        share = float(self.plan.decay_per_step[step - 1])
        return share, 1 / share if share else math.inf

    def left(self, step: int) -> float:
        """The share of the initial weights in those after `step` steps: Π(1 − α_k), or what L2 leaves; else NaN."""
        if not step:
            return 1.0
        if not self.known:
            return math.nan
        if self.meaning.adds_to_gradient:
            return float(self.left_by_l2[step])
        return float(np.prod(1 - self.plan.decay_per_step[:step]))

    @cached_property
    def left_by_l2(self) -> FloatArray:
        """Of steps 0…T, shape (T + 1,)."""
        history, left = History(self.meaning), [1.0]
        for step in range(1, self.plan.steps + 1):
            history.advance(self.rates(step))
            left.append(history.left)
        return np.array(left)

    def rates(self, step: int) -> Rates:
        """What step k = 1…T uses, with decay by L2."""
        lr, weight_decay = float(self.plan.lr[step - 1]), float(self.plan.weight_decay[step - 1])
        share = self.meaning.decay_per_step(lr, weight_decay, self.record.lr)
        if self.meaning.update != SGD_UPDATE:
            return Rates(lr, weight_decay, share)
        return Rates(lr, weight_decay, share, momentum=momentum_of(self.record), nesterov=self.record.nesterov)
