"""AdamW's moments in closed form (Q9): with the preconditioner at E v, and to first order in v's own fluctuations."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as x
from .adamw_quadratic import C, Q, V, after, curvature, expectation, moment, noise, root, spread, theta, weight
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Brute, Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real, evaluate
from .frozen_preconditioner import SettledTime, forget, namespace, symbolic
from .lemmas import GEOMETRIC_SUM
from .limits import Limit, Series, Solve
from .second_moment import (
    D_0,
    DD,
    DDD,
    DDDD,
    MS,
    MSD,
    MSDD,
    MSDDD,
    D,
    M,
    S,
    dd,
    drift_of,
    forget12,
    lag,
    lag_steps,
    mm,
    mmd,
    mmdd,
    mmde,
    mme,
    mmee,
    moment_steps,
    over_lags,
)  # fmt: skip
from .update_bound import forget2

eta, lam, b1, b2 = x.eta, x.lam, x.beta1, x.beta2
before_w, before_m = sp.symbols("w_mean m_mean", real=True)
before_v = sp.Symbol("v_mean", positive=True)
V_next, C_next, Q_next = sp.symbols("V' C' Q'", real=True)
small, ratio = sp.symbols("x kappa", positive=True)
meeting = sp.Symbol("q", positive=True)

shared = forget / forget12  # (1 − β₁)/(1 − β₁β₂)
rho = forget * (1 + b1 * b2) / ((1 + b1) * forget12)
drift_formula = 1 + forget2 * (sp.Rational(3, 4) / (1 + b2) - shared)
noise_formula = 1 + forget2 * ((3 + rho) / (2 * (1 + b2)) - 2 * shared)
published_drift = 1 + forget2 * (sp.Rational(3, 8) - shared)
published_noise = 1 - 2 * forget2 * shared + forget2 * (sp.Rational(3, 4) + rho / 4)
connected = forget2**2 * (6 * forget / (1 - b1 * b2**2) + 2 * shared**2)


def closure_steps() -> tuple[Step, ...]:
    """What AdamW's own update does to means and covariances when √v̂ + ε is held at E v."""
    still = after(theta, sp.Integer(0))
    new_w, new_m = after(sp.Integer(0), noise)
    second = symbolic(denominator=root).second_moment.subs(
        {x.v_t(x.t): before_v, x.g_t(x.t + 1): curvature * (before_w + weight - theta) + sp.sqrt(spread) * noise}
    )
    slope, step = forget * curvature, eta / root
    kept = 1 - eta * lam - step * slope
    moved = kept * before_w - step * (b1 * before_m - slope * theta)
    return (
        Step(
            "means",
            Equation(
                sp.Tuple(*(row.subs({weight: before_w, moment: before_m}) for row in still)),
                sp.Tuple(moved, b1 * before_m + slope * (before_w - theta)),
            ),
            "the means of (w, m) after one of AdamW's own updates on g = h(w − θ*) + σn, with √v̂ + ε held at s; "
            "η and λ are this step's, whatever the schedule, and s takes in 1 − β₁^k",
            Identity(),
        ),
        Step(
            "second moment",
            Equation(
                expectation(second), b2 * before_v + forget2 * (curvature**2 * (V + (before_w - theta) ** 2) + spread)
            ),
            "E v after it needs nothing but E w and Var w: with s = √E v̂ + ε the recursion is closed",
            Identity(),
        ),
        Step(
            "next variance",
            Equation(
                V_next,
                kept**2 * V - 2 * kept * step * b1 * C + step**2 * (b1**2 * Q + forget**2 * spread),
            ),
            "and V = Var w follows from itself, C = Cov(w, m) and Q = Var m",
            Identity(where={V_next: expectation(new_w**2)}),
        ),
        Step(
            "next covariances",
            Equation(
                sp.Tuple(C_next, Q_next),
                sp.Tuple(
                    slope * (kept * V - step * b1 * C) + b1 * (kept * C - step * b1 * Q) - step * forget**2 * spread,
                    slope**2 * V + 2 * slope * b1 * C + b1**2 * Q + forget**2 * spread,
                ),
            ),
            "as do they",
            Identity(where={C_next: expectation(new_w * new_m), Q_next: expectation(new_m**2)}),
        ),
    )


def drift_steps() -> tuple[Step, ...]:
    sensitivity = 1 / sp.sqrt(1 + D) - M * S / sp.sqrt(1 + D) ** 3
    shifted = (M + drift_of) / sp.sqrt(1 + D + 2 * drift_of * S + drift_of**2)
    small_d, small_s = small * D, small * S
    scaled = sensitivity.subs({D: small_d, S: small_s}, simultaneous=True)
    eighth = sp.Rational(1, 8)
    fourth = 1 + 3 * eighth * DD - 5 * DDD / 16 + 35 * DDDD / 128 - MS + 3 * MSD / 2 - 15 * MSDD / 8 + 35 * MSDDD / 16
    return (
        Step(
            "sensitivity",
            Equation(sp.diff(shifted, drift_of).subs(drift_of, 0), sensitivity),
            "how the update m/√v answers to a small mean gradient μ, in units of the 1/σ of a frozen v: through m, and "
            "through v, which holds the same gradients",
            Identity(),
            shown=sp.Subs(sp.Derivative(shifted, drift_of), drift_of, 0),
        ),
        Step(
            "sensitivity, expanded",
            Equation(
                scaled,
                1 - small_d / 2 + 3 * eighth * small_d**2 - 5 * small_d**3 / 16 + 35 * small_d**4 / 128
                - small_s * M * (1 - 3 * small_d / 2 + 15 * small_d**2 / 8 - 35 * small_d**3 / 16),
            ),
            "to fourth order in v's fluctuations D and S; the means of the fifth are O((1 − β₂)³)",
            Series(variable=small, order=5),
        ),
        Step(
            "drift",
            Equation(1 + 3 * eighth * DD - MS, drift_formula),
            "its mean over that of a frozen v, to first order: E D = 0, 3/8 of v's relative variance, and Cov(m, v)",
            Identity(uses=("moments",)),
        ),
        Step(
            "drift, remainder",
            Equation(fourth - drift_formula, sp.Rational(427, 384) * forget2**2),
            "what it leaves out is 427/384·(1 − β₂)² at fixed β₁, from third and fourth order in D",
            Series(variable=forget2, order=3, uses=("higher moments", "moments")),
        ),
        Step(
            "drift, published form",
            Equation(drift_formula - published_drift, 3 * eighth * forget2**2 / (1 + b2)),
            "with E D² = 1 − β₂ the factor is 1 + (1 − β₂)[3/8 − (1 − β₁)/(1 − β₁β₂)], which differs by less than "
            "3/8·(1 − β₂)², whatever β₁",
            Identity(),
        ),
    )  # fmt: skip


def noise_steps() -> tuple[Step, ...]:
    half, eighth = sp.Rational(1, 2), sp.Rational(1, 8)
    one, other = 1 + small * D_0, 1 + small * D
    alone = over_lags(mm(lag))
    first = alone - half * (over_lags(mmd(lag)) + over_lags(mme(lag)))
    second = 6 * eighth * DD * alone + over_lags(mm(lag) * dd(lag)) / 4
    squares = over_lags(mmdd(lag) - mm(lag) * DD) + over_lags(mmee(lag) - mm(lag) * DD)
    excess = 3 * eighth * squares + over_lags(mmde(lag) - mm(lag) * dd(lag)) / 4
    sums: dict[str, Any] = {"uses": ("lags", "moments"), "lemmas": (GEOMETRIC_SUM,)}
    return (
        Step(
            "product, expanded",
            Equation(
                1 / (sp.sqrt(one) * sp.sqrt(other)),
                1 - small * (D_0 + D) / 2 + small**2 * (3 * eighth * (D_0**2 + D**2) + D_0 * D / 4),
            ),
            "1/√v at two steps, to second order: the product of their updates is this times M_0 M",
            Series(variable=small, order=3),
        ),
        Step(
            "noise",
            Equation(first + second, noise_formula),
            "the updates' long-run variance Σ_τ E u_t u_{t+τ}, what a weight's variance grows by per step, over that "
            "of a frozen v, which is 1: with E M_t M_{t+τ} D D' replaced by the product of the two covariances",
            Identity(**sums),
        ),
        Step(
            "noise, remainder",
            Equation(excess, connected),
            "what that leaves out at second order is at most 8(1 − β₂)², whatever β₁",
            Identity(**sums),
        ),
        Step(
            "noise, published form",
            Equation(noise_formula - published_noise, forget2**2 * (3 + rho) / (4 * (1 + b2))),
            "with E D² = 1 − β₂ the factor is 1 − 2(1 − β₂)(1 − β₁)/(1 − β₁β₂) + (1 − β₂)(3/4 + ρ/4)",
            Identity(),
        ),
        Step(
            "noise, shorter form",
            Equation(rho, shared - b1 * forget2 * shared / (1 + b1)),
            "ρ is (1 − β₁)/(1 − β₁β₂) =: q up to less than (1 − β₂)/2, so to first order the factors are "
            "1 + (1 − β₂)(3/8 − q) and 1 + (1 − β₂)(3/4 − 7q/4)",
            Identity(),
        ),
    )  # fmt: skip


def comparison_steps() -> tuple[Step, ...]:
    alone = 1 + sp.Rational(3, 8) * 2 * forget2 / (1 + b2)
    factors = [(f - 1) / forget2 for f in (alone, drift_formula, alone**2, noise_formula)]
    eighth, q = sp.Rational(1, 8), ratio / (1 + ratio)
    return (
        Step(
            "at fixed β₁",
            Equation(sp.Tuple(*factors), sp.Tuple(3 * eighth, -5 * eighth, 6 * eighth, sp.Integer(-1))),
            "as β₂ → 1 at fixed β₁: v's variance alone raises drift and noise by 3/8 and 3/4 of 1 − β₂; with Cov(m, v) "
            "they fall by 5/8 and 1",
            Limit(variable=forget2, to=0),
        ),
        Step(
            "at a fixed ratio",
            Equation(
                sp.Tuple(*(f.subs(forget, ratio * forget2) for f in (factors[1], factors[3]))),
                sp.Tuple(3 * eighth - q, 6 * eighth - 7 * q / 4),
            ),
            "as both tend to 1 with (1 − β₁)/(1 − β₂) = κ, m averages as long as v and less is cancelled",
            Limit(variable=forget2, to=0),
        ),
        Step(
            "equally wrong",
            Equation(meeting, sp.Rational(3, 16)),
            "where v's variance alone is off the drift by as much as a frozen v, by q and 3/8 − q of 1 − β₂; for a "
            "larger q = (1 − β₁)/(1 − β₁β₂), that is 13(1 − β₁) > 3β₁(1 − β₂), it is worse than no correction",
            Solve(conditions=(Equation(3 * eighth - meeting, meeting),)),
        ),
    )


def steps() -> tuple[Step, ...]:
    return (*closure_steps(), *moment_steps(), *lag_steps(), *drift_steps(), *noise_steps(), *comparison_steps())


def ran(point: Point, state: tuple[Number, Number, Number], gradients: list[Number], held: Number = 1) -> list[Any]:
    """The states of AdamW itself on these gradients, √v̂ held, late enough that no bias is left to correct."""
    xp = namespace(x.numbers, as_real(held))
    betas = {"beta1": 1 - as_real(point[forget]), "beta2": 1 - as_real(point[forget2])}
    record = AdamW(lr=1.0).substituted(**betas, eps=mpmath.mpf(0))
    states = [record.State(*map(as_real, state))]
    rates = as_real(point.get(eta, 1)), as_real(point.get(lam, 1))
    c = record.coefficients(xp, SettledTime(as_real(1), *rates))
    for gradient in gradients:
        states.append(record.update(xp, states[-1], as_real(gradient), c))
    return states[1:]


def responses(point: Point) -> tuple[list[Number], list[Number]]:
    """What one gradient, 1, leaves in m and (as its square) in v after 1, 2, … updates, until nothing is left."""
    lags = int(110 / min(as_real(point[forget]), as_real(point[forget2]))) + 1
    states = ran(point, (0, 0, 0), [1] + [0] * lags)
    return [s.first_moment for s in states], [s.second_moment for s in states]


def pairings(ends: tuple[int, ...]) -> int:
    """In how many ways the ends of several factors pair up, none with one of its own factor (Wick).

    >>> pairings((1, 1)), pairings((2, 2)), pairings((1, 1, 2)), pairings((2, 2, 2)), pairings((1, 2))
    (1, 2, 2, 8, 0)
    """
    if not any(ends):
        return 1
    n, *rest = sorted(ends, reverse=True)
    chosen = ((k, [m - (k == o) for o, m in enumerate(rest)]) for k in range(len(rest)) if rest[k])
    return sum(rest[k] * pairings((n - 1, *left)) for k, left in chosen)


@cache
def slopes(function: Expression, *letters: Expression) -> Number:
    """The derivative by these letters where every letter is 0, by SymPy's differentiation."""
    derivative = sp.diff(function, *letters) if letters else function
    return as_real(evaluate(derivative.subs(dict.fromkeys(function.free_symbols, 0)), {}))


def drift_of_pairs(point: Point) -> Number:
    """The update's own derivative by μ, to second order in the fluctuations, with the covariances of Wick's pairs.

    M and S hold the gradients and D their squares less 1: one and two ends at each lag of AdamW's own responses.
    """
    p, q = responses(point)
    held = {M: (1, p), S: (1, q), D: (2, q)}
    answer = sp.diff((M + drift_of) / sp.sqrt(1 + D + 2 * drift_of * S + drift_of**2), drift_of)
    total = slopes(answer)
    for (one, (n, left)), (other, (o, right)) in product(held.items(), repeat=2):
        total += slopes(answer, one, other) / 2 * pairings((n, o)) * mpmath.fdot(left, right)
    return total


def noise_of_pairs(point: Point) -> Number:
    """The same over all pairs of updates, whose covariances decay as AdamW's m and v do without gradients."""
    p, q = responses(point)
    shrunk = 1 / (sp.sqrt(1 + D_0) * sp.sqrt(1 + D))
    m, v = pairings((1, 1)) * mpmath.fdot(p, p), pairings((2, 2)) * mpmath.fdot(q, q)
    decayed = ran(point, (0, m, v), [0] * len(p))
    own = slopes(shrunk) + (slopes(shrunk, D_0, D_0) + slopes(shrunk, D, D)) / 2 * v
    together = (slopes(shrunk, D_0, D) + slopes(shrunk, D, D_0)) / 2
    pairs = [(m, v)] + 2 * [(s.first_moment, s.second_moment) for s in decayed]
    total = sum(c * (own + together * d) for c, d in pairs)
    # Σ_τ E M_t M_{t+τ} D_t, where the three meet in one gradient; as much with D_{t+τ}.
    meeting_once = pairings((1, 1, 2)) * mpmath.fdot(p, q) * sum(p)
    return total + (slopes(shrunk, D_0) + slopes(shrunk, D)) * meeting_once


def enumerated(point: Point, steps: int = 3) -> tuple[list[Any], list[Any], Number]:
    """AdamW itself over every sequence of noises ±1: all states before and after the last step, and the root it took.

    Each step takes the root of the mean of v over all sequences.
    """
    own = [(as_real(point[before_w]), as_real(point[before_m]), as_real(point[before_v]))]
    h, optimum, sigma = as_real(point[curvature]), as_real(point[theta]), mpmath.sqrt(as_real(point[spread]))
    for _ in range(steps):
        old = own
        pairs = [(s, h * (s[0] - optimum) + sign * sigma) for s, sign in product(old, (1, -1))]
        v = mean_of(ran(point, s, [g])[0].second_moment for s, g in pairs)
        own = [tuple(ran(point, s, [g], mpmath.sqrt(v))[0]) for s, g in pairs]
    return old, own, mpmath.sqrt(v)


def mean_of(values: Any) -> Number:
    found = list(values)
    return sum(found) / len(found)


def covariance(states: list[Any], one: int, other: int) -> Number:
    means = [mean_of(s[k] for s in states) for k in (one, other)]
    return mean_of((s[one] - means[0]) * (s[other] - means[1]) for s in states)


def moments_of(states: list[Any]) -> dict[Expression, Number]:
    means = {symbol: mean_of(s[k] for s in states) for k, symbol in enumerate((before_w, before_m, before_v))}
    return {**means, V: covariance(states, 0, 0), C: covariance(states, 0, 1), Q: covariance(states, 1, 1)}


def next_variance(point: Point) -> Brute:
    old, new, held = enumerated(point)
    return Brute(covariance(new, 0, 0), {**moments_of(old), root: held})


def next_second_moment(point: Point) -> Brute:
    old, new, _ = enumerated(point)
    return Brute(mean_of(s[2] for s in new), moments_of(old))


def moment_closure() -> Derivation:
    """Q9: the closed recursion, and the factors on its drift and noise for white gradients."""
    return Derivation(
        name="moment-closure",
        title="AdamW's moments close at E v, and v's fluctuations change drift and noise by O(1 − β₂)",
        statement=(
            "With √v̂ + ε taken at E v the means of (w, m), their covariances and E v follow a closed recursion under "
            "any schedule. It is approximate: on white Gaussian gradients (ε = 0, v stationary, bias correction past) "
            "the mean update's answer to a small mean gradient is 1 + (1 − β₂)[3/8 − q] times that of a frozen v, and "
            "the updates' long-run variance 1 + (1 − β₂)[3/4 + ρ/4 − 2q] times, with q = (1 − β₁)/(1 − β₁β₂) and "
            "ρ = q(1 + β₁β₂)/(1 + β₁), both up to O((1 − β₂)²) whatever β₁. At fixed β₁ these are 1 − 5/8·(1 − β₂) and "
            "1 − (1 − β₂). The results keep E D² = 2(1 − β₂)/(1 + β₂), v's relative variance, as it is."
        ),
        assumptions=Assumptions(
            (
                between(forget, 0, 1), between(forget2, 0, 1), positive(curvature), between(lam, 0, 1), positive(root),
                positive(spread), positive(eta), real(theta), between(D, -1, 1), between(D_0, -1, 1),
                between(ratio, 0, 8),
            ),
        ),
        definitions={b1: 1 - forget, b2: 1 - forget2},
        steps=steps(),
        results={
            "drift_factor": "drift", "noise_factor": "noise", "next_variance": "next variance",
            "next_second_moment": "second moment",
        },
        brute_force={
            "drift_factor": drift_of_pairs, "noise_factor": noise_of_pairs, "next_variance": next_variance,
            "next_second_moment": next_second_moment,
        },
        source="THEORY.md, Q9",
        arguments={forget: "one_minus_beta1", forget2: "one_minus_beta2"},
        corrects=(
            "the correction by 3/8 of v's relative variance alone: it has the wrong sign, since m and v hold the same "
            "gradients, and is worse than none wherever (1 − β₁)/(1 − β₁β₂) > 3/16"
        ),
    )  # fmt: skip


DERIVATIONS = {"moment-closure": moment_closure}
