"""An equation as data, kept as typed: SymPy's own Eq turns into True or False as soon as it can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy as sp
from sympy.core.function import AppliedUndef

Expression: TypeAlias = Any
# What atoms stand for: a symbol, one value such as f(t + 1), or a whole function f(i, t) of distinct symbols.
Definitions: TypeAlias = Mapping[Expression, Expression]


@dataclass(frozen=True)
class Equation:
    """lhs = rhs; both may be `sympy.Tuple`s of the same length, equal member by member.

    >>> Equation(sp.Symbol("x"), 2).at({sp.Symbol("x"): sp.Symbol("y")})
    Equation(lhs=y, rhs=2)
    """

    lhs: Expression
    rhs: Expression

    def __post_init__(self) -> None:
        object.__setattr__(self, "lhs", sp.sympify(self.lhs))
        object.__setattr__(self, "rhs", sp.sympify(self.rhs))
        tuples = [isinstance(side, sp.Tuple) for side in (self.lhs, self.rhs)]
        if any(tuples) and not (all(tuples) and len(self.lhs) == len(self.rhs)):
            raise ValueError(f"both sides must be tuples of one length, got {self.lhs} = {self.rhs}")

    def pairs(self) -> Iterator[tuple[Expression, Expression]]:
        """The scalar equations, as (lhs, rhs)."""
        if isinstance(self.lhs, sp.Tuple):
            yield from zip(self.lhs, self.rhs, strict=True)
        else:
            yield self.lhs, self.rhs

    def residuals(self) -> Iterator[Expression]:
        """lhs − rhs of each scalar equation."""
        for lhs, rhs in self.pairs():
            yield lhs - rhs

    def at(self, values: Definitions) -> Equation:
        """The equation with symbols replaced, also in the limits of sums and products."""
        return Equation(self.lhs.subs(values, simultaneous=True), self.rhs.subs(values, simultaneous=True))


def as_equation(value: Equation | Expression) -> Equation:
    """An `Equation` from one, from a SymPy Eq, or from a pair."""
    if isinstance(value, Equation):
        return value
    if isinstance(value, sp.Equality):
        return Equation(value.lhs, value.rhs)
    if isinstance(value, tuple) and len(value) == 2:
        return Equation(*value)
    raise TypeError(f"an equation must be an Equation, a sympy.Eq that does not evaluate, or a pair, got {value!r}")


def replaced(expression: Expression, by: Definitions) -> Expression:
    """The expression with symbols replaced as a reader sees it; `doit()` puts in what `at` would.

    Symbols that do not occur are left out, unless none does.

    >>> replaced(sp.Symbol("x") ** 2, {sp.Symbol("x"): sp.Symbol("y"), sp.Symbol("z"): 1})
    Subs(x**2, x, y)
    """
    occurring = {symbol: value for symbol, value in by.items() if expression.has(symbol)} or by
    return sp.Subs(expression, tuple(occurring), tuple(occurring.values()))


def defines_function(key: Expression) -> bool:
    """Whether a definition's key f(i, t) defines f at every argument: its arguments are distinct symbols."""
    return isinstance(key, AppliedUndef) and all(x.is_Symbol for x in key.args) and len(set(key.args)) == len(key.args)


def substitute(expression: Expression, definitions: Definitions) -> Expression:
    """The expression with atoms replaced by what they stand for, until none is left."""
    expression = sp.sympify(expression)
    definitions = {sp.sympify(key): sp.sympify(value) for key, value in definitions.items()}
    for _ in range(len(definitions) + 1):
        before = expression
        pinned = {key: value for key, value in definitions.items() if not defines_function(key)}
        expression = expression.xreplace(pinned)
        for key, value in definitions.items():
            if defines_function(key):
                expression = replace_function(expression, key, value)
        if expression == before:
            return expression
    raise ValueError(f"definitions refer to each other in a circle: {', '.join(map(str, definitions))}")


def replace_function(expression: Expression, key: Expression, value: Expression) -> Expression:
    def replaced(*arguments: Expression) -> Expression:
        return value.subs(dict(zip(key.args, arguments, strict=True)), simultaneous=True)

    return expression.replace(key.func, replaced)
