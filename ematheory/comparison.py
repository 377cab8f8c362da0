"""The verb `compare`: a measurement against a prediction, on the same grid."""

from __future__ import annotations

import numpy as np
import xarray as xr

# Variables that say something of another one, and are not compared themselves.
SUFFIXES = ("_sem", "_central_sums", "_error_covariance")
# Relative; a difference below it is rounding, which says nothing where the measurement does not vary.
ROUNDING = 1e-12


def compare(measured: xr.Dataset, predicted: xr.Dataset) -> xr.Dataset:
    """Difference, ratio and z-score of every observable that both Datasets hold.

    Parameters
    ----------
    measured, predicted : results of any two of `simulate`, `train` and `predict`, with the same dims and coordinates.

    Returns
    -------
    Dataset with `<name>_difference` = measured − predicted, `<name>_ratio` = measured/predicted (both in the units of
    the observable and of one), and `<name>_z`, the difference over measured's standard error, where it has one.
    z is NaN where that error is 0 and the difference is rounding (at the start of a run), infinite where it is more.

    Raises
    ------
    ValueError : grids that differ (it says where), or no observable in common.
    TypeError : what is not a Dataset.

    Example
    -------
    >>> import ematheory as em
    >>> run = dict(steps=10, backend="reference")
    >>> problem = em.NoisyQuadratic(curvature=1.0)
    >>> few, many = (em.simulate(problem, em.SGD(lr=0.1), replicas=n, **run) for n in (64, 128))
    >>> sorted(compare(few, many))
    ['risk_difference', 'risk_ratio', 'risk_z']
    """
    for called, given in (("measured", measured), ("predicted", predicted)):
        if not isinstance(given, xr.Dataset):
            raise TypeError(f"{called} must be a Dataset of simulate, train or predict, got {given!r}")
    names = [name for name in map(str, measured.data_vars) if name in predicted and not name.endswith(SUFFIXES)]
    if not names:
        raise ValueError(
            f"no observable in common: measured holds {sorted(map(str, measured))}, "
            f"predicted {sorted(map(str, predicted))}"
        )
    check_same_grid(measured[names], predicted[names], ("measured", "predicted"))
    result = xr.Dataset()
    for name in names:
        difference = measured[name] - predicted[name]
        result[f"{name}_difference"] = difference
        with np.errstate(divide="ignore", invalid="ignore"):
            result[f"{name}_ratio"] = measured[name] / predicted[name]
            if f"{name}_sem" in measured:
                sem = measured[f"{name}_sem"]
                rounding = ROUNDING * np.abs(predicted[name])
                result[f"{name}_z"] = (difference / sem).where((sem != 0) | (np.abs(difference) > rounding))
    return result


def check_same_grid(x: xr.Dataset, y: xr.Dataset, called: tuple[str, str]) -> None:
    """Raise `ValueError` saying which dim differs, and where."""
    if set(x.dims) != set(y.dims):
        raise ValueError(
            f"the grids differ: {called[0]} has dims {sorted(map(str, x.dims))}, {called[1]} {sorted(map(str, y.dims))}"
        )
    for dim in map(str, x.dims):
        ours, theirs = x[dim].values, y[dim].values
        if ours.shape != theirs.shape:
            raise ValueError(
                f"the grids differ in {dim!r}: {called[0]} has {ours.size} values, {called[1]} {theirs.size}"
            )
        if not np.array_equal(ours, theirs):
            where = int(np.argmax(ours != theirs))
            raise ValueError(
                f"the grids differ in {dim!r} at position {where}: "
                f"{called[0]} has {ours[where]}, {called[1]} {theirs[where]}"
            )
