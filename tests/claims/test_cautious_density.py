"""How far cautious decay's stationary weight is from Gaussian: the allowance of C21, measured on the density itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from ematheory.claims.chen2025.noise import OFF_GAUSSIAN
from ematheory.derivations import derive


def mean_square(rate, cells):
    """E w² at η = 1 of w ← w − u, and (1 − r)w − u where u points along w, by the transition matrix of |w|."""
    edges = np.linspace(0, 10 / np.sqrt(rate), cells + 1)
    places = (edges[1:] + edges[:-1]) / 2
    low, high = edges[:-1, None], edges[1:, None]
    away = ndtr(np.maximum(high - places, 0)) - ndtr(np.maximum(low - places, 0))
    kept = (1 - rate) * places
    # Towards zero, and through it.
    near = ndtr(np.maximum(kept - low, 0)) - ndtr(np.maximum(kept - high, 0))
    beyond = ndtr(kept + high) - ndtr(kept + low)
    chain = away + near + beyond
    chain /= chain.sum(axis=0)
    density = np.full(cells, 1 / cells)
    for _ in range(int(20 / rate)):
        density = chain @ density
    return float(density @ places**2)


@pytest.mark.parametrize("rate", [0.16, 0.08])
def test_the_gaussian_closure_is_off_by_less_than_allowed(rate):
    closure = derive("cautious-random-walk").function("gaussian_rms_ratio")(decay_per_step=rate) ** 2
    off = [closure * 1 / (1 - (1 - rate) ** 2) / mean_square(rate, cells) - 1 for cells in (600, 1200)]
    # The grid's error falls fourfold with half the cell, so what is left of it is a third of the change.
    doubt = abs(off[1] - off[0]) / 3
    assert 0.05 * rate < off[1] - doubt
    assert off[1] + doubt < OFF_GAUSSIAN * rate
