"""How large one of AdamW's updates can be (section 7): a bound, and the gradients that attain it."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Limit, Solve

b1, b2, t, m, v, g = x.beta1, x.beta2, x.t, x.m_t, x.v_t, x.g_t
K = sp.Function("K", positive=True)  # of m² ≤ K v
ratio = sp.Symbol("A", positive=True)  # β₁²/β₂
slow, kept = sp.symbols("B y", positive=True)  # β₁^t and β₂^t
forget1, forget2 = sp.symbols("b_1 b_2", positive=True)  # 1 − β₁ and 1 − β₂
share = (1 - b1) ** 2 / (1 - b2)
closed = share * (1 - ratio**t) / (1 - ratio)
size = sp.Symbol("u", positive=True)
# β₂ − β₁² = b_1β₁ + b_1 − b_2, as a product: it keeps its digits at both ends of the betas
margin = forget1 * (1 - forget1) * (1 + (forget1 - forget2) / (forget1 * (1 - forget1)))
gaps = forget1**2 * (1 - forget2) / (forget2 * margin)
# where the extremal gradients settle soon
SAMPLED = (sp.Rational(1, 30), 2 * forget1 - forget1**2 - sp.Rational(1, 50))
RECORD = AdamW(lr=1.0)


def steps() -> tuple[Step, ...]:
    record = x.with_symbols(RECORD)
    new = x.symbolic_update(record, x.clock(constant=True))
    after = {m(t + 1): new.first_moment, v(t + 1): new.second_moment}
    cross = (b1 * (1 - b2) * K(t) * g(t + 1) - (1 - b1) * b2 * m(t)) ** 2 / (b2 * (1 - b2) * K(t))
    new_margin = (b1**2 + b2 * share / K(t)) * (K(t) * v(t) - m(t) ** 2) + cross
    early = closed * (1 - b2**t) / (1 - b1**t) ** 2
    limit = (1 - b1) ** 2 / ((1 - b2) * (1 - ratio))
    return (
        Step(
            "moments",
            Equation(
                sp.Tuple(m(t + 1), v(t + 1)),
                sp.Tuple(b1 * m(t) + (1 - b1) * g(t + 1), b2 * v(t) + (1 - b2) * g(t + 1) ** 2),
            ),
            "AdamW's own moments",
            Identity(where=after),
        ),
        Step(
            "recursion",
            Equation(K(t + 1), ratio * K(t) + share),
            "a sequence that starts at 0; A stands for β₁²/β₂",
            Identity(where={K(t + 1): ratio * K(t) + (1 - b1) ** 2 / (1 - b2)}),
        ),
        Step(
            "margin",
            Equation(K(t + 1) * v(t + 1) - m(t + 1) ** 2, new_margin),
            "Kv − m² is a positive multiple of what it was, plus a square: it stays at or above 0 for any gradients",
            Identity(uses=("moments", "recursion"), where={ratio: b1**2 / b2}),
        ),
        Step(
            "first margin",
            Equation(m(1) ** 2, share * v(1)),
            "and it is 0 after the first step",
            Identity(where={m(1): (1 - b1) * g(1), v(1): (1 - b2) * g(1) ** 2}),
        ),
        Step(
            "unrolled",
            Equation(K(t), closed),
            "by induction",
            Induction(variable=t, recurrence=("recursion",), initial={K(0): sp.Integer(0)}),
        ),
        Step(
            "squared bound",
            Equation(K(t) * (1 - b2**t) / (1 - b1**t) ** 2, early),
            "m̂²/v̂ ≤ K_t(1 − β₂^t)/(1 − β₁^t)², with both bias corrections",
            Identity(uses=("unrolled",)),
        ),
        Step(
            "with correction no larger",
            Equation((1 - slow) ** 2 - (1 - slow**2 / kept) * (1 - kept), (kept - slow) ** 2 / kept),
            "for B = β₁^t and y = β₂^t: (1 − A^t)(1 − β₂^t) ≤ (1 − β₁^t)², so the bound at t is at most the limit",
            Identity(),
        ),
        Step(
            "squared limit",
            Equation(early, limit),
            "what it tends to, for β₁² < β₂",
            Limit(variable=t, decaying=(b1, b2, ratio)),
        ),
        Step(
            "squared limit in gaps",
            Equation(limit, gaps),
            "with β₁ = 1 − b₁ and β₂ = 1 − b₂",
            Identity(where={ratio: b1**2 / b2, b1: 1 - forget1, b2: 1 - forget2}),
        ),
        Step(
            "limit",
            Equation(size, sp.sqrt(gaps)),
            "|u| ≤ (1 − β₁)/√((1 − β₂)(1 − β₁²/β₂)) at every step",
            Solve(conditions=(Equation(size**2, gaps),), among=positive(size)),
        ),
    )


def extremal(point: Point, count: int) -> Number:
    """u² at update `count` of AdamW itself on the gradients that leave no square over."""
    beta1, beta2 = 1 - as_real(point[forget1]), 1 - as_real(point[forget2])
    record = RECORD.substituted(beta1=beta1, beta2=beta2, eps=mpmath.mpf(0))
    state, known = record.initial(x.numbers, mpmath.mpf(0)), mpmath.mpf(0)
    for k in range(1, count + 1):
        first = state.first_moment
        gradient = (1 - beta1) * beta2 * first / (beta1 * (1 - beta2) * known) if k > 1 else mpmath.mpf(1)
        known = beta1**2 / beta2 * known + (1 - beta1) ** 2 / (1 - beta2)
        time = SymbolicTime(mpmath.mpf(k), mpmath.mpf(1), mpmath.mpf(0))
        before = state.weight
        state = record.update(x.numbers, state, gradient, record.coefficients(x.numbers, time))
    return (before - state.weight) ** 2


def settled(point: Point) -> Number:
    """|u| after as many steps as bring A^t and the corrections below 1e-45."""
    beta1, beta2 = 1 - as_real(point[forget1]), 1 - as_real(point[forget2])
    slowest = max(beta1**2 / beta2, beta1, beta2)
    return mpmath.sqrt(extremal(point, int(-104 / mpmath.log(slowest)) + 2))


def update_bound() -> Derivation:
    """The largest update that AdamW can make."""
    return Derivation(
        name="update-bound",
        title="AdamW's update is bounded, by gradients that attain it",
        statement=(
            "For β₁² < β₂ and any gradients m_t² ≤ K_t v_t, K_t = (1−β₁)²(1 − A^t)/[(1−β₂)(1 − A)], A = β₁²/β₂. With "
            "both bias corrections |u| ≤ (1 − β₁)/√((1 − β₂)(1 − A)) at every step, and gradients exist that reach K_t."
        ),
        assumptions=Assumptions(
            (
                integer(t, 1, most=6), between(ratio, 0, 1), between(b1, 0, 1), between(b2, 0, 1),
                between(forget1, 0, 1, sampled=(sp.Rational(1, 20), 1)), between(forget2, 0, 1, sampled=SAMPLED),
                between(slow, 0, 1),
                between(kept, 0, 1), real(m), real(g),
            ),
            (sp.Gt(2 * forget1 - forget1**2, forget2),),
        ),
        steps=steps(),
        results={"largest_update": "limit"},
        brute_force={"largest_update": settled},
        source="THEORY.md, section 7; Kingma & Ba, arXiv 1412.6980, section 2.1, for its two cases",
        arguments={forget1: "one_minus_beta1", forget2: "one_minus_beta2"},
        corrects="that Adam's steps are about η at most: for β₁ = 0.9, β₂ = 0.999 one can be 7.3 η",
    )  # fmt: skip


DERIVATIONS = {"update-bound": update_bound}
