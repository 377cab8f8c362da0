"""The hyperbolic shortfall 1 − tanh(z)/z, which loses every digit at small z when it is computed as it stands."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy as sp

from .evaluation import TRANSCENDENTAL, Number, as_real
from .lemmas import Lemma

DEPTH = 10  # terms of the continued fraction; at |z| = 1 the next one is below 1e-25
SMALL = 1.0  # where |z| is below, the continued fraction is used


class tanh_shortfall(sp.Function):  # type: ignore[misc]  # printed, and compiled, by this name
    """1 − tanh(z)/z, z²/3 at small z.

    >>> z = sp.Symbol("z", real=True)
    >>> difference = tanh_shortfall(z).diff(z) - (1 - sp.tanh(z) / z).diff(z)
    >>> sp.expand(TANH_SHORTFALL.rewrite(difference, None))
    0
    """

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        z, ratio = self.args[0], 1 - self
        return ratio / z - (1 - z**2 * ratio**2) / z


def shortfall_of(z: Number) -> Number:
    """The value in mpmath, with digits to spare for the cancellation."""
    with mpmath.workdps(3 * mpmath.mp.dps):
        z = as_real(z)
        value = 1 - mpmath.tanh(z) / z if z else mpmath.mpf(0)
    return +value


def shortfall_in_floats(z: Any) -> Any:
    """The value in float64: F/(1 + F) with Lambert's fraction F = z²/(3 + z²/(5 + …)), where nothing cancels."""
    small = np.abs(z) < SMALL
    square = np.where(small, z, 0.0) ** 2
    fraction: Any = 0.0
    for odd in range(2 * DEPTH + 1, 1, -2):
        fraction = square / (odd + fraction)
    safe = np.where(small, 1.0, z)
    return np.where(small, fraction / (1 + fraction), 1 - np.tanh(safe) / safe)


TANH_SHORTFALL = Lemma(
    "hyperbolic shortfall",
    "tanh_shortfall(z) = 1 − tanh(z)/z, its definition",
    lambda e, _: e.replace(tanh_shortfall, lambda z: 1 - sp.tanh(z) / z),
)

TRANSCENDENTAL[tanh_shortfall] = shortfall_of
