"""AdamW on white gradients with momentum (R3): the exact approach to the equilibrium of R1 from any start.

Two derivations: with the bias corrections spent, in powers, and with them, in finite sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .bias_correction import bias_corrected_coefficients, corrected
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Definitions, Equation, Expression, replaced
from .evaluation import Number, Point, as_real, evaluate
from .frozen_preconditioner import SettledTime, forget, rate, run, symbolic
from .gradient_kernel import gap, slow
from .lemmas import STABLE, SUM_LINEARITY
from .limits import Limit, Removable, Series
from .numeric import quotient
from .orders import EitherOrder
from .random_walk import W_AT_REST, C_t, M_t, W_t, expected, recursion, sigma

a, b1, eta, lam, t, i, j = x.a, x.beta1, x.eta, x.lam, x.t, x.i, x.j
start = sp.Symbol("r_0", positive=True)  # the first weight
first_moment, first_square = sp.symbols("M_0 W_0", positive=True)  # E m² and E w² at the start
first_cross = sp.Symbol("C_0", real=True)  # and E wm
D = sp.Function("D", positive=True)  # D(t) = Σ a^{t−i}β₁^{i−1}: how an old buffer has reached the weight
share = (1 - b1) / (1 + b1)  # U², the mean square of u at rest
push = eta / sigma
moment_at_rest, square_at_rest = sp.symbols("M_infty W_infty", positive=True)
cross_at_rest = sp.Symbol("C_infty", negative=True)
AT_REST = {
    moment_at_rest: sigma**2 * share, cross_at_rest: -eta * sigma * share / (1 - a * b1), square_at_rest: W_AT_REST
}  # fmt: skip
EMPTY = {first_moment: sp.Integer(0), first_cross: sp.Integer(0), first_square: start**2}
BEGUN = {M_t(0): first_moment, C_t(0): first_cross, W_t(0): first_square}
MOMENTS = sp.Tuple(M_t(t), C_t(t), W_t(t))
k = sp.Function("k", positive=True)  # k(j, t) of gradient j in −λw, with bias corrections
reached = sp.Sum(a ** (t - i) * b1 ** (i - 1) / (1 - b1**i), (i, 1, t))  # D(t) with bias corrections
letter, P = sp.symbols("D P", positive=True)  # D(t) and a^t as letters


def means(time: type[SymbolicTime]) -> Definitions:
    """E m², E wm and E w² after AdamW's own update."""
    new = symbolic(time, denominator=sigma)
    return {
        M_t(t + 1): expected(new.first_moment**2),
        C_t(t + 1): expected(new.weight * new.first_moment),
        W_t(t + 1): expected(new.weight**2),
    }


def carried(reached: Expression, kept: Expression = a**t) -> tuple[Expression, Expression, Expression]:
    """M, C and W by how far the start is from rest: w keeps a^t of itself, and −(η/σ)β₁D_t of the buffer."""
    moment, cross, square = first_moment - moment_at_rest, first_cross - cross_at_rest, first_square - square_at_rest
    held, passed = b1**t, push * b1 * reached
    return (
        moment_at_rest + held**2 * moment,
        cross_at_rest + held * (kept * cross - passed * moment),
        square_at_rest + kept**2 * square - 2 * kept * passed * cross + passed**2 * moment,
    )


def settled_steps() -> tuple[Step, ...]:
    stable = (1 - forget) * sp.exp((t - 1) * log1p(-slow))
    equal = {forget: rate, D(t): t * a ** (t - 1)}
    whole = carried(D(t))
    # In one letter: nothing could tell a from β₁ here.
    same = tuple(moment.subs(b1, a) for moment in whole)
    return (
        Step(
            "second moments",
            recursion(),
            "E m², E wm and E w² after AdamW's own update, √v + ε held at the gradient's standard deviation σ",
            Identity(where=means(SettledTime)),
        ),
        Step(
            "transient",
            Equation(MOMENTS, sp.Tuple(*whole)),
            "by induction, from a start of any buffer with E m² = M₀, E wm = C₀ and E w² = W₀: what these differ by "
            "from rest falls as β₁^{2t}, (aβ₁)^t and a^{2t}",
            Induction(variable=t, recurrence=("second moments",), initial=BEGUN),
        ),
        Step(
            "buffer response",
            Equation(b1 * D(t), quotient(-stable * expm1(t * log1p(-gap)), gap, stable * t)),
            "what a buffer m₀ leaves in the weight t steps later, over −ηm₀/σ, in a form that loses no digits near "
            "a = β₁; at a = β₁ its limit t a^t",
            EitherOrder(inner=Removable(variable=rate, at=forget, lemmas=STABLE), pair=(rate, forget)),
        ),
        Step(
            "transient at equal rates",
            Equation(MOMENTS, sp.Tuple(*same)),
            "and by induction with that limit, D_t = t a^{t−1}, where β₁ = a: one rate, a², and up to t² times it",
            Induction(variable=t, recurrence=("second moments",), initial=BEGUN, where=equal),
        ),
        Step(
            "mean square from any start",
            Equation(W_t(t), whole[2]),
            "so that E w² is this, with D_t's own limit where β₁ = a",
            Identity(uses=("transient",)),
        ),
        Step(
            "mean square at equal rates",
            Equation(W_t(t), whole[2].subs(b1 * D(t), t * a**t).subs(AT_REST).subs(b1, a)),
            "which at β₁ = a is written out",
            Identity(uses=("transient at equal rates",), where=equal),
        ),
        Step(
            "mean square",
            Equation(W_t(t), whole[2].subs(EMPTY)),
            "from a known weight r₀ and an empty buffer",
            Identity(uses=("mean square from any start",), where=EMPTY),
        ),
        *rest_steps(whole[2]),
    )


def rest_steps(whole: Expression) -> tuple[Step, ...]:
    """The equilibrium, and what the form r_∞² + (r_0² − r_∞²)a^{2t} leaves out."""
    one_rate = square_at_rest + (first_square - square_at_rest) * a ** (2 * t)
    missing = -(eta**2) * share * b1 * letter * (2 * P / (1 - a * b1) + b1 * letter)
    plain = {a: 1 - rate, b1: 1 - forget}
    settled = {first_moment: moment_at_rest, first_cross: cross_at_rest}
    late = (missing / (W_AT_REST * P**2)).subs(letter, P / (a - b1)).subs(plain)
    return (
        Step(
            "equilibrium",
            Equation(whole, W_AT_REST),
            "from any start it comes to rest: R1",
            Limit(variable=t, decaying=(a, b1)),
        ),
        Step(
            "buffer at rest",
            Equation(whole.subs(settled), one_rate),
            "a buffer at rest, in itself and with the weight, leaves one rate: r_∞² + (r_0² − r_∞²)a^{2t}, the "
            "published form, is exact from such a start at any momentum",
            Identity(),
            shown=replaced(whole, settled),
        ),
        Step(
            "what an empty buffer changes",
            Equation(whole.subs(EMPTY) - one_rate.subs(EMPTY), missing),
            "an empty buffer takes this off that form; D is D_t and P is a^t",
            Identity(where={letter: D(t), P: a**t}),
        ),
        Step(
            "without momentum",
            Equation(W_AT_REST + missing, eta**2 / (1 - a**2)),
            "nothing as β₁ → 0, where the published form is exact from an empty buffer too",
            Limit(variable=forget, to=1, direction="-"),
        ),
        Step(
            "published form",
            Equation(late, sp.series(late, rate, 0, 2).removeO()),
            "and once β₁^t has vanished, where D_t is a^t/(a − β₁), this share of r_∞²a^{2t}: of first order in ηλ at "
            "fixed β₁, O(ηλ/(1 − β₁))",
            Series(variable=rate, order=2),
        ),
    )


def corrected_steps() -> tuple[Step, ...]:
    """The same with AdamW's own bias corrections, whose 1/(1 − β₁^i) leave sums in place of the powers."""
    kept, held, passed = a**t, b1**t, push * b1 * D(t)
    moment = held**2 * first_moment + sigma**2 * (1 - b1) ** 2 * sp.Sum(b1 ** (2 * (t - j)), (j, 1, t))
    cross = held * (kept * first_cross - passed * first_moment)
    cross -= sigma * (1 - b1) / lam * sp.Sum(b1 ** (t - j) * k(j, t), (j, 1, t))
    square = kept**2 * first_square - 2 * kept * passed * first_cross + passed**2 * first_moment
    square += sp.Sum(k(j, t) ** 2, (j, 1, t)) / lam**2
    return (
        Step(
            "second moments",
            recursion(1 - b1 ** (t + 1)),
            "E m², E wm and E w² after AdamW's own update with its bias correction, √v̂ + ε held at the gradient's "
            "standard deviation σ",
            Identity(where=means(SymbolicTime)),
        ),
        Step(
            "transient",
            Equation(MOMENTS, sp.Tuple(moment, cross, square)),
            "by induction, from any buffer with E m² = M₀, E wm = C₀ and E w² = W₀ as the count starts again",
            Induction(variable=t, recurrence=("second moments",), initial=BEGUN, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "mean square from any start",
            Equation(W_t(t), square),
            "the last of them",
            Identity(uses=("transient",)),
        ),
        Step(
            "mean square",
            Equation(W_t(t), square.subs(EMPTY)),
            "from a known weight r₀ and an empty buffer: what is left of r₀², and the squared coefficients of the "
            "gradients (gradient-kernel)",
            Identity(uses=("mean square from any start",), where=EMPTY),
        ),
        *fading_steps(),
    )


def fading_steps() -> tuple[Step, ...]:
    """How much bias correction adds to one gradient's coefficient."""
    after = sp.Symbol("s", integer=True, nonnegative=True)  # steps since the gradient
    age = sp.Symbol("n", integer=True)
    own = a ** (after - age) * b1**age
    more = own * (b1**j - b1 ** (j + age)) / ((1 - b1**j) * (1 - b1 ** (j + age)))
    less = own * b1 ** (j + age) / (1 - b1 ** (j + age))

    def total(term: Expression) -> Expression:
        return sp.Sum(term, (age, 0, after))

    return (
        Step(
            "at least the settled coefficient",
            Equation(total(own / (1 - b1 ** (j + age)) - own), total(less)),
            "s steps after gradient j, over (1 − a)(1 − β₁): the corrected coefficient less the settled one is a sum "
            "of positive terms",
            Identity(),
        ),
        Step(
            "at most its first correction more",
            Equation(total(own / (1 - b1**j) - own / (1 - b1 ** (j + age))), total(more)),
            "and 1/(1 − β₁^j) times the settled one less the corrected one is too: for gradient j bias correction adds "
            "at most the share β₁^j/(1 − β₁^j), so that the equilibrium is that of settled corrections",
            Identity(),
        ),
    )


def measured(
    begun: Definitions, time: type[SymbolicTime] = SettledTime, same: Definitions | None = None
) -> Callable[[Point], Number]:
    """E w² by the responses of AdamW itself to the weight and the buffer of its start and to each gradient."""

    def force(given: Point) -> Number:
        point = {**given, **{symbol: given[other] for symbol, other in (same or {}).items()}}
        count, spread = int(point[t]), as_real(point[sigma])

        def left(at: int = 0, **state: int) -> Number:
            states = run(point, lambda k: spread * int(k == at), count, denominator=spread, time=time, **state)
            return states[-1].weight

        by_weight, by_buffer = left(weight=1), left(buffer=1)
        parts = {first_square: by_weight**2, first_cross: 2 * by_weight * by_buffer, first_moment: by_buffer**2}
        total = sum(part * as_real(evaluate(begun.get(symbol, symbol), point)) for symbol, part in parts.items())
        return total + sum(left(at) ** 2 for at in range(1, count + 1))

    return force


def buffer_response(point: Point) -> Number:
    """−w of AdamW itself over η after a run from w = 0 and a buffer of 1, √v̂ + ε and σ being 1."""
    return -run(point, lambda k: 0, int(point[t]), buffer=1)[-1].weight / as_real(point[eta])


ASSUMED = Assumptions(
    (
        between(rate, 0, 1), between(forget, 0, 1), positive(eta), positive(sigma), positive(start),
        positive(first_moment), positive(first_square), real(first_cross), integer(t, 0),
    )
)  # fmt: skip
PLAIN = {a: 1 - rate, b1: 1 - forget, lam: rate / eta}


def adamw_transient() -> Derivation:
    """R3 for AdamW with momentum, its bias corrections spent."""
    return Derivation(
        name="adamw-transient",
        title="AdamW's approach to its equilibrium, with momentum",
        statement=(
            "Long after bias corrections matter, E w² on white gradients differs from r_∞² by what the start's moments "
            "differ by from rest, times a^{2t}, a^tβ₁D_t and (β₁D_t)², with D_t = (a^t − β₁^t)/(a − β₁), at β₁ = a "
            "t a^{t−1}: from any buffer. The form with a^{2t} alone is exact from a buffer at rest, and off by "
            "O(ηλ/(1 − β₁)) from an empty one."
        ),
        assumptions=ASSUMED,
        definitions={**PLAIN, **AT_REST, D(t): (a**t - b1**t) / (a - b1)},
        steps=settled_steps(),
        results={
            "mean_square": "mean square", "mean_square_any_start": "mean square from any start",
            "mean_square_equal_rates": "mean square at equal rates", "buffer_response": "buffer response",
        },
        brute_force={
            "mean_square": measured(EMPTY), "mean_square_any_start": measured({}),
            "mean_square_equal_rates": measured({}, same={forget: rate}), "buffer_response": buffer_response,
        },
        source="R3; the equilibrium: adamw-random-walk",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", t: "steps"},
        corrects=(
            "r_t² = r_∞² + (r_0² − r_∞²)a^{2t} for AdamW with momentum from an empty buffer: exact only for β₁ = 0"
        ),
    )  # fmt: skip


def adamw_transient_corrected() -> Derivation:
    """R3 for AdamW as it starts, with its bias corrections."""
    return Derivation(
        name="adamw-transient-corrected",
        title="AdamW's approach to its equilibrium from its first step, bias corrections included",
        statement=(
            "From a known weight and an empty buffer AdamW's own E w² on white gradients after t steps is a^{2t}r₀² "
            "plus the squares of the bias-corrected coefficients of gradient-kernel over λ²; from any buffer three "
            "terms of its moments join. Bias correction makes the coefficient of gradient j at most 1/(1 − β₁^j) times "
            "as large, so that it comes to the same rest."
        ),
        assumptions=replace(ASSUMED, domains=(*ASSUMED.domains, integer(j, 1, most=4))),
        definitions={**PLAIN, k(j, t): corrected(j), D(t): reached},
        steps=corrected_steps(),
        results={"mean_square": "mean square", "mean_square_any_start": "mean square from any start"},
        brute_force={
            "mean_square": measured(EMPTY, SymbolicTime), "mean_square_any_start": measured({}, SymbolicTime)
        },
        source="R3; settled corrections: adamw-transient; the coefficients: gradient-kernel",
        corrects="settled corrections for a run's first 1/(1 − β₁) steps: the first update has size η, not η(1 − β₁)",
    )  # fmt: skip


def mean_square_from_start(
    *, lr: float, decay_per_step: float, one_minus_beta1: float, steps: int, weight: float = 0.0
) -> float:
    """E w² of AdamW after so many steps on white gradients, from a known weight, with its bias corrections.

    The result of `derive("adamw-transient-corrected")` as a number. Raises `ValueError` unless 0 < decay_per_step < 1,
    0 < one_minus_beta1 ≤ 1 and steps ≥ 1.

    >>> mean_square_from_start(lr=0.5, decay_per_step=0.5, one_minus_beta1=0.1, steps=1, weight=1.0)
    0.5
    """
    coefficients = bias_corrected_coefficients(
        decay_per_step=decay_per_step, one_minus_beta1=one_minus_beta1, steps=steps
    )
    left = weight * math.exp(steps * math.log1p(-decay_per_step))
    return left**2 + (lr / decay_per_step) ** 2 * float(np.sum(coefficients**2))


DERIVATIONS = {"adamw-transient": adamw_transient, "adamw-transient-corrected": adamw_transient_corrected}
