"""Values of expressions at a point: in exact rationals as far as they go, in 60 digits beyond.

Sums and products are added up term by term; with an upper limit below the lower one they are empty (0 and 1). SymPy's
own convention for reversed limits is another one, so its `doit` is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import AppliedUndef, UndefinedFunction

from .equations import Expression

Number: TypeAlias = Any  # int, Fraction, mpmath.mpf or mpmath.mpc
Point: TypeAlias = Mapping[Any, Any]  # Symbol → Number, UndefinedFunction → Callable[..., Number]

DIGITS = 60
LONGEST_EXACT = 4096  # higher powers of rationals are taken in 60 digits
CLOSE = mpmath.mpf(10) ** -40


class EvaluationError(ValueError):
    """An expression has no value at a point."""


TRANSCENDENTAL: dict[Any, Callable[..., Number]] = {
    sp.exp: mpmath.exp,
    sp.log: mpmath.log,
    sp.sin: mpmath.sin,
    sp.cos: mpmath.cos,
    sp.tan: mpmath.tan,
    sp.asin: mpmath.asin,
    sp.acos: mpmath.acos,
    sp.atan: mpmath.atan,
    sp.sinh: mpmath.sinh,
    sp.cosh: mpmath.cosh,
    sp.tanh: mpmath.tanh,
    sp.LambertW: mpmath.lambertw,
    sp.erf: mpmath.erf,
    sp.erf: mpmath.erf,
    log1p: mpmath.log1p,
    expm1: mpmath.expm1,
}
EXACT: dict[Any, Callable[..., Number]] = {
    sp.Abs: abs,
    sp.Max: max,
    sp.Min: min,
    sp.sign: lambda x: Fraction((x > 0) - (x < 0)),
}


def as_real(number: Number) -> Number:
    """An mpmath number from any number."""
    if isinstance(number, Fraction):
        return mpmath.mpf(number.numerator) / number.denominator
    return mpmath.mpmathify(number)


def as_exact(number: Number) -> Number:
    """A Fraction where the number is rational, else an mpmath number."""
    if isinstance(number, sp.Rational):
        return Fraction(int(number.p), int(number.q))
    if isinstance(number, int | float):
        return Fraction(number)
    return number if isinstance(number, Fraction) else mpmath.mpmathify(number)


def matched(x: Number, y: Number) -> tuple[Number, Number]:
    exact = isinstance(x, Fraction) and isinstance(y, Fraction)
    return (x, y) if exact else (as_real(x), as_real(y))


def evaluate(expression: Expression, point: Point) -> Number:
    """The value of `expression` where the symbols and functions take the values in `point`.

    Returns a Fraction when only rational operations occur, else an mpmath number of 60 digits. Raises
    `EvaluationError` for a symbol without a value, a division by zero or an operation that has no value here.

    >>> i, t = sp.symbols("i t")
    >>> evaluate(sp.Sum(i, (i, 1, t)), {t: 4}), evaluate(sp.Sum(i, (i, 1, t)), {t: 0})
    (Fraction(10, 1), Fraction(0, 1))
    """
    with mpmath.workdps(DIGITS):
        try:
            return value_of(sp.sympify(expression), point)
        except ZeroDivisionError:
            raise EvaluationError(f"division by zero in {expression}") from None


def value_of(e: Expression, point: Point) -> Number:
    if e.is_Rational or e.is_Float:
        return Fraction(int(e.p), int(e.q)) if e.is_Rational else as_exact(float(e))
    if e.is_Symbol:
        if e not in point:
            raise EvaluationError(f"no value for {e}")
        return as_exact(point[e])
    for kind, rule in RULES:
        if isinstance(e, kind):
            return rule(e, point)
    return value_of_function(e, point)


def value_of_function(e: Expression, point: Point) -> Number:
    arguments = [value_of(x, point) for x in e.args]
    if e.func in EXACT:
        exact = all(isinstance(x, Fraction) for x in arguments)
        return EXACT[e.func](*(arguments if exact else map(as_real, arguments)))
    if e.func in TRANSCENDENTAL:
        return TRANSCENDENTAL[e.func](*map(as_real, arguments))
    raise EvaluationError(f"{type(e).__name__} has no rule of evaluation: {e}")


def value_of_constant(e: Expression, point: Point) -> Number:
    constants = {sp.pi: mpmath.pi, sp.E: mpmath.e, sp.I: mpmath.mpc(0, 1)}
    if e not in constants:
        raise EvaluationError(f"{e} has no value")
    return +constants[e]


def value_of_add(e: Expression, point: Point) -> Number:
    total: Number = Fraction(0)
    for x in e.args:
        left, right = matched(total, value_of(x, point))
        total = left + right
    return total


def value_of_mul(e: Expression, point: Point) -> Number:
    total: Number = Fraction(1)
    for x in e.args:
        left, right = matched(total, value_of(x, point))
        total = left * right
    return total


def value_of_power(e: Expression, point: Point) -> Number:
    base, exponent = (value_of(x, point) for x in e.args)
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        short = abs(exponent) <= LONGEST_EXACT or base in (0, 1, -1)
        return (base if short else as_real(base)) ** int(exponent)
    if base == 0 and as_real(exponent).real < 0:
        raise ZeroDivisionError
    return mpmath.power(as_real(base), as_real(exponent))


def value_of_series(e: Expression, point: Point) -> Number:
    """A Sum or Product, its outermost limit first."""
    *inner, (index, low, high) = e.limits
    term = e.func(e.function, *inner) if inner else e.function
    if high == sp.oo:
        return infinite_sum(e, term, index, low, point)
    start, stop = value_of(low, point), value_of(high, point)
    if not all(isinstance(x, Fraction) and x.denominator == 1 for x in (start, stop)):
        raise EvaluationError(f"limits of {e} are {start} and {stop}, not whole numbers")
    total: Number = Fraction(0) if isinstance(e, sp.Sum) else Fraction(1)
    for k in range(int(start), int(stop) + 1):
        left, right = matched(total, value_of(term, {**point, index: k}))
        total = left + right if isinstance(e, sp.Sum) else left * right
    return total


def infinite_sum(e: Expression, term: Expression, index: Any, low: Any, point: Point) -> Number:
    if not isinstance(e, sp.Sum):
        raise EvaluationError(f"an infinite product has no rule of evaluation: {e}")
    start = int(value_of(low, point))
    return mpmath.nsum(lambda k: as_real(value_of(term, {**point, index: int(k)})), [start, mpmath.inf])


def value_of_integral(e: Expression, point: Point) -> Number:
    if len(e.limits) != 1 or len(e.limits[0]) != 3:
        raise EvaluationError(f"only a definite integral over one variable has a value: {e}")
    variable, low, high = e.limits[0]
    ends = [as_real(value_of(x, point)) for x in (low, high)]
    return mpmath.quad(lambda x: as_real(value_of(e.function, {**point, variable: x})), ends)


def value_of_derivative(e: Expression, point: Point) -> Number:
    done = e.doit()
    if done.has(sp.Derivative):
        raise EvaluationError(f"the derivative of an unknown function has no value: {e}")
    return value_of(done, point)


def value_of_piecewise(e: Expression, point: Point) -> Number:
    for branch, condition in e.args:
        if holds(condition, point):
            return value_of(branch, point)
    raise EvaluationError(f"no branch of {e} applies")


def value_of_sequence(e: Expression, point: Point) -> Number:
    function: UndefinedFunction = e.func
    if function not in point:
        raise EvaluationError(f"no value for {e}")
    arguments = [value_of(x, point) for x in e.args]
    whole = all(isinstance(x, Fraction) and x.denominator == 1 for x in arguments)
    return as_exact(point[function](*(map(int, arguments) if whole else arguments)))


COMPARISONS: dict[Any, Callable[[Number, Number], bool]] = {
    sp.Eq: lambda x, y: x == y,
    sp.Ne: lambda x, y: x != y,
    sp.Lt: lambda x, y: x < y,
    sp.Le: lambda x, y: x <= y,
    sp.Gt: lambda x, y: x > y,
    sp.Ge: lambda x, y: x >= y,
}


def holds(condition: Expression, point: Point) -> bool:
    """Whether a relation, or a combination of relations, holds at the point."""
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, sp.And):
        return all(holds(x, point) for x in condition.args)
    if isinstance(condition, sp.Or):
        return any(holds(x, point) for x in condition.args)
    if isinstance(condition, sp.Not):
        return not holds(condition.args[0], point)
    with mpmath.workdps(DIGITS):
        x, y = (value_of(side, point) for side in (condition.lhs, condition.rhs))
        return COMPARISONS[condition.func](*matched(x, y))


RULES: tuple[tuple[Any, Callable[[Expression, Point], Number]], ...] = (
    (sp.Add, value_of_add),
    (sp.Mul, value_of_mul),
    (sp.Pow, value_of_power),
    (sp.Sum | sp.Product, value_of_series),
    (sp.Piecewise, value_of_piecewise),
    (AppliedUndef, value_of_sequence),
    (sp.Integral, value_of_integral),
    (sp.Derivative, value_of_derivative),
    (sp.NumberSymbol | type(sp.I), value_of_constant),
)


def agree(x: Number, y: Number) -> bool:
    """Equal: exactly when both are rational, else to 40 digits of the larger, or of 1 where both are less."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x == y
    with mpmath.workdps(DIGITS):
        x, y = as_real(x), as_real(y)
        return bool(abs(x - y) <= CLOSE * max(1, abs(x), abs(y)))
