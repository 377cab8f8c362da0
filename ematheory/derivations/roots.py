"""A lemma about roots: positive factors, and even powers of real ones, come out of a fractional power."""

from __future__ import annotations

import sympy as sp

from .assumptions import Assumptions
from .equations import Expression
from .lemmas import Lemma


def fractional(e: Expression) -> bool:
    return bool(e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer)


def out_of_roots(e: Expression, given: Assumptions) -> Expression:
    """(f^k y)^p as f^(kp) y^p where kp is an integer and f > 0, or as |f|^(kp) y^p for real f and even k."""

    def split(power: Expression) -> Expression:
        square: Expression = sp.Integer(1)
        outside: Expression = sp.Integer(1)
        for factor, count in (part.as_base_exp() for part in sp.Mul.make_args(sp.factor(power.base))):
            whole = count.is_Integer and (count * power.exp).is_Integer
            even = whole and factor.is_real and count % 2 == 0
            if whole and (even or given.is_positive(factor)):
                square *= factor**count
                outside *= (factor if given.is_positive(factor) else sp.Abs(factor)) ** (count * power.exp)
        return power if square == 1 else outside * sp.cancel(power.base / square) ** power.exp

    return e.replace(fractional, split)


ROOT = Lemma("out of a root", "(f^k y)^p = f^(kp) y^p for f > 0, and |f|^(kp) y^p for real f and even k", out_of_roots)
