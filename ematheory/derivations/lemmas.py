"""Named lemmas: rewriting rules that a check may use, each stated in words and tested alone.

A lemma rewrites what it can justify from the declared assumptions and leaves the rest as it is; an unjustified use
therefore shows as a residual that does not vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from .assumptions import Assumptions
from .equations import Expression
from .normal_form import factors, normal_form

Bounds = tuple[tuple[Any, Expression, Expression], ...]
WRITE_OUT = 8  # sums of at most this many terms, with numbers for limits, are written out


@dataclass(frozen=True)
class Lemma:
    """A rewriting rule: its name, what it says, and `rewrite(expression, assumptions)`."""

    name: str
    statement: str
    rewrite: Callable[[Expression, Assumptions], Expression]

    def __str__(self) -> str:
        return self.name


def apply(lemmas: Sequence[Lemma], expression: Expression, assumptions: Assumptions) -> Expression:
    """The lemmas in the order given, each once."""
    for lemma in lemmas:
        expression = lemma.rewrite(expression, assumptions)
    return expression


def nonnegative(difference: Expression, bounds: Bounds) -> bool:
    """Whether an integer difference is ≥ 0 for every index within its bounds (linear in each; innermost last)."""
    for index, low, high in reversed(bounds):
        slope = sp.expand(difference).coeff(index, 1)
        if not (slope.is_number and sp.expand(difference - slope * index).has(index) is False):
            return False
        difference = difference.subs(index, high if slope.is_negative else low)
    return bool(sp.expand(difference).is_nonnegative)


def peel(e: Expression, variable: Any, bounds: Bounds, first: bool = False) -> Expression:
    """Split terms off every sum and product, outermost first, until its limit is `variable` (or, `first`, above it)."""
    if not e.has(sp.Sum, sp.Product):
        return e
    if not isinstance(e, sp.Sum | sp.Product):
        return e.func(*(peel(x, variable, bounds, first) for x in e.args))
    term, (index, low, high) = e.function, e.limits[0]
    combine = sp.Add if isinstance(e, sp.Sum) else sp.Mul
    written = written_out(e)
    if written is not e:
        return peel(written, variable, bounds, first)
    excess = sp.expand(variable - low if first else high - variable)
    splits = excess.is_Integer and excess >= (0 if first else 1) and nonnegative(sp.expand(high - low), bounds)
    if not splits:
        return e.func(peel(term, variable, (*bounds, (index, low, high)), first), (index, low, high))
    at, rest = (low, (low + 1, high)) if first else (high, (low, sp.expand(high - 1)))
    parts = (term.subs(index, at), e.func(term, (index, *rest)))
    return combine(*(peel(part, variable, bounds, first) for part in parts))


def written_out(e: Expression) -> Expression:
    """An empty sum or product as 0 or 1, a short one with numbers for limits term by term; else unchanged."""
    term, (index, low, high) = e.function, e.limits[0]
    length = sp.expand(high - low + 1)
    combine = sp.Add if isinstance(e, sp.Sum) else sp.Mul
    if length.is_Integer and length <= 0:
        return combine()
    if length.is_Integer and low.is_Integer and length <= WRITE_OUT:
        return combine(*(term.subs(index, low + k) for k in range(int(length))))
    return e


def declared(assumptions: Assumptions) -> Bounds:
    """The bounds of the integers that the assumptions declare between two ends."""
    return tuple((d.symbol, d.low, d.high) for d in assumptions.domains if d.integer and d.high.is_finite is not False)


def peel_last(variable: Any) -> Lemma:
    """Σ_{i=m}^{n+1} f = Σ_{i=m}^{n} f + f(n+1) for n + 1 ≥ m, and the same for products."""
    return Lemma(
        f"peel the last term at {variable}",
        f"the sum (product) to {variable} + 1 is the sum (product) to {variable} with its last term",
        lambda e, given: peel(e, variable, declared(given)),
    )


def peel_first(variable: Any) -> Lemma:
    """Σ_{i=m}^{n} f = f(m) + Σ_{i=m+1}^{n} f for n ≥ m, until the lower limit is above `variable`; also products."""
    return Lemma(
        f"peel the first term at {variable}",
        f"the sum (product) from {variable} is its first term with the sum (product) from {variable} + 1",
        lambda e, given: peel(e, variable, declared(given), first=True),
    )


def each_sum(e: Expression, rule: Callable[[Expression, Expression, Expression, Expression], Expression]) -> Expression:
    """Every sum rewritten by rule(term, index, low, high), the innermost first."""
    return e.replace(lambda x: isinstance(x, sp.Sum) and len(x.limits) == 1, lambda x: rule(x.function, *x.limits[0]))


def split_sum(term: Expression, index: Any, low: Expression, high: Expression) -> Expression:
    if high == sp.oo:  # splitting an infinite sum would need the convergence of each part
        return sp.Sum(term, (index, low, high))
    total: Expression = sp.Integer(0)
    top, bottom = sp.fraction(normal_form(term))
    bottom = sp.factor(bottom)  # apart, so that its constant factors can be taken out
    for part in sp.Add.make_args(sp.expand(top)):
        constant, rest = (part / bottom).as_independent(index, as_Add=False)
        total += constant * sp.Sum(rest, (index, low, high))
    return total


def geometric(term: Expression, index: Any, low: Expression, high: Expression, given: Assumptions) -> Expression:
    """Σ term where term(i+1)/term(i) does not depend on i and is provably not 1 (of modulus below 1 if infinite)."""
    unchanged = sp.Sum(term, (index, low, high))
    ratio = normal_form(term.subs(index, index + 1) / term)
    if ratio.has(index):
        return unchanged
    start = term.subs(index, low)
    if high == sp.oo:
        converges = given.is_positive(1 - ratio) and given.is_positive(1 + ratio)
        return start / (1 - ratio) if converges else unchanged
    if not (given.is_nonzero(1 - ratio) and sp.expand(high - low + 1).is_nonnegative):
        return unchanged
    return start * (1 - ratio ** sp.expand(high - low + 1)) / (1 - ratio)


def exponential_of_logarithms(e: Expression, given: Assumptions) -> Expression:
    """exp(Σ k log x + r) as Π x^k exp(r) where x > 0."""

    def split(argument: Expression) -> Expression:
        powers: Expression = sp.Integer(1)
        rest: Expression = sp.Integer(0)
        for part in sp.Add.make_args(sp.expand_mul(argument)):
            logs = [x for x in sp.Mul.make_args(part) if isinstance(x, sp.log)]
            if len(logs) == 1 and given.is_positive(logs[0].args[0]):
                powers *= logs[0].args[0] ** (part / logs[0])
            else:
                rest += part
        return powers * sp.exp(rest)

    return e.replace(sp.exp, split)


def logarithm_of_products(e: Expression, given: Assumptions) -> Expression:
    """log(Π x^k) as Σ k log x where every x > 0 and every k is real."""

    def split(argument: Expression) -> Expression:
        found = factors(argument)
        proper = all(given.is_positive(x) and k.is_real for x, k in found)
        return sp.Add(*(k * sp.log(x) for x, k in found)) if proper else sp.log(argument)

    return e.replace(sp.log, split)


def geometric_sums(e: Expression, given: Assumptions) -> Expression:
    return each_sum(e, lambda term, index, low, high: geometric(term, index, low, high, given))


SUM_LINEARITY = Lemma(
    "linearity of a finite sum",
    "constants and terms are taken out of a finite sum",
    lambda e, _: each_sum(e, split_sum),
)
GEOMETRIC_SUM = Lemma(
    "geometric sum",
    "Σ_{i=m}^{n} c r^i = c r^m (1 − r^{n−m+1})/(1 − r) for r ≠ 1, and c r^m/(1 − r) to infinity for |r| < 1",
    geometric_sums,
)
EXP_LOG = Lemma("exp(k log x) = x^k", "exp(k log x) = x^k for x > 0", exponential_of_logarithms)
LOG_PRODUCT = Lemma("log of a product", "log(Π x^k) = Σ k log x for x > 0", logarithm_of_products)
LOG1P = Lemma("log1p", "log1p(x) = log(1 + x)", lambda e, _: e.replace(log1p, lambda x: sp.log(sp.expand(1 + x))))
EXPM1 = Lemma("expm1", "expm1(x) = exp(x) − 1", lambda e, _: e.replace(expm1, lambda x: sp.exp(x) - 1))
STABLE = (LOG1P, EXPM1, EXP_LOG)  # what proves a numerically stable form equal to the plain one
