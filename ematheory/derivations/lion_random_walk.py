"""Lion on white gradients (R4): how its signs follow each other, and the mean square of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import islice
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from sympy.codegen.cfunctions import log1p
from sympy.core.function import AppliedUndef

from ..optimizers import Lion
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Antiderivative, Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate
from .lemmas import GEOMETRIC_SUM, STABLE, SUM_LINEARITY, Lemma, each_sum
from .limits import Limit, Series, Solve
from .random_walk import ROOT_OF_PRODUCT

a, eta, lam, b1, b2 = x.a, x.eta, x.lam, x.beta1, x.beta2
t, i, T, w, m, g = x.t, x.i, x.T, x.w_t, x.m_t, x.g_t
forget2 = sp.Symbol("d", positive=True)  # 1 − β₂
lag = sp.Symbol("k", integer=True, positive=True)
total, W = sp.symbols("S W", positive=True)
overlap = sp.Symbol("X", real=True)  # E w_{t−1}u_t at rest
correlated = sp.Symbol("rho_1", positive=True)
sign = sp.Function("s", real=True)  # the sign that Lion takes
r = sp.Function("r", real=True)  # r(k) = E s_t s_{t−k}
V, X = sp.Function("V", nonnegative=True), sp.Function("X", real=True)  # E w_t² and E w_t s_{t+1}
k = sp.Symbol("k", integer=True)  # a lag that is summed over
one, other = sp.symbols("x z", real=True)  # two normal numbers
product_of = sp.Function("P", real=True)  # E sign·sign of two normal numbers, by their correlation
odds = sp.Symbol("o", positive=True)  # ρ/√(1 − ρ²)
far = sp.Symbol("L", positive=True)
SHORTEST, POWERS = 1e-7, 27  # the least 1 − β₂, and the odd powers of the arcsine, of the numeric form
RECORD = Lion(lr=1.0, weight_decay=0.1)
variance = (1 - b1) ** 2 + b1**2 * (1 - b2) / (1 + b2)  # D, of β₁m + (1 − β₁)g over σ²
covariance = (1 - b1) * b1 * (1 - b2) * b2 ** (lag - 1) + b1**2 * (1 - b2) * b2**lag / (1 + b2)
# ρ₁, in 1 − β₁ and 1 − β₂.
first = (
    (1 - forget) * forget2 * (forget * (2 - forget2) + (1 - forget) * (1 - forget2))
    / (forget**2 * (2 - forget2) + (1 - forget) ** 2 * forget2)
)  # fmt: skip
rho = first * (1 - forget2) ** (lag - 1)  # ρ_k
arcsine = 2 / sp.pi * sp.asin(rho)
series = sp.Sum(a**k * arcsine.subs(lag, k), (k, 1, sp.oo))
linear = 1 + 4 * (1 - rate) * correlated / (sp.pi * (rate + forget2 * (1 - rate)))


def forward(term: Expression, index: Expression, low: Expression, high: Expression) -> Expression:
    """Σ f(i) as Σ f(low + high − i) where a sequence in f runs against the index."""
    against = any(call.args[-1].coeff(index) == -1 for call in term.atoms(AppliedUndef))
    return sp.Sum(term.subs(index, low + high - index) if against and high != sp.oo else term, (index, low, high))


FORWARD = Lemma("order of a sum", "Σ_{i=m}^{n} f(i) = Σ_{i=m}^{n} f(m + n − i)", lambda e, _: each_sum(e, forward))


def steps() -> tuple[Step, ...]:
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True))
    given = {b1: 1 - forget, b2: 1 - forget2}
    published = 2 / (sp.pi * variance)
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(w(t + 1), m(t + 1)),
                sp.Tuple(
                    (1 - eta * lam) * w(t) - eta * sp.sign(b1 * m(t) + (1 - b1) * g(t + 1)),
                    b2 * m(t) + (1 - b2) * g(t + 1),
                ),
            ),
            "Lion's own update: the sign of an interpolation with β₁, a memory with β₂",
            Identity(where={w(t + 1): new.weight, m(t + 1): new.first_moment}),
        ),
        Step(
            "memory",
            Equation(m(t + 1), b2 * m(t) + (1 - b2) * g(t + 1)),
            "the second of them",
            Identity(where={m(t + 1): new.first_moment}),
        ),
        Step(
            "unrolled",
            Equation(m(t), (1 - b2) * sp.Sum(b2 ** (t - i) * g(i), (i, 1, t))),
            "by induction from an empty memory",
            Induction(variable=t, recurrence=("memory",), initial={m(0): sp.Integer(0)}, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "variance",
            Equation((1 - b1) ** 2 + b1**2 * (1 - b2) ** 2 * (1 - b2 ** (2 * T)) / (1 - b2**2), variance),
            "of what the sign is taken, over σ²: one new gradient and T old ones, as T → ∞; this is D",
            Limit(variable=T, decaying=(b2,)),
        ),
        Step(
            "covariance",
            Equation(
                (1 - b1) * b1 * (1 - b2) * b2 ** (lag - 1)
                + b1**2 * (1 - b2) ** 2 * b2**lag * (1 - b2 ** (2 * T)) / (1 - b2**2),
                covariance,
            ),
            "with the same k steps before: the gradient that was new there, and the T that were old",
            Limit(variable=T, decaying=(b2,)),
        ),
        Step(
            "correlation",
            Equation((covariance / variance).subs(given), first * (1 - forget2) ** (lag - 1)),
            "ρ_k = cov_k/D falls by β₂ a step from ρ₁",
            Identity(),
        ),
        Step(
            "stable correlation",
            Equation(first * (1 - forget2) ** (lag - 1), first * sp.exp((lag - 1) * log1p(-forget2))),
            "in a form that loses no digits at small 1 − β₂",
            Identity(lemmas=STABLE),
        ),
        *sign_steps(),
        *walk_steps(),
        Step(
            "arcsine, linearised",
            Equation(sp.asin(correlated), correlated + correlated**3 / 6),
            "the arcsine is at first order its argument",
            Series(variable=correlated, order=5),
        ),
        Step(
            "linear sum",
            Equation(
                1 + 2 * (2 / sp.pi) * correlated * a * (1 - (a * b2) ** T) / (1 - a * b2),
                linear.subs(rate, 1 - a).subs(forget2, 1 - b2),
            ),
            "with (2/π)ρ_k for r_k 1 + 2S is a geometric sum, as T → ∞",
            Limit(variable=T, decaying=(a, b2)),
        ),
        Step(
            "published",
            Equation(linear.subs({rate: 0, correlated: first}), (published + 1 - 2 / sp.pi).subs(given)),
            "as ηλ → 0 that is (2/π)/D + 1 − 2/π; the published E w² = η/(πλD) is its first part, and so too small by "
            "a share of order D beside what the arcsine adds",
            Identity(),
        ),
        Step(
            "needs slow decay",
            Equation((linear - 1) / (linear - 1).subs(rate, 0), 1 - rate / forget2),
            "at finite ηλ the sum is smaller by a share of order ηλ/(1 − β₂): that form asks for ηλ ≪ 1 − β₂",
            Series(variable=rate, order=2),
        ),
        *turn_steps(),
    )


def sign_steps() -> tuple[Step, ...]:
    """Sheppard's law: two normal numbers of correlation ρ are y = x and √(1 − ρ²)·(ox + z), z independent of x."""
    density = sp.exp(-(one**2) / 2) / sp.sqrt(2 * sp.pi)
    given = sp.erf(odds * one / sp.sqrt(2))
    slope = 2 / sp.pi / (1 + odds**2)
    by_correlation = 2 / sp.pi / sp.sqrt(1 - correlated**2)
    as_odds = correlated / sp.sqrt(1 - correlated**2)
    whole = sp.Integral(by_correlation.subs(correlated, other), (other, 0, correlated))
    return (
        Step(
            "sign beside a number",
            Equation(sp.Integral(density.subs(one, other), (other, -odds * one, odds * one)), given),
            "of two normal numbers x and ρx + √(1 − ρ²)z, the mean sign of the second given the first: with "
            "o = ρ/√(1 − ρ²), P(z > −ox) − P(z < −ox), which is the chance that z lies between ∓ox",
            Antiderivative(certificate=sp.erf(other / sp.sqrt(2)) / 2),
        ),
        Step(
            "slope",
            Equation(
                sp.Integral(2 * density * sp.diff(given, odds), (one, 0, far)),
                slope * (1 - sp.exp(-(1 + odds**2) * far**2 / 2)),
            ),
            "the mean product of the signs is ∫_0^∞ 2φ(x) times that: its derivative by o, as far as x = L",
            Antiderivative(certificate=-slope * sp.exp(-(1 + odds**2) * one**2 / 2)),
        ),
        Step(
            "whole slope",
            Equation(slope * (1 - sp.exp(-(1 + odds**2) * far**2 / 2)), slope),
            "and over all x",
            Limit(variable=far),
        ),
        Step(
            "slope by the correlation",
            Equation(slope.subs(odds, as_odds) * sp.diff(as_odds, correlated), by_correlation),
            "its derivative by ρ",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "slope, integrated",
            Equation(whole, 2 / sp.pi * sp.asin(correlated)),
            "up to ρ",
            Antiderivative(certificate=2 / sp.pi * sp.asin(other)),
        ),
        Step(
            "arcsine law",
            Equation(product_of(correlated), 2 / sp.pi * sp.asin(correlated)),
            "from 0 at ρ = 0, where the signs are independent: E sign·sign = (2/π) arcsin ρ",
            Identity(uses=("slope, integrated",), where={product_of(correlated): whole}),
        ),
        Step(
            "signs",
            Equation(r(lag), arcsine),
            "so Lion's signs k steps apart have the mean product r_k = (2/π) arcsin ρ_k",
            Identity(uses=("arcsine law",), where={r(lag): product_of(covariance / variance)}),
        ),
    )


def walk_steps() -> tuple[Step, ...]:
    """E w² after t steps from w_0 = 0 on settled signs, and at rest."""
    new = x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True))
    unrolled = -eta * sp.Sum(a ** (t - i) * sign(i), (i, 1, t))
    following = a * w(t) - eta * sign(t + 1)
    # E of a quadratic form in w_t and the next sign, and E Y s_{t+1} of a Y that is linear in the signs.
    means = {(2, 0): V(t), (1, 1): X(t), (0, 2): sp.Integer(1)}
    squared = sp.Add(*(c * means[n] for n, c in sp.Poly(sp.expand(following**2), w(t), sign(t + 1)).terms()))
    beside_next = unrolled.replace(sign, lambda n: r(t + 1 - n))
    back = (1 + a) * (2 * a**t - a ** (2 * t)) / (1 - a)

    def after(term: Expression) -> Expression:
        return eta**2 / (1 - a**2) * (1 - a ** (2 * t) + 2 * sp.Sum((a**k - a ** (2 * t - k)) * term, (k, 1, t)))

    return (
        Step(
            "walk",
            Equation(w(t + 1), following),
            "Lion's own update again: the weight is a walk on its signs",
            Identity(where={w(t + 1): new.weight, sign(t + 1): sp.sign(b1 * m(t) + (1 - b1) * g(t + 1))}),
        ),
        Step(
            "walk, unrolled",
            Equation(w(t), unrolled),
            "by induction from w_0 = 0",
            Induction(variable=t, recurrence=("walk",), initial={w(0): sp.Integer(0)}, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "overlap",
            Equation(X(t), -eta / a * sp.Sum(a**k * r(k), (k, 1, t))),
            "E w_t s_{t+1}, from E s_i s_{t+1} = r_{t+1−i}, summed by k = t + 1 − i",
            Identity(where={X(t): beside_next}, lemmas=(FORWARD, SUM_LINEARITY)),
        ),
        Step(
            "squares",
            Equation(V(t + 1), a**2 * V(t) + 2 * eta**2 * sp.Sum(a**k * r(k), (k, 1, t)) + eta**2),
            "the walk squared and averaged: E s² = 1",
            Identity(uses=("overlap",), where={V(t + 1): squared}),
        ),
        Step(
            "mean square by correlations",
            Equation(V(t), after(r(k))),
            "by induction from w_0 = 0",
            Induction(variable=t, recurrence=("squares",), initial={V(0): sp.Integer(0)}, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "mean square after t steps",
            Equation(V(t), after(arcsine.subs(lag, k))),
            "with the signs' own correlations: E w_t² at any t, exactly",
            Identity(uses=("mean square by correlations", "signs"), lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "remainder",
            Equation(
                a ** (2 * t) + 2 * sp.Sum(a ** (2 * t - k), (k, 1, t)) + 2 * sp.Sum(a**k, (k, t + 1, sp.oo)), back
            ),
            "E w_t² differs from η²/(1 − a²)·[1 + 2Σ_{k≥1} a^k r_k] by η²/(1 − a²) times a^{2t} and the sums of "
            "a^{2t−k}r_k to t and of a^k r_k from t + 1 on; as |r_k| ≤ 1 by no more than with 1 for r_k",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "start forgotten",
            Equation(1 - back, 1),
            "which vanishes as t → ∞",
            Limit(variable=t, decaying=(a,)),
        ),
        Step(
            "mean square",
            Equation(W, eta**2 / (1 - a**2) * (1 + 2 * series)),
            "E w² at rest: what one step leaves as it is, with the overlap of all lags",
            Solve(
                conditions=(Equation(W, squared.subs({V(t): W, X(t): overlap})),),
                where={overlap: -eta / a * sp.Sum(a**k * r(k), (k, 1, sp.oo))},
                uses=("signs",),
            ),
        ),
        Step(
            "mean square, in short",
            Equation(sp.Tuple(W, overlap), sp.Tuple(eta**2 * (1 + 2 * total) / (1 - a**2), -eta * total / a)),
            "with S for Σ_{k≥1} a^k r_k",
            Identity(uses=("mean square",), where={overlap: -eta / a * series, total: series}),
        ),
        *number_steps(),
    )


def number_steps() -> tuple[Step, ...]:
    """S as a number: the first lags as they are, the others, where ρ is at most ½, by the powers of the arcsine."""
    slope = sp.Derivative(sp.asin(correlated), correlated)
    coefficient, following = sp.symbols("c_m c_{m+2}", real=True)  # of ρ^m in arcsin ρ
    power, ratio = sp.Symbol("m", integer=True, positive=True), sp.Symbol("q", positive=True)  # q is β₂^m
    nearest = 1 - first
    apart = forget**2 * (2 - forget2) + (1 - forget) ** 2 * forget2**2 - (1 - forget) * forget * forget2 * (2 - forget2)
    return (
        Step(
            "distance from 1",
            Equation(nearest, apart / (forget**2 * (2 - forget2) + (1 - forget) ** 2 * forget2)),
            "1 − ρ₁ without cancellation, which the arcsine near 1 needs",
            Identity(),
        ),
        Step(
            "arcsine's equation",
            Equation((1 - correlated**2) * sp.Derivative(sp.asin(correlated), (correlated, 2)), correlated * slope),
            "of the arcsine's first two derivatives",
            Identity(),
        ),
        Step(
            "arcsine's coefficients",
            Equation(following, power**2 / ((power + 1) * (power + 2)) * coefficient),
            "by which arcsin ρ = Σ c_m ρ^m over odd m from c_1 = 1: the terms of ρ^m there sum to 0. They fall",
            Solve(
                conditions=(
                    Equation(
                        (power + 2) * (power + 1) * following - power * (power - 1) * coefficient, power * coefficient
                    ),
                )
            ),
        ),
        Step(
            "one power",
            Equation(sp.Sum(a**k * correlated**power * ratio ** (k - 1), (k, 1, sp.oo)),
                     a * correlated**power / (1 - a * ratio)),
            "each power's sum over the lags is geometric: S is (2/π) Σ c_m aρ₁^m/(1 − aβ₂^m), here with q for β₂^m",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "powers left out",
            Equation(sp.Sum(correlated ** (power + 2 * k), (k, 0, sp.oo)), correlated**power / (1 - correlated**2)),
            "what is left out from ρ^m on is at most c_m/(1 − a) times this, as the coefficients fall",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
    )  # fmt: skip


def turn_steps() -> tuple[Step, ...]:
    """The rotation per step, from the same S."""
    product = a * W - eta * overlap  # E w_{t−1}w_t
    exact = 1 - a - total * (1 - a**2) / (a * (1 + 2 * total))
    return (
        Step(
            "turn",
            Equation(1 - product / W, exact),
            "1 − cos of the angle between w and the next w",
            Identity(uses=("mean square, in short",)),
        ),
        Step(
            "turn, without cancellation",
            Equation(exact.subs(a, 1 - rate), rate * (1 - rate - rate * total) / ((1 - rate) * (1 + 2 * total))),
            "in ηλ",
            Identity(),
        ),
        Step(
            "small turn",
            Equation(2 * exact / (1 - a), 2 / (1 + 2 * total)),
            "the square of the rotation is near 2(1 − cos): 2ηλ/(1 + 2S) as ηλ → 0 at a given S",
            Limit(variable=rate, to=0),
        ),
        Step(
            "published rotation",
            Equation(2 / (1 + 2 * total), sp.pi * variance),
            "which with the published 1 + 2S = (2/π)/D is πηλD: the published rotation √(πηλ)·√D, too large by what "
            "makes the published norm too small",
            Identity(where={total: (2 / (sp.pi * variance) - 1) / 2}),
        ),
    )


def run(point: Point, decay: Number, sign_of: Callable[[Number, int], Number]) -> Iterator[Any]:
    """States of Lion's own update at learning rate 1 after one gradient 1, with `sign_of(value, step)` for its sign."""
    record = RECORD.substituted(beta1=1 - as_real(point[forget]), beta2=1 - as_real(point[forget2]))
    time = x.clock(constant=True)._replace(lr=as_real(1), weight_decay=decay)
    c = record.coefficients(x.numbers, time)
    state, step = record.initial(x.numbers, mpmath.mpf(0)), 0
    while True:
        step += 1
        listening = SimpleNamespace(sign=lambda value, step=step: sign_of(value, step))
        state = record.update(listening, state, as_real(int(step == 1)), c)
        yield state


def responses(point: Point) -> list[Number]:
    """What the sign is taken of, at each step after one gradient, in Lion's own update."""
    seen: list[Number] = []

    def listen(value: Number, step: int) -> Number:
        seen.append(value)
        return x.numbers.sign(value)

    for _ in run(point, as_real(0), listen):
        if len(seen) >= 3 and abs(seen[-1]) <= mpmath.mpf(10) ** -55:
            return seen
    raise AssertionError("Lion's update ends only here")


def at_lag(seen: list[Number], gap: int) -> Number:
    return sum(p * q for p, q in zip(seen, seen[gap:], strict=False)) / sum(p * p for p in seen)


def correlation_at(point: Point) -> Number:
    return at_lag(responses(point), int(point[lag]))


def of_signs(correlation: Number) -> Number:
    """E sign·sign of two normal numbers by quadrature: four times the mass of their first quadrant, less 1.

    In polar coordinates the radius integrates out of the joint density.
    """

    def density(angle: Number) -> Number:
        return mpmath.sqrt(1 - correlation**2) / (2 * mpmath.pi * (1 - correlation * mpmath.sin(2 * angle)))

    return 8 * mpmath.quad(density, mpmath.linspace(0, mpmath.pi / 4, 5)) - 1


def sign_product(point: Point) -> Number:
    return of_signs(as_real(point[correlated]))


def left_by_signs(point: Point, steps: int) -> list[Number]:
    """What each sign leaves in the weight after so many of Lion's own updates."""

    def only(chosen: int) -> Callable[[Number, int], Number]:
        return lambda value, step: as_real(int(step == chosen))

    each = (run(point, as_real(point[rate]), only(chosen)) for chosen in range(1, steps + 1))
    return [as_real(point[eta]) * next(islice(states, steps - 1, None)).weight for states in each]


def walked(point: Point) -> Number:
    """E w_t² as the double sum over all pairs of signs."""
    steps, seen = int(point[t]), responses(point)
    pairs = [mpmath.mpf(1), *(of_signs(at_lag(seen, gap)) for gap in range(1, steps))]
    sizes = left_by_signs(point, steps)
    return sum((p * q * pairs[abs(n - o)] for n, p in enumerate(sizes) for o, q in enumerate(sizes)), mpmath.mpf(0))


def settled_square(point: Point) -> Number:
    """E w² at rest by Mehler's series: E sign·sign = Σ_n c_n²ρ^n; each n's sum over the lags is geometric, as ρ_k is.

    c_n = E sign(x)He_n(x)/√n! = 2φ(0)He_{n−1}(0)/√n!.
    """
    seen, keep = responses(point), 1 - as_real(point[rate])
    nearest = at_lag(seen, 1)
    decay = at_lag(seen, 2) / nearest
    # He_{n−1}(0)²/n! for n = 1, 3, 5, …, by He_{n+1}(x) = x He_n(x) − n He_{n−1}(x).
    total, hermite, n = mpmath.mpf(0), mpmath.mpf(1), 1
    while nearest**n > mpmath.mpf(10) ** -50:
        total += 2 / mpmath.pi * hermite * nearest**n * keep / (1 - keep * decay**n)
        hermite *= mpmath.mpf(n) ** 2 / ((n + 1) * (n + 2))
        n += 2
    return as_real(point[eta]) ** 2 * (1 + 2 * total) / (1 - keep**2)


def lion_random_walk() -> Derivation:
    """R4: Lion on pure noise."""
    return Derivation(
        name="lion-random-walk",
        title="Lion on white gradients: the correlation of its signs, and the published norm as a linearisation",
        statement=(
            "On white normal gradients, its memory settled, Lion's E w_t² from w_0 = 0 is η²/(1 − a²)·[1 − a^{2t} + "
            "2Σ_{k≤t} (a^k − a^{2t−k})(2/π) arcsin ρ_k], and at rest η²/(1 − a²)·[1 + 2Σ_{k≥1} a^k (2/π) arcsin ρ_k], "
            "where ρ_k falls by β₂ a step. The published E w² = η/(πλD) takes the arcsine for its argument, ηλ for "
            "small beside 1 − β₂, and drops 1 − 2/π beside (2/π)/D; the published rotation √(πηλD) follows in the same "
            "way."
        ),
        assumptions=Assumptions(
            (
                between(rate, 0, 1), between(forget, 0, 1), between(forget2, 0, 1), positive(eta),
                integer(lag, 1, most=5), integer(T, 1, 6), integer(t, 0, 4), between(correlated, 0, 1), positive(total),
                between(sp.Symbol("q", positive=True), 0, 1),
            )
        ),
        definitions={a: 1 - rate, b1: 1 - forget, b2: 1 - forget2, lam: rate / eta},
        steps=steps(),
        results={
            "mean_square": "mean square", "mean_square_after": "mean square after t steps",
            "sign_product": "arcsine law", "correlation": "stable correlation",
        },
        brute_force={
            "mean_square": settled_square, "mean_square_after": walked, "sign_product": sign_product,
            "correlation": correlation_at,
        },
        source="R4; published form: Kosson et al., arXiv 2305.17212; the arcsine law is Sheppard's",
        arguments={forget: "one_minus_beta1", forget2: "one_minus_beta2", lag: "lag", correlated: "correlation"},
        corrects="the published ‖w‖ = √(ηC/(πλD)) for Lion: it is the linearised sign, and too small",
    )  # fmt: skip


def lion_mean_square(*, lr: float, decay_per_step: float, one_minus_beta1: float, one_minus_beta2: float) -> float:
    """E w² of Lion at rest on white normal gradients, the result "mean_square" of the derivation as a number.

    Raises `ValueError` as `sign_overlap` does.

    >>> round(lion_mean_square(lr=1.0, decay_per_step=1e-4, one_minus_beta1=0.1, one_minus_beta2=0.01), 1)
    227432.5
    """
    found = sign_overlap(decay_per_step, one_minus_beta1, one_minus_beta2)
    return lr**2 * (1 + 2 * found) / (decay_per_step * (2 - decay_per_step))


def lion_rotation(*, decay_per_step: float, one_minus_beta1: float, one_minus_beta2: float) -> float:
    """The angle that Lion turns its weights by each step, there: radians, from the step "turn, without cancellation".

    Raises `ValueError` as `sign_overlap` does.

    >>> round(lion_rotation(decay_per_step=1e-4, one_minus_beta1=0.1, one_minus_beta2=0.01), 6)
    0.002095
    """
    versine = compiled_turn()(decay_per_step, sign_overlap(decay_per_step, one_minus_beta1, one_minus_beta2))
    return 2 * math.asin(math.sqrt(versine / 2))


@lru_cache(64)
def sign_overlap(decay_per_step: float, one_minus_beta1: float, one_minus_beta2: float) -> float:
    """S = Σ_{k≥1} a^k (2/π) arcsin ρ_k of the derivation.

    The first lags, where ρ is above ½, are added up as they are; the others by 27 powers of the arcsine, which leave
    out less than 2⁻⁵⁵ of their sum (step "powers left out"). Raises `ValueError` unless 0 < decay_per_step < 1,
    0 < one_minus_beta1 < 1 and 1e-7 ≤ one_minus_beta2 < 1: there are about 0.7/(1 − β₂) such lags.
    """
    rates = {"decay_per_step": decay_per_step, "one_minus_beta1": one_minus_beta1, "one_minus_beta2": one_minus_beta2}
    for word, value in rates.items():
        least = SHORTEST if word == "one_minus_beta2" else 0.0
        if not (least <= value < 1 and value > 0):
            allowed = f"at least {least:g}" if least else "above 0"
            raise ValueError(f"{word} must be {allowed} and below 1, got {value!r}")
    nearest, apart = (float(form(one_minus_beta1, one_minus_beta2)) for form in compiled())
    log_kept, log_fall = math.log1p(-decay_per_step), math.log1p(-one_minus_beta2)
    count = max(0, math.ceil(math.log(2 * nearest) / -log_fall))
    lags = np.arange(count, dtype=np.float64)
    distances = apart - nearest * np.expm1(lags * log_fall)  # 1 − ρ_k
    signs = 1 - 4 / math.pi * np.arcsin(np.sqrt(distances / 2))  # (2/π) arcsin ρ_k
    found = float(np.sum(np.exp((lags + 1) * log_kept) * signs))
    powers = np.arange(1, 2 * POWERS, 2, dtype=np.float64)
    coefficients = np.cumprod(np.append(1.0, powers[:-1] ** 2 / ((powers[:-1] + 1) * (powers[:-1] + 2))))
    left = np.exp(powers * (math.log(nearest) + count * log_fall)) / -np.expm1(log_kept + powers * log_fall)
    return found + 2 / math.pi * math.exp((count + 1) * log_kept) * float(np.sum(coefficients * left))


@cache
def compiled() -> tuple[Callable[..., Any], ...]:
    """ρ₁ and 1 − ρ₁ in float64, from the derivation."""
    (step,) = (step for step in number_steps() if step.label == "distance from 1")
    return tuple(sp.lambdify([forget, forget2], form) for form in (first, step.equation.rhs))


@cache
def compiled_turn() -> Callable[..., float]:
    """1 − cos of the turn in float64 by ηλ and S."""
    (step,) = (step for step in turn_steps() if step.label == "turn, without cancellation")
    return sp.lambdify([rate, total], step.equation.rhs, modules="math")  # type: ignore[no-any-return]


DERIVATIONS = {"lion-random-walk": lion_random_walk}
