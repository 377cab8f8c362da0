"""What the steps so far did to the tensors that took the same ones: how much of the start is left, expected moments."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from ...optimizers import SGD as SGDRecord
from ...timescales import ema_coefficients
from .forecast import Moments, Rates, advanced
from .meaning import ADAM, SGD, Meaning

# Products of 1 − α are taken over this many steps at a time.
BLOCK = 256
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
        self.folded, self.decays = 1.0, list[float]()
        self.response: Any = SGDRecord.State(1.0, 0.0)

    def copy(self) -> History:
        other = copy(self)
        other.decays = list(self.decays)
        return other

    def advance(self, rates: Rates) -> None:
        """One more step."""
        self.steps += 1
        if self.meaning.adds_to_gradient and self.meaning.update == SGD:
            self.respond(rates)
        else:
            self.decays.append(rates.decay_per_step)
            if len(self.decays) == BLOCK:
                self.fold()
        if self.meaning.update == ADAM and rates.decay_per_step == rates.decay_per_step:  # not NaN
            self.moments = advanced(self.moments, rates)

    def respond(self, rates: Rates) -> None:
        """SGD's own update of a weight of 1 without gradients: L2 decay passes through the momentum buffer."""
        record = RESPONSES[rates.nesterov]
        c = record.Coefficients(rates.lr, rates.momentum, rates.weight_decay)
        self.response = record.update(np, self.response, 0.0, c)

    def fold(self) -> None:
        """Multiply the steps' 1 − α into the product; NaN where some α is 1 or more, or is not known."""
        if not self.decays:
            return
        known = all(0 <= decay < 1 for decay in self.decays)
        self.folded *= ema_coefficients(self.decays, 1.0)[0] if known else float("nan")
        self.decays = []

    @property
    def left(self) -> float:
        if self.meaning.adds_to_gradient and self.meaning.update == SGD:
            return float(self.response.weight)
        self.fold()
        return self.folded

    def state(self) -> dict[str, Any]:
        """Plain numbers, from which `restored` makes the same history, to the bit."""
        return {
            "steps": self.steps,
            "moments": list(self.moments),
            "folded": self.folded,
            "decays": list(self.decays),
            "response": list(self.response),
        }

    @classmethod
    def restored(cls, meaning: Meaning, state: dict[str, Any]) -> History:
        history = cls(meaning)
        history.steps, history.folded, history.decays = state["steps"], state["folded"], list(state["decays"])
        history.moments = Moments(*state["moments"])
        history.response = SGDRecord.State(*state["response"])
        return history
