"""What the simulated level of several claims shares: a simulation beside its prediction, as comparisons and curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .evidence import Curve, Sampled

# Two sums over up to 10⁴ weights in different orders; it decides at the start, where nothing is random yet.
ROUNDING = 1e4 * 2.0**-53


def sampled(
    what: str, measured: xr.Dataset, name: str, predicted: Any, *, relative_resolution: float, allowance: Any = 0.0
) -> Sampled:
    """An observable with its standard errors against its prediction, everywhere that it was recorded.

    relative_resolution : the difference that would matter, as a share of the largest prediction along the trajectory.
    """
    values = measured[name]
    expected = xr.DataArray(predicted).broadcast_like(values).transpose(*values.dims)
    largest = abs(expected).max(dim=[dim for dim in ("step", "coordinate") if dim in values.dims])
    return Sampled(
        what,
        values.values,
        expected.values,
        measured[f"{name}_sem"].values,
        replicas(measured),
        (relative_resolution * largest).broadcast_like(values).transpose(*values.dims).values,
        allowance + ROUNDING * np.abs(expected.values),
    )


def replicas(measured: xr.Dataset) -> int:
    return int(measured.attrs["replicas_stop"] - measured.attrs["replicas_start"])


def engine(measured: xr.Dataset) -> str:
    """The instruction set that ran a simulation."""
    return str(json.loads(measured.attrs["run"])["isa"])


def curves(measured: xr.Dataset, name: str, predicted: Any, along: str, labels: Sequence[str]) -> tuple[Curve, ...]:
    """One curve over `step` for each value of the axis `along`."""
    expected = xr.DataArray(predicted).broadcast_like(measured[name])
    return tuple(
        Curve(
            label,
            measured.step.values,
            expected.isel({along: i}).transpose("step").values,
            measured[name].isel({along: i}).values,
            measured[f"{name}_sem"].isel({along: i}).values,
        )
        for i, label in enumerate(labels)
    )
