"""From moments over replicas to what a Dataset holds: means, variances and their standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..records import Grid
from ..typing import FloatArray
from .observables import COORDINATES, PER_COORDINATE, WEIGHT, samples_of
from .reductions import ORDERS, Moments

# What `combine` needs: Σ(x − mean)^p over replicas, p = 2, 3, 4 along the dim `order`.
CENTRAL_SUMS = "_central_sums"
STANDARD_ERROR = "_sem"


def variance(moments: Moments) -> FloatArray:
    """The unbiased variance over replicas; NaN for one replica."""
    return moments.sums[0] / (moments.replicas - 1) if moments.replicas > 1 else np.full_like(moments.sums[0], np.nan)


def mean_error(moments: Moments) -> FloatArray:
    """The standard error of the mean, √(V/R)."""
    return np.sqrt(variance(moments) / moments.replicas)


def variance_error(moments: Moments) -> FloatArray:
    """The standard error of the variance, √((m₄ − V²(R−3)/(R−1))/R) with m₄ the fourth central moment."""
    n = moments.replicas
    if n == 1:
        return np.full_like(moments.sums[0], np.nan)
    square = variance(moments) ** 2
    spread = moments.sums[2] / n - square * ((n - 3) / (n - 1))
    # It is never negative in exact arithmetic; rounding can make it so where all replicas agree.
    return np.sqrt(np.where(spread < 0, 0.0, spread) / n)


def mean_name(sample: str) -> str:
    """The observable that is the sample's mean."""
    return "weight_mean" if sample == WEIGHT else sample


def variables(observables: tuple[str, ...], moments: Mapping[str, Moments]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Each observable's value and standard error.

    Where the weight's variance is asked for its mean comes too: combining two ranges of replicas needs it.
    """
    found: dict[str, tuple[FloatArray, FloatArray]] = {}
    with np.errstate(all="ignore"):
        for sample in samples_of(observables):
            of = moments[sample]
            found[mean_name(sample)] = (of.mean, mean_error(of))
            if sample == WEIGHT and "weight_variance" in observables:
                found["weight_variance"] = (variance(of), variance_error(of))
    return found


def dataset(
    over: Grid, record: Any, coordinates: int, observables: tuple[str, ...], moments: Mapping[str, Moments]
) -> xr.Dataset:
    """The Dataset of moments whose arrays have shape (points, records) or (points, records, d)."""
    arrays: dict[str, tuple[tuple[str, ...], FloatArray]] = {}
    for name, (value, error) in variables(observables, moments).items():
        arrays[name] = (dims_of(name), value)
        arrays[name + STANDARD_ERROR] = (dims_of(name), error)
    for sample, of in moments.items():
        arrays[sample + CENTRAL_SUMS] = ((*dims_of(mean_name(sample)), "order"), np.moveaxis(of.sums, 0, -1))
    coords: dict[str, Any] = {"step": np.asarray(record, dtype=np.int64), "order": np.array(ORDERS)}
    if any(sample in COORDINATES for sample in moments):
        coords["coordinate"] = np.arange(coordinates)
    return over.dataset(arrays, **coords)


def dims_of(observable: str) -> tuple[str, ...]:
    return ("step", "coordinate") if observable in PER_COORDINATE else ("step",)


def moments_in(result: xr.Dataset, replicas: range) -> dict[str, Moments]:
    """The moments that a Dataset of `simulate` carries, arrays in its own shape."""
    samples = [str(name).removesuffix(CENTRAL_SUMS) for name in result.data_vars if str(name).endswith(CENTRAL_SUMS)]
    return {
        sample: Moments(
            len(replicas),
            result[mean_name(sample)].values,
            np.moveaxis(result[sample + CENTRAL_SUMS].values, -1, 0),
        )
        for sample in samples
    }
