"""Where a loss is least over a hyperparameter, from runs with seeds: a parabola in its logarithm, and a bootstrap.

Valleys of the loss over λ are flat and runs are noisy, so the best of a grid says little: a parabola is fitted to the
mean over seeds around its lowest point, and seeds are drawn again to see how much its vertex depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..typing import FloatArray
from .seeds import chosen_seed

# Points of the grid on each side of the lowest that the parabola is fitted to, as far as there are so many.
REACH = 2
DRAWS, SEED = 2000, 0


def vertex(logs: FloatArray, losses: FloatArray) -> float:
    """The log at which the parabola through the lowest point and its neighbours is least.

    logs : shape (n,), increasing, n ≥ 3; losses : shape (n,), means over seeds. NaN where the lowest point is at an
    end of the grid, or the parabola has no minimum within the points it is fitted to: then the grid does not show one.
    """
    lowest = int(np.argmin(losses))
    if not 0 < lowest < len(logs) - 1:
        return np.nan
    reach = min(REACH, lowest, len(logs) - 1 - lowest)
    window = slice(lowest - reach, lowest + reach + 1)
    curvature, slope, _ = np.polyfit(logs[window] - logs[lowest], losses[window], 2)
    place = logs[lowest] - slope / (2 * curvature) if curvature > 0 else np.nan
    return float(place) if logs[window][0] <= place <= logs[window][-1] else np.nan


def bootstrapped(
    samples: FloatArray, estimate: Callable[[FloatArray], Any], draws: int = DRAWS
) -> tuple[FloatArray, FloatArray]:
    """An estimate from the mean over seeds, and its standard error when as many seeds are drawn from them again.

    samples : shape (seeds, …); all that a seed gave is drawn together, so that what seeds share cancels in differences.
    estimate : from a mean, of shape (…), to numbers. An estimate that is NaN in any draw has a standard error of NaN.
    """
    source = np.random.default_rng(chosen_seed(SEED))
    chosen = source.integers(0, len(samples), (draws, len(samples)))
    found = np.array([estimate(samples[rows].mean(axis=0)) for rows in chosen], dtype=np.float64)
    estimated = np.asarray(estimate(samples.mean(axis=0)), dtype=np.float64)
    return estimated, np.where(np.isnan(estimated), np.nan, found.std(axis=0, ddof=1))


def slope(logs: FloatArray, values: Any) -> float:
    """The slope of the straight line that fits values, shape (n,), over logs, shape (n,), in least squares."""
    return float(np.polyfit(logs, values, 1)[0])
