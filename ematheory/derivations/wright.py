"""The Wright ω function, ω + log ω = c: Lambert's W(e^c) without e^c, which overflows from c = 710 on."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from .evaluation import TRANSCENDENTAL, Number, as_real
from .lemmas import Lemma

NEWTON_STEPS = 200  # far more than the few that 60 digits take


class wrightomega(sp.Function):  # type: ignore[misc]  # named as SciPy names it, which is what is called
    """The ω > 0 with ω + log ω = c, for a real c.

    >>> c = sp.Symbol("c", real=True)
    >>> wrightomega(c).diff(c)
    wrightomega(c)/(wrightomega(c) + 1)
    """

    nargs = 1
    is_positive = True
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        return self / (1 + self)


def omega_of(c: Number) -> Number:
    """ω by Newton's method on v + e^v = c for v = log ω, which converges from above for every real c."""
    c = as_real(c)
    v = c if c < 1 else mpmath.log(c)
    for _ in range(NEWTON_STEPS):
        step = (v + mpmath.exp(v) - c) / (1 + mpmath.exp(v))
        v -= step
        if abs(step) <= mpmath.eps * max(1, abs(v)):
            break
    return mpmath.exp(v)


LOG_OMEGA = Lemma(
    "log of Wright's ω",
    "log ω(c) = c − ω(c), the definition of ω",
    lambda e, _: e.replace(
        lambda y: isinstance(y, sp.log) and isinstance(y.args[0], wrightomega), lambda y: y.args[0].args[0] - y.args[0]
    ),
)

TRANSCENDENTAL[wrightomega] = omega_of
