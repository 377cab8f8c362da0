"""The verb `combine`: two simulations of adjacent replica ranges as one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from ..comparison import SUFFIXES, check_same_grid
from ..results import RUN, run_attribute, without_run
from .autocovariance import AUTOCOVARIANCE
from .distributions import PASSAGE, QUANTILES, TRAJECTORY
from .histograms import HISTOGRAM, OUTSIDE
from .interruption import INTERRUPTED
from .reductions import joined
from .statistics import CENTRAL_SUMS, STANDARD_ERROR, moments_in, variables

REPLICAS = ("replicas_start", "replicas_stop")


def combine(x: xr.Dataset, y: xr.Dataset) -> xr.Dataset:
    """One result from two of the same simulation over adjacent ranges of replicas, in either order.

    Equal in every bit to the single call when the cut is at the root of the tree over replicas (0–128 and 128–256);
    to 1e-12 otherwise.

    Raises
    ------
    ValueError : settings, observables or grids that differ (it says which), ranges that are not adjacent, a Dataset
        that `simulate` did not make.
    TypeError : what is not a Dataset.

    Source: DESIGN.md §3, the Reductions contract.

    Example
    -------
    >>> import ematheory as em
    >>> problem, optimizer = em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.1)
    >>> first, rest = (em.simulate(problem, optimizer, steps=5, replicas=r, backend="reference")
    ...                for r in (range(64), range(64, 128)))
    >>> combine(first, rest).attrs["replicas_stop"]
    128
    """
    (first, second), (before, after) = in_order(x, y)
    check_joinable(first, second)
    check_same_settings(first, second)
    check_same_grid(first, second, ("first", "second"))
    names = sorted(map(str, first.data_vars))
    if names != sorted(map(str, second.data_vars)):
        raise ValueError(f"combine: the results hold different observables: {names} and {sorted(map(str, second))}")
    with np.errstate(all="ignore"):
        theirs = moments_in(second, after)
        moments = {sample: joined(mine, theirs[sample]) for sample, mine in moments_in(first, before).items()}
    values: dict[str, Any] = {name: first[name].values + second[name].values for name in names if is_count(name)}
    observables = tuple(name for name in names if not (name.endswith(SUFFIXES) or is_count(name)))
    for name, (value, error) in variables(observables, moments).items():
        values[name], values[name + STANDARD_ERROR] = value, error
    for sample, of in moments.items():
        values[sample + CENTRAL_SUMS] = np.moveaxis(of.sums, 0, -1)
    result = first.assign({name: first[name].copy(data=value) for name, value in values.items()})
    ran = run_attribute(combined=[json.loads(part.attrs.get(RUN, "null")) for part in (first, second)])
    return result.assign_attrs({"replicas_stop": after.stop, **ran})


def is_count(name: str) -> bool:
    """Whether a variable is of a histogram, whose counts add up."""
    return name.endswith((HISTOGRAM, OUTSIDE))


def check_joinable(*results: xr.Dataset) -> None:
    """Raise `ValueError` for what is more than means, variances and counts: those of a part say too little."""
    if any(INTERRUPTED in result.attrs for result in results):
        raise ValueError("combine needs whole results, and one of these is of an interrupted run: run it to its end")
    ends = (AUTOCOVARIANCE, QUANTILES, PASSAGE, TRAJECTORY)
    for name in (str(name) for result in results for name in result.data_vars):
        if name.endswith(ends):
            raise ValueError(
                f"combine joins means and variances, and cannot join {name!r}: simulate all replicas in one call, or "
                "drop those variables from both results"
            )


def in_order(x: xr.Dataset, y: xr.Dataset) -> tuple[tuple[xr.Dataset, xr.Dataset], tuple[range, range]]:
    """The two results by replica number, with their ranges. Raises `ValueError` where they are not adjacent."""
    first, second = sorted((x, y), key=lambda result: replicas_of(result).start)
    before, after = replicas_of(first), replicas_of(second)
    if before.stop != after.start:
        raise ValueError(
            f"combine needs adjacent ranges of replicas, got range({before.start}, {before.stop}) "
            f"and range({after.start}, {after.stop})"
        )
    return (first, second), (before, after)


def replicas_of(result: xr.Dataset) -> range:
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"combine needs two Datasets of simulate, got {result!r}")
    if not all(name in result.attrs for name in REPLICAS):
        raise ValueError("combine needs results of simulate; this Dataset does not say which replicas it holds")
    return range(*(int(result.attrs[name]) for name in REPLICAS))


def check_same_settings(x: xr.Dataset, y: xr.Dataset) -> None:
    """Raise `ValueError` naming every setting that differs but the replicas."""
    ours, theirs = without_run(x), without_run(y)
    differing = sorted(name for name in {*ours, *theirs} - set(REPLICAS) if ours.get(name) != theirs.get(name))
    if differing:
        what = "; ".join(f"{name} is {ours.get(name)!r} and {theirs.get(name)!r}" for name in differing)
        raise ValueError(f"combine needs the same settings, but {what}")
