"""Each lemma alone: it rewrites to something equal at exact points, and leaves alone what it cannot justify."""

import pytest
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ematheory.derivations import (
    fixed_norm,
    heavy_ball_mean,
    lemmas,
    momentum_oscillation,
    noise_response,
    reshuffling,
    schedule_risk,
)
from ematheory.derivations.assumptions import Assumptions, between, integer, positive, real
from ematheory.derivations.evaluation import agree, evaluate

a, b, c, r = sp.symbols("a b c r", positive=True)
y = sp.Symbol("y", real=True)
n, m = sp.symbols("n m", integer=True, nonnegative=True)
i, j, k = sp.symbols("i j k", integer=True)
f = sp.Function("f")
GIVEN = Assumptions(
    (between(a, 0, 1), positive(b), positive(c), positive(r), real(y), real(f), integer(n, 1), integer(k, 1, n)),
    (sp.Ne(r, 1),),
)

REWRITTEN = [
    (lemmas.peel_last(n), sp.Sum(f(i), (i, 1, n + 1))),
    (lemmas.peel_last(n), sp.Sum(f(i), (i, 0, n + 2))),
    (lemmas.peel_last(n), sp.Product(1 - f(j), (j, k, n + 1))),
    (lemmas.peel_last(n), sp.Sum(f(i) * sp.Product(1 - f(j), (j, i + 1, n + 1)), (i, 1, n + 1))),
    (lemmas.peel_last(n), sp.Sum(f(i), (i, n + 1, n))),
    (lemmas.peel_last(n), sp.Sum(f(i), (i, 1, 3))),
    (lemmas.peel_first(k), sp.Product(1 - f(j), (j, k, n))),
    (lemmas.peel_first(k), sp.Sum(f(j), (j, k - 1, n))),
    (lemmas.SUM_LINEARITY, sp.Sum((a + f(i)) * a ** (n - i), (i, 1, n))),
    (lemmas.GEOMETRIC_SUM, sp.Sum(c * a**i, (i, 0, n))),
    (lemmas.GEOMETRIC_SUM, sp.Sum(r ** (2 - i), (i, 1, n))),
    (lemmas.GEOMETRIC_SUM, sp.Sum((1 - a) ** 2 * a ** (2 * i), (i, 0, n - 1))),
    (lemmas.GEOMETRIC_SUM, sp.Sum(a**i, (i, 2, sp.oo))),
    (lemmas.EXP_LOG, sp.exp(y * sp.log(b) + 2 * sp.log(1 - a) - y)),
    (lemmas.LOG_PRODUCT, sp.log(b**3 * c / (1 - a))),
    (lemmas.LOG1P, log1p(-a)),
    (lemmas.EXPM1, expm1(y)),
]
UNJUSTIFIED = [
    (lemmas.peel_last(n), sp.Product(1 - f(j), (j, m, n + 1))),  # m may exceed n + 1
    (lemmas.peel_last(n), sp.Sum(sp.Product(f(j), (j, i + 2, n + 1)), (i, 1, n))),  # empty at i = n
    (lemmas.peel_first(m), sp.Product(1 - f(j), (j, m, n))),
    (lemmas.SUM_LINEARITY, sp.Sum(f(i) + f(i + 1), (i, 1, sp.oo))),  # may not converge apart
    (lemmas.GEOMETRIC_SUM, sp.Sum(b**i, (i, 0, n))),  # b may be 1
    (lemmas.GEOMETRIC_SUM, sp.Sum(r**i, (i, 0, sp.oo))),
    (lemmas.GEOMETRIC_SUM, sp.Sum(i * a**i, (i, 0, n))),
    (lemmas.EXP_LOG, sp.exp(2 * sp.log(y) * c)),
    (lemmas.LOG_PRODUCT, sp.log(b * y)),
]
# Lemmas that a derivation keeps to itself, at points of the domains that it declares.
r_kept, phi = fixed_norm.rate, momentum_oscillation.loss
root_of_momentum = momentum_oscillation.root_of_momentum
APART = Assumptions(
    (between(r_kept, 0, 1), between(momentum_oscillation.rate, 0, 1), between(phi, 0, 1), between(a, 0, 1), positive(b),
     real(y), integer(n, 1))
)  # fmt: skip
REWRITTEN_APART = [
    (fixed_norm.KEPT, 1 + sp.sqrt(1 / (1 - r_kept) ** 2)),
    (heavy_ball_mean.LOG_QUOTIENT, log1p((a - b) / (1 + b))),
    (heavy_ball_mean.LOG_QUOTIENT, log1p(-b / (a - 1))),
    (momentum_oscillation.QUOTIENTS, sp.sqrt(momentum_oscillation.rate + (phi / (1 + root_of_momentum)) ** 2)),
    (momentum_oscillation.ANGLE_SUMS, sp.sin(y + 2 * b) * sp.cos(3 * y - b)),
    (noise_response.SQUARE, sp.sqrt(1 - 2 * a + a**2)),
    (noise_response.SQUARE, sp.sqrt(y**2 + 2 * y * b + b**2)),
    (reshuffling.TANH, sp.tanh(y)),
    (schedule_risk.CONSTANT_SUM, sp.Sum(b, (i, 1, n))),
]
UNJUSTIFIED_APART = [
    (fixed_norm.KEPT, sp.sqrt(1 / (1 - r_kept) ** 2), Assumptions((positive(r_kept),))),
    (noise_response.SQUARE, sp.sqrt(y * b**2 + b**3), APART),
    (schedule_risk.CONSTANT_SUM, sp.Sum(b, (i, 3, n)), APART),  # may run backwards
    (schedule_risk.CONSTANT_SUM, sp.Sum(b * i, (i, 1, n)), APART),
]


def case_name(part):
    """The lemma's name, or the expression: a lemma as a string holds an address, which differs between workers."""
    return part.name if isinstance(part, lemmas.Lemma) else str(part)


@pytest.mark.parametrize(("lemma", "expression"), REWRITTEN, ids=case_name)
def test_a_rewriting_is_an_equality(lemma, expression):
    found = lemma.rewrite(expression, GIVEN)
    assert found != expression
    tried = 0
    for point in GIVEN.points(4):
        assert agree(evaluate(found, point), evaluate(expression, point))
        tried += 1
    assert tried == 4


@pytest.mark.parametrize(("lemma", "expression"), UNJUSTIFIED, ids=case_name)
def test_an_unjustified_use_changes_nothing(lemma, expression):
    assert lemma.rewrite(expression, GIVEN) == expression


def test_constant_factors_of_a_denominator_leave_the_sum():
    """(1 − b)(1 − a^i) is factored even where it arrives multiplied out."""
    term = f(i) / sp.expand((1 - b) * (1 - a**i))
    found = lemmas.SUM_LINEARITY.rewrite(sp.Sum(term, (i, 1, n)), GIVEN)
    assert not any(total.has(b) for total in found.atoms(sp.Sum))


@pytest.mark.parametrize(("lemma", "expression"), REWRITTEN_APART, ids=case_name)
def test_a_derivations_own_rewriting_is_an_equality(lemma, expression):
    found = lemma.rewrite(expression, APART)
    assert found != expression
    points = list(APART.points(4))
    assert len(points) == 4
    assert all(agree(evaluate(found, point), evaluate(expression, point)) for point in points)


@pytest.mark.parametrize(("lemma", "expression", "given"), UNJUSTIFIED_APART, ids=case_name)
def test_a_derivations_own_lemma_leaves_alone_what_it_cannot_justify(lemma, expression, given):
    assert lemma.rewrite(expression, given) == expression
