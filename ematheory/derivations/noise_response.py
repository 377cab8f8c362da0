"""How fast AdamW on a quadratic forgets exogenous noise (E7): the EMA horizon holds in flat directions only."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, namespace, rate, symbolic
from .lemmas import STABLE, Lemma
from .limits import Series, Solve

a, b1, eta, lam, t, w, m, g = x.a, x.beta1, x.eta, x.lam, x.t, x.w_t, x.m_t, x.g_t
pull = sp.Symbol("kappa", positive=True)  # ηh/√v, what the curvature pulls back per step
held = sp.Symbol("sigma", positive=True)  # √v + ε, held constant
h = sp.Symbol("h", positive=True)
noise = sp.Function("n", real=True)
root, gap_of = sp.Symbol("x", real=True), sp.Symbol("x_slow", positive=True)
middle = rate + forget + pull * forget
constant = forget * (rate + pull)
# middle² − 4·constant, without the cancellation of middle² where ηλ and 1 − β₁ are close and the pull is small
spread = (forget - rate - pull * forget) ** 2 - 4 * pull * forget * (1 - forget)
gap = 2 * constant / (middle + sp.sqrt(spread))
CODE = {h: pull * held / eta, a: 1 - rate, b1: 1 - forget, lam: rate / eta}


def root_of_a_square(e: Expression, given: Assumptions) -> Expression:
    """√(y²) = |y|, and |y| by the sign that the assumptions give y."""

    def modulus(inside: Expression) -> Expression:
        return inside if given.is_positive(inside) else -inside if given.is_positive(-inside) else sp.Abs(inside)

    def split(power: Expression) -> Expression:
        factored = sp.factor(power.base)
        return modulus(factored.base) if factored.is_Pow and factored.exp == 2 else power

    return e.replace(lambda y: y.is_Pow and y.exp == sp.Rational(1, 2), split).replace(sp.Abs, modulus)


SQUARE = Lemma("root of a square", "√(y²) = |y|, by the sign of y", root_of_a_square)


def steps() -> tuple[Step, ...]:
    new = symbolic(denominator=held)
    gradient = h * w(t) + noise(t + 1)
    weight, moment = (part.subs(g(t + 1), gradient) for part in (new.weight, new.first_moment))
    matrix = sp.Matrix([[sp.diff(row, state) for state in (w(t), m(t))] for row in (weight, moment)])
    typed = b1 * m(t) + (1 - b1) * gradient
    return (
        Step(
            "update",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(a * w(t) - eta * typed / held, typed)),
            "AdamW's own update on the gradient hw + n, with √v + ε held: linear in w, m and the exogenous noise n",
            Identity(where={w(t + 1): weight, m(t + 1): moment}),
        ),
        Step(
            "poles",
            Equation((root * sp.eye(2) - matrix).det(), root**2 - (a + b1 - (1 - b1) * eta * h / held) * root + a * b1),
            "the response to a noise is a sum of powers of the roots; without curvature these are a and β₁",
            Identity(),
        ),
        Step(
            "gap",
            Equation(gap_of, gap),
            "1 − r of the slow root, where both are real, without cancellation",
            Solve(
                conditions=(Equation(gap_of**2 - middle * gap_of + constant, 0),), among=between(gap_of, 0, middle / 2)
            ),
        ),
        Step(
            "horizon",
            Equation(-1 / sp.log(1 - gap), -1 / log1p(-gap)),
            "the time constant of the response, in steps",
            Identity(lemmas=STABLE),
        ),
        Step(
            "without momentum",
            Equation(gap.subs(forget, 1), rate + pull),
            "with β₁ = 0 the response decays by exactly η(h/√v + λ) a step, not by ηλ",
            Identity(lemmas=(SQUARE,)),
        ),
        Step(
            "flat direction",
            Equation(gap.subs(pull, 0), rate),
            "without curvature the rate is that of the EMA, ηλ, where ηλ < 1 − β₁",
            Identity(lemmas=(SQUARE,)),
        ),
        Step(
            "small rates",
            Equation(gap.subs({pull: pull * root, rate: rate * root}), (rate + pull) * root),
            "with momentum the rate is η(h/√v + λ) to first order",
            Series(variable=root, order=2),
        ),
    )


def slow_pole(point: Point) -> Number:
    """The larger eigenvalue of what AdamW itself does, on the quadratic, to the unit states of weight and moment."""
    eta_now, decay = as_real(point[eta]), as_real(point[rate]) / as_real(point[eta])
    beta1, settled = 1 - as_real(point[forget]), as_real(point[held])
    curvature = as_real(point[pull]) * settled / eta_now
    record = AdamW(lr=1.0).substituted(beta1=beta1, beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    xp = namespace(x.numbers, settled)
    # A step so late that every bias correction is 1 to 60 digits and more.
    time = SymbolicTime(step=as_real(10**9), lr=eta_now, weight_decay=decay)
    c = record.coefficients(xp, time)
    columns = [
        record.update(xp, record.State(*(as_real(v) for v in (*unit, 0))), curvature * unit[0], c)
        for unit in ((1, 0), (0, 1))
    ]
    matrix = mpmath.matrix([[column[row] for column in columns] for row in (0, 1)])
    return max(mpmath.re(value) for value in mpmath.eig(matrix, left=False, right=False))


def noise_response() -> Derivation:
    """E7: the response of AdamW's weight to exogenous noise on a quadratic coordinate."""
    return Derivation(
        name="noise-response",
        title="What AdamW forgets on a quadratic: the EMA horizon holds in flat directions only",
        statement=(
            "With √v + ε held, the response of the weight to exogenous gradient noise on a coordinate of curvature h "
            "decays at the rate η(h/√v + λ) a step, exactly for β₁ = 0 and to first order with momentum: the horizon "
            "1/(ηλ) describes flat directions, h ≪ λ√v, and sharp ones forget faster."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), between(rate, 0, 1), between(forget, 0, 1), between(pull, 0, 1), positive(eta),
                positive(held), real(w), real(m),
            ),
            (sp.Gt(middle**2 - 4 * constant, 0), sp.Lt(rate + pull, 1), sp.Lt(rate, forget)),
        ),
        definitions=CODE,
        steps=steps(),
        results={"response_gap": "gap", "response_steps": "horizon"},
        brute_force={
            "response_gap": lambda point: 1 - slow_pole(point),
            "response_steps": lambda point: -1 / mpmath.log(slow_pole(point)),
        },
        source="THEORY.md, E7",
        arguments={rate: "decay_per_step", pull: "pull_per_step", forget: "one_minus_beta1"},
        corrects=(
            "AdamW's weights as an EMA of the last 1/(ηλ) updates (arXiv 2405.13698) does not say that they remember "
            "gradients so long: the averaged q depend on the weights, and noise in sharp directions is forgotten sooner"
        ),
    )  # fmt: skip


DERIVATIONS = {"noise-response": noise_response}
