"""AdamW on white gradients (R1): the equilibrium of the weight, its rotation per step and its angle with the update."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Definitions, Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, long_run, rate, run, symbolic
from .lemmas import Lemma
from .limits import Limit, Series, Solve
from .normal_form import factors

a, b1, eta, lam = x.a, x.beta1, x.eta, x.lam
t, w, m, g = x.t, x.w_t, x.m_t, x.g_t
sigma = sp.Symbol("sigma", positive=True)
W_t, C_t, M_t = sp.Function("W", nonnegative=True), sp.Function("C", real=True), sp.Function("M", nonnegative=True)
W, M = sp.symbols("W M", positive=True)
C = sp.Symbol("C", real=True)
root = sp.Symbol("x", real=True)
kept = (1 - rate) * (1 - forget)  # aβ₁
lost = rate + forget * (1 - rate)  # 1 − aβ₁ without cancellation

W_AT_REST = eta**2 * (1 - b1) / (1 + b1) * (1 + a * b1) / ((1 - a**2) * (1 - a * b1))  # E w²


def roots_of_factors(e: Expression, given: Assumptions) -> Expression:
    """(Π y^k)^p as Π y^(kp) where every y > 0, after pairs of negative factors have changed sign."""

    def split(power: Expression) -> Expression:
        parts: list[Expression] = []
        sign = sp.Integer(1)
        for y, k in factors(power.base):
            negative = given.is_positive(-y)
            if not k.is_Integer or not (negative or given.is_positive(y)):
                return power
            sign *= (-1) ** k if negative else 1
            parts.append((-y if negative else y) ** (k * power.exp))
        return sp.Mul(*parts) if sign == 1 else power

    return e.replace(lambda y: y.is_Pow and y.exp.is_Rational and not y.exp.is_Integer, split)


def arccosine_by_half_angle(e: Expression, given: Assumptions) -> Expression:
    """acos c as 2 atan √((1 − c)/(1 + c)) where −1 < c < 1."""

    def split(c: Expression) -> Expression:
        inside = given.is_positive(1 - c) and given.is_positive(1 + c)
        return 2 * sp.atan(sp.sqrt(sp.factor((1 - c) / (1 + c)))) if inside else sp.acos(c)

    return e.replace(sp.acos, split)


ROOT_OF_PRODUCT = Lemma("root of a product", "(Π y^k)^p = Π y^(kp) for y > 0", roots_of_factors)
HALF_ANGLE = Lemma("half angle", "acos c = 2 atan √((1 − c)/(1 + c)) for −1 < c < 1", arccosine_by_half_angle)


def expected(product: Expression) -> Expression:
    """The mean of a quadratic form in w(t), m(t) and g(t+1); that gradient has mean 0, variance σ² and is independent.

    >>> expected((x.w_t(t) + x.g_t(t + 1)) ** 2)
    sigma**2 + W(t)
    """
    means = {
        (2, 0, 0): W_t(t),
        (1, 1, 0): C_t(t),
        (0, 2, 0): M_t(t),
        (0, 0, 2): sigma**2,
        (1, 0, 1): sp.Integer(0),
        (0, 1, 1): sp.Integer(0),
    }
    quadratic = sp.Poly(sp.expand(product), w(t), m(t), g(t + 1))
    return sp.Add(*(coefficient * means[powers] for powers, coefficient in quadratic.terms()))


def recursion(correction: Expression = 1) -> Equation:
    """E m², E wm and E w² after step t + 1, whose update divides m by `correction`."""
    push = eta / sigma / correction
    moment = b1**2 * M_t(t) + (1 - b1) ** 2 * sigma**2
    cross = a * b1 * C_t(t) - push * moment
    square = a**2 * W_t(t) - 2 * a * b1 * push * C_t(t) + push**2 * moment
    return Equation(sp.Tuple(M_t(t + 1), C_t(t + 1), W_t(t + 1)), sp.Tuple(moment, cross, square))


def moment_steps() -> tuple[Step, ...]:
    new = symbolic(denominator=sigma)
    weight, moment = new.weight, new.first_moment
    means: Definitions = {
        M_t(t + 1): expected(moment**2),
        C_t(t + 1): expected(weight * moment),
        W_t(t + 1): expected(weight**2),
    }
    typed = b1 * m(t) + (1 - b1) * g(t + 1)
    return (
        Step(
            "update",
            Equation(sp.Tuple(w(t + 1), m(t + 1)), sp.Tuple(a * w(t) - eta * typed / sigma, typed)),
            "AdamW's own update long after the start, √v + ε held at the gradient's standard deviation σ: two states",
            Identity(where={w(t + 1): weight, m(t + 1): moment}),
        ),
        Step(
            "second moments",
            recursion(),
            "the update squared and averaged: the new gradient has mean 0 and variance σ² and knows nothing of w and m",
            Identity(where=means),
        ),
    )


def stationary_steps() -> tuple[Step, ...]:
    at_rest = {M_t(t): M, C_t(t): C, W_t(t): W, M_t(t + 1): M, C_t(t + 1): C, W_t(t + 1): W}
    one_step = recursion()
    balance = Equation(one_step.lhs.xreplace(at_rest), one_step.rhs.xreplace(at_rest))
    held = (M_t(t), C_t(t), W_t(t))
    matrix = sp.Matrix([[row.diff(state) for state in held] for row in one_step.rhs])
    ratio = (1 - b1) / (1 + b1)
    square = W_AT_REST
    stable = eta * sp.sqrt(forget * (1 + kept) / ((2 - forget) * rate * (2 - rate) * lost))
    return (
        Step(
            "characteristic polynomial",
            Equation((root * sp.eye(3) - matrix).det(), (root - a**2) * (root - a * b1) * (root - b1**2)),
            "the recursion of the second moments has the eigenvalues a², aβ₁ and β₁²",
            Identity(),
        ),
        Step(
            "forgotten",
            Equation(sp.Tuple(1 - a ** (2 * t), 1 - (a * b1) ** t, 1 - b1 ** (2 * t)), sp.Tuple(1, 1, 1)),
            "all three are below 1, so every start is forgotten and the stationary moments are reached",
            Limit(variable=t, decaying=(a, b1)),
        ),
        Step(
            "stationary",
            Equation(sp.Tuple(M, C, W), sp.Tuple(sigma**2 * ratio, -eta * sigma * ratio / (1 - a * b1), square)),
            "the only moments that a step leaves as they are",
            Solve(conditions=(balance,)),
        ),
        Step(
            "weight rms",
            Equation(sp.sqrt(W), stable),
            "the root mean square of the weight, with 1 − a² and 1 − aβ₁ written without cancellation",
            Identity(uses=("stationary",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
    )


def angle_steps() -> tuple[Step, ...]:
    new, overlap, alignment = symbolic(denominator=sigma), sp.Function("X", real=True), sp.Function("Y", real=True)
    turned = (a * W - b1 * eta / sigma * C) / W
    half = sp.sqrt(rate * forget / ((2 - rate) * (2 - forget)))
    against = -sp.sqrt(rate * (2 - rate) / ((1 + kept) * lost))
    return (
        Step(
            "overlap",
            Equation(overlap(t), a * W_t(t) - b1 * eta / sigma * C_t(t)),
            "E w_t w_{t+1}",
            Identity(where={overlap(t): expected(w(t) * new.weight)}),
        ),
        Step(
            "weight cosine",
            Equation(turned, 1 - rate * forget / (1 + kept)),
            "over many coordinates cos∠(w_t, w_{t+1}) is E w_t w_{t+1}/E w² = (a + β₁)/(1 + aβ₁)",
            Identity(uses=("stationary",)),
        ),
        Step(
            "sine",
            Equation(1 - turned**2, (1 - a**2) * (1 - b1**2) / (1 + a * b1) ** 2),
            "sin² of the same angle",
            Identity(uses=("stationary",)),
        ),
        Step(
            "rotation",
            Equation(sp.acos(turned), 2 * sp.atan(half)),
            "the angle itself, by tan²(φ/2) = (1 − cos φ)/(1 + cos φ) = (1 − a)(1 − β₁)/[(1 + a)(1 + β₁)], "
            "which loses no digits at small angles",
            Identity(uses=("stationary",), lemmas=(HALF_ANGLE,)),
        ),
        Step(
            "alignment",
            Equation(alignment(t), b1 * C_t(t) / sigma),
            "E w_t u_{t+1} with u = m/σ: only the old part of m knows the weight",
            Identity(where={alignment(t): expected(w(t) * new.first_moment / sigma)}),
        ),
        Step(
            "update cosine",
            Equation(b1 * C / sqrt_product(W, M), (1 - forget) * against),
            "cos∠(w_{t−1}, u_t) = −β₁√((1 − a²)/[(1 + aβ₁)(1 − aβ₁)]): with momentum the update is not orthogonal",
            Identity(uses=("stationary",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "update cosine after",
            Equation(C / sqrt_product(W, M), against),
            "cos∠(w_t, u_t), with the weight after the step",
            Identity(uses=("stationary",), lemmas=(ROOT_OF_PRODUCT,)),
        ),
    )


def sqrt_product(y: Expression, z: Expression) -> Expression:
    return sp.sqrt(y) * sp.sqrt(z)


def limit_steps() -> tuple[Step, ...]:
    angle = 2 * sp.atan(sp.sqrt(rate * forget / ((2 - rate) * (2 - forget))))
    half = sp.Rational(1, 2)
    return (
        Step(
            "published norm",
            Equation(W / (eta / (2 * lam)), 1 + rate * (half - 2 * b1 / (1 - b1**2))),
            "E w² over the published η/(2λ) is 1 as ηλ → 0; the difference is of order ηλ/(1 − β₁)",
            Series(variable=rate, order=2, uses=("stationary",)),
        ),
        Step(
            "published rotation",
            Equation(
                angle**2 / (2 * rate * (1 - b1) / (1 + b1)), 1 + rate * (half - (1 - b1) / (3 * (1 + b1)))
            ),
            "rotation² over the published 2ηλ(1 − β₁)/(1 + β₁) is 1 as ηλ → 0; the difference is of order ηλ",
            Series(variable=rate, order=2, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        rescaled_step(),
    )  # fmt: skip


def rescaled_step() -> Step:
    """(cη, λ/c) has the same ηλ, on which alone the angles depend; E w² goes as η² at that ηλ."""
    factor = sp.Symbol("c", positive=True)
    first, other = sp.symbols("W_1 W_c", positive=True)
    square = W_AT_REST.subs(a, 1 - eta * lam)
    held = {lam: lam / factor, eta: factor * eta}
    return Step(
        "rescaled",
        Equation(other / first, factor**2),
        "(cη, λ/c) keeps the rotation, which ηλ and β₁ set, and makes the norm c times as large, which goes as √(η/λ)",
        Identity(where={first: square, other: square.subs(held, simultaneous=True)}),
    )


def impulse(point: Point) -> tuple[list[Number], list[Number]]:
    """Weights and moments after one gradient σ = 1 and none after it, over a long run of AdamW itself."""
    states = run(point, lambda k: int(k == 1), long_run(point))[1:]
    return [state.weight for state in states], [state.first_moment for state in states]


def product(left: list[Number], right: list[Number], delay: int = 0) -> Number:
    """E l_t r_{t+delay} for responses l and r to white gradients: the sum over the gradients' ages."""
    return sum(y * z for y, z in zip(left, right[delay:], strict=False))


def cosine_of(left: list[Number], right: list[Number], delay: int = 0) -> Number:
    return product(left, right, delay) / mpmath.sqrt(product(left, left) * product(right, right))


def by_response(compute: Callable[[list[Number], list[Number]], Number]) -> Callable[[Point], Number]:
    return lambda point: as_real(compute(*impulse(point)))


BRUTE_FORCE: dict[str, Callable[[Point], Number]] = {
    "weight_rms": by_response(lambda w, m: mpmath.sqrt(product(w, w))),
    "rotation": by_response(lambda w, m: mpmath.acos(cosine_of(w, w, 1))),
    "update_cosine": by_response(lambda w, m: cosine_of(w, m, 1)),
    "update_cosine_after": by_response(lambda w, m: cosine_of(w, m)),
    "weight_cosine": by_response(lambda w, m: cosine_of(w, w, 1)),
}


def random_walk() -> Derivation:
    """R1: AdamW's equilibrium on pure noise at finite ηλ."""
    return Derivation(
        name="adamw-random-walk",
        title="AdamW on white gradients: the equilibrium at finite ηλ",
        statement=(
            "With √v + ε held at the gradients' standard deviation, weight and moment are a linear two-state system. "
            "Its only stationary second moments give E w² = η²U²(1 + aβ₁)/[(1 − a²)(1 − aβ₁)] with "
            "U² = (1 − β₁)/(1 + β₁), the rotation per step with cos φ = (a + β₁)/(1 + aβ₁), and "
            "cos∠(w_{t−1}, u_t) = −β₁√((1 − a²)/[(1 + aβ₁)(1 − aβ₁)]). A coordinate's root mean square times √C is "
            "the norm of C coordinates."
        ),
        assumptions=Assumptions(
            (integer(t, most=5), between(rate, 0, 1), between(forget, 0, 1), positive(eta), positive(sigma))
        ),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=moment_steps() + stationary_steps() + angle_steps() + limit_steps(),
        results={
            "weight_rms": "weight rms",
            "rotation": "rotation",
            "update_cosine": "update cosine",
            "update_cosine_after": "update cosine after",
            "weight_cosine": "weight cosine",
        },
        brute_force=BRUTE_FORCE,
        source="THEORY.md, R1; the limits: Kosson et al., arXiv 2305.17212, table 1",
        arguments={eta: "lr", rate: "decay_per_step", forget: "one_minus_beta1"},
        corrects=(
            "the published equilibrium ‖w‖ = √(ηC/(2λ)) and rotation √(2ηλ(1 − β₁)/(1 + β₁)) are the limits ηλ → 0: "
            "to first order ‖w‖² is 1 + ηλ(½ − 2β₁/(1 − β₁²)) times and the squared rotation "
            "1 + ηλ(½ − (1 − β₁)/(3(1 + β₁))) times that. Update and weight are not orthogonal unless β₁ = 0"
        ),
    )


DERIVATIONS = {"adamw-random-walk": random_walk}
