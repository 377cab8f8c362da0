"""The normal form decides what it should, and nothing else becomes zero."""

import pytest
import sympy as sp

from ematheory.derivations.normal_form import Undecided, normal_form

a, b = sp.symbols("a b", positive=True)
x, y = sp.symbols("x y")
t = sp.Symbol("t", integer=True)
i, j, k = sp.symbols("i j k", integer=True)
f = sp.Function("f")

ZERO = [
    a ** (t + 2) - a**2 * a**t,
    a ** (t / 2) * a ** (t / 2) - a**t,
    (1 - x) ** t * (1 - x) ** (1 - t) - (1 - x),
    ((1 - x) ** 2) ** t - (x - 1) ** (2 * t),
    (1 - x**2) ** t - (1 - x) ** t * (1 + x) ** t,
    (1 - 2 * x + x**2) ** t - (1 - x) ** (2 * t),
    sp.exp(2 * x + 1) - sp.E * sp.exp(x) ** 2,
    sp.sqrt(1 + sp.sqrt(x)) ** 4 - (1 + x + 2 * sp.sqrt(x)),
    1 / (sp.sqrt(x) - 1) - (sp.sqrt(x) + 1) / (x - 1),
    f((x + 1) ** 2) - f(x**2 + 2 * x + 1),
    sp.Sum(f(i) * (1 + x), (i, 1, t)) - sp.Sum(f(j) + x * f(j), (j, 1, t)),
    sp.Product(1 - f(j), (j, 1, t)) - sp.Product(1 - f(k), (k, 1, t)),
    sp.Derivative(x**2, x) - 2 * x,
    sp.I**2 + 1,
]
NOT_ZERO = [
    a ** (t + 1) - a**t,
    x**t - (-x) ** t,
    sp.sqrt(x**2) - x,
    sp.sqrt(x) + sp.sqrt(x),
    sp.sqrt(x) * sp.sqrt(y) - sp.sqrt(x * y),  # true only for signs that nothing here declares
    sp.exp(x + y) - sp.exp(x) - sp.exp(y),
    f(x) - f(x + 1),
    sp.Sum(f(i), (i, 1, t)) - sp.Sum(f(i), (i, 0, t)),
    sp.Sum(f(i), (i, 1, t)) - sp.Product(f(i), (i, 1, t)),
    (1 - x**2) ** y - (1 - x) ** y * (1 + x) ** y,  # needs an integer exponent
    sp.pi - sp.Rational(22, 7),
]


@pytest.mark.parametrize("expression", ZERO, ids=str)
def test_zero_is_found(expression):
    assert normal_form(expression) == 0


@pytest.mark.parametrize("expression", NOT_ZERO, ids=str)
def test_what_is_not_known_to_be_zero_is_left(expression):
    assert normal_form(expression) != 0


@pytest.mark.parametrize("expression", [sp.oo, x + sp.nan, sp.Float(0.1) * x, sp.Limit(x, x, 0)], ids=str)
def test_undecidable_expressions_raise(expression):
    with pytest.raises(Undecided):
        normal_form(expression)


def test_an_identically_zero_denominator_raises():
    root = sp.sqrt(x + 1)
    with pytest.raises(Undecided):
        normal_form(1 / (root**3 - (x + 1) * root))


def test_infinite_sums_of_one_term_are_one_atom():
    i, j = sp.symbols("i j", integer=True)
    one, same = sp.Sum(x**i * (x + 1), (i, 1, sp.oo)), sp.Sum(x ** (j + 1) + x**j, (j, 1, sp.oo))
    assert normal_form(one - same) == 0
    assert normal_form(one - sp.Sum(x**i * (x + 1), (i, 2, sp.oo))) != 0
