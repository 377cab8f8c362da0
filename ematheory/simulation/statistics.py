"""From moments over replicas to what a Dataset holds: means, variances and their standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..typing import FloatArray
from .autocovariance import AUTOCOVARIANCE, ERROR_COVARIANCE, estimates
from .distributions import PASSAGE, QUARTILES, TRAJECTORY, VALUES, Arrays, passage_arrays, quantile_arrays
from .histograms import HISTOGRAM, edge_coordinates, histogram_arrays
from .nodes import Counts, Node, Values
from .observables import COORDINATES, GROUPED, PER_COORDINATE, WEIGHT, samples_of
from .reductions import ORDERS, Moments
from .specification import Specification

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


def dataset(asked: Specification, found: Mapping[str, Node]) -> xr.Dataset:
    """The Dataset of what a run found, arrays (points, records, …)."""
    return on_grid(asked, arrays_of(asked, found))


def on_grid(asked: Specification, arrays: Arrays) -> xr.Dataset:
    """The arrays with their coordinates; where several averages are measured their dim comes first, as in `predict`."""
    found = asked.result_grid.dataset(arrays, **coordinates_of(asked))
    return found.transpose(asked.averages.name, ...) if asked.averages.swept else found


def arrays_of(asked: Specification, found: Mapping[str, Node]) -> Arrays:
    """What it holds: by name the dims after the points', and the array."""
    moments = {name: of for name, of in found.items() if isinstance(of, Moments) and name != AUTOCOVARIANCE}
    own = {sample: moments[sample] for sample in samples_of(asked.observables)}
    arrays: Arrays = {}
    for name, (value, error) in variables(asked.observables, own).items():
        arrays[name] = (dims_of(name, asked), value)
        arrays[name + STANDARD_ERROR] = (dims_of(name, asked), error)
    for sample, of in own.items():
        arrays[sample + CENTRAL_SUMS] = ((*dims_of(mean_name(sample), asked), "order"), np.moveaxis(of.sums, 0, -1))
    if AUTOCOVARIANCE in found:
        arrays.update(autocovariance_arrays(asked, found[AUTOCOVARIANCE]))
    for name, node in found.items():
        if isinstance(node, Values):
            arrays.update(arrays_of_replicas(name, node.values, asked))
        if isinstance(node, Counts):
            sample = name.removesuffix(HISTOGRAM)
            arrays.update(histogram_arrays(sample, node, ("step", *group_dim(sample, asked))))
    return arrays


def coordinates_of(asked: Specification) -> dict[str, Any]:
    """The coordinates of a result's dims, those of the grid apart."""
    coords: dict[str, Any] = {"step": np.asarray(asked.record, dtype=np.int64), "order": np.array(ORDERS)}
    if asked.trajectories or any(sample in COORDINATES for sample in samples_of(asked.observables)):
        coords["coordinate"] = np.arange(asked.problem.coordinates)
    if asked.lags:
        coords["lag"] = coords["lag_again"] = np.array(asked.lags, dtype=np.int64)
    if asked.quantiles or asked.first_passage:
        coords["probability"] = np.array(asked.quantiles or QUARTILES)
    if asked.trajectories:
        coords["replica"] = np.array(asked.trajectories, dtype=np.int64)
    if asked.groups:
        coords["group"] = np.arange(len(asked.groups))
    return {**coords, **edge_coordinates(asked.histogram)}


def autocovariance_arrays(asked: Specification, of: Node) -> Arrays:
    assert isinstance(of, Moments)
    with np.errstate(all="ignore"):
        value, table = estimates(of, len(asked.lags), asked.replicas)
        error = np.sqrt(np.diagonal(table, axis1=-2, axis2=-1))
    dims = ("step", *group_dim(WEIGHT, asked), "lag")
    return {
        AUTOCOVARIANCE: (dims, value),
        AUTOCOVARIANCE + STANDARD_ERROR: (dims, error),
        AUTOCOVARIANCE + ERROR_COVARIANCE: ((*dims, "lag_again"), table),
    }


def arrays_of_replicas(name: str, values: FloatArray, asked: Specification) -> Arrays:
    """What is made of single replicas' numbers (points, records, replicas, …)."""
    if name == TRAJECTORY:
        return {name: (("replica", "step", "coordinate"), np.swapaxes(values, 1, 2))}
    is_passage = name.endswith(PASSAGE)
    sample = name.removesuffix(PASSAGE if is_passage else VALUES)
    grouped = group_dim(sample, asked)
    # What is made of them is along the replicas, which stand before the groups.
    values = np.moveaxis(values, 2, -1)
    if is_passage:
        return passage_arrays(sample, values[:, 0], asked.quantiles or QUARTILES, grouped)
    return quantile_arrays(sample, values, asked.quantiles, ("step", *grouped))


def dims_of(observable: str, asked: Specification) -> tuple[str, ...]:
    return ("step", "coordinate") if observable in PER_COORDINATE else ("step", *group_dim(observable, asked))


def group_dim(sample: str, asked: Specification) -> tuple[str, ...]:
    """The dim of what is of each group, where there are groups."""
    return ("group",) if asked.groups and sample in (*GROUPED, WEIGHT) else ()


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
