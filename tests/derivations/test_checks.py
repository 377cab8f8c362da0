"""Every kind of check passes for a true equation and fails, with a residual, for a false or undecidable one."""

from dataclasses import replace

import pytest
import sympy as sp

from ematheory.derivations.assumptions import Assumptions, between, integer, positive, real
from ematheory.derivations.checks import Antiderivative, Antidifference, Context, Identity, Induction
from ematheory.derivations.equations import Equation
from ematheory.derivations.lemmas import GEOMETRIC_SUM, LOG1P, SUM_LINEARITY, Lemma
from ematheory.derivations.limits import Limit, Removable, Series, Solve
from ematheory.derivations.numeric import quotient

a, b = sp.symbols("a b", positive=True)
x, y, z = sp.symbols("x y z", real=True)
n = sp.Symbol("n", integer=True, nonnegative=True)
i = sp.Symbol("i", integer=True)
f, g = sp.Function("f"), sp.Function("g")
GIVEN = Assumptions((between(a, 0, 1), between(b, 0, 1), integer(n), real(f), real(g)), ())
STEP = {"recurrence": Equation(f(n + 1), a * f(n) + 1), "twin": Equation(g(n + 1), f(n) - g(n))}
CONTEXT = Context(GIVEN, {z: x + y}, STEP)

recursion = Induction(variable=n, recurrence=("recurrence",), initial={f(0): 0})
pair = Induction(variable=n, recurrence=("recurrence", "twin"), initial={f(0): 1 / (1 - a), g(0): 1 / (2 - 2 * a)})
squares = sp.Sum(i**2, (i, 1, n))
geometric = sp.Sum(i * a**i, (i, 0, n))
certificate = a**i * (i / (a - 1) - a / (a - 1) ** 2)
removable = (a ** (n + 1) - b ** (n + 1)) / (a - b)

TRUE = {
    "identity": (Identity(), Equation(z**2, x**2 + 2 * x * y + y**2)),
    "identity of tuples": (Identity(), Equation(sp.Tuple(z, x), sp.Tuple(x + y, x))),
    "earlier step": (Identity(uses=("recurrence",)), Equation(f(n + 1) - 1, a * f(n))),
    "lemma": (Identity(lemmas=(GEOMETRIC_SUM,)), Equation(sp.Sum(a**i, (i, 0, n)), (1 - a ** (n + 1)) / (1 - a))),
    "induction on a sequence": (recursion, Equation(f(n), (1 - a**n) / (1 - a))),
    "induction on two": (pair, Equation(sp.Tuple(f(n), g(n)), sp.Tuple(1 / (1 - a), 1 / (2 - 2 * a)))),
    "induction on a sum": (Induction(variable=n), Equation(squares, n * (n + 1) * (2 * n + 1) / 6)),
    "induction on a product": (
        Induction(variable=n, multiplier=1 - f(n + 1), lemmas=(SUM_LINEARITY,)),
        Equation(
            sp.Product(1 - f(i), (i, 1, n))
            + sp.Sum(
                f(i) * sp.Product(1 - f(sp.Symbol("j", integer=True)), (sp.Symbol("j", integer=True), i + 1, n)),
                (i, 1, n),
            ),
            1,
        ),
    ),
    "telescoping": (
        Antidifference(certificate=certificate),
        Equation(geometric, certificate.subs(i, n + 1) + a / (a - 1) ** 2),
    ),
    "integral": (Antiderivative(certificate=sp.sin(x)), Equation(sp.Integral(sp.cos(x), (x, 0, y)), sp.sin(y))),
    "limit by decay": (
        Limit(variable=n, decaying=(a,)),
        Equation((1 - n * a**n) / (2 + a ** (2 * n)), sp.Rational(1, 2)),
    ),
    "limit by sympy": (Limit(variable=n), Equation((2 * n + a) / (n + 1), 2)),
    "limit at a point": (Limit(variable=x, to=0), Equation(sp.sin(x) / x, 1)),
    "series": (Series(variable=x, order=3), Equation(sp.exp(a * x), 1 + a * x + a**2 * x**2 / 2)),
    "solution": (Solve(conditions=(Equation(a * x + b, 0),)), Equation(x, -b / a)),
    "solution of a system": (
        Solve(conditions=(Equation(x + a * y, 1), Equation(x - y, 0))),
        Equation(sp.Tuple(x, y), sp.Tuple(1 / (1 + a), 1 / (1 + a))),
    ),
    "root in a domain": (
        Solve(conditions=(Equation(x**2, a**2),), among=positive(x)),
        Equation(x, a),
    ),
    "removable singularity": (
        Removable(variable=a, at=b),
        Equation(removable, quotient(a ** (n + 1) - b ** (n + 1), a - b, (n + 1) * b**n)),
    ),
}
FALSE = {
    "identity": (Identity(), Equation(z**2, x**2 + x * y + y**2)),
    "one of two": (Identity(), Equation(sp.Tuple(z, x), sp.Tuple(x + y, y))),
    "undecided": (Identity(), Equation(sp.sqrt(sp.Symbol('c') ** 2), sp.Symbol('c'))),
    "infinite": (Identity(), Equation(x, sp.oo)),
    "without its lemma": (Identity(), Equation(sp.Sum(a**i, (i, 0, n)), (1 - a ** (n + 1)) / (1 - a))),
    "base": (recursion, Equation(f(n), 1 / (1 - a))),
    "step": (recursion, Equation(f(n), (1 - a ** (2 * n)) / (1 - a))),
    "sum": (Induction(variable=n), Equation(squares, n * (n + 1) * (2 * n + 2) / 6)),
    "no certificate": (Antidifference(certificate=i * a**i), Equation(geometric, n)),
    "backwards": (Antidifference(certificate=i), Equation(sp.Sum(1, (i, n, 0)), 1 - n)),
    "limits of a sum": (Antidifference(certificate=certificate), Equation(geometric, certificate.subs(i, n))),
    "integral": (Antiderivative(certificate=sp.sin(x)), Equation(sp.Integral(sp.cos(x), (x, 0, y)), -sp.sin(y))),
    "across a pole": (Antiderivative(certificate=-1 / x), Equation(sp.Integral(1 / x**2, (x, -1, 1)), -2)),
    "limit": (Limit(variable=n, decaying=(a,)), Equation(1 - a**n, 2)),
    "no decay": (Limit(variable=n, decaying=(1 + a,)), Equation(1 + (1 + a) ** n, 1)),
    "divergent": (Limit(variable=n), Equation(n * a, 0)),
    "series": (Series(variable=x, order=3), Equation(sp.exp(a * x), 1 + a * x + a**2 * x**2)),
    "order": (Series(variable=x, order=4), Equation(sp.exp(x), 1 + x + x**2 / 2)),
    "solution": (Solve(conditions=(Equation(a * x + b, 0),)), Equation(x, b / a)),
    "not unique": (Solve(conditions=(Equation(x - x, 0),)), Equation(x, a)),
    "two roots": (Solve(conditions=(Equation((x - a) * (x - b), 0),), among=between(x, 0, 1)), Equation(x, a)),
    "a root far out": (Solve(conditions=(Equation((x - 1) * (x - 10), 0),), among=positive(x)), Equation(x, 1)),
    "not linear": (Solve(conditions=(Equation(x**2, a**2),)), Equation(x, a)),
    "wrong branch": (
        Removable(variable=a, at=b),
        Equation(removable, quotient(a ** (n + 1) - b ** (n + 1), a - b, n * b**n)),
    ),
    "a branch that applies elsewhere too": (
        Removable(variable=a, at=b),
        Equation(removable, sp.Piecewise(((n + 1) * b**n, sp.Eq((a - b) * (2 * a - b), 0)), (removable, True))),
    ),
    "wrong formula": (
        Removable(variable=a, at=b),
        Equation(removable, quotient(a**n - b**n, a - b, (n + 1) * b**n)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUE)
def test_true_equations_pass(case):
    check, equation = TRUE[case]
    outcome = check.run(equation, CONTEXT)
    assert outcome, outcome
    assert outcome.residual == "0"


@pytest.mark.parametrize("case", FALSE)
def test_false_equations_fail_with_a_residual(case):
    check, equation = FALSE[case]
    outcome = check.run(equation, CONTEXT)
    assert not outcome
    assert outcome.detail
    assert outcome.residual


@pytest.mark.parametrize("case", ["identity", "limit by decay", "series", "root in a domain"])
def test_a_check_without_a_point_that_satisfies_the_assumptions_fails(case):
    check, equation = TRUE[case]
    nothing = replace(GIVEN, relations=(*GIVEN.relations, sp.Gt(a, 2)))
    outcome = check.run(equation, replace(CONTEXT, assumptions=nothing))
    assert not outcome
    assert "satisfies the assumptions" in outcome.detail


def test_a_determinant_that_may_vanish_is_said_so():
    pair = Assumptions((between(a, 0, 1), between(b, 0, 1)))
    check = Solve(conditions=(Equation((a - b) * x, (a - b) * y),))
    assert "not identically zero" in check.run(Equation(x, y), Context(pair)).detail
    check = Solve(conditions=(Equation((a + b) * x, (a + b) * y),))
    assert "never zero" in check.run(Equation(x, y), Context(pair)).detail


def test_a_false_lemma_is_noticed_by_evaluation():
    wrong = Lemma("log1p(x) = x", "false", lambda e, _: LOG1P.rewrite(e, GIVEN).replace(sp.log, lambda y: y - 1))
    outcome = Identity(lemmas=(wrong,)).run(Equation(sp.log(1 + a), a), Context(GIVEN))
    assert not outcome
    assert "differ" in outcome.detail


def test_an_unknown_step_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match=r"'nowhere'.*'recurrence'"):
        Identity(uses=("nowhere",)).run(Equation(x, x), CONTEXT)


def test_circular_definitions_are_refused():
    with pytest.raises(ValueError, match="circle"):
        Identity(where={x: y, y: x}).remainder(x, Context())
