"""What a block of a run gives of what was asked, with arrays (records, points, …), and how blocks become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..typing import FloatArray
from .reductions import Moments, concatenated, joined


class Values(NamedTuple):
    """Numbers of single replicas, shape (records, points, replicas, …); once `points_first`, (points, records, …)."""

    values: FloatArray


class Counts(NamedTuple):
    """How many numbers fell into each bin, shape (records, points, …, bins)."""

    counts: np.ndarray[Any, np.dtype[np.int64]]


Node = Moments | Values | Counts
Statistics = Mapping[str, Node]


def along(parts: Sequence[Node], axis: int) -> Node:
    """Parts of the same replicas, one after another along the records (axis 0) or the points (axis 1)."""
    moments = [part for part in parts if isinstance(part, Moments)]
    if moments:
        return concatenated(moments, axis)
    counts = [part.counts for part in parts if isinstance(part, Counts)]
    if counts:
        return Counts(np.concatenate(counts, axis))
    return Values(np.concatenate([part.values for part in parts if isinstance(part, Values)], axis))


def together(x: Node, y: Node) -> Node:
    """Two disjoint sets of replicas, x's before y's."""
    if isinstance(x, Values) and isinstance(y, Values):
        return Values(np.concatenate([x.values, y.values], axis=2))
    if isinstance(x, Counts) and isinstance(y, Counts):
        return Counts(x.counts + y.counts)
    assert isinstance(x, Moments)
    assert isinstance(y, Moments)
    return joined(x, y)


def joined_statistics(x: Statistics, y: Statistics) -> Statistics:
    with np.errstate(all="ignore"):
        return {name: together(x[name], y[name]) for name in x}


def points_first(node: Node) -> Node:
    """Points before records, as the Dataset has them."""
    if isinstance(node, Values):
        return Values(np.swapaxes(node.values, 0, 1))
    if isinstance(node, Counts):
        return Counts(np.swapaxes(node.counts, 0, 1))
    return Moments(node.replicas, np.swapaxes(node.mean, 0, 1), np.swapaxes(node.sums, 1, 2))
