"""The numbers of one record: a row for each tensor, and for each group the sums of its tensors' squares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import FloatArray
from .forecast import NAN, Flow, Moments, Motion, Rates, angle, flowed, standing, transient, unknown
from .meaning import ADAM, SGD, Meaning
from .measuring import Measured, Projection

Row = dict[str, Any]


class Before(NamedTuple):
    """What a tensor's history was before the recorded step."""

    moments: Moments
    left: float


class Seen(NamedTuple):
    """Everything about several tensors at a recorded step, an array of one number each; of step 0 there is no motion.

    `start` is ‖w_0‖².
    """

    measured: Measured
    projection: Projection
    expected: Motion
    rest: Motion
    left: FloatArray
    start: FloatArray

    def beside(self, other: Seen) -> Seen:
        """These tensors, and then those."""

        def both(mine: Iterable[FloatArray], theirs: Iterable[FloatArray]) -> Iterator[FloatArray]:
            return map(np.concatenate, zip(mine, theirs, strict=True))

        return Seen(
            Measured._make(both(self.measured, other.measured)),
            Projection._make(both(self.projection, other.projection)),
            Motion._make(both(self.expected, other.expected)), Motion._make(both(self.rest, other.rest)),
            *both((self.left, self.start), (other.left, other.start)),
        )  # fmt: skip


def expected(
    meaning: Meaning, before: Before, rates: Rates, sizes: FloatArray, starts: FloatArray, moves: bool
) -> Motion:
    """Of the recorded step, on white gradients; unknown but for AdamW, and for Adam without decay.

    A tensor without a gradient does not move.
    """
    if meaning.update != ADAM or math.isnan(rates.decay_per_step) or math.isnan(before.left):
        return unknown(len(sizes))
    if not moves:
        return standing(before.left**2 * starts + sizes * before.moments.square)
    with np.errstate(invalid="ignore"):  # nothing is known of a tensor without coordinates
        return transient(before.moments, before.left, rates, sizes, starts)


def flowing(
    meaning: Meaning, flows: Sequence[Flow], rates: Rates, steps: int, gradient_squares: FloatArray
) -> list[Flow]:
    """The norms under SGD with L2 and plain momentum, if the loss does not see the weights' scale; else unknown."""
    if meaning.update != SGD or not meaning.adds_to_gradient or rates.nesterov:
        return [Flow(math.nan, steps)] * len(flows)
    return flowed(flows, rates, steps, gradient_squares)


def together(seen: Seen, owners: npt.NDArray[np.intp], count: int) -> Seen:
    """The tensors of each of `count` groups as one vector; `owners` says whose each tensor is.

    Squares add up, and the shares left are weighted with those of the start.
    """

    def summed(part: FloatArray) -> FloatArray:
        return np.bincount(owners, weights=part, minlength=count).astype(np.float64, copy=False)

    start, first = summed(seen.start), np.zeros(count)
    first[owners[::-1]] = seen.left[::-1]
    with np.errstate(invalid="ignore"):
        left = np.where(start > 0, summed(seen.left * seen.start) / start, first)
    return Seen(
        Measured(*map(summed, seen.measured)), Projection(*map(summed, seen.projection)),
        Motion(*map(summed, seen.expected)), Motion(*map(summed, seen.rest)), left, start,
    )  # fmt: skip


def observables(seen: Seen) -> dict[str, list[float]]:
    """Of each tensor or group, by name."""
    measured, projection = seen.measured, seen.projection
    before, after, difference = np.array([each[:3] for each in (measured, seen.expected, seen.rest)]).swapaxes(
        0, 1
    )  # each of shape (3, tensors)
    with np.errstate(all="ignore"):
        (norm, *norms), update = np.sqrt(after), np.sqrt(measured.difference)
        ratio = np.where(measured.before > 0, np.sqrt(measured.difference / measured.before), NAN)
    rotation, *rotations = angle(before, after, difference)
    found = {
        "weight_norm": norm, "weight_norm_predicted": norms[0], "weight_norm_equilibrium": norms[1],
        "rotation": rotation, "rotation_predicted": rotations[0], "rotation_equilibrium": rotations[1],
        "update_norm": update, "update_ratio": ratio, "initial_weight_left": seen.left,
        "initial_weight_left_measured": projection.left, "initial_weight_left_measured_sem": projection.left_sem,
    }  # fmt: skip
    return {name: numbers.tolist() for name, numbers in found.items()}


def rows(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """A row of each tensor or group, with one number from every column."""
    return [dict(zip(columns, numbers, strict=True)) for numbers in zip(*columns.values(), strict=True)]
