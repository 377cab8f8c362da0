"""float32 numbers rounded to those that bfloat16 holds, by their bits; csrc/core/bfloat16.h is the same in C++."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .normal import STEPS_PER_CALL, STREAMS, Normals
from .philox import Words, philox

# The stream of the random bits (DESIGN.md, Noise).
ROUNDING_STREAM = 4
ROUNDINGS = ("nearest", "stochastic")
# bfloat16 is the upper half of a float32.
HALF = np.uint32(16)
KEPT, JUST_BELOW_HALF, ONE = np.uint32(0xFFFF0000), np.uint32(0x7FFF), np.uint32(1)
QUIET_NAN = np.uint32(0x7FC00000)

Array: TypeAlias = npt.NDArray[Any]


def bits_of(x: Array) -> Words:
    return np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)


def kept(x: Array, bits: Words) -> Normals:
    return np.where(np.isnan(x), QUIET_NAN, bits & KEPT).view(np.float32)


def nearest(x: Array) -> Normals:
    """The nearest number that bfloat16 holds, ties to even; what is half a unit or more past the largest is infinite.

    >>> nearest(np.float32([1.00390625, 1.01171875])).tolist()
    [1.0, 1.015625]
    """
    bits = bits_of(x)
    return kept(x, bits + (JUST_BELOW_HALF + ((bits >> HALF) & ONE)))


def stochastic(x: Array, words: Words) -> Normals:
    """One of the two neighbours, the farther from zero with the probability that makes the mean x.

    `words` are 32 random bits for each number, of which the upper 16 decide; they broadcast to the shape of `x`.
    """
    return kept(x, bits_of(x) + (words >> HALF))


class Rounding:
    """Rounds the weights of each step; the random bits of a weight are those of its coordinate's column."""

    def __init__(self, how: str, seed: int, first_replica: int, points: Array) -> None:
        self.how, self.seed, self.first_replica, self.points = how, seed, first_replica, points
        self.block = -1

    def rounded(self, weight: Array, step: int) -> Normals:
        """The weights after 0-based step `step`, shape (points, replicas, d)."""
        if self.how == "nearest":
            return nearest(weight)
        block, place = divmod(step, STEPS_PER_CALL)
        if block != self.block:
            self.block = block
            self.four = self.words(block, *weight.shape[1:])
        return stochastic(weight, self.four[place])

    def words(self, block: int, replicas: int, columns: int) -> tuple[Words, Words, Words, Words]:
        numbers = np.arange(self.first_replica, self.first_replica + replicas)
        last = self.points.astype(np.int64) * STREAMS + ROUNDING_STREAM
        return philox((block, np.arange(columns), numbers[:, None], last[:, None, None]), self.seed)
