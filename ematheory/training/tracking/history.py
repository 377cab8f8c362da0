"""What the steps so far did to the tensors that took the same ones: how much of the start is left, expected moments."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np

from ...optimizers import SGD as SGDRecord
from ...running_products import shrunk
from .forecast import Moments, Rates, advanced
from .meaning import ADAM, SGD, Meaning

# Only their structural words are read: rates come with each step.
RESPONSES = {nesterov: SGDRecord(lr=1.0, momentum=0.5, nesterov=nesterov) for nesterov in (False, True)}


class History:
    """The past of tensors of one group: those that had a gradient at the same steps share one.

    `left` is the share of the initial weights in the present ones: Π(1 − α_k); for SGD with L2 what SGD's own update
    leaves of them without gradients; NaN where decay is no share of the weight. `moments` follow AdamW on white noise.
    """

    def __init__(self, meaning: Meaning) -> None:
        self.meaning, self.steps = meaning, 0
        self.moments = Moments()
        self.kept = (1.0, 0.0)  # Π(1 − α_k), the sum of the two
        self.response: Any = SGDRecord.State(1.0, 0.0)
        self.responds, self.wanders = meaning.adds_to_gradient and meaning.update == SGD, meaning.update == ADAM

    def copy(self) -> History:
        return copy(self)

    def advance(self, rates: Rates) -> None:
        """One more step."""
        self.steps += 1
        share = rates.decay_per_step
        if self.responds:
            self.respond(rates)
        elif share:
            # No weight is an average any more once some α is 1 or more, or is not known.
            self.kept = shrunk(*self.kept, share) if 0 < share < 1 else (math.nan, 0.0)
        if self.wanders and share == share:  # not NaN
            self.moments = advanced(self.moments, rates)

    def respond(self, rates: Rates) -> None:
        """SGD's own update of a weight of 1 without gradients: L2 decay passes through the momentum buffer."""
        record = RESPONSES[rates.nesterov]
        c = record.Coefficients(rates.lr, rates.momentum, rates.weight_decay)
        self.response = record.update(np, self.response, 0.0, c)

    @property
    def left(self) -> float:
        return float(self.response.weight) if self.responds else self.kept[0]

    def state(self) -> dict[str, Any]:
        """Plain numbers, from which `restored` makes the same history, to the bit."""
        return {
            "steps": self.steps, "moments": list(self.moments), "kept": list(self.kept),
            "response": list(self.response),
        }  # fmt: skip

    @classmethod
    def restored(cls, meaning: Meaning, state: dict[str, Any]) -> History:
        history = cls(meaning)
        history.steps, history.kept = state["steps"], tuple(state["kept"])
        history.moments = Moments(*state["moments"])
        history.response = SGDRecord.State(*state["response"])
        return history
