"""The incomplete gamma function of the numeric forms, and its lemma."""

import mpmath
import pytest
import sympy as sp

from ematheory.derivations.assumptions import Assumptions
from ematheory.derivations.evaluation import DIGITS, evaluate
from ematheory.derivations.incomplete_gamma import GAMMA_OF_THREE_HALVES, gammainc
from ematheory.derivations.lemmas import apply
from ematheory.derivations.numeric import NumericFunction

z = sp.Symbol("z", positive=True)
P = gammainc(sp.Rational(3, 2), z)


@pytest.mark.parametrize("value", [1e-9, 0.3, 2.0, 40.0, 1e4])
def test_it_keeps_its_digits(value):
    assert NumericFunction("P", P, {z: "z"}).relative_error(z=value)[0] < 1e-13


@pytest.mark.parametrize("value", [0.25, 2, 30])
def test_it_is_its_integral_and_its_lemma_holds(value):
    plain = apply((GAMMA_OF_THREE_HALVES,), P, Assumptions())
    with mpmath.workdps(DIGITS):
        exact = evaluate(P, {z: value})
        end = mpmath.sqrt(value)
        integral = mpmath.quad(lambda u: 2 * u**2 * mpmath.exp(-(u**2)), [0, end])
        assert abs(integral / mpmath.gamma(1.5) - exact) < 1e-30
        assert abs(evaluate(plain, {z: value}) - exact) < 1e-50


def test_its_derivative_is_that_of_the_lemma():
    plain = apply((GAMMA_OF_THREE_HALVES,), P, Assumptions())
    assert sp.simplify(P.diff(z) - plain.diff(z)) == 0
