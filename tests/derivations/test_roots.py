"""The lemma about roots pulls out what the assumptions allow and nothing else."""

import sympy as sp

from ematheory.derivations.assumptions import Assumptions
from ematheory.derivations.evaluation import agree, evaluate
from ematheory.derivations.roots import ROOT

c = sp.Symbol("c", positive=True)
x, y = sp.symbols("x y", real=True)
GIVEN = Assumptions()


def rewritten(e):
    return ROOT.rewrite(e, GIVEN)


def test_a_positive_factor_leaves_the_root():
    assert rewritten(sp.sqrt(x / c**2 + y / c**2)) == sp.sqrt(x + y) / c


def test_an_even_power_of_a_real_factor_leaves_as_its_modulus():
    assert rewritten(sp.Pow((x**3 + x**2 * y) / c**2, sp.Rational(1, 2))) == sp.Abs(x) * sp.sqrt(x + y) / c


def test_a_factor_of_unknown_sign_stays():
    e = sp.sqrt(x**3 + x**2 * y) * sp.sqrt(x * y)
    assert rewritten(sp.sqrt(x * y)) == sp.sqrt(x * y)
    at = {x: -3, y: -2}
    assert agree(evaluate(rewritten(e), at), evaluate(e, at))


def test_a_cube_root_of_a_square_stays():
    assert rewritten(sp.Pow(x**2 * (1 + y), sp.Rational(1, 3))) == sp.Pow(x**2 * (1 + y), sp.Rational(1, 3))
