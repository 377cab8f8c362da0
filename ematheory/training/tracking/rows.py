"""The numbers of one record: a row for each tensor, and for each group the sums of its tensors' squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

from .forecast import NAN, UNKNOWN, Flow, Moments, Motion, Rates, angle, equilibrium, standing, transient
from .meaning import ADAM, SGD, Meaning
from .measuring import Measured, Projection

Row = dict[str, Any]


class Before(NamedTuple):
    """What a tensor's history was before the recorded step."""

    moments: Moments
    left: float


class Seen(NamedTuple):
    """Everything about one tensor at a recorded step; of step 0 there is no motion."""

    measured: Measured
    projection: Projection
    expected: Motion
    rest: Motion
    left: float
    start: float

    def joined(self, other: Seen) -> Seen:
        """The two as one vector: squares add up, and the shares left are weighted with those of the start."""
        start = self.start + other.start
        left = self.left if start == 0 else (self.left * self.start + other.left * other.start) / start
        return Seen(
            self.measured.joined(other.measured), self.projection.joined(other.projection),
            self.expected.joined(other.expected), self.rest.joined(other.rest), left, start,
        )  # fmt: skip


def expected(meaning: Meaning, before: Before, rates: Rates, size: int, start: float, moves: bool) -> Motion:
    """Of the recorded step, on white gradients; unknown but for AdamW, and for Adam without decay.

    A tensor without a gradient does not move.
    """
    if meaning.update != ADAM or math.isnan(rates.decay_per_step) or math.isnan(before.left) or not size:
        return UNKNOWN
    if not moves:
        return standing(before.left**2 * start + size * before.moments.square)
    return transient(before.moments, before.left, rates, size, start)


def flowing(meaning: Meaning, flow: Flow, rates: Rates, steps: int, measured: Measured) -> Flow:
    """The norm under SGD with L2 and plain momentum, if the loss does not see the weights' scale; else unknown."""
    if meaning.update != SGD or not meaning.adds_to_gradient or rates.nesterov:
        return Flow(NAN, steps)
    return flow.to(rates, steps, measured.gradient * measured.before)


def at_rest(meaning: Meaning, rates: Rates, size: int, measured: Measured) -> Motion:
    return equilibrium(meaning, rates, size, measured.gradient * measured.before)


def row(seen: Seen) -> Row:
    """The observables of a tensor or of a group."""
    measured, projection = seen.measured, seen.projection
    return {
        "weight_norm": math.sqrt(measured.after),
        "weight_norm_predicted": seen.expected.norm,
        "weight_norm_equilibrium": seen.rest.norm,
        "rotation": angle(measured.before, measured.after, measured.difference),
        "rotation_predicted": seen.expected.rotation,
        "rotation_equilibrium": seen.rest.rotation,
        "update_norm": math.sqrt(measured.difference),
        "update_ratio": math.sqrt(measured.difference / measured.before) if measured.before > 0 else NAN,
        "initial_weight_left": seen.left,
        "initial_weight_left_measured": projection.left,
        "initial_weight_left_measured_sem": projection.left_sem,
    }


def together(all_seen: Sequence[Seen]) -> Row:
    """The row of a group's tensors as one vector."""
    return row(reduce(Seen.joined, all_seen))
