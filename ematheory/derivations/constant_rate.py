"""AdamW at a constant rate (E3): time constant, half-life, window, centre of mass, sample size, initial share."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Antidifference, Identity, Induction
from .derivation import Derivation, Step
from .ema import direction
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import GEOMETRIC_SUM, LOG1P, STABLE, SUM_LINEARITY
from .limits import Limit, Solve

a, eta, lam, s, t, T = x.a, x.eta, x.lam, x.s, x.t, x.T
f = sp.Symbol("f", positive=True)
n = sp.Symbol("n", real=True)
rate = eta * lam
lag = (1 - a) * a**s  # the coefficient of q_{t−s}
log_left = T * log1p(-rate)  # log a^T


def recurrence_steps() -> tuple[Step, ...]:
    record, time = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1)), x.clock(constant=True)
    after = {x.w_t(t + 1): x.symbolic_update(record, time).weight, x.u_t(t + 1): direction(record, time)}
    return (
        Step(
            "ema",
            Equation(x.w_t(t + 1), a * x.w_t(t) + (1 - a) * x.q_t(t + 1)),
            "AdamW's own update at constant η and λ, with a = 1 − ηλ and q = −u/λ",
            Identity(where=after),
        ),
        Step(
            "unrolled",
            Equation(x.w_t(t), a**t * x.w0 + sp.Sum((1 - a) * a ** (t - x.i) * x.q_t(x.i), (x.i, 1, t))),
            "by induction: the coefficient of q at lag s is (1 − a) a^s, the share of the initial weight a^t",
            Induction(variable=t, recurrence=("ema",), initial={x.w_t(0): x.w0}, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "sum",
            Equation(sp.Sum(lag, (s, 0, T - 1)), 1 - a**T),
            "the coefficients of T steps are a geometric sum; with the initial share a^T they sum to one",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "initial weight left",
            Equation(a**T, sp.exp(log_left)),
            "the share of the initial weight after T steps, in the form that loses no digits at small ηλ",
            Identity(lemmas=STABLE),
        ),
    )


def solved(label: str, share: Expression, solution: Expression, reason: str) -> Step:
    """The (real) number of steps n after which a^n = share, from n·log a = log share."""
    condition = Equation(n * sp.log(a), sp.log(share))
    return Step(label, Equation(n, solution), reason, Solve(conditions=(condition,), lemmas=(LOG1P,)))


def duration_steps() -> tuple[Step, ...]:
    return (
        solved(
            "time constant", sp.exp(-1), -1 / log1p(-rate), "a^n = 1/e, that is n log a = −1: τ = −1/ln a, near 1/(ηλ)"
        ),
        solved(
            "half-life", sp.Rational(1, 2), -sp.log(2) / log1p(-rate), "a^n = 1/2, that is n log a = −ln 2"
        ),
        solved(
            "window", 1 - f, log1p(-f) / log1p(-rate), "the last n steps hold the share f: 1 − a^n = f"
        ),
    )  # fmt: skip


def mass_steps() -> tuple[Step, ...]:
    finite = a * (1 - a**T) / (1 - a) - T * a**T
    return (
        Step(
            "mean lag of T steps",
            Equation(sp.Sum(s * lag, (s, 0, T - 1)), finite),
            "Σ s c_s telescopes",
            Antidifference(certificate=-(a**s) * (s + a / (1 - a))),
        ),
        Step(
            "centre of mass",
            Equation(finite, (1 - rate) / rate),
            "as T → ∞ the centre of mass is a/(1 − a) = τ − 1 with τ = 1/(ηλ)",
            Limit(variable=T, decaying=(a,)),
        ),
    )


def sample_size_steps() -> tuple[Step, ...]:
    squares = (1 - a) * (1 - a ** (2 * T)) / (1 + a)
    of_updates = (1 - a**T) ** 2 / squares
    half, double = expm1(log_left), expm1(2 * log_left)
    return (
        Step(
            "squares",
            Equation(sp.Sum(lag**2, (s, 0, T - 1)), squares),
            "the squared coefficients are a geometric sum with ratio a²",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "effective sample size",
            Equation(of_updates, -(2 - rate) / rate * half / (2 + half)),
            "(Σc)²/Σc² over the T updates, without the share of the initial weight, in a stable form",
            Identity(lemmas=STABLE),
        ),
        Step(
            "effective sample size with the initial weight",
            Equation(1 / (squares + a ** (2 * T)), 1 / (sp.exp(2 * log_left) - rate * double / (2 - rate))),
            "the same with the initial weight as one more sample, whose share is a^T; now Σc = 1",
            Identity(lemmas=STABLE),
        ),
        Step(
            "effective sample size of a long run",
            Equation(of_updates, (2 - rate) / rate),
            "as T → ∞ both tend to (1 + a)/(1 − a) = 2τ − 1",
            Limit(variable=T, decaying=(a,)),
        ),
    )


def weights_after(point: Point, first: Number, steps: int) -> list[Number]:
    """Weights of AdamW itself (β₁ = β₂ = 0, ε = 1) with one gradient `first` and none after."""
    record = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=0, beta2=0, eps=1)
    start = 0 if first else 1
    states = x.run(
        record, start, steps, lambda k, _: first if k == 1 else 0, lambda k: point[eta], lambda k: point[lam]
    )
    return [state.weight for state in states]


def share_left(point: Point, steps: int) -> Number:
    """What a run of AdamW without gradients leaves of w_0 = 1."""
    return weights_after(point, 0, steps)[-1]


def coefficients(point: Point, steps: int) -> list[Number]:
    """c_0 … c_{T−1} by lag: the response of AdamW's weight to one update u = 1/2, over q = −u/λ."""
    return [-2 * as_real(point[lam]) * weight for weight in weights_after(point, 1, steps)[1:]]


def steps_until(share: Callable[[Point], Number]) -> Callable[[Point], Number]:
    """The n with a^n = share, by root finding on what one step of AdamW leaves."""

    def compute(point: Point) -> Number:
        left, goal = share_left(point, 1), as_real(share(point))
        return mpmath.findroot(lambda steps: left**steps - goal, (0, 1 / as_real(point[eta] * point[lam])), tol=1e-110)

    return compute


def long_run(point: Point) -> int:
    """Steps after which less than 1e-48 of the initial weight is left."""
    return int(111 / as_real(point[eta] * point[lam])) + 1


def sample_size(c: list[Number], initial: Number = 0) -> Number:
    return (sum(c) + initial) ** 2 / (sum(y * y for y in c) + initial * initial)


BRUTE_FORCE: dict[str, Callable[[Point], Number]] = {
    "initial_weight_left": lambda p: share_left(p, p[T]),
    "time_constant_steps": steps_until(lambda p: mpmath.exp(-1)),
    "half_life_steps": steps_until(lambda p: mpmath.mpf(1) / 2),
    "window_steps": steps_until(lambda p: 1 - p[f]),
    "centre_of_mass_steps": lambda p: sum(lag * c for lag, c in enumerate(coefficients(p, long_run(p)))),
    "effective_sample_size": lambda p: sample_size(coefficients(p, p[T])),
    "effective_sample_size_with_initial": lambda p: sample_size(coefficients(p, p[T]), share_left(p, p[T])),
    "effective_sample_size_limit": lambda p: sample_size(coefficients(p, long_run(p))),
}


def constant_rate() -> Derivation:
    """E3: what the exponential moving average of AdamW looks like at constant η and λ."""
    return Derivation(
        name="constant-rate",
        title="AdamW at a constant rate: one exponential, and the numbers that describe it",
        statement=(
            "At constant η and λ the weight is an exponential moving average with coefficients (1 − a) a^s, "
            "a = 1 − ηλ. Time constant −1/ln a, half-life ln 2/(−ln a), window of a share f "
            "ln(1 − f)/ln a, centre of mass a/(1 − a), effective sample size (1 + a)/(1 − a) in "
            "a long run, initial weight left a^T."
        ),
        assumptions=Assumptions(
            (integer(t), integer(T, 1), positive(eta), positive(lam), between(f, 0, 1), real(x.w0)), (sp.Lt(rate, 1),)
        ),
        definitions={a: 1 - rate, x.q_t(t): -x.u_t(t) / lam},
        steps=recurrence_steps() + duration_steps() + mass_steps() + sample_size_steps(),
        results={
            "initial_weight_left": "initial weight left",
            "time_constant_steps": "time constant",
            "half_life_steps": "half-life",
            "window_steps": "window",
            "centre_of_mass_steps": "centre of mass",
            "effective_sample_size": "effective sample size",
            "effective_sample_size_with_initial": "effective sample size with the initial weight",
            "effective_sample_size_limit": "effective sample size of a long run",
        },
        brute_force=BRUTE_FORCE,
        source="Wang & Aitchison, arXiv 2405.13698, section 3; E3",
        arguments={eta: "lr", lam: "weight_decay", T: "steps", f: "fraction"},
    )


DERIVATIONS = {"constant-rate": constant_rate}
