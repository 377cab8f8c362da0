"""The incomplete gamma function of the numeric forms, and its lemmas."""

import mpmath
import pytest
import sympy as sp

from ematheory.derivations.assumptions import Assumptions
from ematheory.derivations.evaluation import DIGITS, evaluate
from ematheory.derivations.incomplete_gamma import GAMMA_OF_THREE_HALVES, GAMMA_OF_TWO, gammainc
from ematheory.derivations.lemmas import apply
from ematheory.derivations.numeric import NumericFunction

z = sp.Symbol("z", positive=True)
LEMMAS = ((sp.Rational(3, 2), GAMMA_OF_THREE_HALVES), (sp.Integer(2), GAMMA_OF_TWO))
by_lemma = pytest.mark.parametrize(("order", "lemma"), LEMMAS, ids=("three halves", "two"))


@by_lemma
@pytest.mark.parametrize("value", [1e-9, 0.3, 2.0, 40.0, 1e4])
def test_it_keeps_its_digits(value, order, lemma):
    assert NumericFunction("P", gammainc(order, z), {z: "z"}).relative_error(z=value)[0] < 1e-13


@by_lemma
@pytest.mark.parametrize("value", [0.25, 2, 30])
def test_it_is_its_integral_and_its_lemma_holds(value, order, lemma):
    P = gammainc(order, z)
    plain = apply((lemma,), P, Assumptions())
    assert not plain.has(gammainc)
    with mpmath.workdps(DIGITS):
        exact = evaluate(P, {z: value})
        integral = mpmath.quad(lambda u: 2 * u ** (2 * float(order) - 1) * mpmath.exp(-(u**2)), [0, mpmath.sqrt(value)])
        assert abs(integral / mpmath.gamma(float(order)) - exact) < 1e-30
        assert abs(evaluate(plain, {z: value}) - exact) < 1e-50


@by_lemma
def test_its_derivative_is_that_of_the_lemma(order, lemma):
    P = gammainc(order, z)
    plain = apply((lemma,), P, Assumptions())
    assert sp.simplify(P.diff(z) - plain.diff(z)) == 0


@by_lemma
def test_a_lemma_leaves_other_orders_alone(order, lemma):
    assert lemma.rewrite(gammainc(order + 1, z), Assumptions()) == gammainc(order + 1, z)
