"""What the simulated level of several claims shares: a simulation beside its prediction, as comparisons and curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..optimizers import AdamW
from ..typing import FloatArray
from .evidence import Curve, Fails, Sampled
from .verdict import critical_value

# An ε beside which √v̂ is nothing, so that √v̂ + ε is constant; rates are scaled by it and updates stay what they were.
LARGE_EPS = 2.0**24


def held(lr: float, weight_decay: Sequence[float], beta1: Any) -> AdamW:
    """AdamW whose update is η m̂ on gradients of variance 1, up to 1/`LARGE_EPS`: its v is held constant at 1."""
    decays = [decay / LARGE_EPS for decay in weight_decay]
    return AdamW(lr=lr * LARGE_EPS, weight_decay=decays, beta1=beta1, eps=LARGE_EPS)


# Two sums over up to 10⁴ weights in different orders; it decides at the start, where nothing is random yet.
ROUNDING = 1e4 * 2.0**-53


def sampled(
    what: str, measured: xr.Dataset, name: str, predicted: Any, *, resolution: Any, allowance: Any = 0.0
) -> Sampled:
    """An observable with its standard errors against its prediction, everywhere that it was recorded.

    `predicted`, `resolution` and `allowance` are numbers or DataArrays; their dims are matched by name.
    """
    values = measured[name]

    def placed(given: Any) -> FloatArray:
        return np.asarray(xr.DataArray(given).broadcast_like(values).transpose(*values.dims))

    expected = placed(predicted)
    return Sampled(
        what,
        values.values,
        expected,
        measured[f"{name}_sem"].values,
        replicas(measured),
        placed(resolution),
        placed(allowance) + ROUNDING * np.abs(expected),
    )


def derived(derivation: str, result: str, **given: Any) -> xr.DataArray:
    """A derivation's numeric form over the dims of what it is given; words that it does not have are left out."""
    from ..derivations import derive

    function = derive(derivation).function(result)
    words = tuple(word for word in given if word in function.words)

    def at(*values: Any) -> Any:
        return function(**dict(zip(words, values, strict=True)))

    found: xr.DataArray = xr.apply_ufunc(at, *(xr.DataArray(given[word]) for word in words))
    return found


def misses(what: str, measured: xr.Dataset, name: str, rival: Any) -> Fails:
    """A control: a rival prediction lies outside of simultaneous intervals everywhere, the nearest included."""
    off = np.abs(measured[name] - rival) / measured[f"{name}_sem"]
    n = replicas(measured)
    reason = "in standard errors, against simultaneous intervals"
    return Fails(what, float(off.min()), critical_value(off.size, n - 1), n, reason)


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


def jackknife(samples: FloatArray, estimate: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """An estimate made from means over replicas, and its standard error from leaving out each replica in turn.

    `samples` has shape (replicas, …); `estimate` takes means of shape (any, …) and gives (any, …) of its own.
    """
    found = estimate(with_each_left_out(samples))
    return found[0], jackknife_error(found)


def with_each_left_out(samples: FloatArray) -> FloatArray:
    """The mean over all replicas, and then those over all but one, shape (1 + replicas, …)."""
    n = len(samples)
    total = samples.sum(axis=0)
    return np.concatenate([total[None] / n, (total - samples) / (n - 1)])


def jackknife_error(estimates: FloatArray) -> FloatArray:
    """The standard error of the first of the estimates that `with_each_left_out` led to."""
    without = estimates[1:]
    return np.asarray(np.sqrt((len(without) - 1) * np.mean((without - without.mean(axis=0)) ** 2, axis=0)))
