"""Exact evaluation: sums and products with our conventions, exactness, and what has no value."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from ematheory.derivations.evaluation import EvaluationError, agree, evaluate, holds

i, j, t = sp.symbols("i j t", integer=True)
x, y = sp.symbols("x y")
f = sp.Function("f")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (sp.Sum(i**2, (i, 1, t)), 14),
        (sp.Sum(i, (i, t + 1, t)), 0),
        (sp.Sum(i, (i, t, 1)), 0),  # SymPy's convention would give −2
        (sp.Product(i, (i, t + 1, t)), 1),
        (sp.Sum(sp.Product(j, (j, 1, i)), (i, 1, t)), 9),
        (sp.Sum(x**i, (i, 0, t)), Fraction(15, 8)),
        (f(t + 1) - f(1), 15),
        (sp.Piecewise((1, sp.Eq(x, 0)), (1 / x, True)), 2),
        (sp.Max(x, 2) + sp.sign(-x) + sp.Abs(-x), Fraction(3, 2)),
        (sp.Derivative(x**3, x), Fraction(3, 4)),
    ],
)
def test_values_are_exact(expression, value):
    found = evaluate(expression, {t: 3, x: Fraction(1, 2), f: lambda k: k * k})
    assert isinstance(found, Fraction)
    assert found == value


def test_transcendental_values_have_sixty_digits():
    with mpmath.workdps(60):
        assert agree(evaluate(sp.exp(x) + sp.sqrt(2) + sp.pi, {x: 1}), mpmath.e + mpmath.sqrt(2) + mpmath.pi)
        assert agree(evaluate(sp.Sum(x**i, (i, 0, sp.oo)), {x: Fraction(1, 3)}), mpmath.mpf(3) / 2)
        assert agree(evaluate(sp.Integral(x**2, (x, 0, y)), {y: 3}), 9)


@pytest.mark.parametrize("expression", [1 / x, y, f(1), sp.Limit(x, x, 0), sp.oo, sp.Sum(i, (i, 1, sp.Rational(1, 2)))])
def test_what_has_no_value_raises(expression):
    with pytest.raises(EvaluationError):
        evaluate(expression, {x: 0})


def test_agree_is_exact_for_rationals():
    assert not agree(Fraction(1), Fraction(1) + Fraction(1, 10**60))
    assert not agree(mpmath.mpf(1), mpmath.mpf(1) + mpmath.mpf(10) ** -14)


def test_conditions():
    point = {x: Fraction(1, 2)}
    assert holds(sp.And(x > 0, sp.Or(x > 1, x < 1)), point)
    assert not holds(sp.Not(x > 0), point)
