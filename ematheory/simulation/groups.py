"""Coordinates in groups, the weights of a layer or a neuron each: sizes, cut arrays, and sums over each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from ..arithmetic import vector_sum
from . import arrays

Groups = tuple[int, ...]


def check_groups(groups: Any, coordinates: int) -> Groups:
    """The sizes of consecutive groups, from one size that divides d or from sizes that add up to it; () for None.

    Raises
    ------
    ValueError : sizes below 1, or that do not make up d.
    TypeError : what is not a whole number or a list of them.

    >>> check_groups(2, 6), check_groups([2, 4], 6)
    ((2, 2, 2), (2, 4))
    """
    if groups is None:
        return ()
    sizes = np.asarray(groups)
    if sizes.ndim > 1 or not sizes.size or sizes.dtype.kind not in "iu":
        raise TypeError(f"groups must be a whole number of coordinates, or a list of them, got {groups!r}")
    if (sizes < 1).any():
        raise ValueError(f"groups must have at least one coordinate each, got {groups!r}")
    if sizes.ndim == 0 and coordinates % int(sizes):
        raise ValueError(f"groups of one size must divide the d={coordinates} coordinates, got {groups!r}")
    found = tuple(sizes.tolist()) if sizes.ndim else (int(sizes),) * (coordinates // int(sizes))
    if sum(found) != coordinates:
        raise ValueError(f"groups must add up to the d={coordinates} coordinates, got {groups!r}, {sum(found)} in all")
    return found


def shortest(groups: Groups) -> int | Groups:
    """The groups as one size where all have it."""
    return groups[0] if len(set(groups)) == 1 else groups


def alike(groups: Groups) -> Iterator[tuple[slice, int]]:
    """The coordinates of neighbouring groups of one size, and that size.

    >>> list(alike((2, 2, 3)))
    [(slice(0, 4, None), 2), (slice(4, 7, None), 3)]
    """
    start = 0
    for size, same in groupby(groups):
        stop = start + size * len(list(same))
        yield slice(start, stop), size
        start = stop


def folded(values: Any, columns: slice, size: int) -> Any:
    """Some coordinates of an array (…, replicas, d) in groups of one size, each as a replica: (…, replicas·n, size)."""
    some = values[..., columns]
    return some.reshape(*some.shape[:-2], -1, size)


def unfolded(values: Any, replicas: int) -> Any:
    """Numbers of the groups (…, replicas·n) with the groups along an axis of their own, (…, replicas, n)."""
    return values.reshape(*values.shape[:-1], replicas, -1)


def group_sums(values: Any, groups: Groups) -> Any:
    """The sums over the coordinates of each group, (…, replicas, n), of values (…, replicas, d)."""
    sums = (vector_sum(folded(values, columns, size)) for columns, size in alike(groups))
    return np.concatenate([unfolded(each, values.shape[-2]) for each in sums], axis=-1)


def spans(groups: Groups) -> Iterator[slice]:
    """The coordinates of each group."""
    stops = np.cumsum(groups).tolist()
    return (slice(stop - size, stop) for size, stop in zip(groups, stops, strict=True))


class GroupArrays:
    """The array namespace whose dot products are over each group, and stand at every coordinate of it."""

    sqrt = staticmethod(arrays.sqrt)
    where = staticmethod(arrays.where)
    zeros_like = staticmethod(arrays.zeros_like)
    sign = staticmethod(arrays.sign)

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def dot(self, x: Any, y: Any) -> Any:
        """Σ x_i y_i over each group, in the shape (…, replicas, d) of x·y: float64 sums, in the dtype of `x`."""
        product = np.asarray(x, dtype=np.float64) * np.asarray(y, dtype=np.float64)
        return np.repeat(group_sums(product, self.groups), self.groups, axis=-1).astype(np.asarray(x).dtype)
