"""The regularised incomplete gamma function P(a, z), which keeps the digits that erf and exp lose at small z."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from .evaluation import TRANSCENDENTAL, Number
from .lemmas import Lemma


class gammainc(sp.Function):  # type: ignore[misc]  # named as SciPy names it, which is what is called
    """P(a, z) = ∫_0^z u^{a−1} e^{−u} du / Γ(a) for a, z > 0."""

    nargs = 2
    is_real = True

    def fdiff(self, argindex: int = 2) -> Any:
        a, z = self.args
        if argindex != 2:
            raise NotImplementedError("the derivative of P(a, z) in a")
        return z ** (a - 1) * sp.exp(-z) / sp.gamma(a)


def gammainc_of(a: Number, z: Number) -> Number:
    return mpmath.gammainc(a, 0, z, regularized=True)


def by_error_function(e: Any, _: object) -> Any:
    return e.replace(
        lambda p: isinstance(p, gammainc) and p.args[0] == sp.Rational(3, 2),
        lambda p: sp.erf(sp.sqrt(p.args[1])) - 2 * sp.sqrt(p.args[1]) / sp.sqrt(sp.pi) * sp.exp(-p.args[1]),
    )


def by_exponentials(e: Any, _: object) -> Any:
    return e.replace(
        lambda p: isinstance(p, gammainc) and p.args[0] == 2, lambda p: 1 - sp.exp(-p.args[1]) * (1 + p.args[1])
    )


GAMMA_OF_THREE_HALVES = Lemma("P(3/2, z)", "P(3/2, z) = erf(√z) − 2√(z/π) e^{−z}", by_error_function)
GAMMA_OF_TWO = Lemma("P(2, z)", "P(2, z) = 1 − (1 + z)e^{−z}", by_exponentials)

TRANSCENDENTAL[gammainc] = gammainc_of
