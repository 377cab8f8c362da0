"""What the scaling rules share: exponents solved from invariants that were derived, and one step in place of κ."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from . import exponents
from .checks import Identity
from .derivation import Step
from .equations import Equation, Expression, replaced
from .evaluation import Number, as_real
from .limits import Solve

batch = sp.Symbol("B", positive=True)
kappa = sp.Symbol("kappa", integer=True, positive=True)  # new batch over old
rate = sp.Symbol("r", positive=True)  # ηλ
ALL_SIGNS = (1, -1)


def powers(monomial: Expression) -> exponents.Powers:
    """The exponents of the symbols of a monomial, by name."""
    found = sp.sympify(monomial).as_powers_dict()
    return {symbol.name: Fraction(int(p.p), int(p.q)) for symbol, p in found.items() if symbol.is_Symbol}


def moved(e: Expression, by: Mapping[sp.Symbol, Expression], factor: sp.Symbol, axis: sp.Symbol) -> Expression:
    """The expression with each symbol times the factor to its power, and the axis times the factor."""
    return e.subs(changes(by, factor, axis), simultaneous=True)


def changes(by: Mapping[sp.Symbol, Expression], factor: sp.Symbol, axis: sp.Symbol) -> dict[sp.Symbol, Expression]:
    """What stands for the axis and for each symbol that changes with it."""
    return {symbol: symbol * factor**power for symbol, power in ((axis, 1), *by.items()) if power != 0}


def rule(
    prefix: str,
    kept: Mapping[str, Expression],
    unknowns: tuple[sp.Symbol, ...],
    reason: str,
    axis: sp.Symbol = batch,
) -> tuple[Step, Step]:
    """Steps that solve for exponents with which monomials stay what they are, and that confirm every one of them.

    Raises `ValueError` naming the monomials that clash.
    """
    conditions = {name: powers(monomial) for name, monomial in kept.items()}
    letters = tuple(symbol.name for symbol in unknowns)
    found = exponents.solve(conditions, letters, (axis.name,))
    if not isinstance(found, exponents.Solution):
        raise ValueError(f"no exponents keep all of these: {', '.join(found)}")
    values = {symbol: sp.Rational(found.exponents[symbol.name][axis.name]) for symbol in unknowns}
    names = {symbol: sp.Symbol(f"x_{symbol.name}", real=True) for symbol in unknowns}
    matrix, _ = exponents.system(conditions, tuple(conditions), letters, (axis.name,))
    needed = [monomial for row, monomial in enumerate(kept.values()) if row in matrix.T.rref()[1]]
    scale = sp.Symbol("k", positive=True)
    return (
        Step(
            f"{prefix}exponents",
            Equation(sp.Tuple(*names.values()), sp.Tuple(*values.values())),
            f"the exponents of {', '.join(letters)} in {axis.name} that keep {reason}: ∂ log/∂ log {axis.name} of each "
            "is 0",
            Solve(conditions=tuple(Equation(slope(moved(e, names, scale, axis), scale), 0) for e in needed)),
        ),
        Step(
            f"{prefix}kept",
            Equation(sp.Tuple(*(moved(e, values, scale, axis) for e in kept.values())), sp.Tuple(*kept.values())),
            "and all of them are kept",
            Identity(),
            shown=sp.Tuple(*(replaced(e, changes(values, scale, axis)) for e in kept.values())),
        ),
    )


def slope(monomial: Expression, factor: sp.Symbol) -> Expression:
    """∂ log/∂ log factor."""
    return sp.expand(sp.powsimp(factor * sp.diff(sp.log(monomial), factor)))


def joined(share: Expression) -> Expression:
    """1 − (1 − share)^κ, the share of κ steps in one, in a form that loses no digits."""
    return -expm1(kappa * log1p(-share))


def averaged_noises(count: int) -> list[Number]:
    """The mean of `count` signs, in every one of their 2^count orders."""
    return [as_real(sum(signs)) / count for signs in product(ALL_SIGNS, repeat=count)]
