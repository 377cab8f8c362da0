"""Sums and moments in an order that is promised, so that no thread, block or machine can change their bits.

DESIGN.md's Reductions contract: a vector sum has 64 partials joined by halving; statistics over replicas are leaves of
64 by absolute replica number, (count, mean, central sums to order 4), joined in a binary tree aligned on the leaf
number.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..arithmetic import halved
from ..typing import FloatArray

LEAF = 64
ORDERS = (2, 3, 4)

Node = TypeVar("Node")
# Nodes of a tree by (level, index).
Subtrees = MutableMapping[tuple[int, int], Node]


class Moments(NamedTuple):
    """Of a number of `replicas`: their mean, and Σ(x − mean)^p for p = 2, 3, 4 along the first axis of `sums`."""

    replicas: int
    mean: FloatArray
    sums: FloatArray


def joined(x: Moments, y: Moments) -> Moments:
    """The moments of two disjoint sets of replicas together (Pébay, SAND2008-6212, eqs. 1.5, 2.1)."""
    n = x.replicas + y.replicas
    delta = y.mean - x.mean
    square = delta * delta
    product = x.replicas * y.replicas
    second = x.sums[0] + y.sums[0] + square * (product / n)
    third = (
        x.sums[1] + y.sums[1]
        + square * delta * (product * (x.replicas - y.replicas) / n**2)
        + 3.0 * delta * (x.replicas * y.sums[0] - y.replicas * x.sums[0]) / n
    )  # fmt: skip
    fourth = (
        x.sums[2] + y.sums[2]
        + square * square * (product * (x.replicas**2 - product + y.replicas**2) / n**3)
        + 6.0 * square * (x.replicas**2 * y.sums[0] + y.replicas**2 * x.sums[0]) / n**2
        + 4.0 * delta * (x.replicas * y.sums[1] - y.replicas * x.sums[1]) / n
    )  # fmt: skip
    mean = x.mean + delta * (y.replicas / n)
    if not np.isfinite(delta).all():
        # ∞ less a number is ∞, and ∞ − ∞ no number: a mean with an infinite part is infinite in either order.
        mean = np.where(np.isfinite(delta), mean, x.mean * (x.replicas / n) + y.mean * (y.replicas / n))
    return Moments(n, mean, np.stack([second, third, fourth]))


def leaf_moments(values: Any, first_replica: int) -> list[Moments]:
    """The leaves of 64 of the replicas along the first axis of `values`, the first of which is `first_replica`."""
    values = np.asarray(values, dtype=np.float64)
    before = first_replica % LEAF
    after = -(before + len(values)) % LEAF
    padding = [(before, after)] + [(0, 0)] * (values.ndim - 1)
    leaves = np.pad(values, padding).reshape(-1, LEAF, *values.shape[1:])
    present = np.pad(np.ones(len(values), dtype=bool), padding[0]).reshape(-1, LEAF)
    return [one_leaf(leaf, mask) for leaf, mask in zip(leaves, present, strict=True)]


def one_leaf(values: FloatArray, present: np.ndarray[Any, np.dtype[np.bool_]]) -> Moments:
    """The moments of one leaf's 64 places, those not present being 0 and counting for nothing."""
    count = int(present.sum())
    mean = halved(values) / count
    delta = values - mean
    if count < LEAF:
        delta = np.where(present.reshape(-1, *[1] * mean.ndim), delta, 0.0)
    square = delta * delta
    return Moments(count, mean, np.stack([halved(square), halved(square * delta), halved(square * square)]))


def tree(
    leaves: range,
    leaf: Callable[[int], Node],
    join: Callable[[Node, Node], Node],
    level: int,
    index: int,
    kept: Subtrees[Node],
) -> Node | None:
    """The node at (level, index) of the binary tree over the numbers `leaves`, or None where it holds none of them.

    It covers the leaf numbers index·2^level … (index+1)·2^level − 1; leaves are asked for in increasing order, and at
    most one node per level is alive at a time: those in `kept`, from which a tree that was left unfinished goes on.
    """
    low, high = index << level, (index + 1) << level
    if high <= leaves.start or low >= leaves.stop:
        return None
    if (level, index) in kept:
        return kept[level, index]
    if level == 0:
        kept[level, index] = leaf(index)
        return kept[level, index]
    left = tree(leaves, leaf, join, level - 1, 2 * index, kept)
    right = tree(leaves, leaf, join, level - 1, 2 * index + 1, kept)
    if left is not None and right is not None:
        kept[level, index] = join(left, right)
    else:
        kept[level, index] = left if right is None else right  # type: ignore[assignment]
    kept.pop((level - 1, 2 * index), None)
    kept.pop((level - 1, 2 * index + 1), None)
    return kept[level, index]


def joined_tree(
    leaves: range,
    leaf: Callable[[int], Node],
    join: Callable[[Node, Node], Node],
    kept: Subtrees[Node] | None = None,
) -> Node:
    """The root of the tree over a range of leaf numbers that is not empty; `kept` as for `tree`."""
    root = tree(leaves, leaf, join, (leaves.stop - 1).bit_length(), 0, {} if kept is None else kept)
    assert root is not None
    return root


def replica_moments(values: Any, first_replica: int) -> Moments:
    """The moments over the first axis of `values`, one entry per replica from the absolute number `first_replica`.

    >>> float(replica_moments([1.0, 2.0, 6.0], first_replica=0).mean)
    3.0
    """
    leaves = leaf_moments(values, first_replica)
    first = first_replica // LEAF
    return joined_tree(range(first, first + len(leaves)), lambda number: leaves[number - first], joined)


def concatenated(parts: Sequence[Moments], axis: int = 0) -> Moments:
    """Moments of one set of replicas, measured in several places, in one: `axis` counts from the mean's first."""
    return Moments(
        parts[0].replicas,
        np.concatenate([part.mean for part in parts], axis),
        np.concatenate([part.sums for part in parts], axis + 1),
    )
