"""The sine's defect z − sin(z), which loses every digit at small z when it is computed as it stands."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy as sp

from .evaluation import TRANSCENDENTAL, Number, as_real
from .lemmas import Lemma

TERMS = 11  # of the series; at |z| = 2 the next one is below 1e-17 of the sum
SMALL = 2.0  # where |z| is below, the series is used


class sine_defect(sp.Function):  # type: ignore[misc]  # printed, and compiled, by this name
    """z − sin(z), z³/6 at small z.

    >>> z = sp.Symbol("z", real=True)
    >>> SINE_DEFECT.rewrite(sine_defect(z).diff(z) - (z - sp.sin(z)).diff(z), None)
    0
    """

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 - sp.cos(self.args[0])


def defect_of(z: Number) -> Number:
    """The value in mpmath, with digits to spare for the cancellation."""
    with mpmath.workdps(3 * mpmath.mp.dps):
        z = as_real(z)
        value = z - mpmath.sin(z)
    return +value


def defect_in_floats(z: Any) -> Any:
    """The value in float64: z³/6·(1 − z²/20·(1 − z²/42·(…))), where little cancels."""
    small = np.abs(z) < SMALL
    near = np.where(small, z, 0.0)
    nested: Any = 1.0
    for n in range(TERMS, 0, -1):
        nested = 1 - near**2 / ((2 * n + 2) * (2 * n + 3)) * nested
    return np.where(small, near * (near**2 / 6) * nested, z - np.sin(z))


SINE_DEFECT = Lemma(
    "sine's defect",
    "sine_defect(z) = z − sin(z), its definition",
    lambda e, _: e.replace(sine_defect, lambda z: sp.expand(z) - sp.sin(sp.expand(z))),
)

TRANSCENDENTAL[sine_defect] = defect_of
