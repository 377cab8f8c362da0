"""The autocovariance of the weights at given lags, in one pass over blocks of replicas.

The weights' mean is taken over each leaf of 64 replicas, so that a block needs nothing of another. The products of
deviations are one number per replica; with R replicas in L leaves the sum over R − L estimates without bias.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np

from ..arithmetic import halved
from ..typing import FloatArray
from .groups import Groups, group_sums
from .reductions import LEAF, Moments, replica_moments

AUTOCOVARIANCE = "autocovariance"
# The covariance between the errors of two lags, along `lag` and `lag_again`.
ERROR_COVARIANCE = "_error_covariance"
# The most numbers that the weights kept for later records hold.
KEPT = 2**23

Steps = np.ndarray[Any, np.dtype[np.int64]]


def sources(record: Steps, lags: Iterable[int]) -> dict[int, int]:
    """The steps whose weights a record compares with its own, and the last record that does."""
    last: dict[int, int] = {}
    for step in record.tolist():
        last.update((step - lag, step) for lag in lags if step >= lag)
    return last


def kept_at_once(last_use: dict[int, int]) -> int:
    """The most steps whose weights are kept at the same time."""
    starts, ends = np.sort(list(last_use)), np.sort(list(last_use.values()))
    if not starts.size:
        return 0
    return int(np.max(np.arange(1, starts.size + 1) - np.searchsorted(ends, starts, side="left")))


class Lagged:
    """The weights of a block of replicas that are kept until the last record that compares them with its own.

    Where there are `groups`, products are of each group, along an axis before the lags.
    """

    def __init__(self, record: Steps, lags: tuple[int, ...], first_replica: int, groups: Groups = ()) -> None:
        self.lags = lags
        self.first_replica = first_replica
        self.groups = groups
        self.last_use = sources(record, lags)
        self.weights: dict[int, Any] = {}

    def keep(self, steps: Iterable[int], weights: Any) -> None:
        """Keep copies of some steps' weights, shape (steps, points, replicas, d)."""
        for step, of_step in zip(steps, weights, strict=True):
            if step in self.last_use:
                self.weights[step] = of_step.copy()

    def moments(self, steps: Iterable[int], weights: Any) -> Moments:
        """Of a call's records: the moments of the products, and of the sums of two, arrays (records, points, …)."""
        values = [self.products(step, of_step) for step, of_step in zip(steps, weights, strict=True)]
        return replica_moments(np.moveaxis(with_pairs(np.stack(values)), 2, 0), self.first_replica)

    def products(self, step: int, weights: Any) -> FloatArray:
        """(1/d) Σ of the products of the deviations at a step and each lag before it, (points, replicas, …, lags)."""
        points, replicas, d = weights.shape
        sizes = self.groups or (d,)
        found = np.full((points, replicas, len(sizes), len(self.lags)), np.nan)
        for point in range(points):
            now = deviations(weights[point], self.first_replica)
            for place, lag in enumerate(self.lags):
                if step >= lag:
                    then = deviations(self.weights[step - lag][point], self.first_replica)
                    found[point, ..., place] = group_sums(now * then, sizes) / sizes
        return found if self.groups else found[:, :, 0]

    def forget(self, step: int) -> None:
        """Drop the weights that no record after this step needs."""
        self.weights = {source: kept for source, kept in self.weights.items() if self.last_use[source] > step}


def deviations(weights: Any, first_replica: int) -> FloatArray:
    """Weights of shape (replicas, d) less their mean over the leaf of 64 replicas, in the promised order."""
    values = np.asarray(weights, dtype=np.float64)
    found = np.empty_like(values)
    start = 0
    while start < len(values):
        place = (first_replica + start) % LEAF
        leaf = values[start : start + LEAF - place]
        padded = np.pad(leaf, [(place, LEAF - place - len(leaf)), (0, 0)])
        found[start : start + len(leaf)] = leaf - halved(padded) / len(leaf)
        start += len(leaf)
    return found


def with_pairs(values: FloatArray) -> FloatArray:
    """The values along the last axis, and after them the sum of each two: its variance holds their covariance."""
    pairs = [values[..., i] + values[..., j] for i, j in combinations(range(values.shape[-1]), 2)]
    return np.concatenate([values, np.stack(pairs, -1)], -1) if pairs else values


def leaves(replicas: range) -> int:
    """How many leaves of 64 the replicas lie in."""
    return (replicas.stop - 1) // LEAF - replicas.start // LEAF + 1


def estimates(of: Moments, lags: int, replicas: range) -> tuple[FloatArray, FloatArray]:
    """The autocovariances, and the covariances between their errors, (…, lags) and (…, lags, lags).

    The errors' are those of Gaussian weights to the last factor, and of any in the limit of many replicas.
    """
    count, free = len(replicas), len(replicas) - leaves(replicas)
    spread = of.sums[0] / (count - 1) if count > 1 else np.full_like(of.sums[0], np.nan)
    table = np.empty((*spread.shape[:-1], lags, lags))
    table[..., range(lags), range(lags)] = spread[..., :lags]
    for place, (i, j) in enumerate(combinations(range(lags), 2)):
        both = (spread[..., lags + place] - spread[..., i] - spread[..., j]) / 2
        table[..., i, j] = table[..., j, i] = both
    factor = count * (count - 1) / (free**2 * (free - 1)) if free > 1 else np.nan
    mean = of.mean[..., :lags]
    return (mean * (count / free) if free else np.full_like(mean, np.nan)), table * factor
