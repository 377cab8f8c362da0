"""AdamW on white gradients with momentum (R3): the exact approach to the equilibrium of R1, from an empty buffer."""

from __future__ import annotations

from functools import partial

import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate, run, symbolic
from .limits import Limit, Series
from .random_walk import C_t, M_t, W_t, expected, recursion, sigma

a, b1, eta, lam, t = x.a, x.beta1, x.eta, x.lam, x.t
start = sp.Symbol("r_0", positive=True)  # the first weight
share = (1 - b1) / (1 + b1)  # U², the mean square of u at rest
rest = eta**2 * share * (1 + a * b1) / ((1 - a**2) * (1 - a * b1))
# C and W as sums of powers: β₁^{2t}, (aβ₁)^t, a^{2t} and constants.
c_rest = -eta * sigma * share / (1 - a * b1)
c_buffer = -eta * sigma * share * b1 / (a - b1)
c_cross = -(c_rest + c_buffer)
push = eta / sigma
w_buffer = (-2 * a * b1 * push * c_buffer - push**2 * b1**2 * sigma**2 * share) / (b1**2 - a**2)
w_cross = -2 * b1 * push * c_cross / (b1 - a)


def steps() -> tuple[Step, ...]:
    new = symbolic(denominator=sigma)
    moment = sigma**2 * share * (1 - b1 ** (2 * t))
    cross = c_rest + c_buffer * b1 ** (2 * t) + c_cross * (a * b1) ** t
    square = rest + w_buffer * b1 ** (2 * t) + w_cross * (a * b1) ** t
    square += (start**2 - rest - w_buffer - w_cross) * a ** (2 * t)
    means = {
        M_t(t + 1): expected(new.first_moment**2),
        C_t(t + 1): expected(new.weight * new.first_moment),
        W_t(t + 1): expected(new.weight**2),
    }
    apart = (w_buffer + w_cross).subs({a: 1 - rate, b1: 1 - forget}) / rest.subs({a: 1 - rate, b1: 1 - forget})
    return (
        Step(
            "second moments",
            recursion(),
            "E m², E wm and E w² after AdamW's own update, √v + ε held at the gradient's standard deviation σ",
            Identity(where=means),
        ),
        Step(
            "transient",
            Equation(sp.Tuple(M_t(t), C_t(t), W_t(t)), sp.Tuple(moment, cross, square)),
            "by induction from a known weight and an empty buffer: three rates, β₁², aβ₁ and a²",
            Induction(
                variable=t,
                recurrence=("second moments",),
                initial={M_t(0): sp.Integer(0), C_t(0): sp.Integer(0), W_t(0): start**2},
            ),
        ),
        Step(
            "mean square",
            Equation(W_t(t), square),
            "the last of them, for a ≠ β₁",
            Identity(uses=("transient",)),
        ),
        Step(
            "equilibrium",
            Equation(square, rest),
            "which it comes to from any start: R1",
            Limit(variable=t, decaying=(a, b1)),
        ),
        Step(
            "without momentum",
            Equation(rest + w_buffer + w_cross, eta**2 / (1 - a**2)),
            "for β₁ → 0 the other two rates lose their parts, and r_∞² + (r_0² − r_∞²)a^{2t} is left",
            Limit(variable=forget, to=1, direction="-"),
        ),
        Step(
            "published form",
            Equation(apart, sp.series(apart, rate, 0, 2).removeO()),
            "with momentum that form is off by up to this share of the equilibrium, of first order in ηλ at fixed β₁: "
            "O(ηλ/(1 − β₁))",
            Series(variable=rate, order=2),
        ),
    )


def measured(point: Point) -> Number:
    """The squared responses of AdamW itself to its start and to each gradient of variance σ² = 1."""
    count = int(point[t])
    begun = run(point, lambda k: 0, count, weight=as_real(point[start]))[-1].weight
    pushed = [run(point, partial(int.__eq__, j), count)[-1].weight for j in range(1, count + 1)]
    return begun**2 + sum(w * w for w in pushed)


def adamw_transient() -> Derivation:
    """R3 for AdamW with momentum."""
    return Derivation(
        name="adamw-transient",
        title="AdamW's approach to its equilibrium, with momentum",
        statement=(
            "From a known weight and an empty buffer, long after bias corrections matter, E w² on white gradients is "
            "r_∞² plus multiples of a^{2t}, (aβ₁)^t and β₁^{2t}; the form with a^{2t} alone is off by O(ηλ/(1 − β₁))."
        ),
        assumptions=Assumptions(
            (
                between(rate, 0, 1),
                between(forget, 0, 1),
                positive(eta),
                positive(sigma),
                positive(start),
                integer(t, 0),
            ),
            (sp.Ne(rate, forget),),
        ),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=steps(),
        results={"mean_square": "mean square"},
        brute_force={"mean_square": measured},
        source="R3; the equilibrium: adamw-random-walk",
        corrects="r_t² = r_∞² + (r_0² − r_∞²)a^{2t} for AdamW with momentum: exact only for β₁ = 0",
    )


DERIVATIONS = {"adamw-transient": adamw_transient}
