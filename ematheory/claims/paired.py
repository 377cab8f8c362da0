"""Numbers of single replicas as comparisons: differences between points that share their noise are far less noisy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .evidence import Fails, Sampled
from .verdict import critical_value


def averaged(what: str, values: xr.DataArray, predicted: Any, *, resolution: Any, allowance: Any = 0.0) -> Sampled:
    """The mean over the dim `replica` with its standard error, against its prediction; dims are matched by name."""
    mean = values.mean("replica", skipna=False)

    def placed(given: Any) -> Any:
        return xr.DataArray(given).broadcast_like(mean).transpose(*mean.dims).values

    return Sampled(
        what, mean.values, placed(predicted), standard_error(values).values, values.sizes["replica"],
        placed(resolution), placed(allowance),
    )  # fmt: skip


def exceeds(what: str, difference: xr.DataArray) -> Fails:
    """That a difference is above 0 everywhere, `what` being the contrary: the least in standard errors must say so."""
    n = difference.sizes["replica"]
    scores = (difference.mean("replica", skipna=False) / standard_error(difference)).values
    reason = "in standard errors, against simultaneous intervals"
    return Fails(what, float(scores.min()), critical_value(scores.size, n - 1), n, reason)


def standard_error(values: xr.DataArray) -> xr.DataArray:
    """Of the mean over the dim `replica`; as the mean is, NaN where a replica is: one that diverged is not left out."""
    return xr.DataArray(values.std("replica", ddof=1, skipna=False) / np.sqrt(values.sizes["replica"]))


def over_vectors(what: str, values: Any, predicted: Any, *, resolution: Any, allowance: Any = 0.0) -> Sampled:
    """The means of arrays (…, vectors) over their last axis, against predictions of shape (…)."""
    values = np.asarray(values)
    n = values.shape[-1]
    return Sampled(what, values.mean(-1), predicted, values.std(-1, ddof=1) / np.sqrt(n), n, resolution, allowance)
