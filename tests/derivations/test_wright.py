"""Wright's ω: its definition to 60 digits, its lemma, and SciPy's function behind the numeric forms."""

import mpmath
import pytest
import sympy as sp

from ematheory.derivations.assumptions import Assumptions
from ematheory.derivations.evaluation import DIGITS, evaluate
from ematheory.derivations.lemmas import apply
from ematheory.derivations.numeric import NumericFunction
from ematheory.derivations.wright import LOG_OMEGA, wrightomega

c = sp.Symbol("c", real=True)


@pytest.mark.parametrize("value", [-50, -1, 0, 1, 2, 700, 10**6, 10**12])
def test_it_solves_its_equation(value):
    with mpmath.workdps(DIGITS):
        omega = evaluate(wrightomega(c), {c: value})
        assert abs(omega + mpmath.log(omega) - value) < mpmath.mpf(10) ** -50 * max(1, abs(value))


def test_the_numeric_form_does_not_overflow():
    function = NumericFunction("omega", wrightomega(c), {c: "c"})
    assert max(function.relative_error(c=value)[0] for value in (-3.0, 1.0, 750.0, 1e9)) < 1e-14


def test_the_lemma_rewrites_only_logarithms_of_omega():
    given = Assumptions()
    assert apply((LOG_OMEGA,), sp.log(wrightomega(c)) + sp.log(c**2 + 1), given) == c - wrightomega(c) + sp.log(
        c**2 + 1
    )
