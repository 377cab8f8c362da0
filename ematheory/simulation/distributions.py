"""What is asked of single replicas: quantiles over them, when each first reaches a target, and trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..typing import FloatArray

VALUES, QUANTILES, PASSAGE, MISSED = "_values", "_quantiles", "_first_passage", "_missed"
TRAJECTORY = "trajectory"
# The quantiles of a first passage where none are asked for.
QUARTILES = (0.25, 0.5, 0.75)

Arrays = dict[str, tuple[tuple[str, ...], Any]]


def ranked(ordered: FloatArray, shares: FloatArray) -> FloatArray:
    """The least value that at least a share of the replicas does not exceed, from values sorted along the last axis."""
    replicas = ordered.shape[-1]
    # A product such as 0.1·30 may round to just above a whole number.
    place = np.ceil(shares * replicas - 1e-9).astype(np.int64) - 1
    return np.asarray(ordered[..., np.clip(place, 0, replicas - 1)])


def quantiles(values: FloatArray, shares: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Quantiles along the last axis and their standard errors, along a new last axis; NaN ranks above infinity.

    No value is interpolated. The error is half the distance between the quantiles at p ± √(p(1−p)/R) (Woodruff), NaN
    where these are not in (0, 1).

    >>> quantiles(np.array([3.0, 1.0, 2.0, 4.0]), (0.5,))[0].tolist()
    [2.0]
    """
    ordered, p = np.sort(values, axis=-1), np.array(shares)
    width = np.sqrt(p * (1 - p) / values.shape[-1])
    with np.errstate(all="ignore"):
        error = (ranked(ordered, np.minimum(p + width, 1)) - ranked(ordered, np.maximum(p - width, 0))) / 2
    return ranked(ordered, p), np.where((p - width > 0) & (p + width < 1), error, np.nan)


def quantile_arrays(name: str, values: FloatArray, shares: tuple[float, ...], dims: tuple[str, ...]) -> Arrays:
    found, error = quantiles(values, shares)
    return {
        name + QUANTILES: ((*dims, "probability"), found),
        f"{name}{QUANTILES}_sem": ((*dims, "probability"), error),
    }


def first_reached(values: FloatArray, steps: Any, target: float) -> FloatArray:
    """The first of the steps (records) at which a value (records, …) is at or below the target; ∞ where none is."""
    reached = values <= target
    times = np.asarray(steps, dtype=np.float64).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(np.where(reached, times, np.inf).min(axis=0, initial=np.inf))


def passage_arrays(name: str, arrival: FloatArray, shares: tuple[float, ...], dims: tuple[str, ...] = ()) -> Arrays:
    """Of first steps (…, replicas): their mean over the replicas that arrived, quantiles over all, who missed."""
    arrived = np.isfinite(arrival)
    count, replicas = arrived.sum(-1), arrival.shape[-1]
    with np.errstate(all="ignore"):
        mean = np.where(arrived, arrival, 0.0).sum(-1) / count
        square = (np.where(arrived, arrival - mean[..., None], 0.0) ** 2).sum(-1)
        error = np.sqrt(square / (count - 1) / count)
        missed = 1 - count / replicas
        missed_error = np.sqrt(missed * (1 - missed) / np.float64(replicas - 1))
    name += PASSAGE
    return {
        name: (dims, mean),
        f"{name}_sem": (dims, error),
        name + MISSED: (dims, missed),
        f"{name}{MISSED}_sem": (dims, missed_error),
        **quantile_arrays(name, arrival, shares, dims),
    }
