"""Lion on white gradients (R4): how its signs follow each other, and the mean square of the weights."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import Lion
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate
from .lemmas import STABLE, SUM_LINEARITY
from .limits import Limit, Series, Solve

a, eta, lam, b1, b2 = x.a, x.eta, x.lam, x.beta1, x.beta2
t, i, T, w, m, g = x.t, x.i, x.T, x.w_t, x.m_t, x.g_t
forget2 = sp.Symbol("d", positive=True)  # 1 − β₂
lag = sp.Symbol("k", integer=True, positive=True)
total, W = sp.symbols("S W", positive=True)
correlated = sp.Symbol("rho_1", positive=True)
RECORD = Lion(lr=1.0, weight_decay=0.1)
variance = (1 - b1) ** 2 + b1**2 * (1 - b2) / (1 + b2)  # D, of β₁m + (1 − β₁)g over σ²
covariance = (1 - b1) * b1 * (1 - b2) * b2 ** (lag - 1) + b1**2 * (1 - b2) * b2**lag / (1 + b2)
# ρ₁, in 1 − β₁ and 1 − β₂.
first = (
    (1 - forget) * forget2 * (forget * (2 - forget2) + (1 - forget) * (1 - forget2))
    / (forget**2 * (2 - forget2) + (1 - forget) ** 2 * forget2)
)  # fmt: skip
linear = 1 + 4 * (1 - rate) * correlated / (sp.pi * (rate + forget2 * (1 - rate)))


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
        Step(
            "mean square",
            Equation(W, eta**2 * (1 + 2 * total) / (1 - a**2)),
            "E w² at rest from E u² = 1 and E w_{t−1}u_t = −ηS/a, with S = Σ_{k≥1} a^k r_k and r_k the correlation of "
            "the signs k steps apart, which for normal gradients is (2/π) arcsin ρ_k",
            Solve(conditions=(Equation(W, a**2 * W + 2 * a * eta * (eta * total / a) + eta**2),)),
        ),
        Step(
            "arcsine",
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


def turn_steps() -> tuple[Step, ...]:
    """The rotation per step, from the same S."""
    overlap = a * W + eta * (eta * total / a)  # E w_{t−1}w_t = a E w² − η E w_{t−1}u_t
    exact = 1 - a - total * (1 - a**2) / (a * (1 + 2 * total))
    return (
        Step(
            "turn",
            Equation(1 - overlap / W, exact),
            "1 − cos of the angle between w and the next w",
            Identity(uses=("mean square",)),
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


def responses(point: Point) -> list[Number]:
    """What the sign is taken of, at each step after one gradient, in Lion's own update."""
    beta1, beta2 = 1 - as_real(point[forget]), 1 - as_real(point[forget2])
    record = RECORD.substituted(beta1=beta1, beta2=beta2)
    seen: list[Number] = []

    class Listening:
        """The namespace in which Lion's update says what it takes the sign of."""

        @staticmethod
        def sign(value: Number) -> Number:
            seen.append(value)
            return x.numbers.sign(value)

    c = record.coefficients(x.numbers, x.clock(constant=True)._replace(lr=as_real(1), weight_decay=as_real(0)))
    state = record.initial(x.numbers, mpmath.mpf(0))
    while len(seen) < 3 or abs(seen[-1]) > mpmath.mpf(10) ** -55:
        state = record.update(Listening, state, as_real(not seen), c)
    return seen


def correlation_at(point: Point) -> Number:
    seen, gap = responses(point), int(point[lag])
    return sum(p * q for p, q in zip(seen, seen[gap:], strict=False)) / sum(p * p for p in seen)


def lion_random_walk() -> Derivation:
    """R4: Lion on pure noise."""
    return Derivation(
        name="lion-random-walk",
        title="Lion on white gradients: the correlation of its signs, and the published norm as a linearisation",
        statement=(
            "On white normal gradients E w² = η²/(1 − a²)·[1 + 2Σ_k a^k (2/π) arcsin ρ_k], where ρ_k falls by β₂ a "
            "step. The published E w² = η/(πλD) takes the arcsine for its argument, ηλ for small beside 1 − β₂, and "
            "drops 1 − 2/π beside (2/π)/D; the published rotation √(πηλD) follows in the same way."
        ),
        assumptions=Assumptions(
            (
                between(rate, 0, 1), between(forget, 0, 1), between(forget2, 0, 1), positive(eta),
                integer(lag, 1, most=5), integer(T, 1, 6), integer(t, 0, 4), between(correlated, 0, 1), positive(total),
            )
        ),
        definitions={a: 1 - rate, b1: 1 - forget, b2: 1 - forget2, lam: rate / eta},
        steps=steps(),
        results={"correlation": "stable correlation"},
        brute_force={"correlation": correlation_at},
        source="R4; published form: Kosson et al., arXiv 2305.17212; the arcsine law is Sheppard's",
        arguments={forget: "one_minus_beta1", forget2: "one_minus_beta2", lag: "lag"},
        corrects="the published ‖w‖ = √(ηC/(πλD)) for Lion: it is the linearised sign, and too small",
    )  # fmt: skip


DERIVATIONS = {"lion-random-walk": lion_random_walk}
