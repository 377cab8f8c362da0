"""Histograms over replicas: exact counts between given edges, and what lies outside them counted apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from ..records import FINITE, check_values
from ..typing import FloatArray
from .distributions import Arrays
from .groups import Groups, alike, folded
from .nodes import Counts
from .observables import pieces
from .reductions import LEAF

HISTOGRAM, OUTSIDE = "_histogram", "_histogram_outside"
# What lies in no bin, along the dim `outside`.
PLACES = ("below", "above", "nan")
Edges = Mapping[str, FloatArray]


def check_edges(name: str, given: Any) -> FloatArray:
    """The edges of an observable's bins, in float64.

    Raises
    ------
    ValueError : fewer than two edges, NaN or an infinite one, edges that do not increase.
    TypeError : what is not a list of numbers.
    """
    called = f"histogram[{name!r}]"
    edges = np.asarray(given)
    if edges.ndim != 1 or edges.dtype.kind not in "iuf":
        raise TypeError(f"{called} must be a list of the edges of bins, such as np.linspace(0, 2, 21), got {given!r}")
    if len(edges) < 2:
        raise ValueError(f"{called} needs at least two edges, which make one bin, got {given!r}")
    edges = edges.astype(np.float64)
    check_values(called, edges, FINITE)
    if (np.diff(edges) <= 0).any():
        place = int(np.argmax(np.diff(edges) <= 0))
        raise ValueError(f"{called} must increase, but {edges[place]} is followed by {edges[place + 1]}")
    return edges


def counted(values: FloatArray, edges: FloatArray) -> Counts:
    """The counts of values (records, points, count, …) between the edges, (records, points, …, bins + 3).

    A bin holds its lower edge, and the last one its upper edge too, as NumPy's do; after the bins stand the numbers
    below, above (infinities are there) and NaN.

    >>> counted(np.array([[[0.0, 1.0, 2.0, np.inf, np.nan]]]), np.array([0.0, 1.0, 2.0])).counts.tolist()
    [[[1, 2, 0, 1, 1]]]
    """
    values = np.moveaxis(values, 2, -1)
    bins = len(edges) - 1
    place = np.searchsorted(edges, values, side="right") - 1
    place[values == edges[-1]] = bins - 1
    place[values > edges[-1]] = bins + 1
    place[values < edges[0]] = bins
    place[np.isnan(values)] = bins + 2
    rows = values[..., 0].size
    width = bins + len(PLACES)
    place = place.reshape(rows, -1) + width * np.arange(rows)[:, None]
    counts = np.bincount(place.ravel(), minlength=rows * width)
    return Counts(counts.reshape(*values.shape[:-1], width).astype(np.int64))


def weight_counts(weights: Any, edges: FloatArray, groups: Groups) -> Counts:
    """Of weights (records, points, replicas, d): the counts over replicas and coordinates, or those of each group."""
    records, points, replicas, d = weights.shape
    found = np.zeros((records, points, max(len(groups), 1), len(edges) - 1 + len(PLACES)), dtype=np.int64)
    for some, few in product(pieces(records, points * min(replicas, LEAF) * d), pieces(replicas, points * d)):
        part = np.asarray(weights[some, :, few], dtype=np.float64)
        found[some] += np.concatenate([each_group(part, *one, edges) for one in alike(groups or (d,))], axis=2)
    return Counts(found if groups else found[:, :, 0])


def each_group(weights: FloatArray, columns: slice, size: int, edges: FloatArray) -> Any:
    """The counts of groups of one size, shape (records, points, groups, bins + 3)."""
    records, points, replicas, _ = weights.shape
    of_groups = folded(weights, columns, size).reshape(records, points, replicas, -1, size)
    together = np.moveaxis(of_groups, 3, -1).reshape(records, points, replicas * size, -1)
    return counted(together, edges).counts


def histogram_arrays(name: str, of: Counts, dims: tuple[str, ...]) -> Arrays:
    """What a Dataset holds of the counts (points, records, …, bins + 3)."""
    bins = of.counts.shape[-1] - len(PLACES)
    return {
        name + HISTOGRAM: ((*dims, bin_dim(name)), of.counts[..., :bins]),
        name + OUTSIDE: ((*dims, "outside"), of.counts[..., bins:]),
    }


def bin_dim(name: str) -> str:
    return f"{name}_bin"


def edge_coordinates(edges: Edges) -> dict[str, Any]:
    """The coordinates of histograms: of each bin its lower edge, and its upper one beside it."""
    found: dict[str, Any] = {"outside": np.array(PLACES)} if edges else {}
    for name, of in edges.items():
        found[bin_dim(name)] = of[:-1]
        found[f"{bin_dim(name)}_upper"] = (bin_dim(name), of[1:])
    return found
