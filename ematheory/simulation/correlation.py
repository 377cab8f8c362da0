"""The verb `autocorrelation_timescale`: how many steps the weights remember, from their autocovariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import least_squares
from scipy.special import ndtri

from ..records import Interval, check_values
from ..typing import FloatArray
from .autocovariance import AUTOCOVARIANCE, ERROR_COVARIANCE

FOUND = ("timescale_steps", "timescale_steps_low", "timescale_steps_high", "largest_residual")


def autocorrelation_timescale(result: xr.Dataset, level: float = 0.95) -> xr.Dataset:
    """The timescale τ of C(ℓ) = C₀ e^(−ℓ/τ), fitted to the autocovariances at the lags of a simulation.

    Parameters
    ----------
    result : of `simulate(…, lags=[…])` with two lags or more.
    level : of the interval, in (0, 1).

    Returns
    -------
    Dataset with the result's dims but `lag`: `timescale_steps`, the ends of its interval `timescale_steps_low` and
    `timescale_steps_high` (∞ where the autocovariance may not fall at all), and `largest_residual`, the farthest that a
    lag lies from the fit, in its standard errors: much above 3 says that one exponential is not the shape, as with
    coordinates of several timescales. Lags that reach before step 0 are left out; all is NaN where two are not left.

    Each lag counts by its own standard error, and the interval takes account of the correlations between lags: it needs
    many more replicas than lags. The weights must have settled by the record less the longest lag: e^(−ℓ/τ) is of a
    stationary state.

    Raises
    ------
    ValueError : a result without autocovariances at two lags, a level outside (0, 1).
    TypeError : what is not a Dataset.

    Example
    -------
    >>> import ematheory as em
    >>> walk, optimizer = em.RandomWalk(size=100), em.SGD(lr=0.1, weight_decay=0.5, decay="per_lr")
    >>> seen = em.simulate(walk, optimizer, steps=400, record=[400], lags=[0, 10, 20, 40], replicas=256)
    >>> fit = autocorrelation_timescale(seen)  # the walk's own is −1/ln(1 − 0.05) = 19.5 steps
    >>> bool(fit.timescale_steps_low[0] < 19.5 < fit.timescale_steps_high[0])
    True
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"autocorrelation_timescale needs a Dataset of simulate, got {result!r}")
    check_values("level", level, Interval(0.0, 1.0, closed_low=False))
    if AUTOCOVARIANCE not in result or result.sizes["lag"] < 2:
        raise ValueError(
            "autocorrelation_timescale needs autocovariances at two lags or more; use simulate(…, lags=[…])"
        )
    fitted = xr.apply_ufunc(
        fit, result[AUTOCOVARIANCE], result[AUTOCOVARIANCE + ERROR_COVARIANCE],
        kwargs={"lags": result.lag.values.astype(np.float64), "width": float(ndtri((1 + level) / 2))},
        input_core_dims=[["lag"], ["lag", "lag_again"]], output_core_dims=[["found"]], vectorize=True,
    )  # fmt: skip
    return xr.Dataset({name: fitted[..., place] for place, name in enumerate(FOUND)})


def fit(values: FloatArray, errors: FloatArray, lags: FloatArray, width: float) -> FloatArray:
    """τ, its interval of ± `width` standard errors of 1/τ, and the largest residual, at one place of the result."""
    scale = np.sqrt(np.diagonal(errors))
    known = np.isfinite(values) & np.isfinite(scale) & (scale > 0)
    if known.sum() < 2 or not np.isfinite(errors[np.ix_(known, known)]).all():
        return np.full(len(FOUND), np.nan)
    lags, values, scale = lags[known], values[known], scale[known]
    # In units of the lags' span and of the first value, so that both parameters are of order 1.
    span, unit = lags[-1] - lags[0], np.abs(values).max()

    def residuals(parameters: Any) -> FloatArray:
        amplitude, rate = parameters
        return np.asarray((unit * amplitude * np.exp(-rate * (lags - lags[0]) / span) - values) / scale)

    solved = least_squares(residuals, [values[0] / unit, 1.0], x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    response = np.linalg.pinv(solved.jac)
    correlations = errors[np.ix_(known, known)] / np.outer(scale, scale)
    error = np.sqrt((response @ correlations @ response.T)[1, 1])
    rate = solved.x[1]
    steps = [span / each if each > 0 else np.inf for each in (rate, rate + width * error, rate - width * error)]
    return np.array([*steps, np.abs(solved.fun).max()])
