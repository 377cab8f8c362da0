"""The check by cases: each branch is proved under its own condition, and a wrong one is found."""

import sympy as sp

from ematheory.derivations.assumptions import Assumptions, real
from ematheory.derivations.cases import Cases, Within, settled
from ematheory.derivations.checks import Context, Identity
from ematheory.derivations.equations import Equation

x = sp.Symbol("x", real=True)
NEGATIVE = sp.Lt(x, 0)
CONTEXT = Context(Assumptions((real(x),)))
CHECK = Cases(when=NEGATIVE, yes=Identity(), no=Identity())


def modulus(below, above):
    return sp.Piecewise((below, NEGATIVE), (above, True), evaluate=False)


def test_each_branch_is_compared_with_its_own():
    assert CHECK.run(Equation(modulus(-x, x) ** 2, x**2), CONTEXT)
    assert CHECK.run(Equation(2 * modulus(-x, x), modulus(-2 * x, 2 * x)), CONTEXT)


def test_one_wrong_branch_fails():
    assert not CHECK.run(Equation(2 * modulus(-x, x), modulus(2 * x, 2 * x)), CONTEXT)
    assert not CHECK.run(Equation(2 * modulus(-x, x), modulus(-2 * x, -2 * x)), CONTEXT)


def test_a_condition_that_the_case_does_not_settle_stays_undecided():
    other = sp.Piecewise((x, sp.Lt(x, -1)), (x + 1, True))
    assert not CHECK.run(Equation(other, x), CONTEXT)


def test_definitions_are_settled_too():
    y = sp.Symbol("y", real=True)
    assert CHECK.run(Equation(y**2, x**2), Context(CONTEXT.assumptions, {y: modulus(-x, x)}))


def test_middle_branches():
    e = sp.Piecewise((1, sp.Lt(x, 0)), (2, sp.Gt(x, 1)), (3, True))
    assert settled(e, sp.Lt(x, 0)) == 1
    assert settled(settled(e, sp.Ge(x, 0)), sp.Gt(x, 1)) == 2
    assert settled(settled(e, sp.Ge(x, 0)), sp.Le(x, 1)) == 3


def test_within_a_relation_only_its_branch_counts():
    check = Within(relation=NEGATIVE, check=Identity())
    assert check.run(Equation(modulus(-x, x), -x), CONTEXT)
    assert not check.run(Equation(modulus(-x, x), x), CONTEXT)
